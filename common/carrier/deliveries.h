/* SPDX-License-Identifier: MIT */
#pragma once
/* deliveries: what readers have not taken yet of streams that need their connection no more: the
 * writer is done, or the connection has ended. Data that we took over is delivered as long as its
 * reader lives. */
#include <stdbool.h>

#include "common/base/list.h"

struct stream;

struct deliveries {
    LIST_HEAD(, stream) all;
    void (*changed)(void *user); /* one less; NULL: nobody cares */
    void *user;
};

void deliveries_init(struct deliveries *deliveries, void (*changed)(void *user), void *user);
/* Takes @stream, which stream_leave() may be called on. */
void deliveries_add(struct deliveries *deliveries, struct stream *stream);
bool deliveries_are_done(const struct deliveries *deliveries);
/* The daemon ends: what the readers' pipes can be made to hold goes there, the rest is lost. */
void deliveries_finish(struct deliveries *deliveries);
