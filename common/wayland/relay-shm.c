/* SPDX-License-Identifier: MIT */
/* Pools, buffers and screen copies, as far as both proxies keep them. */
#include <stdlib.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/wayland/relay-private.h"

/* Where a buffer was that nothing shows any more. The compositor may still show it, until it has
 * read the messages so far: the answer to a later one tells that it has. */
struct relay_range {
    struct relay_range *next; /* older */
    struct memory *memory;    /* a reference */
    uint64_t offset, end;
    uint32_t mark; /* the compositor frees this id when it has read so far; 0: none yet */
    bool sure;     /* at once, rather than when something else happens */
};

static void pool_destroy(struct wl_data *data)
{
    struct shm_pool *pool = (struct shm_pool *)data;
    relay_memory_unuse(pool->relay, pool->memory);
    free(pool);
}

static enum relay_verdict out_of_memory(struct relay *r)
{
    relay_fail(r, LINK_ERROR_INTERNAL, 0, WL_DISPLAY_NO_MEMORY, "out of memory");
    return RELAY_END;
}

enum relay_verdict relay_shm_create_pool(struct relay *r, const struct wl_message *m,
                                         struct memory *memory)
{
    struct shm_pool *pool = malloc(sizeof(*pool));
    if (!pool)
        return out_of_memory(r);
    *pool = (struct shm_pool){.data = {.kind = WL_DATA_POOL, .destroy = pool_destroy},
                              .relay = r,
                              .memory = memory,
                              .size = m->args[2].i,
                              .shm = m->object};
    relay_memory_use(memory);
    relay_attach(r, m->args[0].u, &pool->data);
    return RELAY_PASS;
}

static void buffer_destroy(struct wl_data *data)
{
    struct memory_buffer *b = (struct memory_buffer *)data;
    b->id = 0;
    shm_buffer_unref(b);
}

static void buffer_released(void *user, struct memory_buffer *b)
{
    struct relay *r = user;
    if (r->side == RELAY_GUEST && !r->finished && b->memory->users > 1 && !b->memory->import) {
        struct relay_range *range = malloc(sizeof(*range));
        if (range) { /* without it, the host keeps pages that nobody needs */
            *range = (struct relay_range){.next = r->uncovered,
                                          .memory = memory_ref(b->memory),
                                          .offset = b->offset,
                                          .end = b->offset + b->extent};
            r->uncovered = range;
        }
    }
    relay_memory_unuse(r, b->memory);
}

static enum relay_verdict create_buffer(struct relay *r, struct wl_message *m)
{
    struct shm_pool *pool = relay_data(r, m->object, WL_DATA_POOL);
    struct memory_buffer layout;
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
        return RELAY_PASS; /* the compositor has the right words for it */
    if (r->ops->charge && !r->ops->charge(r, layout.extent)) {
        relay_fail(
            r, LINK_ERROR_LIMIT, 0, WL_DISPLAY_NO_MEMORY,
            "memory limit: a buffer of %llu bytes is more than the VM may mirror (max-memory)",
            (unsigned long long)layout.extent);
        return RELAY_END;
    }
    layout.data = (struct wl_data){
        .kind = WL_DATA_BUFFER, .destroy = buffer_destroy, .lingers = layout.memory->shared};
    struct memory_buffer *b =
        shm_buffer_create(layout.memory, &layout, m->args[0].u, buffer_released, r);
    if (!b) {
        if (layout.shadow)
            layout.shadow_drop(layout.shadow);
        return out_of_memory(r);
    }
    relay_memory_use(b->memory);
    relay_attach(r, m->args[0].u, &b->data);
    return RELAY_PASS;
}

static enum relay_verdict resize_pool(struct relay *r, const struct wl_message *m)
{
    struct shm_pool *pool = relay_data(r, m->object, WL_DATA_POOL);
    int32_t size = m->args[0].i;
    if (!pool || size < pool->size)
        return RELAY_PASS; /* a protocol error that the compositor answers */
    if (r->side == RELAY_HOST) {
        if ((uint64_t)size > pool->memory->size) {
            relay_fail(r, LINK_ERROR_PROTOCOL, 0, WL_DISPLAY_IMPLEMENTATION,
                       "wl_shm_pool.resize to %d beyond its memory", size);
            return RELAY_END;
        }
    } else {
        if (memory_truncated(pool->memory, (uint32_t)size)) {
            relay_fail(r, LINK_ERROR_WAYLAND, m->object, WL_SHM_INVALID_FD,
                       "wl_shm_pool#%u.resize: %d bytes are more than the file has", m->object,
                       size);
            return RELAY_END;
        }
        uint64_t before = pool->memory->size;
        if (memory_grow(pool->memory, (uint32_t)size) < 0)
            return out_of_memory(r);
        if (pool->memory->size > before) {
            struct link_mem_size grown = {pool->memory->id, pool->memory->size};
            link_queue(r->link, link_mem_size_encode, &grown);
        }
    }
    pool->size = size;
    return pool->elsewhere ? RELAY_DROP : RELAY_PASS;
}

static void capture_destroy(struct wl_data *data)
{
    struct shm_capture *c = (struct shm_capture *)data;
    c->buffer->captures--;
    shm_buffer_unref(c->buffer);
    free(c);
}

/* zwlr_screencopy_frame_v1.copy, ext_image_copy_capture_frame_v1.attach_buffer: the buffer comes
 * first. */
static enum relay_verdict capture_buffer(struct relay *r, const struct wl_message *m)
{
    struct memory_buffer *b = relay_data(r, m->args[0].u, WL_DATA_BUFFER);
    if (!b)
        return RELAY_PASS;
    struct shm_capture *c = malloc(sizeof(*c));
    if (!c)
        return out_of_memory(r);
    *c = (struct shm_capture){.data = {.kind = WL_DATA_CAPTURE, .destroy = capture_destroy},
                              .buffer = shm_buffer_ref(b)};
    b->captures++;
    relay_attach(r, m->object, &c->data);
    return RELAY_PASS;
}

/* The compositor has filled the buffer: the client's file gets the pixels before it hears so. */
static enum relay_verdict capture_ready(struct relay *r, const struct wl_message *m)
{
    struct shm_capture *c = relay_data(r, m->object, WL_DATA_CAPTURE);
    if (!c || r->side == RELAY_GUEST)
        return RELAY_PASS;
    const struct memory_buffer *b = c->buffer;
    uint32_t row = b->width * b->cpp;
    struct link_mem_write rows = {
        .offset = b->offset, .row = row, .rows = b->height, .stride = b->stride};
    if (!b->cpp)
        rows = (struct link_mem_write){.offset = b->offset,
                                       .row = (uint32_t)b->extent,
                                       .rows = 1,
                                       .stride = (uint32_t)b->extent};
    enum relay_verdict v = RELAY_DROP;
    if (b->memory->import && r->ops->copy_back)
        v = r->ops->copy_back(r, b->memory, &rows);
    if (v == RELAY_PASS)
        relay_copy_rows(r, b->memory, rows, b->memory->import, rows.offset, rows.stride);
    if (v != RELAY_DROP)
        return v;
    relay_send_rows(r, b->memory, rows, 0);
    return RELAY_PASS;
}

enum relay_verdict relay_shm_hook(struct relay *r, struct wl_message *m)
{
    switch (m->info->hook) {
    case WL_HOOK_POOL_CREATE_BUFFER:
        return create_buffer(r, m);
    case WL_HOOK_POOL_RESIZE:
        return resize_pool(r, m);
    case WL_HOOK_CAPTURE_BUFFER:
        return capture_buffer(r, m);
    case WL_HOOK_CAPTURE_READY:
        return capture_ready(r, m);
    default: /* CAPTURE_FAILED: the frame's buffer is the client's again with its destruction */
        return RELAY_PASS;
    }
}

static void range_destroy(struct relay_range *range)
{
    memory_unref(range->memory);
    free(range);
}

void relay_shm_forget(struct relay *r, const struct memory *memory)
{
    for (struct relay_range **at = &r->uncovered; *at;) {
        struct relay_range *range = *at;
        if (memory && range->memory != memory) {
            at = &range->next;
            continue;
        }
        *at = range->next;
        range_destroy(range);
    }
}

void relay_shm_mark(struct relay *r, uint32_t id, bool sure)
{
    for (struct relay_range *range = r->uncovered; range && !(range->mark && range->sure);
         range = range->next) {
        if (range->mark && !sure)
            break;
        range->mark = id;
        range->sure = sure;
    }
}

struct span {
    uint64_t offset, end;
};

static int by_offset(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void punch(struct relay *r, struct memory *m, uint64_t from, uint64_t end, uint64_t page)
{
    from = (from + page - 1) / page * page;
    if (end < m->size)
        end -= end % page;
    if (from >= end)
        return;
    struct link_mem_punch frame = {m->id, from, end - from};
    link_queue(r->link, link_mem_punch_encode, &frame);
    if (r->ops->punched)
        r->ops->punched(r, m, from, end - from);
}

static void add_span(struct span *used, size_t *n, const struct relay_range *range, uint64_t offset,
                     uint64_t end)
{
    if (offset < range->end && end > range->offset)
        used[(*n)++] = (struct span){offset, end};
}

/* Tells the host of the pages in @range that nothing covers: no live buffer, and none that the
 * compositor may still show. */
static void punch_range(struct relay *r, const struct relay_range *range)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct memory *m = range->memory;
    size_t n = 0;
    for (const struct memory_buffer *b = m->buffers; b; b = b->next)
        n++;
    for (const struct relay_range *later = r->uncovered; later; later = later->next)
        n += later->memory == m;
    struct span *used = calloc(n + 1, sizeof(*used));
    if (!used)
        return;
    n = 0;
    for (const struct memory_buffer *b = m->buffers; b; b = b->next)
        add_span(used, &n, range, b->offset, b->offset + b->extent);
    for (const struct relay_range *later = r->uncovered; later; later = later->next)
        if (later->memory == m)
            add_span(used, &n, range, later->offset, later->end);
    qsort(used, n, sizeof(*used), by_offset);
    uint64_t at = range->offset;
    for (size_t i = 0; i < n; i++) {
        if (used[i].offset > at)
            punch(r, m, at, used[i].offset, page);
        if (used[i].end > at)
            at = used[i].end;
    }
    if (at < range->end)
        punch(r, m, at, range->end, page);
    free(used);
}

void relay_shm_reached(struct relay *r, uint32_t id)
{
    struct relay_range **at = &r->uncovered;
    while (*at && (*at)->mark != id)
        at = &(*at)->next;
    struct relay_range *range = *at; /* this and all older ones */
    *at = NULL;
    while (range) {
        struct relay_range *older = range->next;
        punch_range(r, range);
        range_destroy(range);
        range = older;
    }
}
