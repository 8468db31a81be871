/* SPDX-License-Identifier: MIT */
#pragma once
/* engine: who draws in the renderer's process: what the packets of the device need of it. Ids of
 * contexts and resources have been checked when it sees them, and so has the memory; what a stream
 * of drawing commands says is its own to check. */
#include <stddef.h>
#include <stdint.h>

#include "protocol/render.h"

struct engine;

struct engine_capset {
    uint32_t id, version, size;
};

/* 0 or -errno where they return an int. */
struct engine_ops {
    /* Copies the set of capabilities, capset.size bytes of it. */
    void (*capset)(struct engine *e, uint32_t id, uint32_t version, void *bytes);
    /* @capset: 0 or one of its capsets. */
    int (*context_create)(struct engine *e, uint32_t id, uint32_t capset);
    void (*context_destroy)(struct engine *e, uint32_t id);
    void (*context_attach)(struct engine *e, uint32_t id, uint32_t resource);
    void (*context_detach)(struct engine *e, uint32_t id, uint32_t resource);
    int (*resource_create)(struct engine *e, const struct render_resource *resource);
    void (*resource_destroy)(struct engine *e, uint32_t id);
    /* Between a box of a resource and @bytes, range.size of them; row 0 is at their begin. */
    int (*transfer)(struct engine *e, const struct render_transfer *transfer, void *bytes);
    /* @words of 32 bits; @commands is aligned to 8 bytes, and nobody else's. */
    int (*submit)(struct engine *e, uint32_t context, void *commands, uint32_t words);
    /* Has finished() called with this number once all that was asked before is done. Numbers count
     * up, and wrap. */
    int (*fence)(struct engine *e, uint32_t context, uint32_t number);
    /* A descriptor (owned) of the resource's memory, and how it lies there; -ENOTSUP: cannot. */
    int (*export)(struct engine *e, uint32_t id, struct render_layout *ret_layout);
    void (*destroy)(struct engine *e);
};

struct engine {
    const struct engine_ops *ops;
    const struct engine_capset *capsets;
    unsigned n_capsets;
    /* Every fence up to @number is done. Set by who asks for fences; called from the loop. */
    void (*finished)(void *user, uint32_t number);
    void *user;
};
