/* SPDX-License-Identifier: MIT */
#pragma once
/* vfd-socket: a connected socket in a connection: it goes on as a connection of its own, which both
 * proxies know by a ticket. */
#include "common/carrier/vfd-kind.h"

/* Of who makes such connections: vfds.sockets. */
struct vfd_sockets {
    /* A new one, never used before in this session. */
    uint64_t (*ticket)(void *user);
    /* @fd (taken) is the local side of the connection with this ticket. 0, or negative after
     * ends_fail(). */
    int (*connect)(void *user, uint64_t ticket, int fd, enum link_socket_type type);
    void *user;
    unsigned depth; /* how many sockets deep one may go from here; 0: none may */
};

extern const struct vfd_kind vfd_kind_socket;

/* Which type @fd, a socket, has; negative: none that can be carried, for the reason in @ret_why. */
int vfd_socket_type(int fd, const char **ret_why);
