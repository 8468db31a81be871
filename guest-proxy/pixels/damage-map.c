/* SPDX-License-Identifier: MIT */
/* damage-map: what wl_surface.damage names, in pixels of the buffer.
 *
 * Surface coordinates go through wp_viewport (destination back to source), then scale, then the
 * buffer transform. Every step is a fraction in 64 bits, rounded once, outwards: a pixel counts as
 * soon as any part of it is touched. What lies beyond the surface's edge is cut off first, as
 * compositors do, so a huge rectangle on a cropped buffer is the crop. Numbers that are a protocol
 * error towards the compositor, or that do not fit, make it the whole buffer. */
#include "guest-proxy/pixels/damage-map.h"

#define FIXED_ONE 256 /* wl_fixed_t is 24.8 */

static int64_t ceil_div(int64_t value, int64_t divisor)
{
    return value / divisor + (value % divisor != 0);
}

static bool axis_init(struct damage_axis *axis, int32_t length, int32_t scale, bool has_source,
                      int32_t source, int32_t source_length, bool has_destination,
                      int32_t destination)
{
    int64_t end;

    if (scale < 1 || (has_destination && destination < 1))
        return false;
    if (has_source) {
        int64_t per, span;

        if (source < 0 || source_length < 1)
            return false;
        per = has_destination ? destination : 1;
        span = has_destination ? source_length : FIXED_ONE;
        if (__builtin_mul_overflow(source * per, (int64_t)scale, &axis->start))
            return false;
        axis->step = span * scale;
        axis->divisor = FIXED_ONE * per;
        axis->limit = has_destination ? destination : ceil_div(source_length, FIXED_ONE);
    } else if (has_destination) {
        *axis = (struct damage_axis){
            .step = length,
            .divisor = destination,
            .limit = destination,
        };
    } else {
        *axis = (struct damage_axis){
            .step = scale,
            .divisor = 1,
            .limit = ceil_div(length, scale),
        };
    }
    return !__builtin_mul_overflow(axis->limit, axis->step, &end) &&
           !__builtin_add_overflow(end, axis->start, &end);
}

void damage_map_init(struct damage_map *map, const struct damage_mapping *mapping, int32_t width,
                     int32_t height)
{
    bool turned = mapping->transform & 1;

    *map = (struct damage_map){
        .width = width,
        .height = height,
        .transform = mapping->transform,
    };
    map->whole = mapping->transform < 0 || mapping->transform > 7 ||
                 !axis_init(&map->x, turned ? height : width, mapping->scale, mapping->has_source,
                            mapping->source_x, mapping->source_width, mapping->has_destination,
                            mapping->width) ||
                 !axis_init(&map->y, turned ? width : height, mapping->scale, mapping->has_source,
                            mapping->source_y, mapping->source_height, mapping->has_destination,
                            mapping->height);
}

static bool axis_map(const struct damage_axis *axis, int32_t low, int32_t high, int32_t length,
                     int32_t *ret_low, int32_t *ret_high)
{
    int64_t first = low, end = high < axis->limit ? high : axis->limit;

    if (first >= end)
        return false;
    first = (axis->start + first * axis->step) / axis->divisor;
    end = ceil_div(axis->start + end * axis->step, axis->divisor);
    if (end > length)
        end = length;
    if (first >= end)
        return false;
    *ret_low = (int32_t)first;
    *ret_high = (int32_t)end;
    return true;
}

bool damage_map_box(const struct damage_map *map, const pixman_box32_t *surface,
                    pixman_box32_t *ret_buffer)
{
    bool turned = map->transform & 1;
    int32_t width = turned ? map->height : map->width; /* of the buffer, turned upright */
    int32_t height = turned ? map->width : map->height;
    pixman_box32_t box;

    if (map->whole) {
        *ret_buffer = (pixman_box32_t){0, 0, map->width, map->height};
        return map->width > 0 && map->height > 0;
    }
    if (!axis_map(&map->x, surface->x1, surface->x2, width, &box.x1, &box.x2) ||
        !axis_map(&map->y, surface->y1, surface->y2, height, &box.y1, &box.y2))
        return false;

    /* The content was mirrored left to right first (4…7), then turned counter-clockwise. */
    switch (map->transform) {
    case 0:
        *ret_buffer = box;
        break;
    case 1:
        *ret_buffer = (pixman_box32_t){box.y1, width - box.x2, box.y2, width - box.x1};
        break;
    case 2:
        *ret_buffer =
            (pixman_box32_t){width - box.x2, height - box.y2, width - box.x1, height - box.y1};
        break;
    case 3:
        *ret_buffer = (pixman_box32_t){height - box.y2, box.x1, height - box.y1, box.x2};
        break;
    case 4:
        *ret_buffer = (pixman_box32_t){width - box.x2, box.y1, width - box.x1, box.y2};
        break;
    case 5:
        *ret_buffer = (pixman_box32_t){box.y1, box.x1, box.y2, box.x2};
        break;
    case 6:
        *ret_buffer = (pixman_box32_t){box.x1, height - box.y2, box.x2, height - box.y1};
        break;
    case 7:
        *ret_buffer =
            (pixman_box32_t){height - box.y2, width - box.x2, height - box.y1, width - box.x1};
        break;
    }
    return true;
}

bool damage_mapping_equal(const struct damage_mapping *a, const struct damage_mapping *b)
{
    if (a->scale != b->scale || a->transform != b->transform || a->has_source != b->has_source ||
        a->has_destination != b->has_destination)
        return false;
    if (a->has_source &&
        (a->source_x != b->source_x || a->source_y != b->source_y ||
         a->source_width != b->source_width || a->source_height != b->source_height))
        return false;
    return !a->has_destination || (a->width == b->width && a->height == b->height);
}
