/* SPDX-License-Identifier: MIT */
/* A turn of the loop is seen from a timer of ours in it, which lives as long as turn_run(). A test
 * that never gets what it waits for fails here, with the line that waits. */
#include "tests/unit/turn.h"

static void turn_expired(void *user)
{
    struct turn *t = user;
    t->happened = t->done ? t->done(t->user) : t->turns == 0;
    if (t->happened || loop_now_ms() > t->give_up_ms) {
        loop_stop(t->loop);
        return;
    }
    loop_timer_arm(t->timer, t->done && ++t->turns > 1000 ? 1 : 0);
    if (!t->done)
        t->turns--;
}

void turn_run(struct turn *t)
{
    t->give_up_ms = loop_now_ms() + 20000; /* it hangs; the run's own limit would not say where */
    t->timer = loop_timer_create(t->loop, turn_expired, t);
    assert_non_null(t->timer);
    loop_timer_arm(t->timer, 0);
    assert_int_equal(loop_run(t->loop), 0);
    loop_timer_destroy(t->timer);
}

void turn_times(struct loop *loop, unsigned n)
{
    struct turn t = {loop, NULL, NULL, NULL, 0, n, false};
    turn_run(&t);
}

void make_sockets(int ends[2], int buffer)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    for (int i = 0; buffer && i < 2; i++)
        assert_int_equal(setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)), 0);
}

void fill_pattern(uint8_t *at, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        at[i] = (uint8_t)(seed >> 24);
    }
}
