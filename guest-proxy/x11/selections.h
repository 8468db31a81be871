/* SPDX-License-Identifier: MIT */
#pragma once
/* selections: what X programs copy can be pasted elsewhere, and the other way. */
#include <stdbool.h>
#include <xcb/xcb.h>

#include "guest-proxy/x11/offers.h"

struct loop;
struct selections;
struct wm;

/* What offers_create() is to be given, with the selections as the user. */
extern const struct offers_ops selections_offers_ops;

/* @serial says of what a person did last; @asked is called when X was asked for something outside
 * of selections_event(), so that other events may have come. NULL: out of memory. */
struct selections *selections_create(struct loop *loop, uint32_t (*serial)(void *user),
                                     void (*asked)(void *user), void *user);
void selections_destroy(struct selections *selections); /* accepts NULL; before the wm */

/* Once the wm is connected. */
void selections_begin(struct selections *selections, struct wm *wm, struct offers *offers);
/* An X event that may be theirs. */
void selections_event(struct selections *selections, const xcb_generic_event_t *event);
