/* SPDX-License-Identifier: MIT */
/* One table, of Linux's list of formats (drm_fourcc.h); those that the header may lack have their
 * codes here. Planes follow each other as compositors expect them, with rows as long as the first
 * plane's say. What is not in the table on purpose: formats that exist only in some device's tiles
 * (VUY101010, YUV420_8BIT, YUV420_10BIT). */
#include "common/wayland/shm-formats.h"

#include <stddef.h>

#include <drm_fourcc.h>

#define PACKED(name, bytes)                                                                        \
    {                                                                                              \
        .fourcc = DRM_FORMAT_##name, .cpp = (bytes)                                                \
    }
/* Several pixels in a byte, or bytes that several pixels need. */
#define BLOCKS(name)                                                                               \
    {                                                                                              \
        .fourcc = DRM_FORMAT_##name                                                                \
    }
#define PLANES(name, ...)                                                                          \
    {                                                                                              \
        DRM_FORMAT_##name, 0, __VA_ARGS__                                                          \
    }
/* The same for formats that are newer than the header. */
#define NEW_PACKED(a, b, c, d, bytes)                                                              \
    {                                                                                              \
        .fourcc = fourcc_code(a, b, c, d), .cpp = (bytes)                                          \
    }
#define NEW_BLOCKS(a, b, c, d)                                                                     \
    {                                                                                              \
        .fourcc = fourcc_code(a, b, c, d)                                                          \
    }
#define NEW_PLANES(a, b, c, d, ...)                                                                \
    {                                                                                              \
        fourcc_code(a, b, c, d), 0, __VA_ARGS__                                                    \
    }

/* Both colours in one plane; each in a plane of its own. For every so many pixels, × rows. */
#define PAIRS_2X2 1, 1, 1, 2
#define PAIRS_2X1 1, 1, 1, 1
#define PAIRS_1X1 1, 2, 1, 1
#define EACH_4X4 2, 1, 4, 4
#define EACH_4X1 2, 1, 4, 1
#define EACH_2X2 2, 1, 2, 2
#define EACH_2X1 2, 1, 2, 1
#define EACH_1X1 2, 1, 1, 1
/* A byte of alpha for each pixel of so many bytes. */
#define ALPHA(bytes) 1, 1, bytes, 1

static const struct shm_format formats[] = {
    /* a byte or less */
    PACKED(C8, 1),
    PACKED(R8, 1),
    PACKED(RGB332, 1),
    PACKED(BGR233, 1),
    NEW_PACKED('D', '8', ' ', ' ', 1),
    NEW_PACKED('G', 'R', 'E', 'Y', 1),
    NEW_BLOCKS('C', '1', ' ', ' '),
    NEW_BLOCKS('C', '2', ' ', ' '),
    NEW_BLOCKS('C', '4', ' ', ' '),
    NEW_BLOCKS('D', '1', ' ', ' '),
    NEW_BLOCKS('D', '2', ' ', ' '),
    NEW_BLOCKS('D', '4', ' ', ' '),
    NEW_BLOCKS('R', '1', ' ', ' '),
    NEW_BLOCKS('R', '2', ' ', ' '),
    NEW_BLOCKS('R', '4', ' ', ' '),
    /* two */
    PACKED(R10, 2),
    PACKED(R12, 2),
    PACKED(R16, 2),
    PACKED(RG88, 2),
    PACKED(GR88, 2),
    PACKED(XRGB4444, 2),
    PACKED(XBGR4444, 2),
    PACKED(RGBX4444, 2),
    PACKED(BGRX4444, 2),
    PACKED(ARGB4444, 2),
    PACKED(ABGR4444, 2),
    PACKED(RGBA4444, 2),
    PACKED(BGRA4444, 2),
    PACKED(XRGB1555, 2),
    PACKED(XBGR1555, 2),
    PACKED(RGBX5551, 2),
    PACKED(BGRX5551, 2),
    PACKED(ARGB1555, 2),
    PACKED(ABGR1555, 2),
    PACKED(RGBA5551, 2),
    PACKED(BGRA5551, 2),
    PACKED(RGB565, 2),
    PACKED(BGR565, 2),
    NEW_PACKED('R', ' ', ' ', 'H', 2),
    /* three */
    PACKED(RGB888, 3),
    PACKED(BGR888, 3),
    PACKED(VUY888, 3),
    /* four */
    PACKED(RG1616, 4),
    PACKED(GR1616, 4),
    PACKED(XRGB8888, 4),
    PACKED(XBGR8888, 4),
    PACKED(RGBX8888, 4),
    PACKED(BGRX8888, 4),
    PACKED(ARGB8888, 4),
    PACKED(ABGR8888, 4),
    PACKED(RGBA8888, 4),
    PACKED(BGRA8888, 4),
    PACKED(XRGB2101010, 4),
    PACKED(XBGR2101010, 4),
    PACKED(RGBX1010102, 4),
    PACKED(BGRX1010102, 4),
    PACKED(ARGB2101010, 4),
    PACKED(ABGR2101010, 4),
    PACKED(RGBA1010102, 4),
    PACKED(BGRA1010102, 4),
    PACKED(AYUV, 4),
    PACKED(XYUV8888, 4),
    PACKED(Y410, 4),
    PACKED(XVYU2101010, 4),
    NEW_PACKED('A', 'V', 'U', 'Y', 4),
    NEW_PACKED('X', 'V', 'U', 'Y', 4),
    NEW_PACKED('X', 'Y', '3', '0', 4),
    NEW_PACKED('G', 'R', ' ', 'H', 4),
    NEW_PACKED('R', ' ', ' ', 'F', 4),
    /* six */
    NEW_PACKED('R', 'G', '4', '8', 6),
    NEW_PACKED('B', 'G', '4', '8', 6),
    NEW_PACKED('B', 'G', 'R', 'H', 6),
    /* eight and more */
    PACKED(XRGB16161616, 8),
    PACKED(XBGR16161616, 8),
    PACKED(ARGB16161616, 8),
    PACKED(ABGR16161616, 8),
    PACKED(XRGB16161616F, 8),
    PACKED(XBGR16161616F, 8),
    PACKED(ARGB16161616F, 8),
    PACKED(ABGR16161616F, 8),
    PACKED(AXBXGXRX106106106106, 8),
    PACKED(Y412, 8),
    PACKED(Y416, 8),
    PACKED(XVYU12_16161616, 8),
    PACKED(XVYU16161616, 8),
    NEW_PACKED('G', 'R', ' ', 'F', 8),
    NEW_PACKED('B', 'G', 'R', 'F', 12),
    NEW_PACKED('A', 'B', '8', 'F', 16),
    /* pixels that share colours or words, or tiles of 2 × 2 */
    BLOCKS(YUYV),
    BLOCKS(YVYU),
    BLOCKS(UYVY),
    BLOCKS(VYUY),
    BLOCKS(Y210),
    BLOCKS(Y212),
    BLOCKS(Y216),
    BLOCKS(Y0L0),
    BLOCKS(X0L0),
    BLOCKS(Y0L2),
    BLOCKS(X0L2),
    NEW_BLOCKS('Y', 'P', 'A', '4'),
    /* two planes */
    PLANES(XRGB8888_A8, ALPHA(4)),
    PLANES(XBGR8888_A8, ALPHA(4)),
    PLANES(RGBX8888_A8, ALPHA(4)),
    PLANES(BGRX8888_A8, ALPHA(4)),
    PLANES(RGB888_A8, ALPHA(3)),
    PLANES(BGR888_A8, ALPHA(3)),
    PLANES(RGB565_A8, ALPHA(2)),
    PLANES(BGR565_A8, ALPHA(2)),
    PLANES(NV12, PAIRS_2X2),
    PLANES(NV21, PAIRS_2X2),
    PLANES(NV15, PAIRS_2X2),
    PLANES(P010, PAIRS_2X2),
    PLANES(P012, PAIRS_2X2),
    PLANES(P016, PAIRS_2X2),
    PLANES(P030, PAIRS_2X2),
    PLANES(NV16, PAIRS_2X1),
    PLANES(NV61, PAIRS_2X1),
    PLANES(P210, PAIRS_2X1),
    NEW_PLANES('N', 'V', '2', '0', PAIRS_2X1),
    NEW_PLANES('P', '2', '3', '0', PAIRS_2X1),
    PLANES(NV24, PAIRS_1X1),
    PLANES(NV42, PAIRS_1X1),
    NEW_PLANES('N', 'V', '3', '0', PAIRS_1X1),
    /* three */
    PLANES(YUV410, EACH_4X4),
    PLANES(YVU410, EACH_4X4),
    PLANES(YUV411, EACH_4X1),
    PLANES(YVU411, EACH_4X1),
    PLANES(YUV420, EACH_2X2),
    PLANES(YVU420, EACH_2X2),
    PLANES(YUV422, EACH_2X1),
    PLANES(YVU422, EACH_2X1),
    PLANES(YUV444, EACH_1X1),
    PLANES(YVU444, EACH_1X1),
    PLANES(Q410, EACH_1X1),
    PLANES(Q401, EACH_1X1),
    NEW_PLANES('S', '0', '1', '0', EACH_2X2),
    NEW_PLANES('S', '2', '1', '0', EACH_2X1),
    NEW_PLANES('S', '4', '1', '0', EACH_1X1),
    NEW_PLANES('S', '0', '1', '2', EACH_2X2),
    NEW_PLANES('S', '2', '1', '2', EACH_2X1),
    NEW_PLANES('S', '4', '1', '2', EACH_1X1),
    NEW_PLANES('S', '0', '1', '6', EACH_2X2),
    NEW_PLANES('S', '2', '1', '6', EACH_2X1),
    NEW_PLANES('S', '4', '1', '6', EACH_1X1),
    NEW_PLANES('T', '4', '3', '0', EACH_1X1),
};

const struct shm_format *shm_format_find(uint32_t format)
{
    uint32_t fourcc = shm_format_fourcc(format) & ~DRM_FORMAT_BIG_ENDIAN;
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (formats[i].fourcc == fourcc)
            return &formats[i];
    return NULL;
}

uint64_t shm_format_size(const struct shm_format *f, uint32_t stride, uint32_t height)
{
    uint64_t first = (uint64_t)stride * height;
    if (!f->planes)
        return first;
    uint64_t row = ((uint64_t)stride * f->n + f->d - 1) / f->d,
             rows = ((uint64_t)height + f->v - 1) / f->v;
    return first + f->planes * row * rows;
}

uint32_t shm_format_fourcc(uint32_t format)
{
    return format == 0 ? DRM_FORMAT_ARGB8888 : format == 1 ? DRM_FORMAT_XRGB8888 : format;
}
