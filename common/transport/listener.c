/* SPDX-License-Identifier: MIT */
/* A listener owns its socket and, through address_unlisten(), the file behind it. It watches that
 * socket, or, when a connection could not be accepted for want of descriptors or memory, waits for
 * its timer: never both, or the loop would turn without end. */
#include "common/transport/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/transport/address.h"
#include "common/base/log.h"
#include "common/base/loop.h"

#define RETRY_MS 500
#define ACCEPT_AT_ONCE 32 /* then it is others' turn */

struct listener {
    int fd;
    struct loop_io *io;
    struct loop_timer *retry;
    struct log_subject *subject;
    void (*accepted)(void *user, int fd);
    void *user;
};

static void listener_try_again(void *user)
{
    struct listener *l = user;
    loop_io_set(l->io, LOOP_READ);
}

static void listener_ready(void *user, unsigned events)
{
    struct listener *l = user;
    (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd = address_accept(l->fd);
        if (fd >= 0) {
            l->accepted(l->user, fd);
            continue;
        }
        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS) {
            log_warn(l->subject, "cannot accept a connection now: %s", strerror(-fd));
            loop_io_set(l->io, 0);
            loop_timer_arm(l->retry, RETRY_MS);
        }
        return;
    }
}

struct listener *listener_create(struct loop *loop, int fd, struct log_subject *subject,
                                 void (*accepted)(void *user, int fd), void *user)
{
    struct listener *l = calloc(1, sizeof(*l));
    if (!l) {
        address_unlisten(fd);
        return NULL;
    }
    *l = (struct listener){.fd = fd, .subject = subject, .accepted = accepted, .user = user};
    l->retry = loop_timer_create(loop, listener_try_again, l);
    l->io = l->retry ? loop_io_create(loop, fd, LOOP_READ, listener_ready, l) : NULL;
    if (!l->io) {
        int e = errno;
        listener_destroy(l);
        errno = e;
        return NULL;
    }
    return l;
}

void listener_destroy(struct listener *l)
{
    if (!l)
        return;
    loop_io_destroy(l->io);
    loop_timer_destroy(l->retry);
    address_unlisten(l->fd);
    free(l);
}
