/* SPDX-License-Identifier: MIT */
/* Pipes that go on at the other proxy: bytes, both kinds of end, credit, and descriptors of every
 * kind. Two links over a socket pair, each with a table of streams as a relay has one. */
#include "tests/unit/turn.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/link.h"
#include "common/stream.h"

#define STREAMS_MAX 128

struct side {
    struct link *link;
    struct stream *streams[STREAMS_MAX]; /* by id */
    unsigned ended, refused;
    unsigned types[_LINK_TYPE_N];
};

static struct loop *loop;
static struct side sides[2];
static int before;
static char folder[64];

static void on_ended(void *user, struct stream *s)
{
    struct side *side = user;
    assert_ptr_equal(side->streams[s->id], s);
    side->streams[s->id] = NULL;
    side->ended++;
    link_forget_sink(side->link, &s->sink);
    s->link = NULL;
    loop_later(loop, (void (*)(void *))stream_destroy, s);
}

static int on_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    struct side *side = user;
    struct link_stream_credit credit = {0};
    side->types[type]++;
    if (type == LINK_STREAM_CREDIT)
        assert_int_equal(link_stream_credit_decode(payload, size, &credit), LINK_OK);
    else
        assert_int_equal(link_id_decode(payload, size, &credit.id), LINK_OK);
    assert_true(credit.id < STREAMS_MAX);
    struct stream *s = side->streams[credit.id];
    if (!s)
        return 0;
    if (type == LINK_STREAM_CREDIT)
        side->refused += !stream_add_credit(s, credit.bytes);
    else if (type == LINK_STREAM_END)
        stream_end(s);
    else
        stream_reader_gone(s);
    return 0;
}

static int on_data(void *user, uint32_t id, size_t size, struct link_sink **ret_sink)
{
    struct side *side = user;
    assert_true(id < STREAMS_MAX);
    struct stream *s = side->streams[id];
    *ret_sink = s ? &s->sink : NULL;
    if (s && !stream_take_credit(s, size))
        side->refused++;
    return 0;
}

static void on_batch_end(void *user)
{
    link_flush(((struct side *)user)->link);
}

static void on_drained(void *user)
{
    struct side *side = user;
    for (int i = 0; i < STREAMS_MAX; i++)
        if (side->streams[i])
            stream_resume(side->streams[i]);
}

static void on_closed(void *user, int reason, unsigned type)
{
    (void)user;
    (void)reason;
    (void)type;
}

static const struct link_ops ops = {.frame = on_frame,
                                    .stream_data = on_data,
                                    .batch_end = on_batch_end,
                                    .drained = on_drained,
                                    .closed = on_closed};

static int start(bool splice)
{
    int ends[2];
    signal(SIGPIPE, SIG_IGN);
    memset(sides, 0, sizeof(sides));
    before = count_fds();
    loop = loop_create();
    make_sockets(ends, 0);
    for (int i = 0; i < 2; i++)
        sides[i].link = link_create(loop, ends[i], splice, &ops, &sides[i]);
    return loop && sides[0].link && sides[1].link ? 0 : -1;
}

static int setup(void **state)
{
    (void)state;
    return start(true);
}

static int setup_copying(void **state)
{
    (void)state;
    return start(false);
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        sendq_finish(&sides[i].link->out);
        for (int s = 0; s < STREAMS_MAX; s++)
            stream_destroy(sides[i].streams[s]);
        link_destroy(sides[i].link);
    }
    turn_times(loop, 2);
    loop_destroy(loop);
    for (int tries = 0; tries < 5000 && count_fds() != before; tries++)
        usleep(1000); /* for threads that close theirs */
    return count_fds() == before && !sides[0].refused && !sides[1].refused ? 0 : -1;
}

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

/* The two halves of stream @id: side 0 reads @from, side 1 writes to @to. */
static void join(uint32_t id, int from, bool ours_from, int to, bool ours_to)
{
    sides[0].streams[id] =
        stream_create(loop, sides[0].link, id, from, true, ours_from, on_ended, &sides[0]);
    assert_non_null(sides[0].streams[id]);
    sides[1].streams[id] =
        stream_create(loop, sides[1].link, id, to, false, ours_to, on_ended, &sides[1]);
    assert_non_null(sides[1].streams[id]);
}

/* One application's end of each: what is written to *ret_write comes out of *ret_read. */
static void join_pipes(uint32_t id, int *ret_write, int *ret_read)
{
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    fd_set_nonblock(in[0]);
    fd_set_nonblock(out[1]);
    fd_set_nonblock(in[1]); /* so that the test can be its own application */
    fd_set_nonblock(out[0]);
    join(id, in[0], true, out[1], true);
    *ret_write = in[1];
    *ret_read = out[0];
}

/* An application that writes @size bytes of pattern and closes, and one that reads and checks. */
struct transfer {
    int write, read;
    uint32_t seed;
    size_t size, written, got;
    uint8_t *bytes, *back;
    bool ended, slow;
};

static void transfer_start(struct transfer *t, int write, int read, size_t size, uint32_t seed)
{
    *t = (struct transfer){.write = write, .read = read, .seed = seed, .size = size};
    t->bytes = malloc(size + 1);
    t->back = malloc(size + 1);
    fill_pattern(t->bytes, size, seed);
}

static bool transfer_step(void *user)
{
    struct transfer *t = user;
    if (t->write >= 0 && t->written < t->size) {
        ssize_t n = write(t->write, t->bytes + t->written, t->size - t->written);
        if (n > 0)
            t->written += (size_t)n;
    }
    if (t->write >= 0 && t->written == t->size)
        t->write = fd_close(t->write);
    if (!t->ended) {
        ssize_t n = read(t->read, t->back + t->got, t->size + 1 - t->got);
        if (n > 0)
            t->got += (size_t)n;
        t->ended = n == 0;
        assert_true(t->got <= t->size);
    }
    return t->ended;
}

static void transfer_check(struct transfer *t)
{
    assert_true(t->ended);
    assert_int_equal(t->got, t->size);
    assert_memory_equal(t->back, t->bytes, t->size);
    fd_close(t->read);
    free(t->bytes);
    free(t->back);
}

static bool both_ended(void *user)
{
    return sides[0].ended == *(unsigned *)user && sides[1].ended == *(unsigned *)user;
}

static void test_bytes_and_their_end(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4096, 65536, 65537, 5000000};
    unsigned n = sizeof(sizes) / sizeof(*sizes);
    for (unsigned i = 0; i < n; i++) {
        struct transfer t;
        int write, read;
        join_pipes(i + 1, &write, &read);
        transfer_start(&t, write, read, sizes[i], i);
        turn_until(loop, transfer_step, &t);
        transfer_check(&t);
    }
    turn_until(loop, both_ended, &n); /* nothing is left of any of them */
    assert_int_equal(sides[1].types[LINK_STREAM_END], n);
    assert_int_equal(sides[0].types[LINK_VFD_CLOSE], 0);
}

static bool step_all(void *user)
{
    struct transfer *t = user;
    bool all = true;
    for (int i = 0; i < 100; i++)
        all &= t[i].ended || transfer_step(&t[i]);
    return all;
}

static void test_a_hundred_at_once(void **state)
{
    (void)state;
    static struct transfer t[100];
    for (uint32_t i = 0; i < 100; i++) {
        int write, read;
        join_pipes(i, &write, &read);
        transfer_start(&t[i], write, read, 20000 + 1000 * i, i);
    }
    turn_until(loop, step_all, t);
    for (int i = 0; i < 100; i++)
        transfer_check(&t[i]);
    unsigned n = 100;
    turn_until(loop, both_ended, &n);
}

static bool writer_sees_it(void *user)
{
    return write(*(int *)user, "x", 1) < 0 && errno == EPIPE;
}

static void test_reader_leaves_early(void **state)
{
    (void)state;
    int w, r;
    unsigned one = 1;
    join_pipes(1, &w, &r);
    assert_int_equal(write(w, "hello", 5), 5);
    turn_times(loop, 5);
    fd_close(r);
    turn_until(loop, writer_sees_it, &w);
    turn_until(loop, both_ended, &one);
    assert_int_equal(sides[0].types[LINK_VFD_CLOSE], 1);
    fd_close(w);
}

static void test_reader_leaves_before_anything_came(void **state)
{
    (void)state;
    int w, r;
    join_pipes(1, &w, &r);
    fd_close(r);
    turn_times(loop, 5);
    assert_int_equal(sides[1].ended, 1); /* nobody had to write for that */
    assert_int_equal(sides[0].ended, 1);
    assert_true(writer_sees_it(&w));
    fd_close(w);
}

static bool writer_is_stuck(void *user)
{
    static uint8_t bytes[4096];
    int *w = user;
    while (write(*w, bytes, sizeof(bytes)) > 0)
        w[1] = 0;
    return ++w[1] > 50;
}

static void test_slow_reader_costs_no_more_than_its_window(void **state)
{
    (void)state;
    int w[2] = {-1, 0}, r, write2, read2;
    struct transfer t;
    join_pipes(1, &w[0], &r);
    turn_until(loop, writer_is_stuck, w);
    assert_true(sides[1].streams[1]->buffer_room <= LINK_STREAM_WINDOW);
    assert_true(sides[1].link->received <=
                LINK_STREAM_WINDOW + (512 << 10) + 4096); /* and what its pipe took */
    assert_int_equal(sides[0].streams[1]->credit, 0);
    assert_int_equal(sendq_size(&sides[0].link->out), 0);
    /* Others go on. */
    join_pipes(2, &write2, &read2);
    transfer_start(&t, write2, read2, 2000000, 3);
    turn_until(loop, transfer_step, &t);
    transfer_check(&t);
    /* It gives up with all that in hand. */
    fd_close(r);
    turn_until(loop, writer_sees_it, &w[0]);
    fd_close(w[0]);
}

static bool read_all(void *user)
{
    size_t *got = user;
    static uint8_t bytes[4096];
    ssize_t n;
    while ((n = read((int)got[1], bytes, sizeof(bytes))) > 0)
        got[0] += (size_t)n;
    return n == 0;
}

static void test_slow_reader_gets_everything_in_the_end(void **state)
{
    (void)state;
    int w[2] = {-1, 0}, r;
    join_pipes(1, &w[0], &r);
    static uint8_t bytes[4096];
    size_t written = 0;
    for (int still = 0; still < 200;) {
        ssize_t n = write(w[0], bytes, sizeof(bytes));
        if (n > 0)
            written += (size_t)n;
        still = n > 0 ? 0 : still + 1;
        turn_times(loop, 1);
    }
    fd_close(w[0]); /* the end comes with the last byte, not before */
    turn_times(loop, 10);
    size_t got[2] = {0, (size_t)r};
    turn_until(loop, read_all, got);
    assert_int_equal(got[0], written);
    fd_close(r);
}

/* --- credit --- */

static void test_credit_window(void **state)
{
    (void)state;
    int w, r;
    join_pipes(1, &w, &r);
    struct stream *out = sides[0].streams[1], *in = sides[1].streams[1];
    assert_int_equal(out->credit, LINK_STREAM_WINDOW);
    assert_false(stream_add_credit(out, 1)); /* nothing was sent yet */
    assert_false(stream_add_credit(out, UINT32_MAX));
    assert_int_equal(out->credit, LINK_STREAM_WINDOW);
    assert_int_equal(write(w, "0123456789", 10), 10);
    turn_times(loop, 5);
    assert_int_equal(out->credit, LINK_STREAM_WINDOW - 10);
    assert_false(stream_add_credit(out, 11));
    assert_true(stream_add_credit(out, 10));
    assert_false(stream_add_credit(out, 1));
    uint64_t left = in->credit;
    assert_false(stream_take_credit(in, left + 1));
    assert_int_equal(in->credit, left);
    assert_true(stream_take_credit(in, left));
    assert_false(stream_take_credit(in, 1));
    fd_close(w);
    fd_close(r);
}

static void test_no_byte_without_credit(void **state)
{
    (void)state;
    int w, r;
    join_pipes(1, &w, &r);
    sides[0].streams[1]->credit = 3;
    assert_int_equal(write(w, "0123456789", 10), 10);
    turn_times(loop, 10);
    char back[20];
    assert_int_equal(read(r, back, sizeof(back)), 3);
    assert_true(stream_add_credit(sides[0].streams[1], 4));
    turn_times(loop, 10);
    assert_int_equal(read(r, back, sizeof(back)), 4);
    assert_memory_equal(back, "3456", 4);
    fd_close(w);
    fd_close(r);
}

/* --- applications' own descriptors --- */

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
        stream_create(loop, sides[0].link, 1, in[0], true, false, on_ended, &sides[0]);
    struct stream *to =
        stream_create(loop, sides[1].link, 1, out[1], false, false, on_ended, &sides[1]);
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
    assert_null(stream_create(loop, sides[0].link, 1, ends[1], true, false, on_ended,
                              &sides[0])); /* reading a writing end */
    assert_int_equal(errno, EBADF);
    assert_null(stream_create(loop, sides[0].link, 1, ends[0], false, false, on_ended,
                              &sides[0])); /* and the other way */
    assert_int_equal(errno, EBADF);
    assert_null(stream_create(loop, sides[0].link, 1, open_file("fd", O_WRONLY | O_CREAT), true,
                              false, on_ended, &sides[0]));
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
    assert_null(stream_create(loop, sides[1].link, 1, ends[1], false, false, on_ended, &sides[1]));
    assert_int_equal(errno, EPIPE);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fd_close(ends[0]);
    assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
    join(1, in[0], true, ends[1], false);
    turn_until(loop, both_ended, &one);
    assert_true(writer_sees_it(&in[1]));
    fd_close(in[1]);
}

static void test_destroyed_with_everything_in_flight(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        int w, r;
        static uint8_t bytes[60000];
        join_pipes(i, &w, &r);
        assert_true(write(w, bytes, sizeof(bytes)) > 0);
        turn_times(loop, i % 3);
        fd_close(w);
        fd_close(r);
    }
}

/* What the application wrote is read back by itself through the pipe: its own loss, and the link
 * goes on. */
static void test_a_writer_that_reads_its_own_pipe(void **state)
{
    (void)state;
    int w, r, write2, read2;
    struct transfer t;
    join_pipes(1, &w, &r);
    int thief = fd_reopen(w, O_RDONLY | O_NONBLOCK);
    assert_true(thief >= 0);
    static uint8_t bytes[60000];
    for (int i = 0; i < 50; i++) {
        if (write(w, bytes, sizeof(bytes)) < 0)
            assert_int_equal(errno, EAGAIN);
        turn_times(loop, 1);
        if (read(thief, bytes, 50000) < 0)
            assert_int_equal(errno, EAGAIN);
        while (read(r, bytes, sizeof(bytes)) > 0)
            ;
    }
    join_pipes(2, &write2, &read2);
    transfer_start(&t, write2, read2, 500000, 3);
    turn_until(loop, transfer_step, &t);
    transfer_check(&t);
    fd_close(thief);
    fd_close(w);
    fd_close(r);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_COPYING(name) cmocka_unit_test_setup_teardown(name, setup_copying, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bytes_and_their_end),
        TEST_COPYING(test_bytes_and_their_end),
        TEST(test_a_hundred_at_once),
        TEST_COPYING(test_a_hundred_at_once),
        TEST(test_reader_leaves_early),
        TEST(test_reader_leaves_before_anything_came),
        TEST(test_slow_reader_costs_no_more_than_its_window),
        TEST_COPYING(test_slow_reader_costs_no_more_than_its_window),
        TEST(test_slow_reader_gets_everything_in_the_end),
        TEST_COPYING(test_slow_reader_gets_everything_in_the_end),
        TEST(test_credit_window),
        TEST(test_no_byte_without_credit),
        TEST(test_a_passed_pipes_flags_stay),
        TEST(test_pipes_of_another_user),
        TEST(test_regular_files),
        TEST_COPYING(test_regular_files),
        TEST(test_a_socket_as_sink),
        TEST_COPYING(test_a_socket_as_sink),
        TEST(test_a_sockets_reader_leaves),
        TEST(test_named_pipes),
        TEST(test_descriptors_that_cannot_be),
        TEST(test_readers_that_left_before_the_beginning),
        TEST(test_destroyed_with_everything_in_flight),
        TEST(test_a_writer_that_reads_its_own_pipe),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
