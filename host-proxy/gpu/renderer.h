/* SPDX-License-Identifier: MIT */
#pragma once
/* renderer: who draws for the guest (3D): what the commands need of it. Ids, boxes and sizes have
 * been checked when it sees them; what a stream of drawing commands says is its own to check. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define RENDERER_PLANES_MAX 4

struct renderer;

struct renderer_capset {
    uint32_t id, version, size;
};

/* As in RESOURCE_CREATE_3D. */
struct renderer_resource {
    uint32_t id, target, format, bind, width, height, depth, array_size, last_level, nr_samples,
        flags;
};

struct renderer_box {
    uint32_t x, y, z, width, height, depth;
};

/* Between a level of a resource and memory: @iov, or (n_iov 0) what is attached to it. Row 0 begins
 * at @offset there. */
struct renderer_transfer {
    uint32_t id, context, level, stride, layer_stride;
    struct renderer_box box;
    uint64_t offset;
    const struct iovec *iov;
    unsigned n_iov;
    bool to_renderer;
};

/* How pixels lie in a descriptor's memory; the first row is the guest's first. */
struct renderer_layout {
    uint32_t fourcc; /* DRM_FORMAT_*, as the driver has it: the guest's may have another order */
    uint64_t modifier;
    uint32_t n_planes, offset[RENDERER_PLANES_MAX], stride[RENDERER_PLANES_MAX];
};

/* 0 or -errno where they return an int. */
struct renderer_ops {
    /* Copies the set of capabilities, capset.size bytes of it. */
    void (*capset)(struct renderer *r, uint32_t id, uint32_t version, void *bytes);
    /* @capset: 0 or one of its capsets. */
    int (*context_create)(struct renderer *r, uint32_t id, uint32_t capset);
    void (*context_destroy)(struct renderer *r, uint32_t id);
    void (*context_attach)(struct renderer *r, uint32_t id, uint32_t resource);
    void (*context_detach)(struct renderer *r, uint32_t id, uint32_t resource);
    int (*resource_create)(struct renderer *r, const struct renderer_resource *resource);
    void (*resource_destroy)(struct renderer *r, uint32_t id); /* its memory is detached before */
    /* The guest's memory of a resource; @iov is borrowed until detach(). */
    int (*attach)(struct renderer *r, uint32_t id, struct iovec *iov, unsigned n_iov);
    void (*detach)(struct renderer *r, uint32_t id);
    int (*transfer)(struct renderer *r, const struct renderer_transfer *transfer);
    /* @words of 32 bits; @commands is aligned to 8 bytes. */
    int (*submit)(struct renderer *r, uint32_t context, void *commands, uint32_t words);
    /* Has finished() called with this number once all that was asked before is done. Numbers count
     * up, and wrap. */
    int (*fence)(struct renderer *r, uint32_t context, uint32_t number);
    /* A descriptor (owned) of the resource's memory, and how it lies there; -ENOTSUP: cannot. */
    int (*export)(struct renderer *r, uint32_t id, struct renderer_layout *ret_layout);
    void (*destroy)(struct renderer *r);
};

struct renderer {
    const struct renderer_ops *ops;
    const struct renderer_capset *capsets;
    unsigned n_capsets;
    /* Every fence up to @number is done. Set by who asks for fences; called from the loop. */
    void (*finished)(void *user, uint32_t number);
    void *user;
};
