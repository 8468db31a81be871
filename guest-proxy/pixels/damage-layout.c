/* SPDX-License-Identifier: MIT */
/* damage-layout: arithmetic on a buffer's place in its file.
 *
 * An exact layout is a comb: @height rows of width × cpp bytes, one every @stride. Two combs may
 * interleave without sharing a byte (buffers side by side in one wide picture), so overlap is
 * asked of the rows, not of the range from first to last byte. Numbers come from the client;
 * everything is computed in 64 bits and saturates. */
#include "guest-proxy/pixels/damage-layout.h"

/* Combs of different stride are compared row by row; with more rows than this they count as
 * overlapping when their ranges do. */
#define OVERLAP_ROWS_MAX 4096

static uint64_t range_end(uint64_t offset, uint64_t length)
{
    uint64_t end;

    return __builtin_add_overflow(offset, length, &end) ? UINT64_MAX : end;
}

static uint64_t row_bytes(const struct damage_layout *layout)
{
    return (uint64_t)layout->width * layout->cpp;
}

/* From the first byte to the end of the last row, padding in between included. */
static uint64_t span_bytes(const struct damage_layout *layout)
{
    if (!damage_layout_exact(layout))
        return layout->extent;
    return (uint64_t)(layout->height - 1) * layout->stride + row_bytes(layout);
}

bool damage_layout_exact(const struct damage_layout *layout)
{
    return layout->cpp != 0 && layout->width != 0 && layout->height != 0 &&
           layout->width <= INT32_MAX && layout->height <= INT32_MAX &&
           row_bytes(layout) <= layout->stride &&
           layout->extent <= (uint64_t)layout->stride * layout->height;
}

bool damage_layout_equal(const struct damage_layout *a, const struct damage_layout *b)
{
    return a->offset == b->offset && a->stride == b->stride && a->width == b->width &&
           a->height == b->height && a->cpp == b->cpp && a->format == b->format &&
           a->extent == b->extent;
}

bool damage_layout_overlaps_range(const struct damage_layout *layout, uint64_t offset,
                                  uint64_t length)
{
    uint64_t end = range_end(offset, length), row;

    if (offset < layout->offset)
        offset = layout->offset;
    if (offset >= end || offset >= range_end(layout->offset, span_bytes(layout)))
        return false;
    if (!damage_layout_exact(layout))
        return true;
    offset -= layout->offset;
    end -= layout->offset;
    row = offset / layout->stride;
    if (offset % layout->stride < row_bytes(layout))
        return true;
    /* It starts in the padding after @row, which is not the last: does it reach the next one? */
    return (row + 1) * layout->stride < end;
}

/* Same stride, @b not before @a. In a's frame of stride-wide lines, b's rows start in one column
 * and may run past the line's end into the next line's first columns. */
static bool combs_overlap(const struct damage_layout *a, const struct damage_layout *b)
{
    uint64_t distance = b->offset - a->offset;
    uint64_t line = distance / a->stride, column = distance % a->stride;

    if (column < row_bytes(a) && line < a->height)
        return true;
    return column + row_bytes(b) > a->stride && line + 1 < a->height;
}

bool damage_layouts_overlap(const struct damage_layout *a, const struct damage_layout *b)
{
    const struct damage_layout *few, *many;

    if (a->offset >= range_end(b->offset, span_bytes(b)) ||
        b->offset >= range_end(a->offset, span_bytes(a)))
        return false;
    if (!damage_layout_exact(a))
        return damage_layout_overlaps_range(b, a->offset, a->extent);
    if (!damage_layout_exact(b))
        return damage_layout_overlaps_range(a, b->offset, b->extent);
    if (a->stride == b->stride)
        return a->offset <= b->offset ? combs_overlap(a, b) : combs_overlap(b, a);
    few = a->height <= b->height ? a : b;
    many = few == a ? b : a;
    if (few->height > OVERLAP_ROWS_MAX)
        return true;
    for (uint32_t i = 0; i < few->height; i++)
        if (damage_layout_overlaps_range(many, few->offset + (uint64_t)i * few->stride,
                                         row_bytes(few)))
            return true;
    return false;
}

static void send_box(const struct damage_layout *layout, const pixman_box32_t *box,
                     damage_send_func *send, void *user)
{
    struct damage_rect rect = {
        .offset = layout->offset + (uint64_t)(uint32_t)box->y1 * layout->stride +
                  (uint64_t)(uint32_t)box->x1 * layout->cpp,
        .row = (uint32_t)(box->x2 - box->x1) * layout->cpp,
        .rows = (uint32_t)(box->y2 - box->y1),
        .stride = layout->stride,
    };

    if (rect.row == rect.stride && (uint64_t)rect.row * rect.rows <= UINT32_MAX) {
        rect.row *= rect.rows;
        rect.rows = 1;
    }
    if (rect.rows == 1)
        rect.stride = rect.row;
    send(user, &rect);
}

static void send_run(uint64_t offset, uint64_t length, damage_send_func *send, void *user)
{
    while (length > 0) {
        uint32_t part = length < UINT32_MAX ? (uint32_t)length : UINT32_MAX;
        struct damage_rect rect = {.offset = offset, .row = part, .rows = 1, .stride = part};

        send(user, &rect);
        offset += part;
        length -= part;
    }
}

void damage_layout_send(const struct damage_layout *layout, damage_send_func *send, void *user)
{
    if (damage_layout_exact(layout)) {
        pixman_box32_t all = {0, 0, (int32_t)layout->width, (int32_t)layout->height};

        send_box(layout, &all, send, user);
    } else {
        send_run(layout->offset, layout->extent, send, user);
    }
}

void damage_layout_send_region(const struct damage_layout *layout, const pixman_region32_t *region,
                               damage_send_func *send, void *user)
{
    int n;
    /* pixman keeps boxes sorted by y, then x: file order. */
    const pixman_box32_t *boxes = pixman_region32_rectangles(region, &n);

    for (int i = 0; i < n; i++)
        send_box(layout, &boxes[i], send, user);
}
