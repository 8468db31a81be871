/* SPDX-License-Identifier: MIT */
/* uncovered: owns the places of buffers that are gone, the last one first. The compositor may still
 * show one until it has read the messages so far, which the answer to a later one tells: the id
 * that a request creates or destroys is the mark, and its delete_id the answer. */
#include "common/wayland/uncovered.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/carrier/vfd-memory.h"
#include "common/wayland/wl-shm.h"

struct relay_range {
    struct relay_range *next; /* older */
    struct memory *memory;    /* a reference */
    uint64_t offset, end;
    uint32_t mark; /* the compositor frees this id when it has read so far; 0: none yet */
    bool sure;     /* at once, rather than when something else happens */
};

/* More than that, and the host keeps pages that nobody needs, as long as the file is there. The
 * work for each buffer that goes is bounded by these. */
#define RANGES_MAX 256 /* that wait, of a client */
#define SPANS_MAX 512  /* of one file that might cover a range */

void uncovered_add(struct relay *r, const struct memory_buffer *b)
{
    struct relay_range *range = r->uncovered_n < RANGES_MAX ? malloc(sizeof(*range)) : NULL;
    if (!range)
        return;
    r->uncovered_n++;
    *range = (struct relay_range){.next = r->uncovered,
                                  .memory = memory_ref(b->memory),
                                  .offset = b->offset,
                                  .end = b->offset + b->extent};
    r->uncovered = range;
}

static void range_destroy(struct relay *r, struct relay_range *range)
{
    r->uncovered_n--;
    memory_unref(range->memory);
    free(range);
}

/* Drops those of @memory (NULL: all). */
static void uncovered_forget(struct relay *r, const struct memory *memory)
{
    for (struct relay_range **at = &r->uncovered; *at;) {
        struct relay_range *range = *at;
        if (memory && range->memory != memory) {
            at = &range->next;
            continue;
        }
        *at = range->next;
        range_destroy(r, range);
    }
}

void uncovered_finish(struct relay *r)
{
    uncovered_forget(r, NULL);
}

void relay_memory_unuse(struct relay *r, struct memory *memory)
{
    if (r->uncovered && vfd_memory(memory)->uses == 1)
        uncovered_forget(r, memory);
    vfd_memory_unuse(&r->carrier.vfds, memory);
}

/* @sure: it frees @id at once. */
static void uncovered_mark_id(struct relay *r, uint32_t id, bool sure)
{
    for (struct relay_range *range = r->uncovered; range && !(range->mark && range->sure);
         range = range->next) {
        if (range->mark && !sure)
            break;
        range->mark = id;
        range->sure = sure;
    }
}

/* At once if @m destroys or asks for nothing but an answer, later if what is created tells of
 * something else. */
void uncovered_mark(struct relay *r, const struct wl_message *m)
{
    const char *s = m->info->signature;
    if (m->info->destructor && m->object < WL_SERVER_ID_BASE)
        uncovered_mark_id(r, m->object, true);
    for (unsigned i = 0; m->info->creates && s[i]; i++)
        if (s[i] == 'n' && !m->info->types[i]->n_requests)
            uncovered_mark_id(r, m->args[i].u, m->object == 1);
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
    vfd_memory_punch(&r->carrier.vfds, m, from, end - from);
    if (r->ops->punched)
        r->ops->punched(r, m, from, end - from);
}

static void add_span(struct span *used, size_t *n, const struct relay_range *range, uint64_t offset,
                     uint64_t end)
{
    if (*n < SPANS_MAX && offset < range->end && end > range->offset)
        used[(*n)++] = (struct span){offset, end};
}

/* What covers a part of @range; how much was looked at, up to SPANS_MAX. */
static size_t find_spans(const struct relay *r, const struct relay_range *range, struct span *used,
                         size_t *ret_seen)
{
    size_t n = 0, seen = 0;
    const struct memory_buffer *b = shm_first_buffer(range->memory);
    for (; b && seen < SPANS_MAX; b = shm_next_buffer(b), seen++)
        add_span(used, &n, range, b->offset, b->offset + b->extent);
    const struct relay_range *later = r->uncovered;
    for (; later && seen < SPANS_MAX; later = later->next, seen++)
        if (later->memory == range->memory)
            add_span(used, &n, range, later->offset, later->end);
    *ret_seen = seen;
    return n;
}

/* Tells the host of the pages in @range that nothing covers: no live buffer, and none that the
 * compositor may still show. */
static void punch_range(struct relay *r, const struct relay_range *range)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct memory *m = range->memory;
    struct span used[SPANS_MAX];
    size_t seen, n = find_spans(r, range, used, &seen);
    if (seen == SPANS_MAX)
        return;
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
}

void uncovered_reached(struct relay *r, uint32_t id)
{
    struct relay_range **at = &r->uncovered;
    while (*at && (*at)->mark != id)
        at = &(*at)->next;
    struct relay_range *range = *at; /* this and all older ones */
    *at = NULL;
    while (range) {
        struct relay_range *older = range->next;
        punch_range(r, range);
        range_destroy(r, range);
        range = older;
    }
}
