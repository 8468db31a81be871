/* SPDX-License-Identifier: MIT */
/* pump: holds at most one buffer, and reads nothing while that has anything. */
#include "common/base/pump.h"

#include <errno.h>
#include <unistd.h>

#include "common/base/fd.h"

void pump_init(struct pump *p, int from, int to)
{
    p->from = from;
    p->to = to;
    p->at = p->n = 0;
}

void pump_finish(struct pump *p)
{
    p->from = fd_close(p->from);
    p->to = fd_close(p->to);
}

bool pump_has_ended(const struct pump *p)
{
    return p->from < 0;
}

void pump_poll(const struct pump *p, struct pollfd polls[2])
{
    bool full = p->at < p->n;
    /* What is not read is not polled either: a pipe whose writer is gone would say so all the time.
     */
    polls[0] = (struct pollfd){.fd = full ? -1 : p->from, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = p->to, .events = full ? POLLOUT : 0};
}

static void pump_write(struct pump *p)
{
    ssize_t n = write(p->to, p->bytes + p->at, p->n - p->at);
    if (n > 0)
        p->at += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        pump_finish(p);
}

void pump_move(struct pump *p, const struct pollfd polls[2])
{
    if (pump_has_ended(p))
        return;
    if (polls[1].revents & (POLLERR | POLLNVAL)) {
        pump_finish(p);
        return;
    }
    if (p->at < p->n) {
        if (polls[1].revents)
            pump_write(p);
        return;
    }
    if (!polls[0].revents)
        return;
    ssize_t n = read(p->from, p->bytes, sizeof(p->bytes));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) { /* the end; a terminal's is an error */
        pump_finish(p);
        return;
    }
    p->at = 0;
    p->n = (size_t)n;
}
