/* SPDX-License-Identifier: MIT */
/* Pipes that go on at the other proxy: bytes, both kinds of end, and credit. */
#include "tests/unit/carrier/streams.h"

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
    const struct CMUnitTest tests[] = {
        STREAMS_TEST(test_bytes_and_their_end),
        STREAMS_TEST_COPYING(test_bytes_and_their_end),
        STREAMS_TEST(test_a_hundred_at_once),
        STREAMS_TEST_COPYING(test_a_hundred_at_once),
        STREAMS_TEST(test_reader_leaves_early),
        STREAMS_TEST(test_reader_leaves_before_anything_came),
        STREAMS_TEST(test_slow_reader_costs_no_more_than_its_window),
        STREAMS_TEST_COPYING(test_slow_reader_costs_no_more_than_its_window),
        STREAMS_TEST(test_slow_reader_gets_everything_in_the_end),
        STREAMS_TEST_COPYING(test_slow_reader_gets_everything_in_the_end),
        STREAMS_TEST(test_credit_window),
        STREAMS_TEST(test_no_byte_without_credit),
        STREAMS_TEST(test_destroyed_with_everything_in_flight),
        STREAMS_TEST(test_a_writer_that_reads_its_own_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
