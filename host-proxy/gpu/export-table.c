/* SPDX-License-Identifier: MIT */
/* export-table: owns the exports of one client, each of which holds its resource. An export refers
 * to its resource until it is released or the resource is freed, whichever comes first; after the
 * guest took the resource away, nothing but the release works on it. */
#include "host-proxy/gpu/export-table.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/fd.h"
#include "host-proxy/gpu/device.h"
#include "host-proxy/gpu/host-memory.h"
#include "host-proxy/gpu/mirror.h"
#include "host-proxy/gpu/renderer.h"
#include "host-proxy/gpu/guest-pages.h"

struct export_entry {
    struct export_entry *next; /* export_table::buckets */
    uint32_t id;
    struct resource *resource; /* NULL: freed */
    uint64_t generation;
    bool gone;               /* the client knows, if it knows of the export */
    bool untold;             /* it does not yet */
    uint64_t given;          /* bytes that there is a udmabuf of */
    uint32_t offset, stride; /* host memory: as they were told */
    struct mirror mirror;    /* guest memory */
    uint32_t memory;         /* host memory: the mirror, as the renderer has it; 0: none */
    uint64_t memory_size;
};

void export_table_init(struct export_table *t, struct export_source *source)
{
    *t = (struct export_table){.source = source};
}

static struct export_entry **find_place(struct export_table *t, uint32_t id)
{
    struct export_entry **at = &t->buckets[id % EXPORT_TABLE_BUCKETS];
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static struct export_entry *add_entry(struct export_table *t, struct resource *r)
{
    struct export_entry *e = t->last_id < UINT32_MAX ? calloc(1, sizeof(*e)) : NULL;
    if (!e)
        return NULL;
    struct export_entry **bucket = &t->buckets[++t->last_id % EXPORT_TABLE_BUCKETS];
    *e = (struct export_entry){
        .next = *bucket, .id = t->last_id, .resource = r, .generation = r->generation};
    *bucket = e;
    t->n++;
    device_hold(t->source->device, r);
    return e;
}

static void drop_memory(struct export_table *t, struct export_entry *e)
{
    struct renderer *renderer = device_renderer(t->source->device);
    if (e->memory)
        renderer->ops->memory_forget(renderer, e->memory);
    e->memory = 0;
}

static void remove_entry(struct export_table *t, struct export_entry **at)
{
    struct export_entry *e = *at;
    *at = e->next;
    t->n--;
    t->source->given -= e->given;
    mirror_finish(&e->mirror);
    drop_memory(t, e);
    if (e->resource)
        device_release(t->source->device, e->resource);
    free(e);
}

void export_table_finish(struct export_table *t)
{
    for (unsigned i = 0; i < EXPORT_TABLE_BUCKETS; i++) {
        while (t->buckets[i])
            remove_entry(t, &t->buckets[i]);
    }
}

bool export_table_release(struct export_table *t, uint32_t id)
{
    struct export_entry **at = find_place(t, id);
    if (!*at || (*at)->untold)
        return false;
    remove_entry(t, at);
    return true;
}

enum export_status export_table_check(const struct export_table *t, uint32_t resource)
{
    struct device *device = t->source->device;
    const struct resource *r = device_find(device, resource);
    if (!r)
        return EXPORT_UNKNOWN;
    if (r->drawn ? !host_memory_is_picture(r) || !device_draws(device, r)
                 : !device_ram(device) || r->n_runs == 0)
        return EXPORT_EMPTY;
    if (!device_is_shared(device, r))
        return EXPORT_UNMARKED;
    return t->n < EXPORTS_MAX ? EXPORT_OK : EXPORT_LIMIT;
}

static enum export_reason reason_of(int error)
{
    switch (error) {
    case -ENODEV:
        return EXPORT_REASON_NO_UDMABUF;
    case -EINVAL:
        return EXPORT_REASON_ALIGNMENT;
    case -E2BIG:
        return EXPORT_REASON_LIST_LIMIT;
    case -EFBIG:
        return EXPORT_REASON_SIZE_LIMIT;
    default:
        return EXPORT_REASON_REFUSED;
    }
}

/* A descriptor for the guest's pages, or -1 with the reason. */
static int make_descriptor(const struct export_source *s, const struct resource *r,
                           uint32_t *ret_reason)
{
    const struct guest_ram *ram = device_ram(s->device);
    if (s->udmabuf >= 0 && s->given + r->backing_size > EXPORTS_RAM_TIMES * ram->size) {
        *ret_reason = EXPORT_REASON_QUOTA;
        return -1;
    }
    int fd = udmabuf_of_runs(s->udmabuf, ram, r->runs, r->n_runs);
    *ret_reason = fd < 0 ? reason_of(fd) : EXPORT_REASON_NONE;
    return fd < 0 ? -1 : fd;
}

/* Tells of the guest's own pages. */
static int describe_pages(struct export_source *s, const struct resource *r, struct export_entry *e,
                          struct export_buffer *buffer)
{
    buffer->size = r->backing_size;
    buffer->memory = EXPORT_MEMORY_GUEST;
    buffer->runs = r->n_runs;
    buffer->width = r->width;
    buffer->height = r->height;
    buffer->fourcc = r->kind == RESOURCE_2D ? resource_fourcc(r->format) : 0;
    int fd = make_descriptor(s, r, &buffer->reason);
    buffer->kind = fd >= 0 ? EXPORT_KIND_UDMABUF : EXPORT_KIND_NONE;
    e->given = fd >= 0 ? r->backing_size : 0;
    s->given += e->given;
    return fd;
}

enum export_status export_table_add(struct export_table *t, uint32_t resource,
                                    struct export_buffer *ret_buffer, int *ret_fd,
                                    uint64_t *ret_ticket)
{
    struct device *device = t->source->device;
    struct resource *r = device_find(device, resource);
    struct export_entry *e = add_entry(t, r);
    *ret_ticket = 0;
    if (!e)
        return EXPORT_FAILED;
    *ret_buffer = (struct export_buffer){.id = e->id, .generation = e->generation};
    if (!r->drawn) {
        *ret_fd = describe_pages(t->source, r, e, ret_buffer);
        return EXPORT_OK;
    }
    struct renderer *renderer = device_renderer(device);
    uint64_t ticket = ++t->source->tickets;
    if (renderer->ops->export(renderer, r->id, ticket) < 0) {
        export_table_release(t, e->id);
        return EXPORT_FAILED;
    }
    e->untold = true;
    *ret_ticket = ticket;
    return EXPORT_OK;
}

enum export_status export_table_told(struct export_table *t, uint32_t id, int fd,
                                     const struct render_layout *layout,
                                     struct export_buffer *ret_buffer, int *ret_fd)
{
    struct export_entry **at = find_place(t, id), *e = *at;
    e->untold = false;
    if (e->gone || !e->resource || e->resource->generation != e->generation ||
        !device_draws(t->source->device, e->resource)) {
        fd_close(fd);
        remove_entry(t, at);
        return EXPORT_UNKNOWN;
    }
    *ret_buffer = (struct export_buffer){.id = e->id, .generation = e->generation};
    *ret_fd = host_memory_describe(e->resource, fd, layout, ret_buffer);
    e->offset = ret_buffer->offset[0];
    e->stride = ret_buffer->stride[0];
    return EXPORT_OK;
}

/* The renderer writes into the mirror by itself: it is the picture that it has drawn. */
static enum export_status give_mirror(struct export_table *t, struct export_entry *e, int fd,
                                      uint64_t size)
{
    struct renderer *renderer = device_renderer(t->source->device);
    _cleanup_(fd_closep) int owned = fd;
    uint32_t memory;
    if (mirror_check(owned, size) != EXPORT_OK)
        return EXPORT_MEMORY;
    if (renderer->ops->memory_add(renderer, owned, size, &memory) < 0)
        return EXPORT_FAILED;
    drop_memory(t, e);
    e->memory = memory;
    e->memory_size = size;
    return EXPORT_OK;
}

enum export_status export_table_mirror(struct export_table *t, const struct export_mirror *mirror,
                                       int fd)
{
    struct export_entry *e = *find_place(t, mirror->id);
    if (!e || e->untold) {
        fd_close(fd);
        return EXPORT_STALE;
    }
    if (e->resource && e->resource->drawn) {
        if (device_draws(t->source->device, e->resource))
            return give_mirror(t, e, fd, mirror->size);
        fd_close(fd);
        return EXPORT_STALE;
    }
    return mirror_set(&e->mirror, fd, mirror->size);
}

enum export_status export_table_copy(struct export_table *t, const struct export_copy *copy,
                                     uint64_t *ret_ticket, unsigned *ret_asked)
{
    struct device *device = t->source->device;
    const struct export_entry *e = *find_place(t, copy->id);
    const struct guest_ram *ram = device_ram(device);
    *ret_asked = 0;
    if (!e || e->untold || e->gone || !e->resource || e->generation != copy->generation ||
        e->resource->generation != copy->generation)
        return EXPORT_STALE;
    if (e->resource->drawn) {
        if (!e->memory)
            return EXPORT_MEMORY;
        *ret_ticket = ++t->source->tickets;
        return host_memory_copy(device_renderer(device), e->resource, e->offset, e->stride,
                                e->memory, e->memory_size, copy, *ret_ticket, ret_asked);
    }
    if (!ram || e->resource->kind == RESOURCE_3D)
        return EXPORT_STALE;
    return mirror_copy(&e->mirror, e->resource, ram, copy);
}

/* The next export of @resource after @e in this bucket; @e NULL: the first. */
static struct export_entry *next_of(struct export_entry *e, const struct resource *resource)
{
    while (e && e->resource != resource)
        e = e->next;
    return e;
}

void export_table_gone(struct export_table *t, const struct resource *resource,
                       void (*tell)(void *user, const struct export_gone *gone), void *user)
{
    for (unsigned i = 0; i < EXPORT_TABLE_BUCKETS && t->n > 0 && resource->holds > 0; i++) {
        struct export_entry *e = next_of(t->buckets[i], resource);
        for (; e; e = next_of(e->next, resource)) {
            if (e->gone)
                continue;
            e->gone = true;
            if (!e->untold)
                tell(user, &(struct export_gone){.id = e->id, .generation = e->generation});
        }
    }
}

void export_table_forget(struct export_table *t, const struct resource *resource)
{
    for (unsigned i = 0; i < EXPORT_TABLE_BUCKETS && t->n > 0 && resource->holds > 0; i++) {
        struct export_entry *e = next_of(t->buckets[i], resource);
        for (; e; e = next_of(e->next, resource))
            e->resource = NULL;
    }
}
