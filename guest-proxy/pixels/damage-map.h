/* SPDX-License-Identifier: MIT */
#pragma once
/* damage-map: from a surface's coordinates to the pixels of its buffer. */
#include <stdbool.h>
#include <stdint.h>
#include <pixman.h>

/* How surface coordinates of wl_surface.damage map to the buffer (wl_surface, wp_viewport). A
 * change breaks the chain. Values that are a protocol error make any damage the whole buffer. */
struct damage_mapping {
    int32_t scale;     /* ≥ 1 */
    int32_t transform; /* wl_output.transform, 0…7 */
    bool has_source;
    int32_t source_x, source_y, source_width, source_height; /* wl_fixed, 24.8 */
    bool has_destination;
    int32_t width, height;
};

/* Along one axis, surface coordinate v is at (start + v × step) / divisor of the turned buffer's
 * pixels. Valid for 0 ≤ v ≤ limit; all intermediate values fit in 64 bits. */
struct damage_axis {
    int64_t start, step, divisor, limit;
};

struct damage_map {
    struct damage_axis x, y;
    int32_t width, height; /* the buffer's */
    int32_t transform;
    bool whole; /* the mapping is none that a compositor accepts: any damage is the whole buffer */
};

void damage_map_init(struct damage_map *map, const struct damage_mapping *mapping, int32_t width,
                     int32_t height);
/* The smallest box of buffer pixels that holds what @surface (non-negative, not empty) touches of
 * the surface. False: nothing. */
bool damage_map_box(const struct damage_map *map, const pixman_box32_t *surface,
                    pixman_box32_t *ret_buffer);
/* Whether both map every surface coordinate alike. */
bool damage_mapping_equal(const struct damage_mapping *a, const struct damage_mapping *b);
