/* SPDX-License-Identifier: MIT */
/* wl-shm: owns the list of live buffers of each memory (a note on it). What a buffer may make a
 * reader look at is reserved in its memory as long as it lives. */
#include "common/wayland/wl-shm.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/carrier/vfd-memory.h"
#include "common/wayland/shm-formats.h"

bool shm_layout(struct memory_buffer *ret, uint64_t pool_size, int32_t offset, int32_t width,
                int32_t height, int32_t stride, uint32_t format)
{
    if (offset < 0 || width <= 0 || height <= 0 || stride <= 0)
        return false;
    const struct shm_format *known = shm_format_find(format);
    uint32_t cpp = known ? known->cpp : 0;
    uint64_t size = (uint64_t)stride * (uint32_t)height;
    if ((uint64_t)offset + size > pool_size || width > stride)
        return false;
    if ((uint64_t)(uint32_t)width * cpp > (uint32_t)stride)
        cpp = 0; /* libwayland's server lets it pass: whoever reads it reads something else than
                    rows of pixels */
    uint64_t extent = known ? shm_format_size(known, (uint32_t)stride, (uint32_t)height) : size;
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
    LIST_HEAD(, memory_buffer) buffers, captured;
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

void shm_capture_begin(struct memory_buffer *b)
{
    if (!b->captures++)
        LIST_INSERT_HEAD(&buffers_of(b->memory)->captured, b, in_captured);
}

void shm_capture_end(struct memory_buffer *b)
{
    if (!--b->captures)
        LIST_REMOVE(b, in_captured);
}

bool shm_is_captured(const struct memory *memory, uint64_t offset, uint64_t end)
{
    const struct buffers_note *note = buffers_of(memory);
    const struct memory_buffer *b = note ? LIST_FIRST(&note->captured) : NULL;
    while (b && (offset < b->offset || end > b->offset + b->extent))
        b = LIST_NEXT(b, in_captured);
    return b;
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
    if (e == 0 && (e = budget_take(memory->budget, BUDGET_MEMORY, sizeof(*layout))) < 0)
        memory_unreserve(memory, layout->offset, layout->extent);
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
        budget_give(memory->budget, BUDGET_MEMORY, sizeof(*layout));
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
    budget_give(b->memory->budget, BUDGET_MEMORY, sizeof(*b));
    if (b->backing)
        b->backing->ops->drop(b->backing);
    b->released(b->user, b);
    free(b);
}
