/* SPDX-License-Identifier: MIT */
/* host-memory: owns nothing. A rectangle of rows, as the client counts them, is one of pixels for
 * the renderer, which reads them back wherever they are and in whatever layout. */
#include "host-proxy/gpu/host-memory.h"

#include <unistd.h>

#include <drm_fourcc.h>

#include "common/base/fd.h"
#include "common/base/fourcc.h"
#include "host-proxy/gpu/mirror.h"
#include "host-proxy/gpu/renderer.h"
#include "host-proxy/gpu/resources.h"

/* What can be shown, or 0. virgl has more formats than virtio-gpu names. */
static uint32_t picture_fourcc(uint32_t format)
{
    static const struct {
        uint32_t format, fourcc;
    } more[] = {
        /* the first four are sRGB */
        {100, DRM_FORMAT_ARGB8888},     {101, DRM_FORMAT_XRGB8888},
        {104, DRM_FORMAT_ABGR8888},     {230, DRM_FORMAT_XBGR8888},
        {7, DRM_FORMAT_RGB565},         {8, DRM_FORMAT_ABGR2101010},
        {131, DRM_FORMAT_ARGB2101010},  {233, DRM_FORMAT_XRGB2101010},
        {94, DRM_FORMAT_ABGR16161616F}, {236, DRM_FORMAT_XBGR16161616F},
    };
    for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++) {
        if (more[i].format == format)
            return more[i].fourcc;
    }
    return resource_fourcc(format);
}

bool host_memory_is_picture(const struct resource *r)
{
    return r->drawn && r->drawn->is_picture && picture_fourcc(r->format);
}

/* What the driver's memory is to be read as, or 0: it cannot be what the guest means. The driver's
 * order of the channels is its own affair (BGRA textures often are RGBA ones): who reads the memory
 * by its name sees the same colours, as long as there are as many bits of each. */
static uint32_t read_as(uint32_t drivers, uint32_t guests)
{
    if (!fourcc_alike(drivers, guests))
        return 0;
    if (!fourcc_has_alpha(guests)) /* what is in the driver's alpha then, nobody says */
        return fourcc_with_alpha(drivers, false);
    return fourcc_has_alpha(drivers) ? drivers : 0;
}

/* The renderer's word on how its memory lies, against the size that the kernel tells. */
static bool fits(const struct render_layout *layout, const struct resource *r, int fd,
                 uint64_t *ret_size)
{
    uint32_t fourcc = picture_fourcc(r->format);
    off_t size = lseek(fd, 0, SEEK_END);
    if (size <= 0 || !read_as(layout->fourcc, fourcc) || layout->n_planes != 1 ||
        layout->stride[0] < r->width * fourcc_cpp(fourcc))
        return false;
    *ret_size = (uint64_t)size;
    /* Of a tiled one only the driver knows how much it takes. */
    return layout->modifier != DRM_FORMAT_MOD_LINEAR ||
           layout->offset[0] + (uint64_t)layout->stride[0] * (r->height - 1) +
                   r->width * fourcc_cpp(fourcc) <=
               *ret_size;
}

int host_memory_describe(const struct resource *r, int taken, const struct render_layout *layout,
                         struct export_buffer *buffer)
{
    uint32_t fourcc = picture_fourcc(r->format);
    _cleanup_(fd_closep) int fd = taken;
    buffer->memory = EXPORT_MEMORY_HOST;
    buffer->width = r->width;
    buffer->height = r->height;
    buffer->fourcc = fourcc;
    buffer->n_planes = 1;
    if (fd >= 0 && fits(layout, r, fd, &buffer->size)) {
        buffer->kind = EXPORT_KIND_DMABUF;
        buffer->reason = EXPORT_REASON_NONE;
        buffer->fourcc = read_as(layout->fourcc, fourcc);
        buffer->modifier = layout->modifier;
        buffer->offset[0] = layout->offset[0];
        buffer->stride[0] = layout->stride[0];
        return fd_steal(&fd);
    }
    buffer->kind = EXPORT_KIND_NONE;
    buffer->reason = EXPORT_REASON_REFUSED;
    buffer->modifier = DRM_FORMAT_MOD_LINEAR;
    buffer->offset[0] = 0;
    buffer->stride[0] = r->width * fourcc_cpp(fourcc);
    buffer->size = (uint64_t)buffer->stride[0] * r->height;
    return -1;
}

/* The pixels that a rectangle of rows means. False: not whole ones, or not within the picture. */
static bool pixels(const struct resource *r, uint64_t base, uint32_t offset, uint32_t stride,
                   const struct export_rect *rect, struct render_box *ret_box)
{
    if (base < offset)
        return false;
    uint32_t pixel = fourcc_cpp(picture_fourcc(r->format));
    uint64_t x = (base - offset) % stride + rect->x, y = (base - offset) / stride + rect->y;
    if (x % pixel || rect->width % pixel || x + rect->width > (uint64_t)r->width * pixel ||
        y + rect->height > r->height)
        return false;
    *ret_box = (struct render_box){.x = (uint32_t)(x / pixel),
                                   .y = (uint32_t)y,
                                   .width = rect->width / pixel,
                                   .height = rect->height,
                                   .depth = 1};
    return true;
}

enum export_status host_memory_copy(struct renderer *renderer, const struct resource *r,
                                    uint32_t offset, uint32_t stride, uint32_t memory,
                                    uint64_t size, const struct export_copy *copy, uint64_t ticket,
                                    unsigned *ret_asked)
{
    bool into = copy->flags & EXPORT_TO_GUEST;
    uint64_t base = into ? copy->target : copy->source,
             mirror_base = into ? copy->source : copy->target;
    uint32_t mirror_stride = into ? copy->source_stride : copy->target_stride;
    struct render_box box;
    *ret_asked = 0;
    if ((into ? copy->target_stride : copy->source_stride) != stride)
        return EXPORT_RANGE;
    for (uint32_t i = 0; i < copy->n_rects; i++) {
        if (!pixels(r, base, offset, stride, &copy->rects[i], &box) ||
            !mirror_within(&copy->rects[i], mirror_base, mirror_stride, size))
            return EXPORT_RANGE;
    }
    for (uint32_t i = 0; i < copy->n_rects; i++) {
        const struct export_rect *rect = &copy->rects[i];
        pixels(r, base, offset, stride, rect, &box);
        struct renderer_transfer transfer = {
            .what = {.resource = r->id,
                     .stride = mirror_stride,
                     .to_renderer = into,
                     .box = box,
                     .range = {memory, mirror_base + (uint64_t)rect->y * mirror_stride + rect->x,
                               (uint64_t)(rect->height - 1) * mirror_stride + rect->width}},
            .ticket = ticket,
        };
        if (renderer->ops->transfer(renderer, &transfer) < 0)
            return EXPORT_FAILED;
        ++*ret_asked;
    }
    return EXPORT_OK;
}
