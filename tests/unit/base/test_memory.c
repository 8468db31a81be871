/* SPDX-License-Identifier: MIT */
/* Mirrors cannot shrink; clients' files can, and nobody dies of it. */
#include "tests/unit/support.h"
#include "tests/support/allocated.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/base/fd.h"
#include "common/base/memory.h"

static uint64_t page;
static int before;

static int setup(void **state)
{
    (void)state;
    page = (uint64_t)sysconf(_SC_PAGESIZE);
    before = count_fds();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return count_fds() == before ? 0 : -1;
}

static uint64_t size_of(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return (uint64_t)st.st_size;
}

/* A client's file, and our import of it through a descriptor of our own. */
static struct memory *import(int *ret_client, uint64_t size, int flags)
{
    int client = fd_memfd("client", size);
    assert_true(client >= 0);
    int ours = fd_reopen(client, flags);
    assert_true(ours >= 0);
    struct memory *m = memory_import(ours, size, flags == O_RDWR, 1, 2, NULL);
    assert_non_null(m);
    *ret_client = client;
    return m;
}

static void test_mirror_is_sealed(void **state)
{
    (void)state;
    struct memory *m = memory_create(3 * page + 5, NULL);
    assert_non_null(m);
    assert_string_equal(m->backing->name, "mirror");
    assert_true(m->writable);
    assert_int_equal(m->size, 3 * page + 5);
    assert_int_equal(size_of(m->fd), 3 * page + 5);
    assert_int_equal(ftruncate(m->fd, 5), -1); /* also by whom it is handed to */
    assert_int_equal(errno, EPERM);
    assert_int_equal(fcntl(m->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    m->map[3 * page + 4] = 7;
    uint8_t byte = 0;
    assert_int_equal(pread(m->fd, &byte, 1, (off_t)(3 * page + 4)), 1);
    assert_int_equal(byte, 7);
    memory_unref(m);
}

static void test_mirror_of_nothing(void **state)
{
    (void)state;
    struct memory *m = memory_create(0, NULL);
    assert_non_null(m);
    assert_null(m->map);
    assert_int_equal(memory_grow(m, 10), 0);
    m->map[9] = 1;
    memory_unref(m);
    assert_null(memory_create(UINT64_MAX, NULL));
    assert_int_equal(errno, EFBIG);
}

static void test_mirror_grows_and_keeps_its_bytes(void **state)
{
    (void)state;
    struct memory *m = memory_create(page, NULL);
    memset(m->map, 0x5a, page);
    assert_int_equal(memory_grow(m, page), 0);
    assert_int_equal(memory_grow(m, 1), 0); /* never smaller */
    assert_int_equal(m->size, page);
    assert_int_equal(memory_grow(m, 100 * page), 0);
    assert_int_equal(m->size, 100 * page);
    assert_int_equal(size_of(m->fd), 100 * page);
    assert_int_equal(m->map[page - 1], 0x5a);
    assert_int_equal(m->map[page], 0);
    m->map[100 * page - 1] = 9;
    memory_unref(m);
}

static void test_references(void **state)
{
    (void)state;
    struct memory *m = memory_create(page, NULL);
    int fd = m->fd;
    assert_ptr_equal(memory_ref(m), m);
    memory_unref(m);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    memory_unref(m);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    memory_unref(NULL);
}

static void test_punch_gives_whole_pages_back(void **state)
{
    (void)state;
    struct memory *m = memory_create(8 * page + 100, NULL);
    memset(m->map, 1, m->size);
    assert_int_equal(memory_allocated(m), 9 * page);
    memory_punch(m, 1, page); /* no whole page in it */
    assert_int_equal(memory_allocated(m), 9 * page);
    memory_punch(m, 1, 3 * page); /* pages 1 and 2 */
    assert_int_equal(memory_allocated(m), 7 * page);
    assert_int_equal(m->map[page - 1], 1);
    assert_int_equal(m->map[page], 0);
    assert_int_equal(m->map[3 * page - 1], 0);
    assert_int_equal(m->map[3 * page], 1);
    memory_punch(m, 8 * page, 100); /* the last page ends with the file */
    assert_int_equal(m->map[8 * page + 99], 0);
    memory_punch(m, 0, UINT32_MAX); /* beyond the end: up to it */
    assert_int_equal(memory_allocated(m), 0);
    assert_int_equal(size_of(m->fd), 8 * page + 100);
    memory_unref(m);
}

static void test_store_in_a_mirror(void **state)
{
    (void)state;
    struct memory *m = memory_create(page, NULL);
    assert_int_equal(memory_store(m, page - 3, "abc", 3), 0);
    assert_memory_equal(m->map + page - 3, "abc", 3);
    memory_unref(m);
}

static void test_store_in_a_clients_file(void **state)
{
    (void)state;
    int client;
    struct memory *m = import(&client, 2 * page, O_RDWR);
    assert_string_equal(m->backing->name, "client's file");
    assert_true(m->writable);
    assert_int_equal(memory_store(m, 2 * page - 3, "abc", 3), 0);
    char back[3];
    assert_int_equal(pread(client, back, 3, (off_t)(2 * page - 3)), 3);
    assert_memory_equal(back, "abc", 3);
    memory_unref(m);
    fd_close(client);
}

static void test_store_to_a_truncated_file(void **state)
{
    (void)state;
    int client;
    struct memory *m = import(&client, 2 * page, O_RDWR);
    assert_false(memory_truncated(m, 2 * page));
    assert_int_equal(ftruncate(client, (off_t)page), 0);
    assert_true(memory_truncated(m, 2 * page));
    assert_true(memory_truncated(m, page + 1));
    assert_false(memory_truncated(m, page));
    assert_int_equal(memory_store(m, page - 1, "ab", 2), -EFAULT);
    assert_int_equal(memory_store(m, 2 * page - 1, "a", 1), -EFAULT);
    assert_int_equal(size_of(client), page); /* and did not grow */
    assert_int_equal(memory_store(m, page - 2, "ab", 2), 0);
    memory_unref(m);
    fd_close(client);
}

static void test_read_only_import(void **state)
{
    (void)state;
    int client;
    struct memory *m = import(&client, page, O_RDONLY);
    assert_false(m->writable);
    assert_int_equal(pwrite(client, "x", 1, 5), 1);
    assert_int_equal(m->map[5], 'x');              /* shared, not a copy */
    assert_int_equal(memory_grow(m, 3 * page), 0); /* the file may follow, or not */
    assert_int_equal(size_of(client), page);
    memory_unref(m);
    fd_close(client);
}

static void test_write_sealed_import(void **state)
{
    (void)state;
    int client = fd_memfd("client", page);
    assert_int_equal(fcntl(client, F_ADD_SEALS, F_SEAL_WRITE), 0);
    struct memory *m = memory_import(fd_reopen(client, O_RDWR), page, true, 1, 2, NULL);
    assert_non_null(m);
    assert_false(m->writable);
    memory_unref(m);
    fd_close(client);
}

static void test_import_of_what_cannot_be_mapped(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_null(memory_import(ends[0], page, false, 1, 2, NULL)); /* takes it all the same */
    assert_int_equal(errno, ENODEV);
    fd_close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mirror_is_sealed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mirror_of_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mirror_grows_and_keeps_its_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_references, setup, teardown),
        cmocka_unit_test_setup_teardown(test_punch_gives_whole_pages_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_in_a_mirror, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_in_a_clients_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_to_a_truncated_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_only_import, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_sealed_import, setup, teardown),
        cmocka_unit_test_setup_teardown(test_import_of_what_cannot_be_mapped, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
