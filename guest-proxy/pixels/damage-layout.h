/* SPDX-License-Identifier: MIT */
#pragma once
/* damage-layout: which bytes of the file a buffer's pixels are. */
#include <stdbool.h>
#include <stdint.h>
#include <pixman.h>

/* Where a buffer's pixels are in its file, in bytes and pixels: rows of width × cpp bytes every
 * stride bytes. Where cpp is 0, rows would overlap, or extent is more than stride × height, the
 * bytes of a pixel are not known: the whole extent is sent whenever any of it is stale. */
struct damage_layout {
    uint64_t offset;
    uint32_t stride, width, height;
    uint32_t cpp;    /* bytes per pixel; 0: unknown format */
    uint32_t format; /* wl_shm format: another one breaks the chain */
    uint64_t extent; /* bytes from offset that the compositor may read */
};

struct repeats;

struct damage_rect {
    uint64_t offset; /* bytes into the file */
    uint32_t row;    /* bytes per row */
    uint32_t rows;
    uint32_t stride;         /* bytes from row to row; == row when the rows are contiguous */
    struct repeats *repeats; /* to be asked which of these bytes differ; NULL: all may */
};

typedef void damage_send_func(void *user, const struct damage_rect *rect);

/* Whether pixels map to bytes, so that a part can be sent: otherwise the layout is a run of extent
 * bytes that only goes whole. */
bool damage_layout_exact(const struct damage_layout *layout);
bool damage_layout_equal(const struct damage_layout *a, const struct damage_layout *b);
/* Whether a pixel of @layout has a byte in [offset, offset + length). */
bool damage_layout_overlaps_range(const struct damage_layout *layout, uint64_t offset,
                                  uint64_t length);
/* Whether pixels of both share a byte. */
bool damage_layouts_overlap(const struct damage_layout *a, const struct damage_layout *b);

/* Every byte of @layout, none of the padding between its rows. */
void damage_layout_send(const struct damage_layout *layout, damage_send_func *send, void *user);
/* The bytes of @region, which lies within @layout's pixels; @layout is exact. */
void damage_layout_send_region(const struct damage_layout *layout, const pixman_region32_t *region,
                               damage_send_func *send, void *user);
