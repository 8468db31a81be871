/* SPDX-License-Identifier: MIT */
/* datagrams: owns the socket, which outlives the connections that read from it, one at a time and
 * by a descriptor of their own. While there is none, packets wait in it, and then those who send.
 * After one has ended there is a pause, or a host that refuses would be asked once for each packet.
 */
#include "guest-proxy/datagrams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "common/base/loop.h"
#include "common/transport/address.h"

#define PAUSE_MS 1000

struct datagrams {
    int fd;
    struct loop_io *io;
    struct loop_timer *pause;
    void (*came)(void *user, int fd);
    void *user;
};

static void datagrams_ready(void *user, unsigned events)
{
    struct datagrams *d = user;
    int fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
    (void)events;
    loop_io_set(d->io, 0);
    if (fd < 0)
        datagrams_over(d);
    else
        d->came(d->user, fd);
}

static void datagrams_watch(void *user)
{
    struct datagrams *d = user;
    loop_io_set(d->io, LOOP_READ);
}

void datagrams_over(struct datagrams *d)
{
    if (d)
        loop_timer_arm(d->pause, PAUSE_MS);
}

struct datagrams *datagrams_create(struct loop *loop, int fd, void (*came)(void *user, int fd),
                                   void *user)
{
    struct datagrams *d = calloc(1, sizeof(*d));
    if (!d) {
        address_unlisten(fd);
        return NULL;
    }
    *d = (struct datagrams){.fd = fd, .came = came, .user = user};
    d->pause = loop_timer_create(loop, datagrams_watch, d);
    d->io = d->pause ? loop_io_create(loop, fd, LOOP_READ, datagrams_ready, d) : NULL;
    if (d->io)
        return d;
    datagrams_destroy(d);
    errno = ENOMEM;
    return NULL;
}

void datagrams_destroy(struct datagrams *d)
{
    if (!d)
        return;
    loop_io_destroy(d->io);
    loop_timer_destroy(d->pause);
    address_unlisten(d->fd);
    free(d);
}
