/* SPDX-License-Identifier: MIT */
/* Owns the socket, the descriptors that came and are not claimed yet, and an incomplete message.
 * All sockets read into one buffer: what a caller leaves of it, it keeps with local_socket_keep()
 * before any socket reads again. The loop is asked for exactly what is wanted: to read unless
 * paused or at the end, to write while something is queued. */
#include "common/transport/local-socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/ancillary.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/loop.h"

#define READ_SIZE (64u << 10)
#define KEPT_MAX (64u << 10) /* what the owner may have kept: an incomplete message */
#define SCM_FDS_MAX 253      /* SCM_MAX_FD, net/core/scm.c */

/* One buffer for all: what is not consumed is kept by the socket. Room for an incomplete message
 * and a read. */
static uint8_t rx[KEPT_MAX + READ_SIZE];

int local_socket_init(struct local_socket *ws, struct loop *loop, int fd,
                      void (*ready)(void *user, unsigned events), void *user)
{
    *ws = (struct local_socket){.fd = fd, .type = SOCK_STREAM};
    sendq_init(&ws->out, NULL, NULL);
    packetq_init(&ws->packets, NULL);
    ws->io = loop_io_create(loop, fd, LOOP_READ, ready, user);
    if (!ws->io) {
        fd_close(fd);
        ws->fd = -1;
        return -ENOMEM;
    }
    return 0;
}

int local_socket_keep_packets(struct local_socket *ws, int type, struct budget *budget)
{
    static const int yes = 1, room = 2 * PACKET_MAX;
    ws->type = type;
    packetq_init(&ws->packets, budget);
    /* As far as the kernel lets us: larger packets than that are refused. */
    setsockopt(ws->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    /* What comes with each packet tells an empty one from the end. */
    if (type == SOCK_SEQPACKET &&
        setsockopt(ws->fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
        return -errno;
    return 0;
}

void local_socket_finish(struct local_socket *ws)
{
    if (!ws->io)
        return;
    loop_io_destroy(ws->io);
    ws->io = NULL;
    sendq_finish(&ws->out);
    packetq_finish(&ws->packets);
    for (size_t i = 0; i < ws->fds_n; i++)
        fd_close(ws->fds[ws->fds_first + i]);
    free(ws->fds);
    ws->fds = NULL;
    ws->fds_n = 0;
    free(ws->pending);
    ws->pending = NULL;
    ws->pending_n = 0;
    ws->fd = fd_close(ws->fd);
}

static int local_socket_queue_fds(struct local_socket *ws, const int *fds, size_t n)
{
    if (ws->fds_first + ws->fds_n + n > ws->fds_room) {
        if (ws->fds_n)
            memmove(ws->fds, ws->fds + ws->fds_first, ws->fds_n * sizeof(int));
        ws->fds_first = 0;
        /* The last ones are kept, too: to close them is the owner's, who may have to wait. */
        if (array_room(&ws->fds, &ws->fds_room, ws->fds_n + n, LOCAL_SOCKET_FDS_MAX + SCM_FDS_MAX) <
            0) {
            for (size_t i = 0; i < n; i++)
                fd_close(fds[i]);
            return -EOVERFLOW;
        }
    }
    memcpy(ws->fds + ws->fds_first + ws->fds_n, fds, n * sizeof(int));
    ws->fds_n += n;
    return ws->fds_n > LOCAL_SOCKET_FDS_MAX ? -EOVERFLOW : 0;
}

static int local_socket_collect_fds(struct local_socket *ws, struct msghdr *message)
{
    int fds[SCM_FDS_MAX];
    size_t n = ancillary_take_fds(message, fds, SCM_FDS_MAX, NULL);
    int r = n ? local_socket_queue_fds(ws, fds, n) : 0;
    if (r == 0 && message->msg_flags & MSG_CTRUNC)
        r = -EMFILE;
    return r;
}

size_t local_socket_kept(struct local_socket *ws, const uint8_t **ret_bytes)
{
    size_t n = ws->pending_n;
    if (n)
        memcpy(rx, ws->pending, n);
    free(ws->pending);
    ws->pending = NULL;
    ws->pending_n = 0;
    *ret_bytes = rx;
    return n;
}

ssize_t local_socket_receive(struct local_socket *ws, const uint8_t **ret_bytes)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(SCM_FDS_MAX * sizeof(int))];
    } control;
    size_t have = ws->pending_n;
    if (have)
        memcpy(rx, ws->pending, have);
    struct iovec iov = {rx + have, sizeof(rx) - have < READ_SIZE ? sizeof(rx) - have : READ_SIZE};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t n;
    do
        n = recvmsg(ws->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 ? -errno : 0;
    int r = message.msg_controllen ? local_socket_collect_fds(ws, &message) : 0;
    if (r < 0)
        return r;
    free(ws->pending);
    ws->pending = NULL;
    ws->pending_n = 0;
    *ret_bytes = rx;
    return (ssize_t)have + n;
}

int local_socket_keep(struct local_socket *ws, const uint8_t *bytes, size_t size)
{
    if (!size)
        return 0;
    ws->pending = malloc(size);
    if (!ws->pending)
        return -ENOMEM;
    memcpy(ws->pending, bytes, size);
    ws->pending_n = size;
    return 0;
}

int local_socket_claim_fd(struct local_socket *ws)
{
    if (!ws->fds_n)
        return -1;
    ws->fds_n--;
    return ws->fds[ws->fds_first++];
}

static void local_socket_watch(struct local_socket *ws)
{
    if (!ws->io)
        return;
    loop_io_set(ws->io, (ws->paused || ws->ended ? 0 : LOOP_READ) |
                            (local_socket_waiting(ws) ? LOOP_WRITE : 0));
}

void local_socket_pause(struct local_socket *ws, bool paused)
{
    if (ws->paused == paused)
        return;
    ws->paused = paused;
    local_socket_watch(ws);
}

int local_socket_flush(struct local_socket *ws)
{
    if (ws->broken)
        return 0;
    int r = ws->type == SOCK_STREAM ? sendq_flush(&ws->out, ws->fd)
                                    : packetq_flush(&ws->packets, ws->fd);
    if (r < 0 && r != -EAGAIN && !ws->out.failed) {
        /* What the peer said before it left is still to be read: a compositor's error, an
         * application's last requests. */
        ws->broken = true;
        sendq_finish(&ws->out);
        packetq_finish(&ws->packets);
        r = 0;
    }
    local_socket_watch(ws);
    return r == -EAGAIN ? 0 : r;
}
