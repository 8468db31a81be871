/* SPDX-License-Identifier: MIT */
#pragma once
/* wl-shm: the pools, buffers and screen copies of one Wayland connection, as both proxies keep
 * them. */
#include <stdbool.h>
#include <stdint.h>

#include "common/wayland/wl-objects.h"

struct memory;
struct relay;

enum wl_data_kind { WL_DATA_POOL = 1, WL_DATA_BUFFER, WL_DATA_CAPTURE, _WL_DATA_SHARED_N };

struct shm_pool {
    struct wl_data data;
    struct relay *relay;
    struct memory *memory;
    int32_t size;
    uint32_t shm;   /* the wl_shm that made it */
    bool elsewhere; /* guest: the host's pool of this id is of a buffer's own memory now */
    bool untold;    /* host: the compositor does not know it yet */
    bool spent;     /* host: it is a dmabuf there, of which a buffer was made */
};

/* A wl_buffer on a pool. It outlives its object while something shows it. */
struct memory_buffer {
    struct wl_data data;
    unsigned refs;
    unsigned captures; /* screen copies into it that are under way */
    uint32_t id;       /* the wl_buffer; 0 when destroyed */
    struct memory *memory;
    uint64_t offset;
    uint32_t width, height, stride, format;
    uint32_t cpp;                      /* bytes per pixel, 0 if unknown or planar */
    uint64_t extent;                   /* bytes from offset that a reader may look at */
    struct memory_buffer *prev, *next; /* memory's list */
    void (*released)(void *user, struct memory_buffer *buffer);
    void *user;
    void *shadow; /* guest-proxy: its copy in a resource of the GPU */
    void (*shadow_drop)(void *shadow);
};

/* A screen copy: the frame object, and the buffer it fills. */
struct shm_capture {
    struct wl_data data;
    struct memory_buffer *buffer;
};

/* A layout that lies within @pool_size, as libwayland's server requires; false otherwise (the
 * compositor answers it). */
bool shm_layout(struct memory_buffer *ret, uint64_t pool_size, int32_t offset, int32_t width,
                int32_t height, int32_t stride, uint32_t format);
/* On @memory, in its list; one reference. NULL: out of memory. @released is called when the last
 * reference goes, with the buffer out of the list already. */
struct memory_buffer *shm_buffer_create(struct memory *memory, const struct memory_buffer *layout,
                                        uint32_t id,
                                        void (*released)(void *user, struct memory_buffer *buffer),
                                        void *user);
struct memory_buffer *shm_buffer_ref(struct memory_buffer *buffer);
void shm_buffer_unref(struct memory_buffer *buffer); /* accepts NULL */
/* The same format's DRM_FORMAT_*. */
uint32_t shm_format_fourcc(uint32_t format);
/* Bytes per pixel of a wl_shm format, 0 if it is unknown or has planes; *ret_planes_percent: what
 * its planes take, in percent of stride × height. */
uint32_t shm_format_cpp(uint32_t format, unsigned *ret_planes_percent);
