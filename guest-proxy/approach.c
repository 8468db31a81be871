/* SPDX-License-Identifier: MIT */
/* approach: owns the timer of who waits and the dial of who does not. An approach is in the list
 * until it is done or cancelled. */
#include "guest-proxy/approach.h"

#include "common/base/loop.h"
#include "common/transport/link.h"
#include "guest-proxy/dial.h"
#include "guest-proxy/uplink.h"

#define WAIT_MS 10000

static const struct link_ops no_ops; /* until somebody adopts the link, in the same call */

void approach_cancel(struct approach *a)
{
    if (!a->owner)
        return;
    LIST_REMOVE(a, entry);
    a->owner = NULL;
    dial_cancel(a->dial);
    a->dial = NULL;
    loop_timer_destroy(a->wait);
    a->wait = NULL;
}

static void approach_fail(struct approach *a, const char *error)
{
    approach_cancel(a);
    a->done(a->user, NULL, NULL, 0, error);
}

static void approach_dialled(void *user, int fd, const void *bytes, size_t n, const char *error)
{
    struct approach *a = user;
    const struct approaches *owner = a->owner;
    a->dial = NULL;
    if (fd < 0) {
        approach_fail(a, error);
        return;
    }
    bool splice = uplink_address(owner->uplink)->kind != ADDRESS_VSOCK;
    struct link *link = link_create(owner->loop, fd, splice, &no_ops, NULL);
    if (!link) {
        approach_fail(a, "out of memory");
        return;
    }
    approach_cancel(a);
    a->done(a->user, link, bytes, n, NULL);
}

static void approach_go(struct approach *a)
{
    loop_timer_destroy(a->wait);
    a->wait = NULL;
    struct dial *dial =
        dial_start(a->owner->loop, uplink_address(a->owner->uplink), false, approach_dialled, a);
    if (dial) /* otherwise it is over, and perhaps its owner, too */
        a->dial = dial;
}

static void approach_waited(void *user)
{
    approach_fail(
        user, "the host cannot be reached: is wayvsock-host running, and does it know this VM?");
}

void approach_start(struct approach *a, struct approaches *owner,
                    void (*done)(void *user, struct link *link, const void *bytes, size_t n,
                                 const char *error),
                    void *user)
{
    *a = (struct approach){.owner = owner, .done = done, .user = user};
    LIST_INSERT_HEAD(&owner->all, a, entry);
    if (uplink_ready(owner->uplink)) {
        approach_go(a);
        return;
    }
    uplink_hurry(owner->uplink);
    a->wait = loop_timer_create(owner->loop, approach_waited, a);
    if (a->wait)
        loop_timer_arm(a->wait, WAIT_MS);
    else
        approach_fail(a, "out of memory");
}

bool approach_waits(const struct approach *a)
{
    return a->wait != NULL;
}

void approaches_go(struct approaches *owner)
{
    struct approach *a, *after;
    LIST_FOREACH_SAFE (a, &owner->all, entry, after) {
        if (a->wait)
            approach_go(a);
    }
}
