/* SPDX-License-Identifier: MIT */
/* The queue of a socket, over real sockets: every byte arrives once and in order, descriptors with
 * their bytes, pixels straight from mappings and pipes' contents among them. */
#include "tests/unit/turn.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/base/fd.h"
#include "common/base/memory.h"
#include "common/transport/sendq.h"

#define EXPECTED_MAX (8u << 20)

static struct fixture {
    struct sendq q;
    int ends[2];
    int before;
    uint8_t *expected, *got;
    size_t expected_n, got_n;
    int fds[512];       /* received, in order */
    size_t fds_at[512]; /* how many bytes had come with and before it */
    size_t fds_n, largest_message;
    uint32_t faults[8];
    unsigned faults_n;
} f;

static void fault(void *user, uint32_t tag)
{
    assert_ptr_equal(user, &f);
    assert_true(f.faults_n < 8);
    f.faults[f.faults_n++] = tag;
}

static int open_with(int buffer)
{
    memset(&f, 0, sizeof(f));
    signal(SIGPIPE, SIG_IGN);
    f.before = count_fds();
    make_sockets(f.ends, buffer);
    sendq_init(&f.q, fault, &f);
    f.expected = malloc(EXPECTED_MAX);
    f.got = malloc(EXPECTED_MAX);
    return f.expected && f.got ? 0 : -1;
}

static int setup(void **state)
{
    (void)state;
    return open_with(0);
}

static int setup_small(void **state)
{
    (void)state;
    return open_with(4096);
}

static int teardown(void **state)
{
    (void)state;
    sendq_finish(&f.q);
    for (size_t i = 0; i < f.fds_n; i++)
        fd_close(f.fds[i]);
    fd_close(f.ends[0]);
    fd_close(f.ends[1]);
    free(f.expected);
    free(f.got);
    return count_fds() == f.before ? 0 : -1;
}

static const uint8_t *expect(const void *bytes, size_t n)
{
    assert_true(f.expected_n + n <= EXPECTED_MAX);
    uint8_t *at = f.expected + f.expected_n;
    if (bytes)
        memcpy(at, bytes, n);
    else
        memset(at, 0, n);
    f.expected_n += n;
    return at;
}

/* Bytes that differ from one call to the next, expected to arrive. */
static const uint8_t *expect_pattern(size_t n)
{
    static uint32_t seed;
    assert_true(f.expected_n + n <= EXPECTED_MAX);
    fill_pattern(f.expected + f.expected_n, n, ++seed);
    f.expected_n += n;
    return f.expected + f.expected_n - n;
}

/* One recvmsg. False: there is nothing now. */
static bool receive(size_t most)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(253 * sizeof(int))];
    } control;
    struct iovec iov = {f.got + f.got_n,
                        most < EXPECTED_MAX - f.got_n ? most : EXPECTED_MAX - f.got_n};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(f.ends[1], &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n <= 0)
        return false;
    assert_int_equal(message.msg_flags & MSG_CTRUNC, 0);
    f.got_n += (size_t)n;
    size_t fds = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++, fds++) {
            memcpy(&f.fds[f.fds_n], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            f.fds_at[f.fds_n++] = f.got_n;
        }
    }
    if (fds > f.largest_message)
        f.largest_message = fds;
    return true;
}

/* Flushes and receives until everything is out and in, and checks that it is what was queued. */
static void flush_all(size_t most)
{
    int r;
    do {
        r = sendq_flush(&f.q, f.ends[0]);
        assert_true(r == 0 || r == -EAGAIN);
        bool any = false;
        while (receive(most))
            any = true;
        assert_true(r == 0 || any); /* the socket said that it was full */
    } while (r != 0);
    assert_int_equal(sendq_size(&f.q), 0);
    assert_int_equal(f.got_n, f.expected_n);
    assert_memory_equal(f.got, f.expected, f.expected_n);
}

static void test_nothing(void **state)
{
    (void)state;
    assert_int_equal(sendq_size(&f.q), 0);
    assert_int_equal(sendq_flush(&f.q, f.ends[0]), 0);
    sendq_copy(&f.q, NULL, 0);
    sendq_borrow(&f.q, NULL, 0);
    flush_all(SIZE_MAX);
    assert_int_equal(f.got_n, 0);
}

static void test_order_of_all_kinds(void **state)
{
    (void)state;
    uint8_t local[3][100];
    for (int i = 0; i < 3; i++)
        fill_pattern(local[i], 100, 40 + (uint32_t)i);
    sendq_copy(&f.q, expect("one", 3), 3);
    sendq_borrow(&f.q, expect(local[0], 100), 100);
    sendq_borrow(&f.q, expect(local[1], 50), 50); /* continues the expectation's own bytes */
    sendq_copy(&f.q, expect("two", 3), 3);
    uint8_t *room = sendq_reserve(&f.q, 5);
    memcpy(room, expect("three", 5), 5);
    sendq_borrow(&f.q, local[2], 100);
    expect(local[2], 100);
    assert_int_equal(sendq_size(&f.q), f.expected_n);
    flush_all(SIZE_MAX);
}

static void test_partial_sends(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        size_t n = (size_t)i * 37 % 5000;
        const uint8_t *bytes = expect_pattern(n);
        if (i % 2)
            sendq_copy(&f.q, bytes, n);
        else
            sendq_borrow(&f.q, bytes, n);
        if (i % 7 == 0) {
            assert_true(sendq_flush(&f.q, f.ends[0]) <= 0);
            receive(1000);
        }
    }
    flush_all(777);
}

static void test_borrowed_bytes_are_kept_when_they_must_wait(void **state)
{
    (void)state;
    size_t n = 300000;
    uint8_t *bytes = malloc(n);
    memcpy(bytes, expect_pattern(n), n);
    sendq_borrow(&f.q, bytes, n / 2);
    sendq_copy(&f.q, "x", 1);
    sendq_borrow(&f.q, bytes + n / 2, n - n / 2);
    memmove(f.expected + n / 2 + 1, f.expected + n / 2, n - n / 2);
    f.expected[n / 2] = 'x';
    f.expected_n++;
    assert_int_equal(sendq_flush(&f.q, f.ends[0]), -EAGAIN);
    memset(bytes, 0xee, n); /* the caller's again */
    free(bytes);
    flush_all(SIZE_MAX);
}

static void test_the_arena_grows_and_is_given_back(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t n = 1; n < 200000; n = n * 3 + 1) {
            sendq_copy(&f.q, expect_pattern(n), n);
            assert_true(sendq_flush(&f.q, f.ends[0]) <= 0);
            receive(n / 2 + 1); /* the front moves on while the end grows */
        }
    }
    flush_all(SIZE_MAX);
    assert_true(f.q.arena_room <= 4096); /* an idle connection costs little */
    assert_true(f.q.room <= 64);
    sendq_copy(&f.q, expect_pattern(10), 10);
    flush_all(SIZE_MAX);
}

static void test_many_segments(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++) { /* more than a vector has room for */
        sendq_copy(&f.q, expect_pattern(2), 2);
        const uint8_t *bytes = expect_pattern(3);
        sendq_borrow(&f.q, bytes, 3);
    }
    flush_all(SIZE_MAX);
}

/* --- descriptors --- */

static ino_t inode(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return st.st_ino;
}

/* Queues @messages of @size bytes, the first @with of them with a descriptor, and checks what comes
 * with what. */
static void fds_with_messages(size_t messages, size_t with, size_t size, size_t most)
{
    ino_t *inodes = calloc(messages, sizeof(*inodes));
    for (size_t i = 0; i < messages; i++) {
        if (i < with) {
            int fd = fd_memfd("sent", 0);
            assert_true(fd >= 0);
            inodes[i] = inode(fd);
            sendq_fd(&f.q, fd, NULL);
        }
        sendq_copy(&f.q, expect_pattern(size), size);
    }
    flush_all(most);
    assert_int_equal(f.fds_n, with);
    assert_true(f.largest_message <= SENDQ_FDS_PER_MESSAGE);
    for (size_t i = 0; i < with; i++) {
        assert_int_equal(inode(f.fds[i]), inodes[i]);
        /* It came with a read that ended no later than its message could be read whole. */
        assert_true(most == SIZE_MAX ||
                    f.fds_at[i] <= (i + 1) * size + (most > size ? most : size));
    }
    free(inodes);
}

static void test_descriptors_in_order(void **state)
{
    (void)state;
    fds_with_messages(5, 5, 12, SIZE_MAX);
}

static void test_at_most_28_descriptors_per_message(void **state)
{
    (void)state;
    fds_with_messages(200, 100, 12, SIZE_MAX);
    assert_int_equal(f.largest_message, SENDQ_FDS_PER_MESSAGE);
}

/* What libwayland needs: when a message can be read whole, its descriptor is there. Read byte by
 * byte. */
static void test_no_descriptor_after_its_message(void **state)
{
    (void)state;
    for (int i = 0; i < 90; i++) {
        sendq_fd(&f.q, fd_memfd("sent", 0), NULL);
        sendq_copy(&f.q, expect_pattern(8), 8);
    }
    assert_int_equal(sendq_flush(&f.q, f.ends[0]), 0);
    while (receive(1))
        assert_true(f.fds_n >= (f.got_n + 7) / 8); /* with its first byte, or before it */
    assert_int_equal(f.fds_n, 90);
    assert_int_equal(f.got_n, 90 * 8);
}

static void test_descriptors_and_a_full_socket(void **state)
{
    (void)state;
    fds_with_messages(60, 60, 5000, 100);
}

static void test_a_descriptor_waits_for_a_byte(void **state)
{
    (void)state;
    sendq_fd(&f.q, fd_memfd("sent", 0), NULL);
    assert_int_equal(sendq_flush(&f.q, f.ends[0]), 0);
    assert_false(receive(10));
    sendq_copy(&f.q, expect("x", 1), 1);
    flush_all(10);
    assert_int_equal(f.fds_n, 1);
}

static void test_unsent_descriptors_are_closed(void **state)
{
    (void)state;
    int copy = fd_memfd("sent", 0);
    for (int i = 0; i < 40; i++) {
        sendq_fd(&f.q, fcntl(copy, F_DUPFD_CLOEXEC, 0), NULL);
        sendq_copy(&f.q, "x", 1);
    }
    fd_close(copy);
    sendq_finish(&f.q);
    sendq_finish(&f.q); /* the teardown counts */
}

/* --- rows --- */

static void expect_rows(const uint8_t *map, uint64_t offset, uint32_t row, uint32_t rows,
                        uint32_t stride)
{
    for (uint32_t i = 0; i < rows; i++)
        expect(map + offset + (uint64_t)i * stride, row);
}

static void test_rows(void **state)
{
    (void)state;
    struct memory *m = memory_create(1 << 20, NULL);
    fill_pattern(m->map, m->size, 3);
    static const struct {
        uint64_t offset;
        uint32_t row, rows, stride;
    } cases[] = {{0, 64, 64, 256},
                 {1000003 % (1 << 19), 1, 1, 1},
                 {77, 400, 900, 401},
                 {0, 1 << 20, 1, 1 << 20},
                 {5, 4, 2000, 500}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        sendq_copy(&f.q, expect("head", 4), 4);
        expect_rows(m->map, cases[i].offset, cases[i].row, cases[i].rows, cases[i].stride);
        sendq_rows(&f.q, m, cases[i].offset, cases[i].row, cases[i].rows, cases[i].stride, 1);
    }
    assert_int_equal(m->refs, 1 + sizeof(cases) / sizeof(*cases));
    assert_int_equal(sendq_size(&f.q), f.expected_n);
    flush_all(3000);
    assert_int_equal(m->refs, 1);
    assert_int_equal(f.faults_n, 0);
    memory_unref(m);
}

static void test_rows_of_memory_that_grows_meanwhile(void **state)
{
    (void)state;
    struct memory *m = memory_create(1 << 20, NULL);
    fill_pattern(m->map, m->size, 4);
    expect_rows(m->map, 0, 1000, 1000, 1001);
    sendq_rows(&f.q, m, 0, 1000, 1000, 1001, 1);
    assert_int_equal(sendq_flush(&f.q, f.ends[0]), -EAGAIN);
    assert_int_equal(memory_grow(m, 64 << 20), 0); /* and moves */
    memory_unref(m);                               /* the queue has its own reference */
    flush_all(SIZE_MAX);
}

static void truncated(uint64_t size, uint64_t left, uint64_t offset, uint32_t row, uint32_t rows,
                      uint32_t stride)
{
    int client = fd_memfd("client", size);
    struct memory *m = memory_import(fcntl(client, F_DUPFD_CLOEXEC, 0), size, true, 1, 1, NULL);
    assert_non_null(m);
    fill_pattern(m->map, size, 5);
    sendq_copy(&f.q, expect("before", 6), 6);
    size_t at = f.expected_n;
    expect_rows(m->map, offset, row, rows, stride);
    sendq_rows(&f.q, m, offset, row, rows, stride, 0xabc);
    sendq_copy(&f.q, expect("behind", 6), 6);
    assert_int_equal(ftruncate(client, (off_t)left), 0);
    fd_close(client);
    for (int r = -EAGAIN; r != 0;) {
        r = sendq_flush(&f.q, f.ends[0]);
        assert_true(r == 0 || r == -EAGAIN);
        while (receive(SIZE_MAX))
            ;
    }
    /* The frame has the length that its head announced; what is not zero is what was there. */
    assert_int_equal(f.got_n, f.expected_n);
    assert_memory_equal(f.got, f.expected, at);
    assert_memory_equal(f.got + f.expected_n - 6, "behind", 6);
    bool lost = false;
    for (size_t i = at; i < f.expected_n - 6; i++) {
        assert_true(f.got[i] == f.expected[i] || f.got[i] == 0);
        lost |= f.got[i] != f.expected[i];
    }
    assert_true(lost);
    assert_int_equal(f.faults_n, 1);
    assert_int_equal(f.faults[0], 0xabc);
    assert_int_equal(m->refs, 1);
    memory_unref(m);
}

static void test_rows_of_a_file_that_shrank_to_nothing(void **state)
{
    (void)state;
    truncated(1 << 20, 0, 0, 1 << 20, 1, 1 << 20);
}

static void test_rows_of_a_file_that_shrank_by_a_page(void **state)
{
    (void)state;
    truncated(1 << 20, (1 << 20) - 4096, 0, 1024, 1024, 1024);
}

static void test_rows_with_stride_of_a_file_that_shrank(void **state)
{
    (void)state;
    truncated(1 << 20, 4096, 64, 100, 1000, 1000);
}

static void test_other_rows_survive_a_shrunken_file(void **state)
{
    (void)state;
    int client = fd_memfd("client", 8192);
    struct memory *bad = memory_import(fcntl(client, F_DUPFD_CLOEXEC, 0), 8192, true, 1, 1, NULL),
                  *good = memory_create(8192, NULL);
    fill_pattern(good->map, 8192, 6);
    sendq_rows(&f.q, good, 0, 8192, 1, 8192, 1);
    expect(good->map, 8192);
    sendq_rows(&f.q, bad, 0, 8192, 1, 8192, 2);
    expect(NULL, 8192);
    sendq_rows(&f.q, good, 100, 50, 3, 70, 3);
    expect_rows(good->map, 100, 50, 3, 70);
    assert_int_equal(ftruncate(client, 0), 0);
    flush_all(SIZE_MAX);
    assert_int_equal(f.faults_n, 1);
    assert_int_equal(f.faults[0], 2);
    memory_unref(bad);
    memory_unref(good);
    fd_close(client);
}

/* --- pipes --- */

static void make_pipe(int ends[2], size_t n)
{
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 18);
    for (size_t at = 0; at < n;) {
        ssize_t w = write(ends[1], f.expected + f.expected_n - n + at, n - at);
        assert_true(w > 0);
        at += (size_t)w;
    }
}

static void test_pipes(void **state)
{
    (void)state;
    unsigned pending = 0;
    int a[2], b[2];
    sendq_copy(&f.q, expect("head", 4), 4);
    expect_pattern(100000);
    make_pipe(a, 100000);
    sendq_pipe(&f.q, a[0], 60000, &pending);
    sendq_pipe(&f.q, a[0], 40000, &pending);
    sendq_copy(&f.q, expect("mid", 3), 3);
    expect_pattern(10);
    make_pipe(b, 10);
    sendq_pipe(&f.q, b[0], 10, &pending);
    sendq_copy(&f.q, expect("tail", 4), 4);
    assert_int_equal(pending, 3);
    flush_all(5000);
    assert_int_equal(pending, 0);
    for (int i = 0; i < 2; i++) { /* they were borrowed */
        fd_close(a[i]);
        fd_close(b[i]);
    }
}

/* Another reader of the pipe took the bytes that a frame's head has announced: the frame is
 * completed, nothing waits for ever. */
static void test_pipe_that_somebody_else_emptied(void **state)
{
    (void)state;
    unsigned pending = 0;
    int ends[2];
    uint8_t stolen[700];
    sendq_copy(&f.q, expect("head", 4), 4);
    expect_pattern(1000);
    make_pipe(ends, 1000);
    assert_int_equal(read(ends[0], stolen, sizeof(stolen)), sizeof(stolen));
    memmove(f.expected + 4, f.expected + 704, 300);
    memset(f.expected + 304, 0, 700);
    sendq_pipe(&f.q, ends[0], 1000, &pending);
    sendq_copy(&f.q, expect("tail", 4), 4);
    for (int tries = 0; tries < 10 && sendq_flush(&f.q, f.ends[0]) != 0; tries++)
        ;
    assert_int_equal(pending, 0);
    flush_all(SIZE_MAX);
    fd_close(ends[0]);
    fd_close(ends[1]);
}

static void test_pipe_into_what_cannot_be_spliced_to(void **state)
{
    (void)state;
    /* A socket with O_APPEND set answers splice() with EINVAL: the bytes go as a copy. */
    unsigned pending = 0;
    int ends[2];
    assert_int_equal(fcntl(f.ends[0], F_SETFL, O_NONBLOCK | O_APPEND), 0);
    expect_pattern(200000);
    make_pipe(ends, 200000);
    sendq_pipe(&f.q, ends[0], 200000, &pending);
    flush_all(SIZE_MAX);
    assert_int_equal(pending, 0);
    fd_close(ends[0]);
    fd_close(ends[1]);
}

static void test_finish_lets_go_of_everything(void **state)
{
    (void)state;
    unsigned pending = 0;
    int ends[2];
    struct memory *m = memory_create(4096, NULL);
    make_pipe(ends, 0);
    sendq_rows(&f.q, m, 0, 10, 10, 10, 1);
    sendq_pipe(&f.q, ends[0], 10, &pending);
    sendq_copy(&f.q, "x", 1);
    sendq_finish(&f.q);
    assert_int_equal(pending, 0);
    assert_int_equal(m->refs, 1);
    memory_unref(m);
    fd_close(ends[0]);
    fd_close(ends[1]);
}

/* --- ends --- */

static void test_a_lost_connection(void **state)
{
    (void)state;
    f.ends[1] = fd_close(f.ends[1]);
    sendq_fd(&f.q, fd_memfd("sent", 0), NULL);
    sendq_copy(&f.q, "bytes", 5);
    assert_int_equal(sendq_flush(&f.q, f.ends[0]), -EPIPE);
}

static void test_a_finished_queue_refuses(void **state)
{
    (void)state;
    struct memory *m = memory_create(4096, NULL);
    unsigned pending = 0;
    sendq_finish(&f.q);
    sendq_copy(&f.q, "x", 1);
    sendq_borrow(&f.q, "x", 1);
    assert_null(sendq_reserve(&f.q, 1));
    sendq_rows(&f.q, m, 0, 1, 1, 1, 1);
    sendq_pipe(&f.q, 0, 1, &pending);
    assert_int_equal(pending, 0);
    assert_int_equal(m->refs, 1);
    assert_int_equal(sendq_size(&f.q), 0);
    assert_true(sendq_flush(&f.q, f.ends[0]) < 0);
    memory_unref(m);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_SMALL(name) cmocka_unit_test_setup_teardown(name, setup_small, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing),
        TEST(test_order_of_all_kinds),
        TEST_SMALL(test_partial_sends),
        TEST_SMALL(test_borrowed_bytes_are_kept_when_they_must_wait),
        TEST_SMALL(test_the_arena_grows_and_is_given_back),
        TEST(test_many_segments),
        TEST_SMALL(test_many_segments),
        TEST(test_descriptors_in_order),
        TEST(test_at_most_28_descriptors_per_message),
        TEST(test_no_descriptor_after_its_message),
        TEST_SMALL(test_descriptors_and_a_full_socket),
        TEST(test_a_descriptor_waits_for_a_byte),
        TEST(test_unsent_descriptors_are_closed),
        TEST(test_rows),
        TEST_SMALL(test_rows),
        TEST_SMALL(test_rows_of_memory_that_grows_meanwhile),
        TEST(test_rows_of_a_file_that_shrank_to_nothing),
        TEST(test_rows_of_a_file_that_shrank_by_a_page),
        TEST_SMALL(test_rows_with_stride_of_a_file_that_shrank),
        TEST(test_other_rows_survive_a_shrunken_file),
        TEST(test_pipes),
        TEST_SMALL(test_pipes),
        TEST(test_pipe_that_somebody_else_emptied),
        TEST(test_pipe_into_what_cannot_be_spliced_to),
        TEST(test_finish_lets_go_of_everything),
        TEST(test_a_lost_connection),
        TEST(test_a_finished_queue_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
