/* SPDX-License-Identifier: MIT */
#pragma once
/* sharing: dmabufs, memory and sync files that have to wait for somebody before they become VFDs,
 * and what becomes of them. */
#include "common/services/descriptor-rules.h"

/* Each takes the descriptor of @offer. 0, VFD_WAIT: sharing_go_on() when the local side is not held
 * any more; or negative after ends_fail(). */
int sharing_send_dmabuf(struct vfds *vfds, struct descriptor_rules *rules, struct vfd_offer *offer);
/* guest: of memory that the program may write to, and that is mirrored otherwise. */
int sharing_send_memory(struct vfds *vfds, struct descriptor_rules *rules, struct vfd_offer *offer);
int sharing_send_sync(struct vfds *vfds, struct descriptor_rules *rules, struct vfd_offer *offer);
/* With what waited: rules->sharing.stage says that something has. The same. */
int sharing_go_on(struct vfds *vfds, struct descriptor_rules *rules);
