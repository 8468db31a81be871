/* SPDX-License-Identifier: MIT */
/* shm-pools: a pool has one use of its memory, and so has each buffer, which outlives its pool.
 * What is no valid layout passes: the compositor has the right words for it. */
#include "common/wayland/shm-pools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/carrier/vfd-memory.h"
#include "common/wayland/shm-formats.h"
#include "common/wayland/uncovered.h"

static void shm_pool_destroy(struct wl_data *data)
{
    struct shm_pool *pool = (struct shm_pool *)data;
    budget_give(pool->memory->budget, BUDGET_MEMORY, sizeof(*pool));
    relay_memory_unuse(pool->relay, pool->memory);
    free(pool);
}

const struct wl_data_type shm_pool_type = {.name = "wl_shm_pool", .destroy = shm_pool_destroy};

enum relay_verdict shm_pool_create(struct relay *r, const struct wl_message *m,
                                   struct memory *memory)
{
    int e = budget_take(memory->budget, BUDGET_MEMORY, sizeof(struct shm_pool));
    if (e < 0)
        return ends_scarce(&r->carrier.ends, "wl_shm.create_pool", e);
    struct shm_pool *pool = malloc(sizeof(*pool));
    if (!pool) {
        budget_give(memory->budget, BUDGET_MEMORY, sizeof(*pool));
        return relay_out_of_memory(r);
    }
    *pool = (struct shm_pool){.data = {.type = &shm_pool_type},
                              .relay = r,
                              .memory = memory,
                              .size = m->args[2].i,
                              .shm = m->object};
    vfd_memory_use(memory);
    relay_attach(r, m->args[0].u, &pool->data);
    return RELAY_PASS;
}

static void shm_buffer_released(void *user, struct memory_buffer *b)
{
    struct relay *r = user;
    const struct vfd_memory *vfd = vfd_memory(b->memory);
    if (relay_side(r) == CARRIER_GUEST && r->carrier.state != CARRIER_FINISHED && vfd->uses > 1 &&
        !vfd->import)
        uncovered_add(r, b);
    relay_memory_unuse(r, b->memory);
}

/* wl_shm.format(format), or a screen copy's. Of an unknown one nobody could say which bytes of a
 * buffer have to be there. */
enum relay_verdict shm_pool_format(struct relay *r, struct wl_message *m)
{
    if (shm_format_find(m->args[0].u))
        return RELAY_PASS;
    if (!r->formats_hidden)
        log_info(r->carrier.ends.subject, "hidden: wl_shm's format %#x, which we do not know",
                 m->args[0].u);
    r->formats_hidden = true;
    return RELAY_DROP;
}

enum relay_verdict shm_pool_create_buffer(struct relay *r, struct wl_message *m)
{
    struct shm_pool *pool = relay_data(r, m->object, &shm_pool_type);
    struct memory_buffer layout;
    if (r->formats_hidden && !shm_format_find(m->args[5].u)) /* as a compositor that lacks it */
        return relay_fail(r, LINK_ERROR_WAYLAND, m->object, WL_SHM_INVALID_FORMAT,
                          "wl_shm_pool#%u.create_buffer: format %#x is not offered", m->object,
                          m->args[5].u);
    bool fits = pool && shm_layout(&layout, (uint64_t)(uint32_t)pool->size, m->args[1].i,
                                   m->args[2].i, m->args[3].i, m->args[4].i, m->args[5].u);
    if (fits)
        layout.memory = pool->memory;
    if (pool && r->ops->place) {
        enum relay_verdict v = r->ops->place(r, m, pool, fits ? &layout : NULL);
        if (v != RELAY_PASS)
            return v;
    }
    if (!fits)
        return RELAY_PASS;
    layout.data = (struct wl_data){.lingers = memory_is_foreign(layout.memory)};
    struct memory_buffer *b =
        shm_buffer_create(layout.memory, &layout, m->args[0].u, shm_buffer_released, r);
    if (!b) {
        if (layout.backing)
            layout.backing->ops->drop(layout.backing);
        return errno == EDQUOT ? ends_scarce(&r->carrier.ends, "wl_shm_pool.create_buffer", -errno)
                               : relay_out_of_memory(r);
    }
    vfd_memory_use(b->memory);
    relay_attach(r, m->args[0].u, &b->data);
    return RELAY_PASS;
}

enum relay_verdict shm_pool_resize(struct relay *r, struct wl_message *m)
{
    struct shm_pool *pool = relay_data(r, m->object, &shm_pool_type);
    int32_t size = m->args[0].i;
    if (!pool || size < pool->size)
        return RELAY_PASS;
    if (relay_side(r) == CARRIER_HOST) {
        if ((uint64_t)size > pool->memory->size)
            return relay_fail(r, LINK_ERROR_PROTOCOL, 0, WL_DISPLAY_IMPLEMENTATION,
                              "wl_shm_pool.resize to %d beyond its memory", size);
    } else {
        if (vfd_memory_grow(&r->carrier.vfds, pool->memory, (uint32_t)size) < 0)
            return relay_out_of_memory(r);
    }
    pool->size = size;
    return RELAY_PASS;
}
