/* SPDX-License-Identifier: MIT */
/* packets: Linux lets only a handful of packets wait in a SEQPACKET socket
 * (net.unix.max_dgram_qlen), so a burst needs a queue here. Order is kept: nothing overtakes the
 * queue. */
#include "common/transport/packets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/ancillary.h"
#include "common/base/fd.h"
#include "common/base/loop.h"

#define BATCH 32 /* packets of one connection before others have their turn */

struct packet {
    struct packet *next;
    int fd; /* owned */
    size_t size;
    uint8_t bytes[];
};

struct packets {
    struct loop *loop;
    int fd; /* owned */
    struct loop_io *io;
    const struct packets_ops *ops;
    void *user;
    uint8_t *buffer;
    size_t packet_max, queue_max;
    struct packet *first, **last;
    size_t queued;
    int failed; /* -errno; closed() is due */
    bool stopped;
    struct loop_job report, destroy;
};

static void packets_report_closed(void *user)
{
    struct packets *p = user;
    if (p->stopped)
        return;
    packets_stop(p);
    p->ops->closed(p->user, p->failed);
}

static void packets_fail(struct packets *p, int reason)
{
    if (p->failed || p->stopped)
        return;
    p->failed = reason;
    loop_later(p->loop, &p->report);
}

static ssize_t packets_send_one(int socket, const void *bytes, size_t size, int fd)
{
    union {
        char bytes[ANCILLARY_FDS(1)];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = control.bytes;
        ancillary_add_fds(&message, &fd, 1);
    }
    ssize_t n;
    do
        n = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void packets_flush(struct packets *p)
{
    while (p->first) {
        struct packet *packet = p->first;
        ssize_t n = packets_send_one(p->fd, packet->bytes, packet->size, packet->fd);
        if (n == -EAGAIN)
            return;
        if (n < 0) {
            packets_fail(p, (int)n);
            return;
        }
        p->first = packet->next;
        if (!p->first)
            p->last = &p->first;
        p->queued--;
        fd_close(packet->fd);
        free(packet);
    }
    loop_io_set(p->io, LOOP_READ);
}

/* One packet. 1, 0 at the end, or -errno. */
static ssize_t packets_receive_one(struct packets *p)
{
    /* Room for more than one descriptor: those that are too many are closed, not lost in the
     * kernel's count. */
    union {
        char bytes[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = p->buffer, .iov_len = p->packet_max};
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t n = recvmsg(p->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return -errno;
    _cleanup_(fd_closep) int fd = -1;
    bool surplus;
    ancillary_take_fds(&message, &fd, 1, &surplus);
    if (message.msg_flags & MSG_TRUNC || surplus)
        return -EMSGSIZE;
    if (message.msg_flags & MSG_CTRUNC) {
        if (n == 0 || !p->ops->bereft)
            return -EMFILE;
        p->ops->bereft(p->user, p->buffer, (size_t)n);
        return 1;
    }
    if (n == 0) /* an empty packet cannot be told from the end; nobody sends one */
        return 0;
    p->ops->received(p->user, p->buffer, (size_t)n, fd_steal(&fd));
    return 1;
}

static void packets_ready(void *user, unsigned events)
{
    struct packets *p = user;
    if (events & LOOP_WRITE)
        packets_flush(p);
    if (!(events & LOOP_READ))
        return;
    for (unsigned i = 0; i < BATCH && !p->stopped && !p->failed; i++) {
        ssize_t n = packets_receive_one(p);
        if (n == -EINTR)
            continue;
        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            p->failed = (int)n;
            packets_report_closed(p);
            return;
        }
    }
}

static void packets_free(void *packets)
{
    packets_destroy(packets);
}

void packets_destroy_later(struct packets *p)
{
    loop_later(p->loop, &p->destroy);
}

struct packets *packets_create(struct loop *loop, int fd, size_t packet_max, size_t queue_max,
                               const struct packets_ops *ops, void *user)
{
    struct packets *p = calloc(1, sizeof(*p));
    if (!p) {
        fd_close(fd);
        errno = ENOMEM;
        return NULL;
    }
    *p = (struct packets){.loop = loop,
                          .fd = fd,
                          .ops = ops,
                          .user = user,
                          .packet_max = packet_max,
                          .queue_max = queue_max,
                          .report = {.run = packets_report_closed, .user = p},
                          .destroy = {.run = packets_free, .user = p}};
    p->last = &p->first;
    p->buffer = malloc(packet_max);
    if (p->buffer)
        p->io = loop_io_create(loop, fd, LOOP_READ, packets_ready, p);
    if (!p->io) {
        packets_destroy(p);
        errno = ENOMEM;
        return NULL;
    }
    return p;
}

void packets_destroy(struct packets *p)
{
    if (!p)
        return;
    packets_stop(p);
    loop_later_cancel(p->loop, &p->report);
    loop_later_cancel(p->loop, &p->destroy);
    while (p->first) {
        struct packet *packet = p->first;
        p->first = packet->next;
        fd_close(packet->fd);
        free(packet);
    }
    fd_close(p->fd);
    free(p->buffer);
    free(p);
}

void packets_send(struct packets *p, const void *bytes, size_t size, int fd)
{
    _cleanup_(fd_closep) int owned = fd;
    if (p->failed || p->stopped)
        return;
    if (!p->first) {
        ssize_t n = packets_send_one(p->fd, bytes, size, owned);
        if (n >= 0)
            return;
        if (n != -EAGAIN) {
            packets_fail(p, (int)n);
            return;
        }
    }
    struct packet *packet = p->queued < p->queue_max ? malloc(sizeof(*packet) + size) : NULL;
    if (!packet) {
        packets_fail(p, p->queued < p->queue_max ? -ENOMEM : -ENOBUFS);
        return;
    }
    packet->next = NULL;
    packet->fd = fd_steal(&owned);
    packet->size = size;
    memcpy(packet->bytes, bytes, size);
    *p->last = packet;
    p->last = &packet->next;
    p->queued++;
    loop_io_set(p->io, LOOP_READ | LOOP_WRITE);
}

void packets_stop(struct packets *p)
{
    p->stopped = true;
    loop_io_destroy(p->io);
    p->io = NULL;
}
