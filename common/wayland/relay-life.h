/* SPDX-License-Identifier: MIT */
#pragma once
/* relay-life: making and ending the relay of one application's connection. */
#include "common/wayland/relay.h"

/* Takes @local_fd and @link. NULL: errno (both are closed). @pixels: see struct relay. Reading
 * starts with the next turn of the loop. */
struct relay *relay_create(struct loop *loop, enum carrier_side side, int local_fd,
                           struct link *link, const struct carrier_party *party,
                           const struct relay_ops *ops, void *user, struct pixels *pixels,
                           struct log_subject *subject);
/* Reads what came already, so that it goes out together with what is queued. */
void relay_start(struct relay *relay);
/* At once, without a word to either side. Accepts NULL. */
void relay_destroy(struct relay *relay);
