/* SPDX-License-Identifier: MIT */
#pragma once
/* loop: the event loop; the only user of libevent. Level-triggered, one thread. */
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_io;
struct loop_timer;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop *loop_create(void);       /* NULL: errno */
void loop_destroy(struct loop *loop); /* accepts NULL; watches and timers must be gone */
/* Runs until loop_stop(), which may also come before it. 0 or -errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Watches @fd (borrowed until loop_io_destroy()) for @events; a hang-up or error of the fd is
 * reported as LOOP_READ (and as LOOP_WRITE where that was asked); with @events 0 nothing is
 * reported. Destroying a watch from any callback is safe, its own included. NULL: errno. */
struct loop_io *loop_io_create(struct loop *loop, int fd, unsigned events,
                               void (*ready)(void *user, unsigned events), void *user);
/* Changes what is watched; no system call when nothing changes. 0 or -errno. */
int loop_io_set(struct loop_io *io, unsigned events);
void loop_io_destroy(struct loop_io *io); /* accepts NULL */

/* A one-shot timer, unarmed. */
struct loop_timer *loop_timer_create(struct loop *loop, void (*expired)(void *user), void *user);
/* (Re-)arms it @ms from now; 0 expires in the next turn of the loop. */
void loop_timer_arm(struct loop_timer *timer, uint64_t ms);
void loop_timer_disarm(struct loop_timer *timer); /* accepts NULL */
/* The same, of one that is armed anew only after it would have expired: nobody is woken for nothing
 * then. It takes time in proportion to how many timers there are. */
void loop_timer_call_off(struct loop_timer *timer); /* accepts NULL */
void loop_timer_destroy(struct loop_timer *timer);  /* accepts NULL */

/* A postponed call: @run(@user) after the current callback has returned and before any other, for
 * what must not happen under the feet of the caller. Embedded in what it is about, so that asking
 * for it cannot fail; { .run = …, .user = … } says what is to be called. */
struct loop_job {
    void (*run)(void *user);
    void *user;
    struct loop_job *next, **at; /* of the loop; @at NULL: nobody asked */
};
/* Once, however often it was asked; @job stays until it has run or was cancelled. */
void loop_later(struct loop *loop, struct loop_job *job);
void loop_later_cancel(struct loop *loop, struct loop_job *job);

/* The same in the loop's next turn: whoever else has something to do comes first. A job is asked
 * for in one of these ways at a time. */
void loop_next_turn(struct loop *loop, struct loop_job *job);
void loop_next_turn_cancel(struct loop *loop, struct loop_job *job);

/* Calls @caught from the loop when signal @signo arrives. It is caught, not blocked: programs that
 * we start get it as usual. 0 or -errno. */
int loop_signal(struct loop *loop, int signo, void (*caught)(void *user, int signo), void *user);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t loop_now_ms(void);
