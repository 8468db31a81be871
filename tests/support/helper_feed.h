/* SPDX-License-Identifier: MIT */
#pragma once
/* helper_feed: a service's helper between two speakers that are in the test: bytes go in as they
 * come, and what each side would have got comes out. */
#include <stdbool.h>

#include "common/services/helper.h"
#include "common/services/settings.h"

struct feed_side {
    uint8_t *bytes;
    size_t n, room;
};

struct feed {
    const struct service_helper_ops *ops;
    struct service_helper *helper;
    struct service_sink sink;
    struct feed_side waiting[_SERVICE_WAY_N]; /* that make no frame yet */
    struct feed_side said[_SERVICE_WAY_N];    /* passed on, and said by the helper itself */
    uint64_t passing[_SERVICE_WAY_N];         /* bytes of a frame that pass as they come */
    bool dropping[_SERVICE_WAY_N];
    unsigned dropped, answered;
    struct service_role roles[16]; /* what it said of memory, the last ones */
    unsigned roles_n;
    uint32_t vfd; /* of the last descriptor that was sent: they count up from 1 */
    bool failed;
    char text[160];
};

void feed_init(struct feed *feed, const struct service_helper_ops *ops,
               const struct service_settings *settings);
void feed_finish(struct feed *feed);
/* @way's speaker says so, in pieces of @step bytes (0: all at once), each in memory of its own. */
void feed_say(struct feed *feed, enum service_way way, const void *bytes, size_t n, size_t step);
/* Forgets what was said so far. */
void feed_clear(struct feed *feed);
