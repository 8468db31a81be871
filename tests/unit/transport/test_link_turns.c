/* SPDX-License-Identifier: MIT */
/* One end that has much to do for what came: others get their turn in between, and nothing is lost
 * or comes twice. Work is made by looking at the clock until it has moved on, however fast this
 * machine is. */
#include "tests/unit/transport/link_end.h"

#include <time.h>

static struct {
    struct loop_io *io;
    int ends[2];
    unsigned turns; /* of somebody else who is always ready */
    unsigned most;  /* frames between two of them */
    unsigned since;
    unsigned frames;
    uint64_t serial;
} other;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int slow_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    (void)user;
    uint64_t serial;
    assert_int_equal(type, LINK_PING);
    assert_int_equal(size, sizeof(serial));
    memcpy(&serial, payload, sizeof(serial));
    assert_int_equal(serial, other.serial++);
    other.frames++;
    other.most = ++other.since > other.most ? other.since : other.most;
    for (int64_t until = now_ns() + 3000000; now_ns() < until;)
        ;
    return 0;
}

static const struct link_ops slow_ops = {.frame = slow_frame, .closed = on_closed};

static void others_turn(void *user, unsigned events)
{
    (void)user;
    (void)events;
    other.turns++;
    other.since = 0;
}

static int setup(void **state)
{
    memset(&other, 0, sizeof(other));
    int e = link_end_setup(state);
    make_sockets(other.ends, 0);
    other.io = loop_io_create(f.loop, other.ends[0], LOOP_WRITE, others_turn, NULL);
    return other.io ? e : -1;
}

static int teardown(void **state)
{
    loop_io_destroy(other.io);
    fd_close(other.ends[0]);
    fd_close(other.ends[1]);
    return link_end_teardown(state);
}

static void send_pings(unsigned n)
{
    for (uint64_t i = 0; i < n; i++) {
        uint8_t frame[LINK_FRAME_SMALL_MAX];
        send_raw(frame, link_ping_encode(frame, i));
    }
}

static bool all_came(void *user)
{
    return other.frames == *(unsigned *)user;
}

static void test_others_come_in_between(void **state)
{
    (void)state;
    unsigned n = 40;
    link_adopt(f.link, &slow_ops, &f);
    send_pings(n);
    turn_until(f.loop, all_came, &n);
    assert_true(other.most <= 10);
    assert_true(other.turns >= n / 10);
}

static void test_a_pause_meanwhile(void **state)
{
    (void)state;
    unsigned n = 20, some = 2;
    link_adopt(f.link, &slow_ops, &f);
    send_pings(n);
    turn_until(f.loop, all_came, &some);
    link_pause(f.link, true);
    unsigned before = other.frames;
    turn_times(f.loop, 10);
    assert_int_equal(other.frames, before);
    link_pause(f.link, false);
    turn_until(f.loop, all_came, &n);
}

/* Rows of a byte, a page apart, in one read: they are put in their places bit by bit. */
static void test_sparse_rows(void **state)
{
    (void)state;
    static uint8_t bytes[LINK_HEADER_SIZE + LINK_MEM_WRITE_SIZE + 20000 + 100];
    struct link_mem_write w = {.id = 1, .row = 1, .rows = 20000, .stride = 4096};
    f.memory = memory_create(20000 * 4096, NULL);
    assert_non_null(f.memory);
    size_t n = link_mem_write_encode(bytes, &w);
    for (unsigned i = 0; i < w.rows; i++)
        bytes[n++] = (uint8_t)(i % 251 + 1);
    n += link_ping_encode(bytes + n, 7);
    send_raw(bytes, n);
    for (int i = 0; i < 100000 && !f.frames; i++)
        turn_times(f.loop, 1);
    assert_int_equal(f.frames, 1);
    for (unsigned i = 0; i < w.rows; i++)
        assert_int_equal(f.memory->map[(size_t)i * 4096], i % 251 + 1);
    assert_true(other.turns > 0);
}

static void test_destroyed_with_the_rest_waiting(void **state)
{
    (void)state;
    unsigned some = 2;
    link_adopt(f.link, &slow_ops, &f);
    send_pings(20);
    turn_until(f.loop, all_came, &some);
    link_destroy(f.link);
    f.link = NULL;
    turn_times(f.loop, 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_others_come_in_between),
        TEST(test_a_pause_meanwhile),
        TEST(test_sparse_rows),
        TEST(test_destroyed_with_the_rest_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
