/* SPDX-License-Identifier: MIT */
#pragma once
/* removals: globals that the compositor took back and the client never heard of: it waits until all
 * who were told have acknowledged that (wl_fixes.ack_global_remove), so whoever hid one does. */
#include <stdint.h>

#include "common/wayland/relay.h"

/* wl_registry.bind, of whatever: a wl_fixes that can acknowledge is remembered. PASS, or END. */
enum relay_verdict removals_bind(struct relay *relay, const struct wl_message *message);
/* The compositor said to @registry that its global @name is gone, and the client is not told. */
void removals_hidden(struct relay *relay, uint32_t registry, uint32_t name);
