/* SPDX-License-Identifier: MIT */
#pragma once
/* vfd-event: eventfds: signals go one way, from whoever writes to whoever waits. */
#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/carrier/vfd-kind.h"

struct event;
struct known;

/* A connection's. */
struct vfd_events {
    LIST_HEAD(, event) all;
};

extern const struct vfd_kind vfd_kind_event;

/* Takes @offer's eventfd. @waits_here: the program that waits for its signals is of this side. As
 * vfd_kind.send. */
int vfd_event_send(struct vfds *vfds, struct vfd_offer *offer, bool waits_here);
/* A descriptor of it, for either side's program. Owned, or -errno. */
int vfd_event_open(const struct known *known);
/* EVENT. 0, or negative after ends_fail(). */
int vfd_event_frame(struct vfds *vfds, const uint8_t *payload, size_t size);
/* What had to wait goes on, as far as the link has room. Not for link_ops.drained(). */
void vfd_events_resume(struct vfds *vfds);
