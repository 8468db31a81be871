/* SPDX-License-Identifier: MIT */
#pragma once
/* uncovered: places of shared memory that no buffer covers any more: the host is told to give their
 * pages back, as soon as its compositor cannot show them. */
#include <stdint.h>

#include "common/wayland/relay.h"

/* guest: @buffer was destroyed, and its memory is still in use. */
void uncovered_add(struct relay *relay, const struct memory_buffer *buffer);
/* guest: a request passes: the compositor frees an id of it when it has read so far. */
void uncovered_mark(struct relay *relay, const struct wl_message *message);
/* It has freed @id. */
void uncovered_reached(struct relay *relay, uint32_t id);
/* Without a word to the host. */
void uncovered_finish(struct relay *relay);

/* One use less of @memory (vfd_memory_unuse()); with the last, its places are forgotten, too. */
void relay_memory_unuse(struct relay *relay, struct memory *memory);
