/* SPDX-License-Identifier: MIT */
/* dmabuf: owns a client's planes as long as its wl_buffer is shown. Three ways to the pixels of a
 * dmabuf, the best that works: the host reads the client's pages, since the GPU's driver has (or
 * makes) a resource of them; they are copied from a mapping into a resource of our own; or they go
 * over the link. */
#include "guest-proxy/pixels/dmabuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <drm_fourcc.h>
#include <linux/dma-buf.h>

#include "common/base/fd.h"
#include "common/base/fdinfo.h"
#include "common/base/fence.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/carrier/vfd-memory.h"
#include "common/wayland/relay.h"
#include "guest-proxy/pixels/pixels.h"

#define FENCE_MS 2000 /* that a client's GPU may take for what it has committed */

struct source {
    struct dmabuf_plane plane;
    struct shadow *shadow; /* NULL: none (any more) */
    const uint8_t *map;    /* NULL: the shadow is the client's own memory */
};

struct dmabuf {
    struct buffer_backing backing;
    struct relay *relay;
    unsigned n;
    struct source source[DMABUF_PLANES_MAX];
    struct fence fence;
    bool impatient;
};

static const struct dmabuf_format formats[] = {
    {DRM_FORMAT_ARGB8888, 0, 1, {4, 0}},
    {DRM_FORMAT_XRGB8888, 1, 1, {4, 0}},
    {DRM_FORMAT_ABGR8888, DRM_FORMAT_ABGR8888, 1, {4, 0}},
    {DRM_FORMAT_XBGR8888, DRM_FORMAT_XBGR8888, 1, {4, 0}},
    {DRM_FORMAT_RGBA8888, DRM_FORMAT_RGBA8888, 1, {4, 0}},
    {DRM_FORMAT_RGBX8888, DRM_FORMAT_RGBX8888, 1, {4, 0}},
    {DRM_FORMAT_BGRA8888, DRM_FORMAT_BGRA8888, 1, {4, 0}},
    {DRM_FORMAT_BGRX8888, DRM_FORMAT_BGRX8888, 1, {4, 0}},
    {DRM_FORMAT_RGB565, DRM_FORMAT_RGB565, 1, {2, 0}},
    {DRM_FORMAT_ARGB2101010, DRM_FORMAT_ARGB2101010, 1, {4, 0}},
    {DRM_FORMAT_XRGB2101010, DRM_FORMAT_XRGB2101010, 1, {4, 0}},
    {DRM_FORMAT_ABGR2101010, DRM_FORMAT_ABGR2101010, 1, {4, 0}},
    {DRM_FORMAT_XBGR2101010, DRM_FORMAT_XBGR2101010, 1, {4, 0}},
    {DRM_FORMAT_ABGR16161616F, DRM_FORMAT_ABGR16161616F, 1, {8, 0}},
    {DRM_FORMAT_XBGR16161616F, DRM_FORMAT_XBGR16161616F, 1, {8, 0}},
    {DRM_FORMAT_NV12, DRM_FORMAT_NV12, 2, {1, 2}},
    {DRM_FORMAT_P010, DRM_FORMAT_P010, 2, {2, 4}},
};

const struct dmabuf_format *dmabuf_format(uint32_t fourcc)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (formats[i].fourcc == fourcc)
            return &formats[i];
    return NULL;
}

const struct dmabuf_format *dmabuf_format_of_shm(uint32_t shm)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (formats[i].shm == shm)
            return &formats[i];
    return NULL;
}

static void dmabuf_drop(struct buffer_backing *backing)
{
    struct dmabuf *d = (struct dmabuf *)backing;
    fence_forget(&d->fence);
    for (unsigned i = 0; i < d->n; i++) {
        struct source *s = &d->source[i];
        if (s->shadow)
            shadow_drop(s->shadow);
        if (s->map)
            munmap((void *)s->map, s->plane.size);
        fd_close(s->plane.fd);
    }
    free(d);
}

/* A mapping of anything else could be made shorter while we read it, or make us wait for a file
 * system that is a client's; so could asking it. */
uint64_t dmabuf_size(int fd)
{
    struct dmabuf_info info;
    return dmabuf_inspect(fd, &info) == 0 ? info.size : 0;
}

/* Makes the plane readable here. */
static bool map_plane(struct source *s)
{
    if (s->map)
        return true;
    void *map = mmap(NULL, s->plane.size, PROT_READ, MAP_SHARED, s->plane.fd, 0);
    s->map = map == MAP_FAILED ? NULL : map;
    return s->map != NULL;
}

static const struct buffer_backing_ops dmabuf_ops;

int dmabuf_create(struct relay *r, struct dmabuf_plane *planes, unsigned n_planes,
                  struct memory_buffer *layout)
{
    struct shadows *w = &r->pixels->shadows;
    struct dmabuf *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->backing.ops = &dmabuf_ops;
    d->relay = r;
    for (; d->n < n_planes; d->n++) {
        struct source *s = &d->source[d->n];
        s->plane = planes[d->n];
        s->plane.fd = fd_steal(&planes[d->n].fd);
        s->shadow = shadow_import(w, r, s->plane.fd, s->plane.size);
        if (!s->shadow && !map_plane(s)) {
            d->n++;
            dmabuf_drop(&d->backing);
            return -ENOTSUP;
        }
        if (!s->shadow)
            s->shadow = shadow_create(w, r, s->plane.size);
    }
    /* Compositors want the last row to be as long as the others. */
    bool whole = planes[0].offset + layout->extent <= planes[0].size;
    struct shadow *only = n_planes == 1 && whole ? d->source[0].shadow : NULL;
    if (only && shadow_become_memory(only, NULL, 0) == 0) {
        layout->memory = only->memory;
        layout->offset = planes[0].offset;
    }
    layout->backing = &d->backing;
    return 0;
}

/* Brings rows of the plane to where the host can have them. */
static void dmabuf_copy_rows(struct source *s, uint8_t *to, uint64_t from,
                             const struct link_mem_write *rect, uint32_t from_stride)
{
    struct dma_buf_sync sync = {.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ};
    ioctl(s->plane.fd, DMA_BUF_IOCTL_SYNC, &sync);
    for (uint64_t y = 0; y < rect->rows; y++)
        memcpy(to + y * rect->stride, s->map + from + y * from_stride, rect->row);
    sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ;
    ioctl(s->plane.fd, DMA_BUF_IOCTL_SYNC, &sync);
}

/* @from: where the first row of @rect (in the buffer's memory) is in the plane's dmabuf. */
static int send_rows(const struct dmabuf *d, struct memory *memory, struct source *s,
                     const struct link_mem_write *rect, uint64_t from, uint32_t from_stride)
{
    if (s->shadow && !shadow_serves(s->shadow)) {
        shadow_drop(s->shadow);
        s->shadow = NULL;
    }
    if (s->shadow && !s->map) {
        gpu_memory_copy(&d->relay->carrier.gpu, memory, *rect, s->shadow->import, from,
                        from_stride);
        return 0;
    }
    if (!map_plane(s)) /* it could be read when it was new */
        return -EFAULT;
    if (s->shadow) {
        struct link_mem_write same = *rect;
        same.stride = from_stride;
        dmabuf_copy_rows(s, s->shadow->gpu.map + from, from, &same, from_stride);
        gpu_memory_copy(&d->relay->carrier.gpu, memory, *rect, s->shadow->import, from,
                        from_stride);
        return 0;
    }
    dmabuf_copy_rows(s, memory->map + rect->offset, from, rect, from_stride);
    vfd_memory_send(&d->relay->carrier.vfds, memory, *rect, 0);
    return 0;
}

static int dmabuf_send(struct buffer_backing *backing, struct memory_buffer *b,
                       const struct link_mem_write *rect)
{
    struct dmabuf *d = (struct dmabuf *)backing;
    int e = 0;
    if (d->n == 1) { /* the memory has the client's layout */
        struct source *s = &d->source[0];
        uint64_t from = s->plane.offset + (rect->offset - b->offset);
        return send_rows(d, b->memory, s, rect, from, rect->stride);
    }
    for (unsigned i = 0; i < d->n && e == 0; i++) {
        struct source *s = &d->source[i];
        struct link_mem_write all = {.offset = s->plane.to,
                                     .row = s->plane.row,
                                     .rows = s->plane.rows,
                                     .stride = s->plane.to_stride};
        e = send_rows(d, b->memory, s, &all, s->plane.offset, s->plane.stride);
    }
    return e;
}

static void dmabuf_captured(struct buffer_backing *backing, struct memory_buffer *b)
{
    struct dmabuf *d = (struct dmabuf *)backing;
    struct source *s = &d->source[0];
    const struct dmabuf_plane *p = &s->plane;
    bool shared = s->shadow && s->shadow->memory == b->memory;
    if (d->n != 1 || (shared && !s->map)) /* the host wrote into the client's own pages */
        return;
    const uint8_t *from = shared ? s->shadow->gpu.map + p->offset : b->memory->map + b->offset;
    uint8_t *to = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
    if (to == MAP_FAILED) {
        log_warn(d->relay->carrier.ends.subject,
                 "a screen copy is lost: its dmabuf cannot be written: %s", strerror(errno));
        return;
    }
    struct dma_buf_sync sync = {.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE};
    ioctl(p->fd, DMA_BUF_IOCTL_SYNC, &sync);
    for (uint64_t y = 0; y < p->rows; y++)
        memcpy(to + p->offset + y * p->stride, from + y * p->stride, p->row);
    sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE;
    ioctl(p->fd, DMA_BUF_IOCTL_SYNC, &sync);
    munmap(to, p->size);
}

static void drawn(void *user, bool signalled)
{
    struct dmabuf *d = user;
    if (!signalled)
        log_warn(d->relay->carrier.ends.subject,
                 "a buffer was not drawn within %d s; it is shown as it is", FENCE_MS / 1000);
    d->impatient = !signalled;
    relay_wait_over(d->relay);
}

static bool dmabuf_wait(struct buffer_backing *backing)
{
    struct dmabuf *d = (struct dmabuf *)backing;
    if (d->impatient) {
        d->impatient = false; /* the next frame has its own time */
        return false;
    }
    for (unsigned i = 0; i < d->n; i++) {
        if (!fence_wait(&d->fence, d->relay->carrier.ends.loop, d->source[i].plane.fd, FENCE_MS,
                        drawn, d))
            continue;
        relay_wait(d->relay);
        return true;
    }
    return false;
}

static const struct buffer_backing_ops dmabuf_ops = {.name = "dmabuf",
                                                     .send = dmabuf_send,
                                                     .wait = dmabuf_wait,
                                                     .captured = dmabuf_captured,
                                                     .drop = dmabuf_drop};
