/* SPDX-License-Identifier: MIT */
/* wl-shm: owns the list of live buffers of each memory (a note on it). What a buffer may make a
 * reader look at is reserved in its memory as long as it lives. */
#include "common/wayland/wl-shm.h"

#include <errno.h>
#include <stdlib.h>

#include <drm_fourcc.h>

#include "common/base/memory.h"
#include "common/carrier/vfd-memory.h"

uint32_t shm_format_fourcc(uint32_t format)
{
    return format == 0 ? DRM_FORMAT_ARGB8888 : format == 1 ? DRM_FORMAT_XRGB8888 : format;
}

uint32_t shm_format_cpp(uint32_t format, unsigned *ret_planes_percent)
{
    *ret_planes_percent = 100;
    switch (format) {
    case 0: /* wl_shm.format.argb8888, xrgb8888 */
    case 1:
    case DRM_FORMAT_XBGR8888:
    case DRM_FORMAT_RGBX8888:
    case DRM_FORMAT_BGRX8888:
    case DRM_FORMAT_ABGR8888:
    case DRM_FORMAT_RGBA8888:
    case DRM_FORMAT_BGRA8888:
    case DRM_FORMAT_XRGB2101010:
    case DRM_FORMAT_XBGR2101010:
    case DRM_FORMAT_RGBX1010102:
    case DRM_FORMAT_BGRX1010102:
    case DRM_FORMAT_ARGB2101010:
    case DRM_FORMAT_ABGR2101010:
    case DRM_FORMAT_RGBA1010102:
    case DRM_FORMAT_BGRA1010102:
        return 4;
    case DRM_FORMAT_RGB565:
    case DRM_FORMAT_BGR565:
    case DRM_FORMAT_XRGB4444:
    case DRM_FORMAT_ARGB4444:
    case DRM_FORMAT_XBGR4444:
    case DRM_FORMAT_ABGR4444:
    case DRM_FORMAT_RGBX4444:
    case DRM_FORMAT_RGBA4444:
    case DRM_FORMAT_BGRX4444:
    case DRM_FORMAT_BGRA4444:
    case DRM_FORMAT_XRGB1555:
    case DRM_FORMAT_ARGB1555:
    case DRM_FORMAT_XBGR1555:
    case DRM_FORMAT_ABGR1555:
    case DRM_FORMAT_RGBX5551:
    case DRM_FORMAT_RGBA5551:
    case DRM_FORMAT_BGRX5551:
    case DRM_FORMAT_BGRA5551:
    case DRM_FORMAT_R16:
    case DRM_FORMAT_GR88:
    case DRM_FORMAT_RG88:
        return 2;
    case DRM_FORMAT_RGB888:
    case DRM_FORMAT_BGR888:
        return 3;
    case DRM_FORMAT_C8:
    case DRM_FORMAT_R8:
    case DRM_FORMAT_RGB332:
    case DRM_FORMAT_BGR233:
        return 1;
    case DRM_FORMAT_XRGB16161616:
    case DRM_FORMAT_ARGB16161616:
    case DRM_FORMAT_XBGR16161616:
    case DRM_FORMAT_ABGR16161616:
    case DRM_FORMAT_XRGB16161616F:
    case DRM_FORMAT_ARGB16161616F:
    case DRM_FORMAT_XBGR16161616F:
    case DRM_FORMAT_ABGR16161616F:
        return 8;
    case DRM_FORMAT_NV12:
    case DRM_FORMAT_NV21:
    case DRM_FORMAT_YUV420:
    case DRM_FORMAT_YVU420:
    case DRM_FORMAT_P010:
    case DRM_FORMAT_P012:
    case DRM_FORMAT_P016:
        *ret_planes_percent = 150;
        return 0;
    case DRM_FORMAT_NV16:
    case DRM_FORMAT_NV61:
    case DRM_FORMAT_YUV422:
    case DRM_FORMAT_YVU422:
        *ret_planes_percent = 200;
        return 0;
    case DRM_FORMAT_NV24:
    case DRM_FORMAT_NV42:
    case DRM_FORMAT_YUV444:
    case DRM_FORMAT_YVU444:
        *ret_planes_percent = 300;
        return 0;
    default:
        return 0;
    }
}

bool shm_layout(struct memory_buffer *ret, uint64_t pool_size, int32_t offset, int32_t width,
                int32_t height, int32_t stride, uint32_t format)
{
    if (offset < 0 || width <= 0 || height <= 0 || stride <= 0)
        return false;
    unsigned percent;
    uint32_t cpp = shm_format_cpp(format, &percent);
    uint64_t size = (uint64_t)stride * (uint32_t)height;
    if ((uint64_t)offset + size > pool_size || width > stride)
        return false;
    if ((uint64_t)(uint32_t)width * cpp > (uint32_t)stride)
        cpp = 0; /* libwayland's server lets it pass: whoever reads it reads something else than
                    rows of pixels */
    uint64_t extent = size * percent / 100;
    if (extent > pool_size - (uint32_t)offset)
        extent = pool_size - (uint32_t)offset;
    *ret = (struct memory_buffer){.offset = (uint32_t)offset,
                                  .width = (uint32_t)width,
                                  .height = (uint32_t)height,
                                  .stride = (uint32_t)stride,
                                  .format = format,
                                  .cpp = cpp,
                                  .extent = extent};
    return true;
}

/* A memory's live buffers. */
struct buffers_note {
    struct memory_note note;
    LIST_HEAD(, memory_buffer) buffers;
};

static void buffers_destroy(struct memory_note *note)
{
    free(note);
}

static const struct memory_note_type buffers_type = {"wl_buffers", buffers_destroy};

static struct buffers_note *buffers_of(const struct memory *memory)
{
    return (struct buffers_note *)memory_note(memory, &buffers_type);
}

struct memory_buffer *shm_first_buffer(const struct memory *memory)
{
    const struct buffers_note *note = buffers_of(memory);
    return note ? LIST_FIRST(&note->buffers) : NULL;
}

static void buffer_object_gone(struct wl_data *data)
{
    struct memory_buffer *b = (struct memory_buffer *)data;
    b->id = 0;
    shm_buffer_unref(b);
}

const struct wl_data_type shm_buffer_type = {.name = "wl_buffer", .destroy = buffer_object_gone};

struct memory_buffer *shm_buffer_create(struct memory *memory, const struct memory_buffer *layout,
                                        uint32_t id,
                                        void (*released)(void *user, struct memory_buffer *buffer),
                                        void *user)
{
    struct buffers_note *note = buffers_of(memory);
    int e = memory_reserve(memory, layout->offset, layout->extent);
    if (e < 0) {
        errno = -e;
        return NULL;
    }
    struct memory_buffer *b = malloc(sizeof(*b));
    if (b && !note) {
        note = malloc(sizeof(*note));
        if (note) {
            *note = (struct buffers_note){.note.type = &buffers_type};
            memory_attach(memory, &note->note);
        }
    }
    if (!b || !note) {
        memory_unreserve(memory, layout->offset, layout->extent);
        free(b);
        errno = ENOMEM;
        return NULL;
    }
    *b = *layout;
    b->data.type = &shm_buffer_type;
    b->refs = 1;
    b->id = id;
    b->memory = memory;
    b->released = released;
    b->user = user;
    LIST_INSERT_HEAD(&note->buffers, b, in_memory);
    return b;
}

struct memory_buffer *shm_buffer_ref(struct memory_buffer *b)
{
    b->refs++;
    return b;
}

void shm_buffer_unref(struct memory_buffer *b)
{
    if (!b || --b->refs)
        return;
    LIST_REMOVE(b, in_memory);
    memory_unreserve(b->memory, b->offset, b->extent);
    if (b->backing)
        b->backing->ops->drop(b->backing);
    b->released(b->user, b);
    free(b);
}
