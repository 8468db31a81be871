/* SPDX-License-Identifier: MIT */
#pragma once
/* approach: the way of one new connection to the host: waits for the host if need be, then dials.
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/base/list.h"

struct dial;
struct link;
struct loop;
struct loop_timer;
struct uplink;

/* All that are on their way. */
struct approaches {
    struct loop *loop;
    struct uplink *uplink; /* set by the owner before there is one */
    LIST_HEAD(, approach) all;
};

struct approach {
    struct approaches *owner;
    LIST_ENTRY(approach) entry;
    struct dial *dial;
    struct loop_timer *wait; /* for a host that is not there (yet) */
    void (*done)(void *user, struct link *link, const void *bytes, size_t n, const char *error);
    void *user;
};

/* @done is called once, perhaps before this returns: with a link (taken; nobody has adopted it) and
 * @n bytes that came over it already, or NULL and why. */
void approach_start(struct approach *approach, struct approaches *owner,
                    void (*done)(void *user, struct link *link, const void *bytes, size_t n,
                                 const char *error),
                    void *user);
void approach_cancel(struct approach *approach); /* also after it is done, and if it never began */
/* It waits for the host, rather than dialling it. */
bool approach_waits(const struct approach *approach);
/* The host can be talked to: those who waited go on. */
void approaches_go(struct approaches *approaches);
