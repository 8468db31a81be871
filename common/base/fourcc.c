/* SPDX-License-Identifier: MIT */
/* One table of the formats that a picture of the VM's GPU can have; the functions only look into
 * it. A format that has no alpha channel at all stands for itself in both columns. */
#include "common/base/fourcc.h"

#include <stddef.h>

#include <drm_fourcc.h>

static const struct kind {
    uint32_t alpha, opaque, cpp;
    enum { BITS_8888, BITS_565, BITS_2101010, BITS_HALF_FLOAT } bits;
} kinds[] = {
    {DRM_FORMAT_ARGB8888, DRM_FORMAT_XRGB8888, 4, BITS_8888},
    {DRM_FORMAT_ABGR8888, DRM_FORMAT_XBGR8888, 4, BITS_8888},
    {DRM_FORMAT_RGBA8888, DRM_FORMAT_RGBX8888, 4, BITS_8888},
    {DRM_FORMAT_BGRA8888, DRM_FORMAT_BGRX8888, 4, BITS_8888},
    {DRM_FORMAT_RGB565, DRM_FORMAT_RGB565, 2, BITS_565},
    {DRM_FORMAT_BGR565, DRM_FORMAT_BGR565, 2, BITS_565},
    {DRM_FORMAT_ARGB2101010, DRM_FORMAT_XRGB2101010, 4, BITS_2101010},
    {DRM_FORMAT_ABGR2101010, DRM_FORMAT_XBGR2101010, 4, BITS_2101010},
    {DRM_FORMAT_ARGB16161616F, DRM_FORMAT_XRGB16161616F, 8, BITS_HALF_FLOAT},
    {DRM_FORMAT_ABGR16161616F, DRM_FORMAT_XBGR16161616F, 8, BITS_HALF_FLOAT},
};

static const struct kind *fourcc_find(uint32_t fourcc)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (kinds[i].alpha == fourcc || kinds[i].opaque == fourcc)
            return &kinds[i];
    return NULL;
}

uint32_t fourcc_with_alpha(uint32_t fourcc, bool alpha)
{
    const struct kind *k = fourcc_find(fourcc);
    return !k ? 0 : alpha ? k->alpha : k->opaque;
}

bool fourcc_has_alpha(uint32_t fourcc)
{
    const struct kind *k = fourcc_find(fourcc);
    return k && k->alpha == fourcc && k->opaque != fourcc;
}

uint32_t fourcc_cpp(uint32_t fourcc)
{
    const struct kind *k = fourcc_find(fourcc);
    return k ? k->cpp : 0;
}

bool fourcc_alike(uint32_t a, uint32_t b)
{
    const struct kind *x = fourcc_find(a), *y = fourcc_find(b);
    return x && y && x->bits == y->bits;
}
