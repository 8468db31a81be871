/* SPDX-License-Identifier: MIT */
#pragma once
/* host-memory: pictures that the renderer has: what is told of them, and their rows. */
#include <stdbool.h>
#include <stdint.h>

#include "protocol/export.h"

struct mirror;
struct renderer;
struct resource;

/* False: it is none of the renderer's, or nothing that can be shown. */
bool host_memory_is_picture(const struct resource *resource);
/* Fills in the buffer, all but id and generation; a descriptor where the renderer has one, or
 * -1. Without one the layout is ours: rows without gaps. */
int host_memory_export(struct renderer *renderer, const struct resource *resource,
                       struct export_buffer *buffer);
/* Copies all rectangles, or none if one of them is out of range. Offsets and strides of the
 * resource are those that were told; rectangles are whole pixels. */
enum export_status host_memory_copy(struct renderer *renderer, const struct resource *resource,
                                    uint32_t offset, uint32_t stride, const struct mirror *mirror,
                                    const struct export_copy *copy);
