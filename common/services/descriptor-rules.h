/* SPDX-License-Identifier: MIT */
#pragma once
/* descriptor-rules: what a service's connection may carry, what of it is on its way, and what the
 * kinds of descriptors have in common. */
#include <stdbool.h>

#include "common/base/fence.h"
#include "common/carrier/vfd-kind.h"
#include "protocol/frames.h"

struct identity;
struct service_helper_ops;

/* A dmabuf or memory that the other side may have itself, or a sync file: from the first look to
 * its VFD. */
struct descriptor_sharing {
    enum { SHARING_NOT, SHARING_DRAWN, SHARING_ASKED, SHARING_SIGNALLED } stage; /* is waited for */
    struct vfd_offer offer; /* its descriptor is owned */
    bool file;              /* a memfd */
    struct fence fence;
    bool late; /* it was waited for in vain */
    struct vfds *vfds;
    unsigned told; /* of what became of the others, for the log: bits of enum shared_as */
};

/* The service's rules, as the host says them (OPENED). */
struct descriptor_rules {
    const char *service; /* its name */
    struct link_opened allowed;
    struct link_sharing shared;
    struct descriptor_sharing sharing;
    struct link_vfd_form form;               /* of the file that is being read */
    int original;                            /* and that file (owned); -1 */
    const struct service_helper_ops *speaks; /* of the socket that is being sent */
    uint32_t sent;    /* the VFD that the last one went as; 0: it went home */
    uint64_t message; /* which one descriptors are of: within one, the same pipe or socket is one */
};

void descriptor_rules_init(struct descriptor_rules *rules, const char *service);
void descriptor_rules_finish(struct descriptor_rules *rules, struct vfds *vfds);

/* Those that return int: 0, VFD_WAIT, or negative after ends_fail(). */

/* Takes @fd, which is a @kind: it is not carried. @advice: what would allow it, or why not. */
int descriptor_refuse(struct vfds *vfds, const struct descriptor_rules *rules, int fd,
                      const char *kind, const char *advice);
/* What vfd_kind.send() answered, with the words of @offer where it is not what it takes. */
int descriptor_unfit(struct vfds *vfds, const struct descriptor_rules *rules, int answer,
                     const struct vfd_offer *offer);
int descriptor_send_kind(struct vfds *vfds, const struct descriptor_rules *rules,
                         enum link_vfd_kind kind, struct vfd_offer *offer);
/* A descriptor of the same for when it comes home: owned, or negative after ends_fail(). */
int descriptor_keep_original(struct vfds *vfds, int fd);
/* What the VFD that was queued last stands for: @original is taken. */
int descriptor_know(struct vfds *vfds, const struct descriptor_rules *rules,
                    enum link_vfd_kind kind, const struct identity *identity, int original);
/* A file, which send() answered so: what it is to look like follows its VFD. */
int descriptor_send_form(struct vfds *vfds, struct descriptor_rules *rules, int answer);
int descriptor_send_mirror(struct vfds *vfds, struct descriptor_rules *rules,
                           struct vfd_offer *offer);
