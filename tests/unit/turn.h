/* SPDX-License-Identifier: MIT */
#pragma once
/* turn: turning an event loop until something has happened, and pairs of sockets to turn it with.
 */
#include "tests/unit/support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/loop.h"

struct turn {
    struct loop *loop;
    struct loop_timer *timer;
    bool (*done)(void *user);
    void *user;
    int64_t give_up_ms;
    unsigned turns;
    bool happened;
};

void turn_run(struct turn *t);

/* Turns until done(@user); the test fails if that never is. */
#define turn_until(loop, done, user)                                                               \
    do {                                                                                           \
        struct turn turn_ = {loop, NULL, done, user, 0, 0, false};                                 \
        turn_run(&turn_);                                                                          \
        if (!turn_.happened)                                                                       \
            fail_msg("%s:%d: never: %s", __FILE__, __LINE__, #done);                               \
    } while (0)

/* So many turns: all that can happen without anybody else has happened. */
void turn_times(struct loop *loop, unsigned n);

/* Connected, non-blocking Unix sockets. @buffer: how much either takes before it is full, about; 0:
 * the default. */
void make_sockets(int ends[2], int buffer);
void fill_pattern(uint8_t *at, size_t n, uint32_t seed);
