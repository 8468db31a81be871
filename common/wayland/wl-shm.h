/* SPDX-License-Identifier: MIT */
#pragma once
/* wl-shm: the buffers of shared memory of one Wayland connection, as both proxies keep them. */
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/wayland/wl-objects.h"
#include "protocol/frames.h"

struct memory;
struct memory_buffer;

/* guest: where a buffer's pixels are besides its memory; embedded first in who has them. */
struct buffer_backing {
    const struct buffer_backing_ops {
        const char *name;
        /* The host is to have these rows of the buffer's memory. 0; -ENOTSUP: they have to go as
         * bytes; -ESTALE: not from here any more; -EFAULT: the client's file is shorter. */
        int (*send)(struct buffer_backing *backing, struct memory_buffer *buffer,
                    const struct link_mem_write *rows);
        /* True: somebody is still drawing, and relay_wait() was said. NULL: nobody is. */
        bool (*wait)(struct buffer_backing *backing);
        /* A screen copy is in the buffer's memory. NULL: that is all. */
        void (*captured)(struct buffer_backing *backing, struct memory_buffer *buffer);
        void (*drop)(struct buffer_backing *backing); /* the buffer is gone */
    } * ops;
};

/* A wl_buffer in shared memory. It outlives its object while something shows it. */
struct memory_buffer {
    struct wl_data data;
    unsigned refs;
    unsigned captures; /* screen copies into it that are under way */
    uint32_t id;       /* the wl_buffer; 0 when destroyed */
    struct memory *memory;
    uint64_t offset;
    uint32_t width, height, stride, format;
    uint32_t cpp;    /* bytes per pixel; 0: pixels have no bytes of their own (shm-formats.h) */
    uint64_t extent; /* bytes from offset that a reader may look at */
    LIST_ENTRY(memory_buffer) in_memory, in_captured;
    void (*released)(void *user, struct memory_buffer *buffer);
    void *user;
    struct buffer_backing *backing; /* owned; NULL: none */
};

/* A layout that lies within @pool_size, as libwayland's server requires; false otherwise (the
 * compositor answers it). */
bool shm_layout(struct memory_buffer *ret, uint64_t pool_size, int32_t offset, int32_t width,
                int32_t height, int32_t stride, uint32_t format);
/* In @memory (which has a VFD), in its list; one reference. NULL: out of memory. @released is
 * called when the last reference goes, with the buffer out of the list already. */
struct memory_buffer *shm_buffer_create(struct memory *memory, const struct memory_buffer *layout,
                                        uint32_t id,
                                        void (*released)(void *user, struct memory_buffer *buffer),
                                        void *user);
struct memory_buffer *shm_buffer_ref(struct memory_buffer *buffer);
void shm_buffer_unref(struct memory_buffer *buffer); /* accepts NULL */
/* The live buffers in @memory: the first of them, and the one after @buffer; or NULL. */
struct memory_buffer *shm_first_buffer(const struct memory *memory);
static inline struct memory_buffer *shm_next_buffer(const struct memory_buffer *buffer)
{
    return LIST_NEXT(buffer, in_memory);
}
/* A screen copy into it begins, and one ends. */
void shm_capture_begin(struct memory_buffer *buffer);
void shm_capture_end(struct memory_buffer *buffer);
/* Whether a screen copy is under way into a buffer in @memory that has these bytes. */
bool shm_is_captured(const struct memory *memory, uint64_t offset, uint64_t end);
/* For struct memory_buffer's data. */
extern const struct wl_data_type shm_buffer_type;
