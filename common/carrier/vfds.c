/* SPDX-License-Identifier: MIT */
/* vfds: owns the counters of ids and the ring of arrivals. Ids are made by counting up, so that
 * what arrives late for an id that is gone can be told from an id that never was. */
#include "common/carrier/vfds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/budget.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/memory.h"
#include "common/base/waiters.h"
#include "common/carrier/ends.h"

#define ARRIVED_MAX 1024

void vfds_init(struct vfds *v, struct ends *ends)
{
    *v = (struct vfds){.ends = ends, .next_id = 1, .peer_next_id = 1};
}

void vfds_finish(struct vfds *v)
{
    vfds_forget(v);
    free(v->arrived);
    waiters_unref(v->waiters);
}

static uint32_t side_bit(const struct vfds *v)
{
    return v->ends->side == CARRIER_HOST ? LINK_HOST_ID : 0;
}

uint32_t vfds_new_id(struct vfds *v)
{
    return side_bit(v) | v->next_id++;
}

uint32_t vfds_last_id(const struct vfds *v)
{
    return side_bit(v) | (v->next_id - 1);
}

int vfds_peer_id(struct vfds *v, uint32_t id)
{
    if ((id & ~LINK_HOST_ID) != v->peer_next_id || vfds_is_ours(v, id))
        return ends_broken(v->ends, "VFD ids must count up", id);
    v->peer_next_id++;
    return 0;
}

bool vfds_is_ours(const struct vfds *v, uint32_t id)
{
    return (id & LINK_HOST_ID) == side_bit(v);
}

bool vfds_was_made(const struct vfds *v, uint32_t id)
{
    uint32_t count = id & ~LINK_HOST_ID;
    return count > 0 && count < (vfds_is_ours(v, id) ? v->next_id : v->peer_next_id);
}

pid_t vfds_client(const struct vfds *v)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    if (v->ends->side == CARRIER_HOST ||
        getsockopt(v->ends->local.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return 0;
    return peer.pid;
}

struct waiters *vfds_waiters(struct vfds *v)
{
    if (!v->waiters) /* all clients of a process are one, and so are all of the server's */
        v->waiters = waiters_of(vfds_client(v));
    return v->waiters;
}

void vfds_discard(struct vfds *v, int fd)
{
    if (fd >= 0)
        waiters_close(vfds_waiters(v), fd);
}

void vfds_discard_unclaimed(struct vfds *v)
{
    for (int fd; ends_has_local(v->ends) && (fd = local_socket_claim_fd(&v->ends->local)) >= 0;)
        vfds_discard(v, fd);
}

void vfd_release(struct vfd *vfd)
{
    memory_unref(vfd->memory);
    if (vfd->paid)
        budget_give(vfd->paid, BUDGET_FDS, 1);
    fd_close(vfd->fd);
}

int vfds_arrive_paid(struct vfds *v, struct vfd vfd)
{
    struct budget *budget = v->ends->party->budget;
    int e = budget_take(budget, BUDGET_FDS, 1);
    if (e < 0) {
        vfd_release(&vfd);
        return ends_scarce(v->ends, "VFD", e);
    }
    vfd.paid = budget;
    return vfds_arrive(v, vfd);
}

int vfds_arrive(struct vfds *v, struct vfd vfd)
{
    if (v->arrived_first + v->arrived_n == v->arrived_room) {
        if (v->arrived_first && v->arrived_first >= v->arrived_n) {
            memmove(v->arrived, v->arrived + v->arrived_first, v->arrived_n * sizeof(vfd));
            v->arrived_first = 0;
        } else {
            int e = v->arrived_n < ARRIVED_MAX ? array_room(&v->arrived, &v->arrived_room,
                                                            v->arrived_room + 1, 4 * ARRIVED_MAX)
                                               : -EOVERFLOW;
            if (e < 0) {
                vfd_release(&vfd);
                return ends_broken(v->ends, "too many descriptors that no message takes", vfd.id);
            }
        }
    }
    v->arrived[v->arrived_first + v->arrived_n++] = vfd;
    return 0;
}

struct vfd *vfds_last(const struct vfds *v)
{
    return v->arrived_n ? &v->arrived[v->arrived_first + v->arrived_n - 1] : NULL;
}

struct vfd *vfds_arrived(const struct vfds *v, uint32_t id)
{
    for (size_t i = 0; i < v->arrived_n; i++)
        if (v->arrived[v->arrived_first + i].id == id)
            return &v->arrived[v->arrived_first + i];
    return NULL;
}

bool vfds_next(struct vfds *v, struct vfd *ret)
{
    if (!v->arrived_n)
        return false;
    *ret = v->arrived[v->arrived_first++];
    v->arrived_n--;
    return true;
}

void vfds_forget(struct vfds *v)
{
    for (; v->arrived_n; v->arrived_n--)
        vfd_release(&v->arrived[v->arrived_first++]);
}
