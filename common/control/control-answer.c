/* SPDX-License-Identifier: MIT */
/* control-answer: owns the connections that are being answered. Nobody waits for a reader: what it
 * does not take is queued, and what a tracer does not take is left out. A reader that takes nothing
 * of what is complete has LINGER_MS. */
#include "common/control/control-answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/transport/sendq.h"

#define LINGER_MS 10000
#define UNREAD_MAX (64u << 10) /* bytes behind a request that is refused */

struct answer {
    struct answers *all;
    LIST_ENTRY(answer) entry;
    int fd;
    struct loop_io *io;
    struct loop_timer *timer; /* to take the rest */
    struct loop_job flush;
    struct sendq out;
    void (*left)(void *user);
    void *user;
    bool over; /* nothing more is said */
};

void answers_init(struct answers *all, struct loop *loop)
{
    *all = (struct answers){.loop = loop};
}

static void answer_destroy(struct answer *a)
{
    LIST_REMOVE(a, entry);
    a->all->n--;
    loop_later_cancel(a->all->loop, &a->flush);
    loop_io_destroy(a->io);
    loop_timer_destroy(a->timer);
    sendq_finish(&a->out);
    fd_close(a->fd);
    free(a);
}

void answers_finish(struct answers *all)
{
    while (!LIST_EMPTY(&all->all))
        answer_destroy(LIST_FIRST(&all->all));
}

static void answer_left(struct answer *a)
{
    if (!a->over && a->left)
        a->left(a->user);
    answer_destroy(a);
}

static void answer_flush(void *user)
{
    struct answer *a = user;
    int r = a->out.failed ? -ENOMEM : sendq_flush(&a->out, a->fd);
    if (r < 0 && r != -EAGAIN)
        answer_left(a);
    else if (r == 0 && a->over)
        answer_destroy(a);
    else
        loop_io_set(a->io, (a->over ? 0 : LOOP_READ) | (r < 0 ? LOOP_WRITE : 0));
}

/* Nothing more is expected but the end; who has all that it asked for may have closed its side. */
static void answer_ready(void *user, unsigned events)
{
    struct answer *a = user;
    char bytes[512];
    if (events & LOOP_READ && !a->over) {
        ssize_t n = recv(a->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            answer_left(a);
            return;
        }
    }
    if (events & LOOP_WRITE || a->over)
        answer_flush(a);
}

static void answer_expired(void *user)
{
    answer_destroy(user);
}

struct answer *answer_create(struct answers *all, int fd, void (*left)(void *user), void *user)
{
    struct answer *a = all->n < ANSWERS_MAX ? calloc(1, sizeof(*a)) : NULL;
    if (!a) {
        control_refuse(fd, "too many ask at a time");
        return NULL;
    }
    *a = (struct answer){.all = all,
                         .fd = fd,
                         .left = left,
                         .user = user,
                         .flush = {.run = answer_flush, .user = a}};
    sendq_init(&a->out, NULL, NULL);
    LIST_INSERT_HEAD(&all->all, a, entry);
    all->n++;
    a->timer = loop_timer_create(all->loop, answer_expired, a);
    a->io = a->timer ? loop_io_create(all->loop, fd, LOOP_READ, answer_ready, a) : NULL;
    if (a->io)
        return a;
    answer_destroy(a);
    return NULL;
}

static void answer_queue(struct answer *a, json_t *value)
{
    size_t n;
    char *line = json_line(value, &n);
    json_decref(value);
    if (line)
        sendq_copy(&a->out, line, n);
    else
        a->out.failed = true; /* rather than a part of the truth */
    free(line);
    loop_later(a->all->loop, &a->flush);
}

bool answer_has_room(const struct answer *a)
{
    return sendq_size(&a->out) <= ANSWER_QUEUE_MAX;
}

bool answer_say(struct answer *a, json_t *value)
{
    if (!value || !answer_has_room(a)) {
        json_decref(value);
        return false;
    }
    answer_queue(a, value);
    return true;
}

void answer_say_all(struct answer *a, json_t *value)
{
    answer_queue(a, value);
}

void answer_end(struct answer *a)
{
    a->over = true;
    loop_timer_arm(a->timer, LINGER_MS);
    loop_later(a->all->loop, &a->flush);
}

static json_t *error_of(const char *text)
{
    return json_pack("{ss}", "error", text);
}

void answer_refuse(struct answer *a, const char *text)
{
    answer_queue(a, error_of(text));
    answer_end(a);
}

/* A socket that is closed with something unread in it may take what was said with it. */
static void control_drain(int fd)
{
    char bytes[4096];
    for (size_t done = 0; done < UNREAD_MAX; done += sizeof(bytes))
        if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) < (ssize_t)sizeof(bytes))
            return;
}

void control_refuse(int fd, const char *text)
{
    size_t n;
    json_t *value = error_of(text);
    char *line = json_line(value, &n);
    json_decref(value);
    if (line && send(fd, line, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        n = 0; /* nobody is there to hear it */
    free(line);
    control_drain(fd);
    fd_close(fd);
}
