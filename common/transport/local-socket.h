/* SPDX-License-Identifier: MIT */
#pragma once
/* local-socket: the connection to an application or a compositor: bytes and descriptors both ways.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/transport/packetq.h"
#include "common/transport/sendq.h"

struct loop;
struct loop_io;

#define LOCAL_SOCKET_FDS_MAX                                                                       \
    1020 /* descriptors received and not claimed yet; libwayland's ring holds 1023 */

struct local_socket {
    int fd; /* owned */
    struct loop_io *io;
    struct sendq out;
    struct packetq packets; /* what goes out instead, if it keeps packets apart */
    size_t plain; /* bytes that wait and are known to have no descriptors (local-reader) */
    bool much;    /* so many waited lately that they are counted */
    int type;     /* SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM */
    int *fds;     /* received, in order */
    size_t fds_first, fds_n, fds_room;
    uint8_t *pending; /* bytes received and not consumed */
    size_t pending_n;
    bool paused, ended;
    bool broken; /* nothing can be sent any more; the end is read yet */
};

/* Takes @fd (non-blocking). @ready is called from the loop. 0 or -errno. */
int local_socket_init(struct local_socket *ws, struct loop *loop, int fd,
                      void (*ready)(void *user, unsigned events), void *user);
/* Before anything is sent or received: it keeps packets apart (SOCK_SEQPACKET, SOCK_DGRAM), which
 * go through @packets. Its budget is @budget. 0 or -errno. */
int local_socket_keep_packets(struct local_socket *ws, int type, struct budget *budget);
/* How much waits to be sent: bytes, and for a packet one more. */
static inline uint64_t local_socket_waiting(const struct local_socket *ws)
{
    return sendq_size(&ws->out) + ws->packets.waiting;
}
void local_socket_finish(
    struct local_socket *ws); /* closes what was not claimed; safe on a zeroed struct */

/* One recvmsg. Returns how many bytes are at *ret_bytes now, what was kept before included (valid
 * until the next receive on any socket), 0 at the end of the connection, -EAGAIN; -EMFILE: the
 * kernel could not hand over all descriptors (our limit); -EOVERFLOW: too many unclaimed; or
 * -errno. */
ssize_t local_socket_receive(struct local_socket *ws, const uint8_t **ret_bytes);
/* Keeps the last @size bytes for the next receive. 0 or -ENOMEM. */
int local_socket_keep(struct local_socket *ws, const uint8_t *bytes, size_t size);
/* The kept bytes again, without receiving (see local_socket_receive()). */
size_t local_socket_kept(struct local_socket *ws, const uint8_t **ret_bytes);
/* The next received descriptor, owned by the caller, or -1. */
int local_socket_claim_fd(struct local_socket *ws);
void local_socket_pause(struct local_socket *ws, bool paused);
/* Sends what the socket takes and watches for the rest. 0, or -ENOMEM: the connection must end. A
 * peer that is gone shows itself to local_socket_receive(), after its last words. */
int local_socket_flush(struct local_socket *ws);
