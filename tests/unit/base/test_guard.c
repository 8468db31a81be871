/* SPDX-License-Identifier: MIT */
#include "tests/unit/support.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/guard.h"

#define PAGE 4096u
#define SIZE (8 * PAGE)

static uint8_t to[SIZE];

static uint8_t *map_file(int fd)
{
    uint8_t *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    return map;
}

static void test_what_is_there(void **state)
{
    (void)state;
    guard_init(); /* here, since cmocka handles signals while a test runs */
    int fd = fd_memfd("test", SIZE);
    uint8_t *map = map_file(fd);
    memset(map, 7, SIZE);
    assert_int_equal(guard_copy(to, map, SIZE, map, SIZE), 0);
    assert_memory_equal(to, map, SIZE);
    munmap(map, SIZE);
    fd_close(fd);
}

static void test_a_file_that_shrank(void **state)
{
    (void)state;
    guard_init(); /* here, since cmocka handles signals while a test runs */
    int fd = fd_memfd("test", SIZE);
    uint8_t *map = map_file(fd), zeros[PAGE] = {0};
    memset(map, 7, SIZE);
    for (int round = 0; round < 3; round++) { /* one is not the last */
        assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
        assert_int_equal(guard_copy(to, map, SIZE, map, SIZE), -EFAULT);
        assert_memory_equal(to + 4 * PAGE, zeros, PAGE);
        assert_memory_equal(map + SIZE - PAGE, zeros, PAGE); /* it can be touched */
        munmap(map, SIZE);
        assert_int_equal(ftruncate(fd, SIZE), 0);
        map = map_file(fd);
        assert_int_equal(guard_copy(to, map, SIZE, map, SIZE), 0);
    }
    munmap(map, SIZE);
    fd_close(fd);
}

/* A fault elsewhere is an error of ours, and nothing to be hidden. */
static void test_other_faults_are_fatal(void **state)
{
    (void)state;
    guard_init(); /* here, since cmocka handles signals while a test runs */
    int fd = fd_memfd("test", SIZE), status;
    uint8_t *map = map_file(fd), *other = map_file(fd);
    assert_int_equal(guard_copy(to, map, SIZE, map, SIZE), 0);
    assert_int_equal(ftruncate(fd, 0), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        guard_copy(to, other, SIZE, map, SIZE);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    munmap(map, SIZE);
    munmap(other, SIZE);
    fd_close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_there),
        cmocka_unit_test(test_a_file_that_shrank),
        cmocka_unit_test(test_other_faults_are_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
