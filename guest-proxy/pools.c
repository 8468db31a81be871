/* SPDX-License-Identifier: MIT */
/* One resource per wl_buffer, as large as what a reader may look at. A commit's damage is read from
 * the client's file into it: by the kernel, since a client may shrink its file at any time, and a
 * read that finds the end is an answer where a load would be a SIGBUS. The resource stays until the
 * host has said that it looks no more, or the connection has ended. */
#include "guest-proxy/pools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/relay.h"
#include "guest-proxy/damage.h"
#include "guest-proxy/dmabuf.h"
#include "guest-proxy/gpu.h"

#define SHADOWS_MAX 512 /* the host has a limit of its own */
#define RELEASED_MAX 64 /* that the host has not answered for */
#define SHADOW_BYTES_MAX (1u << 30)

void pools_init(struct pools *p, struct gpu *gpu)
{
    *p = (struct pools){.gpu = gpu};
}

static void shadow_destroy(struct shadow *s)
{
    struct pools *p = s->pools;
    if (s->prev)
        s->prev->next = s->next;
    else
        p->shadows = s->next;
    if (s->next)
        s->next->prev = s->prev;
    p->n--;
    p->released_n -= s->released;
    if (s->memory.map)
        p->bytes -= s->memory.size;
    virtgpu_buffer_destroy(&s->memory);
    free(s);
}

void pools_finish(struct pools *p)
{
    while (p->shadows)
        shadow_destroy(p->shadows);
}

void pools_shadow_drop(struct shadow *s)
{
    s->released = true;
    s->pools->released_n++;
    if (!s->relay->finished)
        relay_import_release(s->relay, s->import);
}

void pools_released(struct pools *p, uint32_t import)
{
    for (struct shadow *s = p->shadows; s; s = s->next) {
        if (s->import == import && s->released) {
            shadow_destroy(s);
            return;
        }
    }
}

static void shadow_drop(void *shadow)
{
    pools_shadow_drop(shadow);
}

bool pools_shadow_serves(const struct shadow *s)
{
    return s->serial == s->pools->gpu->serial;
}

/* @fd -1: a resource of our own. */
static struct shadow *shadow_create(struct pools *p, struct relay *r, int fd, uint64_t size)
{
    struct virtgpu *device = p ? gpu_device(p->gpu) : NULL;
    if (!device || p->n >= SHADOWS_MAX || p->released_n >= RELEASED_MAX || size > LINK_MEMORY_MAX ||
        (fd < 0 && (size > VIRTGPU_BUFFER_MAX || p->bytes + size > SHADOW_BYTES_MAX)))
        return NULL;
    struct shadow *s = calloc(1, sizeof(*s));
    int e = -ENOMEM;
    if (s && fd < 0)
        e = virtgpu_buffer_create(device, size, &s->memory);
    else if (s)
        e = virtgpu_buffer_import(device, fd, size, &s->memory);
    if (e < 0) {
        free(s);
        if (fd >= 0)
            log_debug(r->subject, "a dmabuf is no resource of the GPU: %s", strerror(-e));
        else if (!p->complained)
            log_warn(r->subject,
                     "a buffer of %llu bytes goes over the link: the GPU gives no memory: %s",
                     (unsigned long long)size, strerror(-e));
        p->complained |= fd < 0;
        return NULL;
    }
    s->pools = p;
    s->relay = r;
    s->serial = p->gpu->serial;
    s->next = p->shadows;
    if (s->next)
        s->next->prev = s;
    p->shadows = s;
    p->n++;
    if (s->memory.map)
        p->bytes += s->memory.size;
    s->import = relay_import(r, s->memory.resource, size);
    log_debug(r->subject, "import %u: %llu bytes in resource %u%s", s->import,
              (unsigned long long)size, s->memory.resource, fd < 0 ? "" : ", the client's own");
    return s;
}

struct shadow *pools_shadow(struct pools *p, struct relay *r, uint64_t size)
{
    return shadow_create(p, r, -1, size);
}

struct shadow *pools_shadow_import(struct pools *p, struct relay *r, int fd, uint64_t size)
{
    return shadow_create(p, r, fd, size);
}

static int read_all(int fd, uint8_t *to, uint64_t size, uint64_t offset)
{
    while (size) {
        ssize_t n = pread(fd, to, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EFAULT;
        to += n;
        offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
    return 0;
}

/* The rows, with what lies between them where that costs less than reading row by row. */
static int fill(const struct shadow *s, const struct memory_buffer *b,
                const struct damage_rect *rect)
{
    uint8_t *to = s->memory.map + (rect->offset - b->offset);
    int fd = b->memory->fd, e = 0;
    if (rect->row >= rect->stride / 2)
        return read_all(fd, to, (uint64_t)(rect->rows - 1) * rect->stride + rect->row,
                        rect->offset);
    for (uint64_t i = 0; i < rect->rows && e == 0; i++)
        e = read_all(fd, to + i * rect->stride, rect->row, rect->offset + i * rect->stride);
    return e;
}

int pools_send(struct pools *p, struct relay *r, struct memory_buffer *b,
               const struct damage_rect *rect)
{
    if (dmabuf_is(b))
        return dmabuf_send(b, rect);
    struct shadow *s = b->shadow;
    if (s && !pools_shadow_serves(s)) {
        pools_shadow_drop(s);
        b->shadow = s = NULL;
    }
    if (!s) {
        b->shadow = s = pools_shadow(p, r, b->extent);
        b->shadow_drop = shadow_drop;
    }
    uint64_t end = rect->offset + (uint64_t)(rect->rows - 1) * rect->stride + rect->row;
    if (!s || rect->offset < b->offset || end > b->offset + b->extent)
        return -ENOTSUP;
    int e = fill(s, b, rect);
    if (e < 0)
        return -EFAULT;
    struct link_mem_write rows = {
        .offset = rect->offset, .row = rect->row, .rows = rect->rows, .stride = rect->stride};
    relay_copy_rows(r, b->memory, rows, s->import, rect->offset - b->offset, rect->stride);
    return 0;
}
