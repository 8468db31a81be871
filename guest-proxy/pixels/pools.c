/* SPDX-License-Identifier: MIT */
/* pools: decides where a buffer's pixels are, and brings damage there. One resource per wl_buffer,
 * since a pool grows and a resource cannot. Where the client has sealed
 * its memfd against shrinking and the GPU's driver takes it, the resource is the client's own
 * memory, and nothing is copied but the few bytes in its last, incomplete page. Otherwise it is a
 * copy, to which a commit brings its damage; a client may shrink its file meanwhile (guard).
 *
 * For the host the resource is the memory of a pool of its own, from which the buffer is made: the
 * client's pool is destroyed there and made anew, with the same id, before each buffer. Buffers
 * outlive their pool, so the client does not notice. */
#include "guest-proxy/pixels/pools.h"

#include <errno.h>
#include <string.h>

#include "common/base/guard.h"
#include "common/base/memory.h"
#include "common/carrier/vfd-memory.h"
#include "common/wayland/inject.h"
#include "common/wayland/shm-formats.h"
#include "common/wayland/shm-pools.h"
#include "guest-proxy/pixels/pixels.h"

/* So much is copied here before the host is told, so that it copies one part while we copy the
 * next. What it has left to do at the end is one part, but telling takes time too. */
#define PART (2u << 20)

enum { POOL_IN_PLACE, POOL_ELSEWHERE }; /* shm_pool.told: whose memory the host's pool has */

static const struct buffer_backing_ops shadow_ops;

void pools_back(struct memory_buffer *b, struct shadow *s)
{
    s->backing.ops = &shadow_ops;
    b->backing = &s->backing;
}

/* The best there is. NULL: the pool's own memory has to do. */
static struct shadow *shadow_for(struct shadows *w, struct relay *r, struct memory *file,
                                 const struct memory_buffer *layout)
{
    struct shadow *s = shadow_find(w, file, layout->offset, layout->extent);
    if (s)
        return s;
    s = shadow_share(w, r, file, layout->offset, layout->extent);
    if (!s)
        s = shadow_create(w, r, layout->extent);
    if (s && shadow_become_memory(s, file, layout->offset) < 0) {
        shadow_drop(s);
        return NULL;
    }
    return s;
}

void pools_swap(struct relay *r, uint32_t shm, uint32_t pool, const struct memory *memory,
                uint64_t size)
{
    uint8_t messages[2 * INJECT_MAX];
    vfd_memory_hand_out(&r->carrier.vfds, memory);
    /* In one frame: the host knows by the second that the compositor's delete_id, which may come at
     * once, is not the client's to hear. */
    size_t n = inject_build_host(r, messages, pool, MSG_POOL_DESTROY);
    n += inject_build_host(r, messages + n, shm, MSG_SHM_CREATE_POOL, pool, (uint32_t)size);
    relay_inject_link(r, messages, n);
}

enum relay_verdict pools_place(struct relay *r, struct wl_message *m, struct shm_pool *pool,
                               struct memory_buffer *layout)
{
    const struct shm_format *known = layout ? shm_format_find(layout->format) : NULL;
    struct shadow *s = known && known->cpp == layout->cpp
                           ? shadow_for(&r->pixels->shadows, r, pool->memory, layout)
                           : NULL;
    if (s) {
        pools_swap(r, pool->shm, m->object, s->memory, s->memory->size);
        pool->told = POOL_ELSEWHERE;
        layout->memory = s->memory;
        layout->offset = s->start;
        pools_back(layout, s);
        wl_message_poke(m, WL_HEADER_SIZE + 4, (uint32_t)s->start);
    } else if (pool->told == POOL_ELSEWHERE) {
        pools_swap(r, pool->shm, m->object, pool->memory, (uint64_t)(uint32_t)pool->size);
        pool->told = POOL_IN_PLACE;
    }
    return RELAY_PASS;
}

enum relay_verdict pools_resize(struct relay *r, struct wl_message *m)
{
    const struct shm_pool *pool = relay_data(r, m->object, &shm_pool_type);
    return pool && pool->told == POOL_ELSEWHERE ? RELAY_DROP : RELAY_PASS;
}

enum relay_verdict pools_shm_release(struct relay *r, struct wl_message *m)
{
    (void)r;
    (void)m;
    return RELAY_DROP; /* the host's pools are made anew with it as long as there are any */
}

/* The rows, with what lies between them where that costs less than copying row by row. */
static int fill(const struct shadow *s, const struct memory_buffer *b,
                const struct link_mem_write *rect)
{
    const struct memory *file = b->memory->file ? b->memory->file : b->memory;
    uint64_t from = b->memory->base + rect->offset, size = rect->row;
    uint8_t *to = s->gpu.map + s->start + (rect->offset - b->offset);
    uint32_t parts = rect->rows;
    if (rect->row >= rect->stride / 2) {
        size += (uint64_t)(rect->rows - 1) * rect->stride;
        parts = 1;
    }
    if (from + (uint64_t)(parts - 1) * rect->stride + size > file->size)
        return -EFAULT;
    for (uint64_t i = 0; i < parts; i++) {
        int e = guard_copy(to + i * rect->stride, file->map + from + i * rect->stride, size,
                           file->map, file->size);
        if (e < 0)
            return e;
    }
    return 0;
}

/* What of @rect is in the page in which the client's file ends, which is not part of the resource.
 * The file is sealed. */
static void fill_tail(const struct shadow *s, const struct memory_buffer *b,
                      const struct link_mem_write *rect)
{
    uint64_t end = rect->offset + (uint64_t)(rect->rows - 1) * rect->stride + rect->row;
    uint64_t from = rect->offset > s->tail_at ? rect->offset : s->tail_at;
    if (from < end)
        memcpy(s->tail + (from - s->tail_at), memory_map(b->memory) + from, end - from);
}

/* Takes about @size bytes from the front of @left: whole rows of a buffer with @stride, also where
 * @left calls them one, as there is nothing between them. */
static struct link_mem_write take_part(struct link_mem_write *left, uint32_t stride, uint32_t size)
{
    struct link_mem_write part = *left;
    uint64_t rows = 1 + (size - 1) / stride, bytes = rows * stride;
    if (left->rows > 1) {
        part.rows = left->rows < rows ? left->rows : (uint32_t)rows;
        left->offset += (uint64_t)part.rows * left->stride;
        left->rows -= part.rows;
        return part;
    }
    part.row = part.stride = left->row < bytes ? left->row : (uint32_t)bytes;
    left->offset += part.row;
    left->row -= part.row;
    left->rows = left->row > 0;
    return part;
}

static int shadow_send(struct buffer_backing *backing, struct memory_buffer *b,
                       const struct link_mem_write *rect)
{
    struct shadow *s = (struct shadow *)backing;
    struct relay *r = s->relay;
    if (!shadow_serves(s))
        return -ESTALE;
    uint64_t end = rect->offset + (uint64_t)(rect->rows - 1) * rect->stride + rect->row;
    if (rect->offset < b->offset || end > b->offset + b->extent)
        return -ENOTSUP;
    if (s->tail)
        fill_tail(s, b, rect);
    for (struct link_mem_write left = *rect; left.rows > 0;) {
        struct link_mem_write part = take_part(&left, b->stride, s->gpu.map ? PART : UINT32_MAX);
        if (s->gpu.map && fill(s, b, &part) < 0)
            return -EFAULT;
        gpu_memory_copy(&r->carrier.gpu, b->memory, part, s->import,
                        s->start + (part.offset - b->offset), part.stride);
        if (left.rows > 0) /* the last goes with what follows */
            link_flush(r->carrier.ends.link);
    }
    return 0;
}

static void shadow_gone(struct buffer_backing *backing)
{
    shadow_retire((struct shadow *)backing);
}

static const struct buffer_backing_ops shadow_ops = {
    .name = "resource of ours", .send = shadow_send, .drop = shadow_gone};

int pools_send(struct relay *r, struct memory_buffer *b, const struct link_mem_write *rows)
{
    int e = b->backing ? b->backing->ops->send(b->backing, b, rows) : -ESTALE;
    if (e != -ESTALE)
        return e;
    /* The buffer is older than the binding to the GPU: its memory is filled from a new resource. */
    if (b->backing)
        b->backing->ops->drop(b->backing);
    struct shadow *s = r->pixels ? shadow_create(&r->pixels->shadows, r, b->extent) : NULL;
    b->backing = NULL;
    if (!s)
        return -ENOTSUP;
    pools_back(b, s);
    return shadow_send(b->backing, b, rows);
}

void pools_copied_back(struct relay *r, struct memory *memory, const struct link_mem_copy *copy)
{
    const struct link_mem_write *to = &copy->to;
    const struct shadow *s = LIST_FIRST(&r->pixels->shadows.all);
    while (s && (s->released || s->import != copy->import))
        s = LIST_NEXT(s, entry);
    uint64_t end = to->offset + (uint64_t)(to->rows - 1) * to->stride + to->row;
    if (!s || !memory->file || end > s->gpu.size)
        return;
    if (s->tail && end > s->tail_at)
        memory_store(memory, s->tail_at, s->tail, end - s->tail_at);
    for (uint64_t i = 0; i < to->rows && s->gpu.map; i++)
        if (memory_store(memory, to->offset + i * to->stride,
                         s->gpu.map + to->offset + i * to->stride, to->row) < 0)
            return; /* its file is shorter now: its own loss */
}
