/* SPDX-License-Identifier: MIT */
/* A pump moves all bytes, and tells each side of the other's end. */
#include "tests/unit/support.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/base/pump.h"

static struct {
    struct pump pump;
    int in, out; /* what is written to it, and read of it */
} T;

static int set_up(void **state)
{
    int from[2], to[2];
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    pump_init(&T.pump, from[0], to[1]);
    T.in = from[1];
    T.out = to[0];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pump_finish(&T.pump);
    T.in = fd_close(T.in);
    T.out = fd_close(T.out);
    return 0;
}

/* Whether anything was to be done. */
static bool turn(void)
{
    struct pollfd polls[2];
    pump_poll(&T.pump, polls);
    bool any = poll(polls, 2, 0) > 0;
    pump_move(&T.pump, polls);
    return any;
}

static void test_all_of_it(void **state)
{
    static char bytes[10000], got[10000];
    size_t n = 0;
    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    assert_int_equal(write(T.in, bytes, sizeof(bytes)), sizeof(bytes));
    T.in = fd_close(T.in);
    while (!pump_has_ended(&T.pump))
        turn();
    for (ssize_t r; (r = read(T.out, got + n, sizeof(got) - n)) > 0;)
        n += (size_t)r;
    assert_int_equal(n, sizeof(bytes));
    assert_memory_equal(got, bytes, n);
}

static void test_a_reader_that_leaves(void **state)
{
    (void)state;
    assert_false(turn());
    T.out = fd_close(T.out);
    assert_true(turn());
    assert_true(pump_has_ended(&T.pump));
    assert_int_equal(write(T.in, "x", 1), -1);
}

static void test_a_reader_that_waits(void **state)
{
    char byte = 0;
    size_t n = 0;
    (void)state;
    fd_set_nonblock(T.in);
    fd_set_nonblock(T.pump.to);
    do { /* until nothing moves */
        while (write(T.in, &byte, 1) == 1)
            n++;
    } while (turn());
    assert_false(pump_has_ended(&T.pump));
    T.in = fd_close(T.in);
    fd_set_nonblock(T.out);
    size_t got = 0;
    while (!pump_has_ended(&T.pump)) {
        char some[4096];
        ssize_t r = read(T.out, some, sizeof(some));
        got += r > 0 ? (size_t)r : 0;
        turn();
    }
    while (got < n) {
        char some[4096];
        ssize_t r = read(T.out, some, sizeof(some));
        assert_true(r > 0);
        got += (size_t)r;
    }
    assert_int_equal(got, n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_of_it),
        TEST(test_a_reader_that_leaves),
        TEST(test_a_reader_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
