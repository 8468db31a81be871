/* SPDX-License-Identifier: MIT */
#pragma once
/* host-memory: pictures that the renderer has: what is told of them, and their rows. */
#include <stdbool.h>
#include <stdint.h>

#include "protocol/export.h"

struct render_layout;
struct renderer;
struct resource;

/* False: it is none of the renderer's, or nothing that can be shown. */
bool host_memory_is_picture(const struct resource *resource);
/* Fills in the buffer, all but id and generation: of the descriptor (taken) that the renderer has
 * told of, or, without one (negative), for reading back: then the layout is ours, rows without
 * gaps. Returns the descriptor, or -1. */
int host_memory_describe(const struct resource *resource, int fd,
                         const struct render_layout *layout, struct export_buffer *buffer);
/* Has all rectangles copied, between the picture and @memory of the renderer's, which has @size
 * bytes, or none if one of them is out of range. Offsets and strides of the resource are those that
 * were told; rectangles are whole pixels. *ret_asked: how many answers come for @ticket; of those
 * and the status, the first failure counts. */
enum export_status host_memory_copy(struct renderer *renderer, const struct resource *resource,
                                    uint32_t offset, uint32_t stride, uint32_t memory,
                                    uint64_t size, const struct export_copy *copy, uint64_t ticket,
                                    unsigned *ret_asked);
