/* SPDX-License-Identifier: MIT */
/* vfd-kinds: owns the table. A new kind is a file with a struct vfd_kind, a number in
 * protocol/frames.h, and a row here. */
#include "common/carrier/vfd-kinds.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/carrier/ends.h"
#include "common/carrier/vfd-event.h"
#include "common/carrier/vfd-file.h"
#include "common/carrier/vfd-memory.h"
#include "common/carrier/vfd-mirror.h"
#include "common/carrier/vfd-shared.h"
#include "common/carrier/vfd-socket.h"
#include "common/carrier/vfd-stream.h"
#include "common/carrier/vfd-sync.h"

const struct vfd_kind *const vfd_kinds[_LINK_VFD_KIND_N] = {
    [LINK_VFD_MEMORY] = &vfd_kind_memory, [LINK_VFD_FILE] = &vfd_kind_file,
    [LINK_VFD_STREAM] = &vfd_kind_stream, [LINK_VFD_SOCKET] = &vfd_kind_socket,
    [LINK_VFD_MIRROR] = &vfd_kind_mirror, [LINK_VFD_EVENT] = &vfd_kind_event,
    [LINK_VFD_SHARED] = &vfd_kind_shared, [LINK_VFD_SYNC] = &vfd_kind_sync,
};

int vfds_send(struct vfds *v, enum link_vfd_kind kind, struct vfd_offer *offer)
{
    if (v->file.state == VFD_FILE_READ) /* what this message waited for */
        return vfd_file_send_content(v, offer);
    offer->fd = local_socket_claim_fd(&v->ends->local);
    if (offer->fd < 0)
        return VFD_MISSING;
    offer->client = vfds_client(v);
    int e = fd_inspect(offer->fd, &offer->info);
    if (e < 0)
        snprintf(offer->problem, sizeof(offer->problem), "%s", strerror(-e));
    if (e < 0 || !vfd_kinds[kind]->classify(offer)) {
        vfds_discard(v, fd_steal(&offer->fd));
        return VFD_UNFIT;
    }
    return vfd_kinds[kind]->send(v, offer);
}

int vfds_take(struct vfds *v, enum link_vfd_kind kind, uint32_t number, struct vfd *ret)
{
    struct vfd vfd;
    if (!vfds_next(v, &vfd))
        return ends_broken(v->ends, "a message lacks its descriptor", number);
    if (vfd.kind != kind) {
        vfd_release(&vfd);
        return ends_broken(v->ends, "a message's descriptor is of the wrong kind", vfd.id);
    }
    *ret = vfd;
    return 0;
}

int vfd_open(struct vfds *v, struct vfd *vfd)
{
    return vfd_kinds[vfd->kind]->take(v, vfd);
}

static int open_vfd(struct vfds *v, const struct link_vfd *said)
{
    if (vfds_is_ours(v, said->id))
        return ends_broken(v->ends, "VFD with an id or kind that is not the sender's", said->id);
    return vfd_kinds[said->kind]->frame(v, said);
}

static int close_vfd(struct vfds *v, uint32_t id)
{
    for (unsigned kind = 0; kind < _LINK_VFD_KIND_N; kind++) {
        int e = vfd_kinds[kind] && vfd_kinds[kind]->close ? vfd_kinds[kind]->close(v, id) : -ENOENT;
        if (e != -ENOENT)
            return e;
    }
    return vfds_was_made(v, id) ? 0 : ends_broken(v->ends, "VFD_CLOSE of an id that never was", id);
}

int vfds_frame(struct vfds *v, enum link_type type, const uint8_t *payload, size_t size)
{
    struct link_vfd vfd;
    uint32_t id;
    int e;
    switch (type) {
    case LINK_VFD:
        e = link_vfd_decode(payload, size, &vfd);
        return e == LINK_OK ? open_vfd(v, &vfd) : ends_malformed(v->ends, type, e);
    case LINK_VFD_CLOSE:
        e = link_id_decode(payload, size, &id);
        return e == LINK_OK ? close_vfd(v, id) : ends_malformed(v->ends, type, e);
    case LINK_MEM_SIZE:
    case LINK_MEM_PUNCH:
        return vfd_memory_frame(v, type, payload, size);
    default:
        return vfd_stream_frame(v, type, payload, size);
    }
}

void vfds_close(struct vfds *v)
{
    vfd_streams_finish(v);
    vfd_memories_finish(v);
    vfd_file_finish(v);
    vfds_finish(v);
}
