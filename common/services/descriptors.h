/* SPDX-License-Identifier: MIT */
#pragma once
/* descriptors: which kind of VFD a descriptor of a service's connection becomes, if any. */
#include <stdbool.h>

#include "common/carrier/vfds.h"
#include "common/services/helper.h"
#include "protocol/frames.h"

/* The service's rules, as the host says them (OPENED). */
struct descriptor_rules {
    const char *service; /* its name */
    struct link_opened allowed;
    struct link_vfd_form form;               /* of the file that is being read */
    int original;                            /* and that file (owned); -1 */
    const struct service_helper_ops *speaks; /* of the socket that is being sent */
    uint32_t sent;    /* the VFD that the last one went as; 0: it went home */
    uint64_t message; /* which one descriptors are of: within one, the same pipe or socket is one */
};

void descriptor_rules_init(struct descriptor_rules *rules, const char *service);
void descriptor_rules_finish(struct descriptor_rules *rules, struct vfds *vfds);

/* Takes @fd, and queues what the other side needs of it. 0, VFD_WAIT: its content is being read,
 * the same again later, with any @fd; or negative after ends_fail(). */
int descriptor_send(struct vfds *vfds, struct descriptor_rules *rules, int fd,
                    const struct service_descriptor *known);
/* VFD_REF. 0, or negative after ends_fail(). */
int descriptor_ref(struct vfds *vfds, const uint8_t *payload, size_t size);
/* VFD_FORM. 0, or negative after ends_fail(). */
int descriptor_form(struct vfds *vfds, const uint8_t *payload, size_t size);
/* The next that came over the link: owned, or negative after ends_fail(). */
int descriptor_take(struct vfds *vfds);
