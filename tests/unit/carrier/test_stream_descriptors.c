/* SPDX-License-Identifier: MIT */
/* Descriptors of every kind that an application may pass as a stream: other users' pipes, files,
 * sockets, named pipes, and what cannot be one. */
#include "tests/unit/carrier/streams.h"
static char folder[64];

static int group_setup(void **state)
{
    (void)state;
    make_folder(folder);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    remove_folder(folder);
    return 0;
}

static void test_a_passed_pipes_flags_stay(void **state)
{
    (void)state;
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC),
                     0); /* blocking, and shared with the application that passed them */
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    int from = fcntl(in[0], F_DUPFD_CLOEXEC, 0), to = fcntl(out[1], F_DUPFD_CLOEXEC, 0);
    int flags_from = fcntl(from, F_GETFL), flags_to = fcntl(to, F_GETFL);
    join(1, in[0], false, out[1], false);
    assert_int_equal(fcntl(from, F_GETFL), flags_from);
    assert_int_equal(fcntl(to, F_GETFL), flags_to);
    assert_int_equal(flags_from & O_NONBLOCK, 0);
    fd_close(to);
    fd_set_nonblock(in[1]);
    fd_set_nonblock(out[0]);
    struct transfer t;
    transfer_start(&t, in[1], out[0], 1000000, 8);
    turn_until(loop, transfer_step, &t);
    transfer_check(&t);
    fd_close(from);
}

static void test_pipes_of_another_user(void **state)
{
    (void)state;
    int in[2], out[2];
    if (geteuid() != 0)
        skip();
    assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(seteuid(65534),
                     0); /* they cannot be opened anew: a thread copies, and waits where need be */
    struct stream *from =
        stream_create(loop, sides[0].link, 1, in[0], true, waiters, NULL, on_ended, &sides[0]);
    struct stream *to =
        stream_create(loop, sides[1].link, 1, out[1], false, waiters, NULL, on_ended, &sides[1]);
    assert_int_equal(seteuid(0), 0);
    assert_non_null(from);
    assert_non_null(to);
    sides[0].streams[1] = from;
    sides[1].streams[1] = to;
    turn_times(loop, 20);
    struct transfer t;
    transfer_start(&t, in[1], out[0], 1000000, 8);
    turn_until(loop, transfer_step, &t);
    transfer_check(&t);
}

static int open_file(const char *name, int flags)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static void test_regular_files(void **state)
{
    (void)state;
    size_t size = 700000;
    uint8_t *bytes = malloc(size), *back = malloc(size + 10);
    fill_pattern(bytes, size, 4);
    int from = open_file("from", O_RDWR | O_CREAT | O_TRUNC),
        to = open_file("to", O_RDWR | O_CREAT | O_TRUNC);
    assert_int_equal(write(from, bytes, size), size);
    assert_int_equal(lseek(from, 1000, SEEK_SET), 1000); /* it goes on where its offset is */
    assert_int_equal(write(to, "head", 4), 4);
    int kept = fcntl(to, F_DUPFD_CLOEXEC, 0);
    unsigned one = 1;
    join(1, from, false, to, false);
    turn_until(loop, both_ended, &one);
    struct stat st = {0};
    for (int tries = 0; tries < 60000 && (size_t)st.st_size < size - 1000 + 4;
         tries++) { /* a thread writes it */
        assert_int_equal(fstat(kept, &st), 0);
        usleep(tries ? 1000 : 0);
    }
    assert_int_equal(st.st_size, size - 1000 + 4);
    assert_int_equal(pread(kept, back, size, 0), size - 1000 + 4);
    assert_memory_equal(back, "head", 4);
    assert_memory_equal(back + 4, bytes + 1000, size - 1000);
    fd_close(kept);
    free(bytes);
    free(back);
}

static void test_a_socket_as_sink(void **state)
{
    (void)state;
    int sockets[2], in[2];
    make_sockets(sockets, 0);
    assert_int_equal(fcntl(sockets[0], F_SETFL, 0), 0); /* blocking: nobody may wait for it */
    int kept = fcntl(sockets[0], F_DUPFD_CLOEXEC, 0);
    assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
    join(1, in[0], true, sockets[0], false);
    assert_int_equal(fcntl(kept, F_GETFL) & O_NONBLOCK, 0);
    fd_close(kept);
    struct transfer t;
    transfer_start(&t, in[1], sockets[1], 1000000, 9);
    turn_until(loop, transfer_step, &t);
    transfer_check(&t);
}

static void test_a_sockets_reader_leaves(void **state)
{
    (void)state;
    int sockets[2], in[2];
    make_sockets(sockets, 0);
    assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
    join(1, in[0], true, sockets[0], false);
    fd_close(sockets[1]);
    turn_until(loop, writer_sees_it, &in[1]);
    fd_close(in[1]);
}

static void test_named_pipes(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof(path), "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    int r = open_file("fifo", O_RDONLY | O_NONBLOCK), w = open_file("fifo", O_WRONLY), in[2];
    assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
    join(1, in[0], true, w, false);
    struct transfer t;
    transfer_start(&t, in[1], r, 300000, 9);
    turn_until(loop, transfer_step, &t);
    transfer_check(&t);
}

static void test_descriptors_that_cannot_be(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_null(stream_create(loop, sides[0].link, 1, ends[1], true, waiters, NULL, on_ended,
                              &sides[0])); /* reading a writing end */
    assert_int_equal(errno, EBADF);
    assert_null(stream_create(loop, sides[0].link, 1, ends[0], false, waiters, NULL, on_ended,
                              &sides[0])); /* and the other way */
    assert_int_equal(errno, EBADF);
    assert_null(stream_create(loop, sides[0].link, 1, open_file("fd", O_WRONLY | O_CREAT), true,
                              waiters, NULL, on_ended, &sides[0]));
    stream_destroy(NULL);
}

static void test_readers_that_left_before_the_beginning(void **state)
{
    (void)state;
    char path[128];
    int ends[2], in[2];
    unsigned one = 1;
    snprintf(path, sizeof(path), "%s/left", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    ends[0] = open_file("left", O_RDONLY | O_NONBLOCK);
    ends[1] = open_file("left", O_WRONLY);
    fd_close(ends[0]);
    assert_null(
        stream_create(loop, sides[1].link, 1, ends[1], false, waiters, NULL, on_ended, &sides[1]));
    assert_int_equal(errno, EPIPE);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fd_close(ends[0]);
    assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
    join(1, in[0], true, ends[1], false);
    turn_until(loop, both_ended, &one);
    assert_true(writer_sees_it(&in[1]));
    fd_close(in[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAMS_TEST(test_a_passed_pipes_flags_stay),
        STREAMS_TEST(test_pipes_of_another_user),
        STREAMS_TEST(test_regular_files),
        STREAMS_TEST_COPYING(test_regular_files),
        STREAMS_TEST(test_a_socket_as_sink),
        STREAMS_TEST_COPYING(test_a_socket_as_sink),
        STREAMS_TEST(test_a_sockets_reader_leaves),
        STREAMS_TEST(test_named_pipes),
        STREAMS_TEST(test_descriptors_that_cannot_be),
        STREAMS_TEST(test_readers_that_left_before_the_beginning),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
