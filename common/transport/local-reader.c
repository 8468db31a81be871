/* SPDX-License-Identifier: MIT */
/* A stream's recvmsg() ends with the bytes that brought descriptors, but begins wherever unread
 * ones do, and does not tell how many were before them. So a look without room for descriptors
 * comes first: the kernel says MSG_CTRUNC if any are in the queue. If none are, as many bytes are
 * read as there were before that look, at once or one time after another, and no more, since the
 * next ones may have some. Otherwise they are read one by one until the descriptors come, at most
 * STEPS_MAX in a turn of the loop. */
#include "common/transport/local-reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/base/ancillary.h"
#include "common/base/fd.h"
#include "common/transport/local-socket.h"

#define READ_SIZE (128u << 10)
#define STEPS_MAX 1024
#define FEW 1024 /* bytes: so few are looked at rather than counted, which is one call less */

/* One for all: whoever reads has used up the last before. Larger for a packet that needs it. */
static uint8_t *rx;
static size_t rx_room;

static int rx_grow(size_t size)
{
    if (size <= rx_room)
        return 0;
    uint8_t *grown = realloc(rx, size);
    if (!grown)
        return -ENOMEM;
    rx = grown;
    rx_room = size;
    return 0;
}

void local_piece_close(struct local_piece *p)
{
    while (p->fds_n)
        fd_close(p->fds[--p->fds_n]);
}

/* recvmsg() with room for descriptors, which are put into @piece. As recv(); *ret_any: it was a
 * message, if only an empty one. */
static ssize_t receive(int fd, uint8_t *at, size_t size, struct local_piece *piece, bool *ret_any)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(LOCAL_FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec iov = {at, size};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t n;
    do
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    *ret_any = message.msg_controllen > 0;
    piece->fds_n = (unsigned)ancillary_take_fds(&message, piece->fds, LOCAL_FDS_MAX, NULL);
    return message.msg_flags & MSG_CTRUNC ? -EMFILE : n;
}

/* Looks at up to @size bytes. How many there are; 0: the end; -ENODATA: there are descriptors in
 * the queue; or -errno. */
static ssize_t peek(int fd, size_t size)
{
    static uint8_t bytes[FEW];
    struct iovec iov = {bytes, size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;
    do
        n = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return n > 0 && message.msg_flags & MSG_CTRUNC ? -ENODATA : n;
}

/* A look for descriptors. 1: there are none with the next ws->plain bytes; or as peek(). */
static ssize_t look(struct local_socket *ws)
{
    int waiting = 0;
    ssize_t n = ws->much ? FEW : peek(ws->fd, FEW);
    if (n == FEW) { /* or more, which nobody wants to look at: they are counted */
        if (ioctl(ws->fd, FIONREAD, &waiting) < 0)
            return -errno;
        n = peek(ws->fd, 1);
        if (n > 0 && !waiting)
            return -EAGAIN; /* it came after we had counted: the loop comes again */
    } else if (n > 0) {
        waiting = (int)n;
    }
    ws->much = waiting > FEW;
    ws->plain = n > 0 ? (size_t)waiting : 0;
    return n > 0 ? 1 : n;
}

/* Without descriptors, after a look for some, unless what the last one saw has not been read yet.
 * How many bytes; or as look(). */
static ssize_t read_plain(struct local_socket *ws, uint8_t *at, size_t max)
{
    ssize_t r = ws->plain ? 1 : look(ws);
    if (r <= 0)
        return r;
    ssize_t n = recv(ws->fd, at, ws->plain < max ? ws->plain : max, MSG_DONTWAIT);
    ws->plain -= n > 0 ? (size_t)n : ws->plain;
    return n < 0 ? -errno : n;
}

static int read_stream(struct local_socket *ws, size_t max, struct local_piece *p)
{
    bool any;
    if (rx_grow(READ_SIZE) < 0)
        return -ENOMEM;
    if (max > READ_SIZE)
        max = READ_SIZE;
    p->bytes = rx;
    ssize_t n = read_plain(ws, rx, max);
    if (n != -ENODATA) {
        p->size = n > 0 ? (size_t)n : 0;
        return n > 0 ? 1 : (int)n;
    }
    while (!p->fds_n && p->size < max && p->size < STEPS_MAX) {
        n = receive(ws->fd, rx + p->size, 1, p, &any);
        if (n <= 0)
            break;
        p->fds_at = p->size++;
    }
    if (n < 0 && n != -EAGAIN)
        return (int)n;
    if (p->fds_n && p->size < max) { /* the rest of theirs, rather than a turn of the loop later */
        n = read_plain(ws, rx + p->size, max - p->size);
        p->size += n > 0 ? (size_t)n : 0;
    }
    return p->size ? 1 : -EAGAIN;
}

static int read_packet(struct local_socket *ws, struct local_piece *p)
{
    bool any = false;
    ssize_t n = recv(ws->fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    if (n < 0)
        return -errno;
    if ((size_t)n > PACKET_MAX)
        return -EMSGSIZE;
    if (rx_grow((size_t)n > READ_SIZE ? (size_t)n : READ_SIZE) < 0)
        return -ENOMEM;
    p->bytes = rx;
    n = receive(ws->fd, rx, rx_room, p, &any);
    if (n < 0)
        return (int)n;
    p->size = (size_t)n;
    return n > 0 || any || ws->type == SOCK_DGRAM;
}

int local_socket_read(struct local_socket *ws, size_t max, struct local_piece *ret)
{
    ret->size = ret->fds_at = 0;
    ret->fds_n = 0;
    int r = ws->type == SOCK_STREAM ? read_stream(ws, max, ret) : read_packet(ws, ret);
    if (r <= 0)
        local_piece_close(ret);
    return r;
}
