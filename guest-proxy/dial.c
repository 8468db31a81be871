/* SPDX-License-Identifier: MIT */
/* A dial owns the socket until it is over: then it is gone before the callback is called, which
 * gets the descriptor or an error, exactly once. Until then the loop waits for the connection to
 * stand, or, on a hybrid socket, for the answer to the request that went out. @address is the
 * caller's, and outlives it. */
#include "guest-proxy/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/base/loop.h"
#include "guest-proxy/cures.h"

#define DIAL_MS 10000

struct dial {
    int fd;
    struct loop_io *io;
    struct loop_timer *timer;
    const struct address *address;
    bool greeting; /* the request is out, its answer is not complete */
    struct address_mux mux;
    void (*done)(void *user, int fd, const void *bytes, size_t n, const char *error);
    void *user;
};

void dial_cancel(struct dial *d)
{
    if (!d)
        return;
    loop_io_destroy(d->io);
    loop_timer_destroy(d->timer);
    fd_close(d->fd);
    free(d);
}

static void dial_finish(struct dial *d, int error, const void *bytes, size_t n)
{
    char where[sizeof(struct address)], cure[CURE_MAX], text[sizeof(where) + 128 + CURE_MAX];
    void (*done)(void *, int, const void *, size_t, const char *) = d->done;
    void *user = d->user;
    int fd = error ? error : fd_steal(&d->fd);
    snprintf(text, sizeof(text), "cannot connect to %s: %s%s",
             address_format(d->address, where, sizeof(where)), strerror(error ? -error : 0),
             cures_connect(d->address, error, cure));
    dial_cancel(d);
    done(user, fd, bytes, n, error ? text : NULL);
}

static void dial_greet(struct dial *d)
{
    char request[ADDRESS_MUX_LINE_MAX];
    size_t n = address_mux_request(d->address, request);
    if (send(d->fd, request, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n) {
        dial_finish(d, -EPROTO, NULL, 0);
        return;
    }
    d->greeting = true;
    loop_io_set(d->io, LOOP_READ);
}

static void dial_ready(void *user, unsigned events)
{
    struct dial *d = user;
    (void)events;
    if (!d->greeting) {
        int e = address_connect_result(d->fd);
        if (e == -EINPROGRESS || e == -EALREADY)
            return;
        if (e < 0)
            dial_finish(d, e, NULL, 0);
        else if (d->address->kind == ADDRESS_VSOCK_MUX)
            dial_greet(d);
        else
            dial_finish(d, 0, NULL, 0);
        return;
    }
    char bytes[256];
    ssize_t n = recv(d->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    bool complete = false;
    ssize_t used = n > 0   ? address_mux_feed(&d->mux, bytes, (size_t)n, &complete)
                   : n < 0 ? -errno
                           : -ECONNREFUSED;
    if (used < 0)
        dial_finish(d, (int)used, NULL, 0);
    else if (complete)
        dial_finish(d, 0, bytes + used, (size_t)(n - used));
}

static void dial_expired(void *user)
{
    dial_finish(user, -ETIMEDOUT, NULL, 0);
}

struct dial *dial_start(struct loop *loop, const struct address *address, bool privileged,
                        void (*done)(void *user, int fd, const void *bytes, size_t n,
                                     const char *error),
                        void *user)
{
    char error[256], cure[CURE_MAX], text[sizeof(error) + CURE_MAX];
    int fd = address_connect(address, privileged, error, sizeof(error));
    if (fd < 0) {
        snprintf(text, sizeof(text), "%s%s", error, cures_connect(address, fd, cure));
        done(user, fd, NULL, 0, text);
        return NULL;
    }
    if (address->kind == ADDRESS_UNIX) { /* connected or refused at once */
        done(user, fd, NULL, 0, NULL);
        return NULL;
    }
    struct dial *d = calloc(1, sizeof(*d));
    if (d) {
        *d = (struct dial){.fd = fd, .address = address, .done = done, .user = user};
        d->io = loop_io_create(loop, fd, LOOP_WRITE, dial_ready, d);
        d->timer = loop_timer_create(loop, dial_expired, d);
    }
    if (!d || !d->io || !d->timer) {
        if (d)
            dial_cancel(d);
        else
            fd_close(fd);
        done(user, -ENOMEM, NULL, 0, "out of memory");
        return NULL;
    }
    loop_timer_arm(d->timer, DIAL_MS);
    return d;
}
