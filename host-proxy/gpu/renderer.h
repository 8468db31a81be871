/* SPDX-License-Identifier: MIT */
#pragma once
/* renderer: who draws for the guest (3D), as the device sees it: somebody who is asked, answers
 * later, and may be gone at any time. Ids, boxes and sizes have been checked when it is asked; what
 * a stream of drawing commands says is its own to check. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/render.h"

struct renderer;

struct renderer_capset {
    uint32_t id, version, size;
};

/* Memory for one transfer, which the renderer has, too. */
struct renderer_stage {
    uint8_t *bytes;
    struct render_range range;
    bool whole; /* a memory of its own, and not a part of one for many */
};

/* Where the rows of a transfer are in the guest's memory of the resource. */
struct renderer_rows {
    uint64_t generation, cut; /* of that memory, and since when nobody wants it */
    uint64_t offset;
    uint32_t stride, layer_stride, height, depth;
    uint32_t size, end_size; /* bytes of a row; of the last one, which the memory may end in */
};

struct renderer_transfer {
    struct render_transfer what; /* its range: of @stage, or of a memory that was added */
    struct renderer_stage stage; /* @bytes NULL: none */
    struct renderer_rows rows;   /* with a stage */
    uint64_t ticket;             /* of an export, without one */
};

/* What a renderer tells; called from the loop. */
struct renderer_listener {
    /* Every fence up to @number is done. */
    void (*finished)(void *user, uint32_t number);
    /* @result: 0 or -errno. @transfer lives during the call, and its stage. */
    void (*transferred)(void *user, const struct renderer_transfer *transfer, int result);
    /* What was asked with @ticket: a descriptor (taken) with its layout, or -errno. */
    void (*exported)(void *user, uint64_t ticket, int fd, const struct render_layout *layout);
    /* It is gone with everything that it had, and all that it was asked for has been answered. */
    void (*lost)(void *user);
    /* It is not busy any more. */
    void (*rested)(void *user);
};

/* 0 or -errno where they return an int; -ENODEV: there is no renderer for a while. */
struct renderer_ops {
    /* Copies the set of capabilities, capset.size bytes of it. */
    void (*capset)(struct renderer *r, uint32_t id, uint32_t version, void *bytes);
    /* @capset: 0 or one of its capsets. */
    int (*context_create)(struct renderer *r, uint32_t id, uint32_t capset);
    void (*context_destroy)(struct renderer *r, uint32_t id);
    void (*context_attach)(struct renderer *r, uint32_t id, uint32_t resource);
    void (*context_detach)(struct renderer *r, uint32_t id, uint32_t resource);
    int (*resource_create)(struct renderer *r, const struct render_resource *resource);
    void (*resource_destroy)(struct renderer *r, uint32_t id);
    /* Memory for the next transfer(), which is to come before anything else is asked. */
    int (*stage)(struct renderer *r, uint64_t size, struct renderer_stage *ret);
    /* Takes the stage, on failure, too; transferred() tells of the end unless it fails here. */
    int (*transfer)(struct renderer *r, const struct renderer_transfer *transfer);
    int (*submit)(struct renderer *r, uint32_t context, const void *commands, uint32_t words);
    /* Has finished() called with this number once all that was asked before is done. Numbers count
     * up, and wrap. */
    int (*fence)(struct renderer *r, uint32_t context, uint32_t number);
    /* exported() tells, unless it fails here. */
    int (*export)(struct renderer *r, uint32_t id, uint64_t ticket);
    /* Lets it write into a memfd (borrowed) of at least @size bytes that cannot shrink. */
    int (*memory_add)(struct renderer *r, int fd, uint64_t size, uint32_t *ret_id);
    void (*memory_forget)(struct renderer *r, uint32_t id); /* also of a renderer that is gone */
    /* It has enough to do: whoever can wait asks again after rested(). */
    bool (*busy)(const struct renderer *r);
    void (*destroy)(struct renderer *r);
};

struct renderer {
    const struct renderer_ops *ops;
    const struct renderer_capset *capsets; /* always the same */
    unsigned n_capsets;
    /* Counts up when it is lost. What was made in another life is not there any more, and nothing
     * may be asked about it. */
    uint64_t life;
    const struct renderer_listener *listener; /* set by the device before the loop runs */
    void *user;
};
