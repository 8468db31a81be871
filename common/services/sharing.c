/* SPDX-License-Identifier: MIT */
/* sharing: owns what is on its way, and no VFD yet: first what draws into it is waited for, since
 * fences stay here; then the host is asked. What cannot be shared is mirrored, copied or refused.
 */
#include "common/services/sharing.h"

#include <errno.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/carrier/ends.h"
#include "common/carrier/tree.h"
#include "common/carrier/vfd-shared.h"
#include "common/services/dmabuf-copy.h"
#include "common/services/file-form.h"

#define DRAWN_MS 2000      /* that whoever draws into a dmabuf may take */
#define SIGNALLED_MS 10000 /* until a sync file is */

enum shared_as { SHARED_ITSELF = 1, SHARED_COPIED = 2, SHARED_MIRRORED = 4 };

/* The first of each connection is for whoever wants to know how it goes there. */
static void tell(struct vfds *v, struct descriptor_rules *rules, enum shared_as as)
{
    const struct descriptor_sharing *s = &rules->sharing;
    const char *what = s->file ? "memory" : "a dmabuf";
    const char *how = as == SHARED_ITSELF   ? "is shared"
                      : as == SHARED_COPIED ? "is copied, as it cannot be shared"
                                            : "is mirrored, as it cannot be shared";
    unsigned long long size = s->offer.info.size;
    if (rules->sharing.told & as)
        log_debug(v->ends->subject, "%s of %llu bytes %s", what, size, how);
    else
        log_info(v->ends->subject, "%s of %llu bytes %s", what, size, how);
    rules->sharing.told |= as;
}

/* The content of that moment, which is the dmabuf when it comes home. */
static int send_content(struct vfds *v, struct descriptor_rules *rules, struct vfd_offer *o)
{
    int copy = dmabuf_copy(o->fd, o->info.size, LINK_FILE_MAX);
    rules->original = fd_steal(&o->fd);
    if (copy == -EFBIG)
        return ends_failf(v->ends, LINK_ERROR_REFUSED,
                          "service %s: a descriptor is not carried: %s", rules->service,
                          "a dmabuf that cannot be shared, and is larger than 32 MiB");
    if (copy < 0)
        return ends_failf(v->ends, LINK_ERROR_REFUSED,
                          "service %s: a descriptor is not carried: %s: %s", rules->service,
                          "a dmabuf that can neither be shared nor read", strerror(-copy));
    file_form_of(copy, &rules->form);
    o->fd = copy;
    o->info.kind = FD_KIND_SHMEM;
    o->info.readable = true;
    return descriptor_send_form(v, rules, descriptor_send_kind(v, rules, LINK_VFD_FILE, o));
}

static int send_otherwise(struct vfds *v, struct descriptor_rules *rules, enum link_imported_as how)
{
    struct descriptor_sharing *s = &rules->sharing;
    struct vfd_offer o = s->offer;
    s->stage = SHARING_NOT;
    if (s->file) {
        tell(v, rules, SHARED_MIRRORED);
        return descriptor_send_mirror(v, rules, &o);
    }
    if (how == LINK_IMPORTED_DRAWN)
        return descriptor_refuse(v, rules, o.fd, "a dmabuf of what the host draws",
                                 "the host's GPU gives no dmabuf of it");
    if (rules->shared.dmabufs != LINK_DMABUFS_ONCE)
        return descriptor_refuse(v, rules, o.fd, "a dmabuf that cannot be shared",
                                 "dmabufs = once would allow a copy");
    tell(v, rules, SHARED_COPIED);
    return send_content(v, rules, &o);
}

static int send_shared(struct vfds *v, struct descriptor_rules *rules)
{
    struct descriptor_sharing *s = &rules->sharing;
    uint64_t message = rules->message;
    enum link_imported_as how;
    int e = vfd_shared_send(v, &s->offer, &how);
    if (e == 0)
        return send_otherwise(v, rules, how);
    s->stage = SHARING_NOT;
    if (e < 0)
        return e;
    struct known *k = tree_find(v->branch->tree, v->branch->ticket, vfds_last_id(v));
    if (k)
        k->message = message;
    tell(v, rules, SHARED_ITSELF);
    return 0;
}

static int ask_to_share(struct vfds *v, struct descriptor_rules *rules)
{
    struct descriptor_sharing *s = &rules->sharing;
    if (!vfd_shared_ask(v, &s->offer, s->file))
        return send_otherwise(v, rules, LINK_IMPORTED_NOT);
    s->stage = SHARING_ASKED;
    return VFD_WAIT;
}

static void fence_over(void *user, bool signalled)
{
    struct descriptor_sharing *s = user;
    s->late = !signalled;
    ends_resume(s->vfds->ends, CARRIER_HOLD_USER);
}

/* Takes the offer's descriptor. True: the local side is held until it is signalled, or for so long.
 */
static bool waits_for_fence(struct vfds *v, struct descriptor_rules *rules, struct vfd_offer *o,
                            uint64_t ms)
{
    struct descriptor_sharing *s = &rules->sharing;
    s->offer = *o;
    s->offer.fd = fd_steal(&o->fd);
    s->vfds = v;
    s->late = false;
    if (!fence_wait(&s->fence, v->ends->loop, s->offer.fd, ms, fence_over, s))
        return false;
    ends_hold(v->ends, CARRIER_HOLD_USER);
    return true;
}

/* What draws into a dmabuf is waited for: its fences stay here. Takes the offer's descriptor. */
static int share(struct vfds *v, struct descriptor_rules *rules, struct vfd_offer *o, bool file)
{
    struct descriptor_sharing *s = &rules->sharing;
    s->file = file;
    s->stage = SHARING_DRAWN;
    return waits_for_fence(v, rules, o, file ? 0 : DRAWN_MS) ? VFD_WAIT : ask_to_share(v, rules);
}

static int go_on_with_drawn(struct vfds *v, struct descriptor_rules *rules)
{
    if (rules->sharing.late)
        log_warn(v->ends->subject, "a dmabuf was not drawn within %d s; it is passed as it is",
                 DRAWN_MS / 1000);
    return ask_to_share(v, rules);
}

static int go_on_with_sync(struct vfds *v, struct descriptor_rules *rules)
{
    struct vfd_offer o = rules->sharing.offer;
    rules->sharing.stage = SHARING_NOT;
    if (!fence_is_signalled(o.fd))
        return descriptor_refuse(v, rules, o.fd, "a sync file", "it was not signalled within 10 s");
    return descriptor_send_kind(v, rules, LINK_VFD_SYNC, &o);
}

int sharing_send_sync(struct vfds *v, struct descriptor_rules *rules, struct vfd_offer *o)
{
    if (!rules->shared.sync_files)
        return descriptor_refuse(v, rules, o->fd, "a sync file",
                                 "sync-files = once would allow it");
    rules->sharing.stage = SHARING_SIGNALLED;
    return waits_for_fence(v, rules, o, SIGNALLED_MS) ? VFD_WAIT : go_on_with_sync(v, rules);
}

int sharing_send_dmabuf(struct vfds *v, struct descriptor_rules *rules, struct vfd_offer *o)
{
    if (rules->shared.dmabufs == LINK_DMABUFS_REFUSED)
        return descriptor_refuse(v, rules, o->fd, "a dmabuf",
                                 "dmabufs = share or once would allow it");
    return share(v, rules, o, false);
}

int sharing_send_memory(struct vfds *v, struct descriptor_rules *rules, struct vfd_offer *o)
{
    return share(v, rules, o, true);
}

int sharing_go_on(struct vfds *v, struct descriptor_rules *rules)
{
    switch (rules->sharing.stage) {
    case SHARING_DRAWN:
        return go_on_with_drawn(v, rules);
    case SHARING_ASKED:
        return send_shared(v, rules);
    default:
        return go_on_with_sync(v, rules);
    }
}
