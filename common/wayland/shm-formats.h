/* SPDX-License-Identifier: MIT */
#pragma once
/* shm-formats: the formats of wl_shm that can be carried: where in a buffer's memory their pixels
 * are. A buffer in any other would be shown with a part of its bytes, so those are hidden. */
#include <stdint.h>

struct shm_format {
    uint32_t fourcc;
    uint8_t cpp; /* bytes per pixel; 0: it has planes, or several pixels have bytes in common */
    /* What lies behind the first plane (stride × height): so many planes with rows of
     * stride × @n / @d bytes, one for every @v rows of pixels. */
    uint8_t planes, n, d, v;
};

/* NULL: not known, or without a layout in plain memory. @format is one of wl_shm's. */
const struct shm_format *shm_format_find(uint32_t format);
/* Bytes of all planes. */
uint64_t shm_format_size(const struct shm_format *format, uint32_t stride, uint32_t height);
/* The DRM_FORMAT_* that is the same as @format, one of wl_shm's. */
uint32_t shm_format_fourcc(uint32_t format);
