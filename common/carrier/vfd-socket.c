/* SPDX-License-Identifier: MIT */
/* vfd-socket: makes the pair whose one end the receiver of a socket gets. Nothing of its own: who
 * makes connections has the other end. */
#include "common/carrier/vfd-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/budget.h"
#include "common/carrier/ends.h"
#include "common/carrier/tree.h"

static const int types[_LINK_SOCKET_TYPE_N] = {
    [LINK_SOCKET_STREAM] = SOCK_STREAM,
    [LINK_SOCKET_SEQPACKET] = SOCK_SEQPACKET,
    [LINK_SOCKET_DGRAM] = SOCK_DGRAM,
};

static int option_of(int fd, int name)
{
    int value = -1;
    socklen_t n = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &n) < 0 ? -1 : value;
}

int vfd_socket_type(int fd, const char **ret_why)
{
    struct sockaddr_storage peer;
    socklen_t n = sizeof(peer);
    int type = option_of(fd, SO_TYPE);
    *ret_why = "a listening socket";
    if (option_of(fd, SO_ACCEPTCONN) > 0)
        return -EINVAL;
    *ret_why = "a socket that is not connected";
    if (getpeername(fd, (struct sockaddr *)&peer, &n) < 0)
        return -ENOTCONN;
    *ret_why = "a socket of that type";
    for (int i = 0; i < _LINK_SOCKET_TYPE_N; i++)
        if (types[i] == type && (i == LINK_SOCKET_STREAM || option_of(fd, SO_DOMAIN) == AF_UNIX))
            return i;
    return -EINVAL;
}

static bool socket_classify(struct vfd_offer *o)
{
    const char *why;
    if (vfd_socket_type(o->fd, &why) >= 0)
        return true;
    snprintf(o->problem, sizeof(o->problem), "%s", why);
    return false;
}

static int socket_send(struct vfds *v, struct vfd_offer *o)
{
    const char *why;
    int type = vfd_socket_type(o->fd, &why);
    struct identity identity = identity_of(o->fd, &o->info);
    struct link_vfd vfd = {.id = vfds_new_id(v),
                           .kind = LINK_VFD_SOCKET,
                           .flags = (uint16_t)type,
                           .size = v->sockets->ticket(v->sockets->user)};
    int original = v->branch ? fcntl(o->fd, F_DUPFD_CLOEXEC, 0) : -1;
    struct known *known =
        original < 0 ? NULL : tree_sent(v->branch, vfd.id, LINK_VFD_SOCKET, &identity, original);
    if (v->branch && (!known || tree_socket(known, vfd.size) < 0)) {
        fd_close(fd_steal(&o->fd));
        return ends_scarce(v->ends, o->what, -errno);
    }
    link_queue(v->ends->link, link_vfd_encode, &vfd);
    return v->sockets->connect(v->sockets->user, vfd.size, fd_steal(&o->fd),
                               (enum link_socket_type)type);
}

/* What is handed out may come home. */
static int socket_known(struct vfds *v, const struct link_vfd *said, int ours, int fd)
{
    struct fd_info info;
    int e = v->branch ? fd_inspect(fd, &info) : 0;
    if (!v->branch || e < 0)
        return e;
    struct identity identity = identity_of(fd, &info);
    struct known *known = tree_received(v->branch, said->id, LINK_VFD_SOCKET, &identity);
    if (!known || (e = tree_socket(known, said->size)) < 0)
        return known ? e : -errno;
    if ((e = budget_take(v->ends->party->budget, BUDGET_FDS, 1)) < 0)
        return e;
    known->original = fcntl(ours, F_DUPFD_CLOEXEC, 0);
    if (known->original >= 0)
        return 0;
    e = -errno;
    budget_give(v->ends->party->budget, BUDGET_FDS, 1);
    return e;
}

static int socket_frame(struct vfds *v, const struct link_vfd *said)
{
    int ends[2], e = vfds_peer_id(v, said->id);
    if (e < 0)
        return e;
    if (!v->sockets || !v->sockets->depth)
        return ends_broken(v->ends, "a socket where none may be", said->id);
    if (socketpair(AF_UNIX, types[said->flags] | SOCK_CLOEXEC, 0, ends) < 0)
        return ends_failf(v->ends, LINK_ERROR_INTERNAL, "no socket: %s", strerror(errno));
    fd_set_nonblock(ends[0]);
    e = socket_known(v, said, ends[0], ends[1]);
    if (e < 0) {
        fd_close(ends[0]);
        fd_close(ends[1]);
        return ends_scarce(v->ends, "VFD", e);
    }
    e = v->sockets->connect(v->sockets->user, said->size, ends[0],
                            (enum link_socket_type)said->flags);
    struct vfd vfd = {.kind = LINK_VFD_SOCKET, .id = said->id, .fd = ends[1]};
    if (e < 0) {
        vfd_release(&vfd);
        return e;
    }
    return vfds_arrive_paid(v, vfd);
}

static int socket_take(struct vfds *v, struct vfd *vfd)
{
    (void)v;
    return fd_steal(&vfd->fd);
}

const struct vfd_kind vfd_kind_socket = {.name = "socket",
                                         .classify = socket_classify,
                                         .send = socket_send,
                                         .frame = socket_frame,
                                         .take = socket_take};
