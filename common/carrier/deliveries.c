/* SPDX-License-Identifier: MIT */
/* deliveries: owns streams that are no connection's any more. */
#include "common/carrier/deliveries.h"

#include "common/base/log.h"
#include "common/carrier/stream.h"

void deliveries_init(struct deliveries *d, void (*changed)(void *user), void *user)
{
    *d = (struct deliveries){.changed = changed, .user = user};
}

static void delivery_ended(void *user, struct stream *s)
{
    struct deliveries *d = user;
    LIST_REMOVE(s, entry);
    stream_destroy_later(s);
    if (d->changed)
        d->changed(d->user);
}

void deliveries_add(struct deliveries *d, struct stream *s)
{
    LIST_INSERT_HEAD(&d->all, s, entry);
    stream_leave(s, delivery_ended, d);
}

bool deliveries_are_done(const struct deliveries *d)
{
    return LIST_EMPTY(&d->all);
}

void deliveries_finish(struct deliveries *d)
{
    unsigned lost = 0;
    while (!LIST_EMPTY(&d->all)) {
        struct stream *s = LIST_FIRST(&d->all);
        LIST_REMOVE(s, entry);
        lost += !stream_press(s);
        stream_destroy(s);
    }
    if (lost)
        log_warn(NULL, "%u transfers were cut short: their readers had not taken all", lost);
}
