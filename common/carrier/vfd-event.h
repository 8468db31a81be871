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
    /* A signal: taken here (@here), or come over the link. True: that was all; false: it goes on
     * its way. NULL: all do. */
    bool (*hook)(void *user, const struct known *known, bool here);
    void *user;
};

extern const struct vfd_kind vfd_kind_event;

/* Takes @offer's eventfd. @waits_here: the program that waits for its signals is of this side. As
 * vfd_kind.send. */
int vfd_event_send(struct vfds *vfds, struct vfd_offer *offer, bool waits_here);
/* A descriptor of it, for either side's program. Owned, or -errno. */
int vfd_event_open(const struct known *known);
/* Adds 1 to it, here. */
void vfd_event_signal(const struct known *known);
/* EVENT. 0, or negative after ends_fail(). */
int vfd_event_frame(struct vfds *vfds, const uint8_t *payload, size_t size);
/* What had to wait goes on, as far as the link has room. Not for link_ops.drained(). */
void vfd_events_resume(struct vfds *vfds);
