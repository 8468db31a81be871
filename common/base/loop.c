/* SPDX-License-Identifier: MIT */
/* loop: the only user of libevent. Every callback goes through a trampoline here that runs the
 * postponed calls right after it, so that an object may be torn down before anybody else's callback
 * sees it half dead. Nothing of a watch or timer is touched once its callback has returned: it may
 * have destroyed itself.
 *
 * Timers are few and seldom expire, messages are many: all timers share one timerfd, because with
 * timers of its own libevent asks for the time in every turn and gives epoll_wait() a timeout,
 * which the kernel pays for each time. */
#include "common/base/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/base/fd.h"
#include "common/base/log.h"

struct loop_signal_watch {
    struct loop_signal_watch *next;
    struct loop *loop;
    void (*caught)(void *user, int signo);
    void *user;
    struct event event;
};

#define TIMER_AT_ONCE 1 /* ns: long ago, so that the timer fires with the next turn */

TAILQ_HEAD(timer_list, loop_timer);

struct loop {
    struct event_base *base;
    struct timer_list timers; /* armed, in the order of arming */
    int timer_fd;
    int64_t timer_at; /* when it fires, ns; INT64_MAX: not set. May be too early after a disarm */
    unsigned timer_turn; /* counts expiries: what is armed in one waits for the next */
    struct event timer_event;
    struct job_queue {
        struct loop_job *first, **last; /* in order */
    } jobs, next_jobs;                  /* postponed: until the callback, or the turn, is over */
    struct loop_signal_watch *signals;
    bool stopping;
};

/* A changed mask is installed as a second event before the first one goes: the kernel then sees one
 * EPOLL_CTL_MOD instead of a DEL and an ADD. */
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
    TAILQ_ENTRY(loop_timer) entry;
    struct loop *loop;
    void (*expired)(void *user);
    void *user;
    bool armed;
    unsigned turn;
    int64_t at; /* ns of CLOCK_MONOTONIC */
};

static void libevent_log(int severity, const char *message)
{
    (void)severity; /* failures reach our callers as results; this is only the text */
    log_debug(NULL, "libevent: %s", message);
}

static int loop_failure(void)
{
    return errno > 0 ? -errno : -EIO;
}

static void queue_init(struct job_queue *q)
{
    *q = (struct job_queue){.last = &q->first};
}

static void queue_add(struct job_queue *q, struct loop_job *job)
{
    if (job->at) /* in it already */
        return;
    job->next = NULL;
    job->at = q->last;
    *q->last = job;
    q->last = &job->next;
}

static size_t queue_length(const struct job_queue *q)
{
    size_t n = 0;
    for (const struct loop_job *job = q->first; job; job = job->next)
        n++;
    return n;
}

static void queue_remove(struct job_queue *q, struct loop_job *job)
{
    if (!job->at)
        return;
    *job->at = job->next;
    if (job->next)
        job->next->at = job->at;
    else
        q->last = job->at;
    job->at = NULL;
}

static void timers_ready(evutil_socket_t fd, short what, void *user);

struct loop *loop_create(void)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    struct event_config *config = event_config_new();
    event_set_log_callback(libevent_log);
    if (loop && config) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
        event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
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
    TAILQ_INIT(&loop->timers);
    queue_init(&loop->jobs);
    queue_init(&loop->next_jobs);
    loop->timer_at = INT64_MAX;
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop->timer_fd < 0 ||
        event_assign(&loop->timer_event, loop->base, loop->timer_fd, EV_READ | EV_PERSIST,
                     timers_ready, loop) < 0 ||
        event_add(&loop->timer_event, NULL) < 0) {
        int error = errno > 0 ? errno : ENOMEM;
        event_base_free(loop->base);
        fd_close(loop->timer_fd);
        free(loop);
        errno = error;
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
    event_del(&loop->timer_event);
    fd_close(loop->timer_fd);
    event_base_free(loop->base);
    free(loop);
}

static void loop_run_jobs(struct loop *loop)
{
    while (loop->jobs.first) {
        struct loop_job *job = loop->jobs.first;
        queue_remove(&loop->jobs, job);
        job->run(job->user);
    }
}

int loop_run(struct loop *loop)
{
    int result = 0;
    loop_run_jobs(loop);
    if (!loop->stopping && event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
        result = loop_failure();
    loop->stopping = false;
    return result;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
    event_base_loopbreak(loop->base);
}

static short loop_event_mask(unsigned events)
{
    return (short)((events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0));
}

static void io_trampoline(evutil_socket_t fd, short what, void *user)
{
    struct loop_io *io = user;
    struct loop *loop = io->loop;
    (void)fd;
    io->ready(io->user, (what & EV_READ ? LOOP_READ : 0u) | (what & EV_WRITE ? LOOP_WRITE : 0u));
    loop_run_jobs(loop);
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
                         (short)(loop_event_mask(events) | EV_PERSIST), io_trampoline, io) < 0 ||
            event_add(&io->event[next], NULL) < 0)
            return loop_failure();
    }
    if (io->events)
        event_del(&io->event[io->current]);
    io->current = next;
    io->events = events;
    return 0;
}

void loop_io_destroy(struct loop_io *io)
{
    if (!io)
        return;
    if (io->events)
        event_del(&io->event[io->current]);
    free(io);
}

static int64_t loop_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void timers_set(struct loop *loop, int64_t at)
{
    struct itimerspec when = {.it_value = {at / 1000000000, at % 1000000000}};
    loop->timer_at = at;
    timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* The earliest timer of those armed before this turn, or of all. */
static struct loop_timer *timers_first(struct loop *loop, bool all)
{
    struct loop_timer *timer, *first = NULL;
    TAILQ_FOREACH (timer, &loop->timers, entry) {
        if ((all || timer->turn != loop->timer_turn) && (!first || timer->at < first->at))
            first = timer;
    }
    return first;
}

static void timers_ready(evutil_socket_t fd, short what, void *user)
{
    struct loop *loop = user;
    uint64_t expirations;
    (void)what;
    if (read(fd, &expirations, sizeof(expirations)) < 0)
        return;
    int64_t now = loop_now_ns();
    struct loop_timer *timer;
    loop->timer_at = INT64_MAX;
    loop->timer_turn++;
    while (!loop->stopping && (timer = timers_first(loop, false)) && timer->at <= now) {
        loop_timer_disarm(timer);
        timer->expired(timer->user);
        loop_run_jobs(loop);
    }
    /* As many as there are now: what they ask for again is for the turn after this one. */
    for (size_t n = queue_length(&loop->next_jobs); n > 0 && !loop->stopping; n--) {
        struct loop_job *job = loop->next_jobs.first;
        if (!job) /* cancelled by one before it */
            break;
        queue_remove(&loop->next_jobs, job);
        job->run(job->user);
        loop_run_jobs(loop);
    }
    if (loop->next_jobs.first && loop->timer_at != TIMER_AT_ONCE)
        timers_set(loop, TIMER_AT_ONCE);
    timer = timers_first(loop, true);
    if (timer && timer->at < loop->timer_at)
        timers_set(loop, timer->at);
}

struct loop_timer *loop_timer_create(struct loop *loop, void (*expired)(void *user), void *user)
{
    struct loop_timer *timer = calloc(1, sizeof(*timer));
    if (!timer)
        return NULL;
    timer->loop = loop;
    timer->expired = expired;
    timer->user = user;
    return timer;
}

void loop_timer_arm(struct loop_timer *timer, uint64_t ms)
{
    struct loop *loop = timer->loop;
    int64_t now = loop_now_ns(), limit = (INT64_MAX - now) / 1000000;
    loop_timer_disarm(timer);
    timer->armed = true;
    timer->at = now + (ms < (uint64_t)limit ? (int64_t)ms : limit) * 1000000;
    timer->turn = loop->timer_turn;
    TAILQ_INSERT_TAIL(&loop->timers, timer, entry);
    if (timer->at < loop->timer_at)
        timers_set(loop, timer->at);
}

void loop_timer_disarm(struct loop_timer *timer)
{
    if (!timer || !timer->armed)
        return;
    TAILQ_REMOVE(&timer->loop->timers, timer, entry);
    timer->armed = false;
}

void loop_timer_call_off(struct loop_timer *timer)
{
    bool next = timer && timer->armed && timer->at == timer->loop->timer_at;
    loop_timer_disarm(timer);
    if (next) {
        const struct loop_timer *first = timers_first(timer->loop, true);
        timers_set(timer->loop, first ? first->at : INT64_MAX);
    }
}

void loop_timer_destroy(struct loop_timer *timer)
{
    if (!timer)
        return;
    loop_timer_disarm(timer);
    free(timer);
}

void loop_later(struct loop *loop, struct loop_job *job)
{
    queue_add(&loop->jobs, job);
}

void loop_later_cancel(struct loop *loop, struct loop_job *job)
{
    queue_remove(&loop->jobs, job);
}

void loop_next_turn(struct loop *loop, struct loop_job *job)
{
    queue_add(&loop->next_jobs, job);
    if (loop->timer_at != TIMER_AT_ONCE)
        timers_set(loop, TIMER_AT_ONCE);
}

void loop_next_turn_cancel(struct loop *loop, struct loop_job *job)
{
    queue_remove(&loop->next_jobs, job);
}

static void signal_trampoline(evutil_socket_t signo, short what, void *user)
{
    struct loop_signal_watch *watch = user;
    struct loop *loop = watch->loop;
    (void)what;
    watch->caught(watch->user, (int)signo);
    loop_run_jobs(loop);
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
        int result = loop_failure();
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
