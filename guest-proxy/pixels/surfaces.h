/* SPDX-License-Identifier: MIT */
#pragma once
/* surfaces: what each wl_surface shows, so that a commit is preceded by the pixels that the host
 * lacks. */
#include "common/wayland/relay.h"

struct shadows;

/* Handles the hooks of wl_surface, wp_viewport, and whatever else lets the compositor read a
 * buffer. */
enum relay_verdict surfaces_hook(struct relay *relay, struct shadows *shadows,
                                 struct wl_message *message);
/* The host dropped, or wrote, these bytes of @memory: what we knew of them is void. */
void surfaces_forget(struct memory *memory, uint64_t offset, uint64_t length);
