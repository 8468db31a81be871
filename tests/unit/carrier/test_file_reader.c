/* SPDX-License-Identifier: MIT */
/* Files that are read once: what applications get, and reading what may make its reader wait. */
#include "tests/unit/turn.h"

#include <errno.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/memory.h"
#include "common/carrier/file-reader.h"
#include "common/base/waiters.h"

static struct loop *loop;
static struct waiters *waiters;
static char folder[64];

static struct memory *content(size_t size, uint32_t seed)
{
    struct memory *m = memory_create(size, NULL);
    assert_non_null(m);
    if (size)
        fill_pattern(m->map, size, seed);
    return m;
}

/* The cache of contents keeps descriptors: it is full before anybody counts. */
static int fill_cache(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 32; i++) {
        struct memory *m = content(16, 1000 + i);
        fd_close(file_share(m));
        memory_unref(m);
    }
    make_folder(folder);
    return 0;
}

static int empty_folder(void **state)
{
    (void)state;
    remove_folder(folder);
    return 0;
}

static int before;

static int setup(void **state)
{
    (void)state;
    before = count_fds();
    loop = loop_create();
    waiters = waiters_of(0);
    return loop && waiters ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_destroy(loop);
    waiters_unref(waiters);
    for (int tries = 0; tries < 5000 && count_fds() != before; tries++)
        usleep(1000); /* for threads that close theirs */
    return count_fds() == before ? 0 : -1;
}

static void test_shared_file_cannot_be_changed(void **state)
{
    (void)state;
    struct memory *m = content(5000, 1);
    uint8_t expected[5000], back[5000];
    memcpy(expected, m->map, 5000);
    int fd = file_share(m);
    assert_true(fd >= 0);
    memory_unref(m);
    int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    assert_int_equal(fcntl(fd, F_GET_SEALS) & seals, seals);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 5000);
    assert_int_equal(read(fd, back, sizeof(back)), 5000); /* from the start */
    assert_memory_equal(back, expected, 5000);
    int writable = fd_reopen(fd, O_RDWR);
    if (writable >= 0)
        assert_int_equal(write(writable, "x", 1), -1);
    fd_close(writable);
    void *map = mmap(NULL, 5000, PROT_READ, MAP_PRIVATE, fd, 0); /* as applications read a keymap */
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_memory_equal(map, expected, 5000);
    munmap(map, 5000);
    fd_close(fd);
}

/* What is kept for the next receiver is nobody's to pay for: so large ones are not. */
static void test_large_files_are_not_kept(void **state)
{
    (void)state;
    int before = count_fds();
    for (int i = 0; i < 3; i++) {
        struct memory *m = content(3u << 20, 7);
        int fd = file_share(m);
        assert_true(fd >= 0);
        fd_close(fd);
        memory_unref(m);
    }
    assert_int_equal(count_fds(), before);
}

static void test_equal_contents_share_a_file_but_no_offset(void **state)
{
    (void)state;
    struct memory *a = content(3000, 2), *b = content(3000, 2), *c = content(3000, 3);
    uint8_t back[3000];
    int fds[3] = {file_share(a), file_share(b), file_share(c)};
    struct fd_info info[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(fd_inspect(fds[i], &info[i]), 0);
    assert_int_equal(info[0].ino, info[1].ino);
    assert_int_not_equal(info[0].ino, info[2].ino);
    assert_int_equal(read(fds[0], back, 3000), 3000);
    assert_int_equal(read(fds[1], back, 3000), 3000); /* the first reader did not move it */
    for (int i = 0; i < 3; i++)
        fd_close(fds[i]);
    memory_unref(a);
    memory_unref(b);
    memory_unref(c);
}

static void test_a_prefix_is_not_the_same(void **state)
{
    (void)state;
    struct memory *whole = content(200, 4), *prefix = content(100, 4);
    int a = file_share(whole), b = file_share(prefix);
    struct stat st;
    assert_int_equal(fstat(b, &st), 0);
    assert_int_equal(st.st_size, 100);
    fd_close(a);
    fd_close(b);
    memory_unref(whole);
    memory_unref(prefix);
}

static void test_empty_file(void **state)
{
    (void)state;
    struct memory *m = content(0, 0);
    int fd = file_share(m);
    uint8_t byte;
    assert_true(fd >= 0);
    assert_int_equal(read(fd, &byte, 1), 0);
    fd_close(fd);
    memory_unref(m);
}

static void test_cached_files_outlive_many_others(void **state)
{
    (void)state;
    struct memory *first = content(64, 5);
    uint8_t expected[64], back[64];
    memcpy(expected, first->map, 64);
    int fd = file_share(first);
    memory_unref(first);
    for (uint32_t i = 0; i < 20; i++) {
        struct memory *m = content(64, 100 + i);
        fd_close(file_share(m));
        memory_unref(m);
    }
    assert_int_equal(read(fd, back, 64),
                     64); /* pushed out of the cache, not out of the application's hands */
    assert_memory_equal(back, expected, 64);
    fd_close(fd);
}

/* --- reading --- */

struct result {
    int calls, error;
    size_t size;
    uint8_t *bytes;
};

static void done(void *user, const void *bytes, size_t size, int error)
{
    struct result *r = user;
    r->calls++;
    r->error = error;
    r->size = size;
    r->bytes = malloc(size + 1);
    if (size)
        memcpy(r->bytes, bytes, size);
}

static bool called(void *user)
{
    return ((struct result *)user)->calls > 0;
}

static int make_file(const char *name, size_t size, uint32_t seed)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    uint8_t *bytes = malloc(size + 1);
    fill_pattern(bytes, size, seed);
    assert_int_equal(write(fd, bytes, size), size);
    free(bytes);
    return fd;
}

static void test_reading_a_file(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 65536, 65537, 300000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct result r = {0};
        int fd = make_file("file", sizes[i],
                           9); /* its offset is at the end: it is read from its start */
        assert_non_null(file_read(loop, waiters, fd, 1 << 20, done, &r));
        turn_until(loop, called, &r);
        turn_times(loop, 3);
        assert_int_equal(r.calls, 1);
        assert_int_equal(r.error, 0);
        assert_int_equal(r.size, sizes[i]);
        uint8_t *expected = malloc(sizes[i] + 1);
        fill_pattern(expected, sizes[i], 9);
        assert_memory_equal(r.bytes, expected, sizes[i]);
        free(expected);
        free(r.bytes);
    }
}

static void test_reading_more_than_allowed(void **state)
{
    (void)state;
    struct result exact = {0}, more = {0};
    assert_non_null(file_read(loop, waiters, make_file("exact", 1000, 1), 1000, done, &exact));
    assert_non_null(file_read(loop, waiters, make_file("more", 1001, 1), 1000, done, &more));
    turn_until(loop, called, &exact);
    turn_until(loop, called, &more);
    assert_int_equal(exact.error, 0);
    assert_int_equal(exact.size, 1000);
    assert_int_equal(more.error, -EFBIG);
    free(exact.bytes);
    free(more.bytes);
}

static void test_reading_what_cannot_be_read(void **state)
{
    (void)state;
    struct result r = {0};
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_non_null(file_read(loop, waiters, fd, 1000, done, &r));
    turn_until(loop, called, &r);
    assert_int_equal(r.error, -EISDIR);
    free(r.bytes);
}

static bool nothing_open(void *user)
{
    return count_fds() == *(int *)user;
}

static void test_cancelling(void **state)
{
    (void)state;
    struct result r = {0};
    int now = count_fds();
    struct file_job *job =
        file_read(loop, waiters, make_file("cancelled", 100000, 1), 1 << 20, done, &r);
    assert_non_null(job);
    file_cancel(job);
    file_cancel(NULL);
    turn_until(loop, nothing_open, &now); /* the thread cleans up behind itself */
    assert_int_equal(r.calls, 0);
}

static sem_t ended;

static void wait_for_end(void *fd)
{
    uint8_t byte;
    assert_int_equal(read(*(int *)fd, &byte, 1), 0);
    sem_post(&ended);
}

static void test_no_thread_is_left(void **state)
{
    (void)state;
    struct result r = {0};
    int ends[2], n = 0, now = count_fds();
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    sem_init(&ended, 0, 0);
    while (waiters_start(waiters, wait_for_end, &ends[0]) == 0)
        n++;
    errno = 0;
    assert_null(file_read(loop, waiters, make_file("late", 10, 1), 1000, done, &r));
    assert_int_equal(errno, EMFILE);
    fd_close(ends[1]);
    for (; n; n--)
        sem_wait(&ended);
    fd_close(ends[0]);
    while (!file_read(loop, waiters, make_file("later", 10, 1), 1000, done, &r))
        usleep(1000);
    turn_until(loop, called, &r);
    free(r.bytes);
    turn_until(loop, nothing_open, &now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shared_file_cannot_be_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_files_are_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_equal_contents_share_a_file_but_no_offset, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_prefix_is_not_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cached_files_outlive_many_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reading_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reading_more_than_allowed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reading_what_cannot_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancelling, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_thread_is_left, setup, teardown),
    };
    return cmocka_run_group_tests(tests, fill_cache, empty_folder);
}
