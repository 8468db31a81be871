/* SPDX-License-Identifier: MIT */
#pragma once
/* descriptors: which kind of VFD a descriptor of a service's connection becomes, if any. */
#include "common/services/descriptor-rules.h"
#include "common/services/helper.h"

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
