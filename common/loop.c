/* SPDX-License-Identifier: MIT */
/* loop: the only user of libevent. Every callback goes through a trampoline here that runs the postponed calls right
 * after it, so that an object may be torn down before anybody else's callback sees it half dead. Nothing of a watch or
 * timer is touched once its callback has returned: it may have destroyed itself. */
#include "common/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/log.h"

struct later {
    void (*run)(void *user); /* NULL: cancelled */
    void *user;
};

struct loop_signal_watch {
    struct loop_signal_watch *next;
    struct loop *loop;
    void (*caught)(void *user, int signo);
    void *user;
    struct event event;
};

struct loop {
    struct event_base *base;
    struct later *later; /* a list that is emptied from its start */
    size_t later_first, later_end, later_capacity;
    struct loop_signal_watch *signals;
    bool stopping;
};

/* A changed mask is installed as a second event before the first one goes: the kernel then sees one EPOLL_CTL_MOD
 * instead of a DEL and an ADD. */
struct loop_io {
    struct loop *loop;
    void (*ready)(void *user, unsigned events);
    void *user;
    int fd;
    unsigned events;
    unsigned current; /* which of the two is installed, if events != 0 */
    struct event event[2];
};

struct loop_timer {
    struct loop *loop;
    void (*expired)(void *user);
    void *user;
    struct event event;
};

static void libevent_log(int severity, const char *message)
{
    (void)severity; /* failures reach our callers as results; this is only the text */
    log_debug(NULL, "libevent: %s", message);
}

static int failure(void)
{
    return errno > 0 ? -errno : -EIO;
}

struct loop *loop_create(void)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    struct event_config *config = event_config_new();
    event_set_log_callback(libevent_log);
    if (loop && config) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
        event_config_avoid_method(config, "poll");
        event_config_avoid_method(config, "select");
        loop->base = event_base_new_with_config(config);
    }
    if (config)
        event_config_free(config);
    if (!loop || !loop->base) {
        free(loop);
        errno = errno > 0 ? errno : ENOMEM;
        return NULL;
    }
    return loop;
}

void loop_destroy(struct loop *loop)
{
    if (!loop)
        return;
    while (loop->signals) {
        struct loop_signal_watch *watch = loop->signals;
        loop->signals = watch->next;
        event_del(&watch->event);
        free(watch);
    }
    event_base_free(loop->base);
    free(loop->later);
    free(loop);
}

static void run_later(struct loop *loop)
{
    while (loop->later_first < loop->later_end) {
        struct later later = loop->later[loop->later_first++];
        if (later.run)
            later.run(later.user);
    }
    loop->later_first = loop->later_end = 0;
}

int loop_run(struct loop *loop)
{
    int result = 0;
    run_later(loop);
    if (!loop->stopping && event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
        result = failure();
    loop->stopping = false;
    return result;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
    event_base_loopbreak(loop->base);
}

static short event_mask(unsigned events)
{
    return (short)((events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0));
}

static void io_trampoline(evutil_socket_t fd, short what, void *user)
{
    struct loop_io *io = user;
    struct loop *loop = io->loop;
    (void)fd;
    io->ready(io->user, (what & EV_READ ? LOOP_READ : 0u) | (what & EV_WRITE ? LOOP_WRITE : 0u));
    run_later(loop);
}

struct loop_io *loop_io_create(struct loop *loop, int fd, unsigned events,
                               void (*ready)(void *user, unsigned events), void *user)
{
    struct loop_io *io = calloc(1, sizeof(*io));
    if (!io)
        return NULL;
    io->loop = loop;
    io->fd = fd;
    io->ready = ready;
    io->user = user;
    int result = loop_io_set(io, events);
    if (result < 0) {
        free(io);
        errno = -result;
        return NULL;
    }
    return io;
}

int loop_io_set(struct loop_io *io, unsigned events)
{
    if (events == io->events)
        return 0;
    unsigned next = !io->current;
    if (events) {
        errno = 0;
        if (event_assign(&io->event[next], io->loop->base, io->fd,
                         (short)(event_mask(events) | EV_PERSIST), io_trampoline, io) < 0 ||
            event_add(&io->event[next], NULL) < 0)
            return failure();
    }
    if (io->events)
        event_del(&io->event[io->current]);
    io->current = next;
    io->events = events;
    return 0;
}

unsigned loop_io_events(const struct loop_io *io)
{
    return io->events;
}

void loop_io_destroy(struct loop_io *io)
{
    if (!io)
        return;
    if (io->events)
        event_del(&io->event[io->current]);
    free(io);
}

static void timer_trampoline(evutil_socket_t fd, short what, void *user)
{
    struct loop_timer *timer = user;
    struct loop *loop = timer->loop;
    (void)fd;
    (void)what;
    timer->expired(timer->user);
    run_later(loop);
}

struct loop_timer *loop_timer_create(struct loop *loop, void (*expired)(void *user), void *user)
{
    struct loop_timer *timer = calloc(1, sizeof(*timer));
    if (!timer)
        return NULL;
    timer->loop = loop;
    timer->expired = expired;
    timer->user = user;
    event_assign(&timer->event, loop->base, -1, 0, timer_trampoline, timer);
    return timer;
}

void loop_timer_arm(struct loop_timer *timer, uint64_t ms)
{
    struct timeval delay = {
        .tv_sec = (time_t)(ms / 1000),
        .tv_usec = (suseconds_t)(ms % 1000 * 1000),
    };
    /* libevent reserves a slot in its heap of timers and can fail only for want of memory. Firing at once instead
     * would be wrong as well; the line is there for who looks for the reason. */
    if (event_add(&timer->event, &delay) < 0)
        log_error(NULL, "cannot arm a timer: out of memory");
}

void loop_timer_disarm(struct loop_timer *timer)
{
    if (timer)
        event_del(&timer->event);
}

void loop_timer_destroy(struct loop_timer *timer)
{
    if (!timer)
        return;
    event_del(&timer->event);
    free(timer);
}

int loop_later(struct loop *loop, void (*run)(void *user), void *user)
{
    for (size_t i = loop->later_first; i < loop->later_end; i++) {
        if (loop->later[i].run == run && loop->later[i].user == user)
            return 0;
    }
    if (loop->later_end == loop->later_capacity) {
        size_t capacity = loop->later_capacity ? loop->later_capacity * 2 : 16;
        struct later *grown = reallocarray(loop->later, capacity, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        loop->later = grown;
        loop->later_capacity = capacity;
    }
    loop->later[loop->later_end++] = (struct later){.run = run, .user = user};
    return 0;
}

void loop_later_cancel(struct loop *loop, void *user)
{
    for (size_t i = loop->later_first; i < loop->later_end; i++) {
        if (loop->later[i].user == user)
            loop->later[i].run = NULL;
    }
}

static void signal_trampoline(evutil_socket_t signo, short what, void *user)
{
    struct loop_signal_watch *watch = user;
    struct loop *loop = watch->loop;
    (void)what;
    watch->caught(watch->user, (int)signo);
    run_later(loop);
}

int loop_signal(struct loop *loop, int signo, void (*caught)(void *user, int signo), void *user)
{
    struct loop_signal_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    watch->loop = loop;
    watch->caught = caught;
    watch->user = user;
    errno = 0;
    if (event_assign(&watch->event, loop->base, signo, EV_SIGNAL | EV_PERSIST, signal_trampoline,
                     watch) < 0 ||
        event_add(&watch->event, NULL) < 0) {
        int result = failure();
        free(watch);
        return result;
    }
    watch->next = loop->signals;
    loop->signals = watch;
    return 0;
}

int64_t loop_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
