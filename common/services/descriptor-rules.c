/* SPDX-License-Identifier: MIT */
/* descriptor-rules: what all kinds of descriptors have in common on their way: words for what is
 * refused, and what is remembered. */
#include "common/services/descriptor-rules.h"

#include <errno.h>
#include <fcntl.h>

#include "common/base/fd.h"
#include "common/carrier/ends.h"
#include "common/carrier/tree.h"
#include "common/carrier/vfd-kinds.h"
#include "common/services/file-form.h"

int descriptor_refuse(struct vfds *v, const struct descriptor_rules *rules, int fd,
                      const char *kind, const char *advice)
{
    vfds_discard(v, fd);
    return ends_failf(v->ends, LINK_ERROR_REFUSED,
                      "service %s: a descriptor is not carried: %s (%s)", rules->service, kind,
                      advice);
}

int descriptor_unfit(struct vfds *v, const struct descriptor_rules *rules, int e,
                     const struct vfd_offer *o)
{
    if (e == 0 || e == VFD_WAIT || e < 0)
        return e;
    return ends_failf(v->ends, e == VFD_SCARCE ? LINK_ERROR_INTERNAL : LINK_ERROR_REFUSED,
                      "service %s: a descriptor is not carried: %s", rules->service, o->problem);
}

void descriptor_rules_init(struct descriptor_rules *rules, const char *service)
{
    *rules = (struct descriptor_rules){.service = service, .original = -1};
}

void descriptor_rules_finish(struct descriptor_rules *rules, struct vfds *v)
{
    vfds_discard(v, fd_steal(&rules->original));
    if (rules->sharing.stage)
        vfds_discard(v, fd_steal(&rules->sharing.offer.fd));
    fence_forget(&rules->sharing.fence);
}

/* A descriptor of the same for when it comes home: owned, or negative after ends_fail(). */
int descriptor_keep_original(struct vfds *v, int fd)
{
    int kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return kept < 0 ? ends_scarce(v->ends, "a service's message", -errno) : kept;
}

/* What the VFD that was queued last stands for: @original is taken. */
int descriptor_know(struct vfds *v, const struct descriptor_rules *rules, enum link_vfd_kind kind,
                    const struct identity *identity, int original)
{
    struct known *k = tree_sent(v->branch, vfds_last_id(v), kind, identity, original);
    if (!k)
        return ends_scarce(v->ends, "a service's message", -errno);
    k->message = rules->message;
    return 0;
}

int descriptor_send_kind(struct vfds *v, const struct descriptor_rules *rules,
                         enum link_vfd_kind kind, struct vfd_offer *o)
{
    return descriptor_unfit(v, rules, vfd_kinds[kind]->send(v, o), o);
}

/* Its VFD is queued: what it is to look like follows. */
int descriptor_send_form(struct vfds *v, struct descriptor_rules *rules, int e)
{
    static const struct identity each_its_own = {0};
    if (e == VFD_WAIT)
        return e;
    int original = fd_steal(&rules->original);
    if (e != 0) {
        vfds_discard(v, original);
        return e;
    }
    rules->form.id = vfds_last_id(v);
    link_queue(v->ends->link, link_vfd_form_encode, &rules->form);
    return descriptor_know(v, rules, LINK_VFD_FILE, &each_its_own, original);
}

int descriptor_send_mirror(struct vfds *v, struct descriptor_rules *rules, struct vfd_offer *o)
{
    file_form_of(o->fd, &rules->form);
    int e = descriptor_send_kind(v, rules, LINK_VFD_MIRROR, o);
    if (e != 0)
        return e;
    rules->form.id = vfds_last_id(v);
    link_queue(v->ends->link, link_vfd_form_encode, &rules->form);
    return 0;
}
