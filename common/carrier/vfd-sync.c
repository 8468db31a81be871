/* SPDX-License-Identifier: MIT */
/* vfd-sync: owns nothing: what is handed out has nothing to do with anything else. */
#include "common/carrier/vfd-sync.h"

#include <stdio.h>

#include "common/base/fence.h"
#include "common/base/signalled.h"
#include "common/carrier/ends.h"

static bool sync_classify(struct vfd_offer *o)
{
    if (fence_is_signalled(o->fd))
        return true;
    snprintf(o->problem, sizeof(o->problem), "%s is not signalled", o->role);
    return false;
}

static int sync_send(struct vfds *v, struct vfd_offer *o)
{
    struct link_vfd vfd = {.id = vfds_new_id(v), .kind = LINK_VFD_SYNC};
    vfds_discard(v, fd_steal(&o->fd));
    link_queue(v->ends->link, link_vfd_encode, &vfd);
    return 0;
}

static int sync_frame(struct vfds *v, const struct link_vfd *said)
{
    int e = vfds_peer_id(v, said->id);
    if (e < 0)
        return e;
    if (!v->syncs)
        return ends_broken(v->ends, "a sync file where none may be", said->id);
    int fd = signalled_make();
    if (fd < 0)
        return ends_scarce(v->ends, "VFD", fd);
    return vfds_arrive_paid(v, (struct vfd){.kind = LINK_VFD_SYNC, .id = said->id, .fd = fd});
}

static int sync_take(struct vfds *v, struct vfd *vfd)
{
    (void)v;
    return fd_steal(&vfd->fd);
}

const struct vfd_kind vfd_kind_sync = {.name = "sync file",
                                       .classify = sync_classify,
                                       .send = sync_send,
                                       .frame = sync_frame,
                                       .take = sync_take};
