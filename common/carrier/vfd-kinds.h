/* SPDX-License-Identifier: MIT */
#pragma once
/* vfd-kinds: the table of all kinds of descriptors, and every way through it: local descriptors
 * out, the other side's frames in, arrivals to the local side. */
#include <stddef.h>
#include <stdint.h>

#include "common/carrier/vfd-kind.h"

extern const struct vfd_kind *const vfd_kinds[_LINK_VFD_KIND_N]; /* by enum link_vfd_kind */

/* The next descriptor of the local side becomes a VFD of @kind; @offer says what for. 0, VFD_…, or
 * negative after ends_fail(). */
int vfds_send(struct vfds *vfds, enum link_vfd_kind kind, struct vfd_offer *offer);
/* The next arrival, which has to be of @kind, for a message that the log knows by @number; for
 * vfd_open() and vfd_release(). 0, or negative after ends_fail(). */
int vfds_take(struct vfds *vfds, enum link_vfd_kind kind, uint32_t number, struct vfd *ret);
/* A descriptor of it for the local side: owned, or -errno; -EPROTO: after ends_fail(). */
int vfd_open(struct vfds *vfds, struct vfd *vfd);

/* VFD, VFD_CLOSE, MEM_SIZE, MEM_PUNCH, STREAM_CREDIT and STREAM_END. 0, or negative after
 * ends_fail(). */
int vfds_frame(struct vfds *vfds, enum link_type type, const uint8_t *payload, size_t size);
/* Closes all, without a word to either side. */
void vfds_close(struct vfds *vfds);
