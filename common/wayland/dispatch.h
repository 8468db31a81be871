/* SPDX-License-Identifier: MIT */
#pragma once
/* dispatch: every Wayland message of both directions, once: checked, given to its hooks, passed on.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/wayland/relay.h"

/* What both sides do with a message, by enum wl_hook; before the owner's. */
extern relay_hook *const relay_hooks[_WL_HOOK_N];

/* Every message at @bytes. Returns what is left over (an incomplete or waiting message). */
size_t relay_from_local(struct relay *relay, const uint8_t *bytes, size_t size);
/* Whole messages. 0, or negative after relay_fail(). */
int relay_from_link(struct relay *relay, const uint8_t *bytes, size_t size);
