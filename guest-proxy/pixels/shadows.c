/* SPDX-License-Identifier: MIT */
/* shadows: owns the resources of one client. A resource stays until the host has said that it looks
 * no more, or the connection has ended.
 *
 * Some clients make a new wl_buffer for each frame at the same place of a pool. To make a resource
 * for each would cost more than the frame, so the last few are kept, with what the host holds of
 * them. */
#include "guest-proxy/pixels/shadows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/carrier/vfd-memory.h"
#include "common/wayland/relay.h"
#include "common/wayland/uncovered.h"
#include "guest-proxy/pixels/gpu.h"
#include "guest-proxy/pixels/file-udmabuf.h"

#define SHADOWS_MAX 512 /* the host has a limit of its own */
#define RELEASED_MAX 64 /* that the host has not answered for */
#define IDLE_MAX 16
#define SHADOW_BYTES_MAX (1u << 30)

void shadows_init(struct shadows *w, struct gpu *gpu)
{
    *w = (struct shadows){.gpu = gpu};
}

static void shadow_free(struct shadow *s)
{
    struct shadows *w = s->owner;
    LIST_REMOVE(s, entry);
    w->n--;
    w->released_n -= s->released;
    w->idle_n -= s->idle;
    if (s->gpu.map)
        w->bytes -= s->gpu.size;
    virtgpu_buffer_destroy(&s->gpu);
    if (s->tail)
        munmap(s->tail, (size_t)sysconf(_SC_PAGESIZE));
    memory_unref(s->memory);
    memory_unref(s->file);
    free(s);
}

void shadows_finish(struct shadows *w)
{
    while (!LIST_EMPTY(&w->all))
        shadow_free(LIST_FIRST(&w->all));
}

void shadow_drop(struct shadow *s)
{
    struct shadows *w = s->owner;
    w->idle_n -= s->idle;
    s->idle = false;
    s->released = true;
    w->released_n++;
    if (s->memory)
        relay_memory_unuse(s->relay, s->memory);
    s->memory = NULL;
    memory_unref(s->file);
    s->file = NULL;
    if (s->relay->carrier.state != CARRIER_FINISHED)
        gpu_memory_release(&s->relay->carrier.gpu, s->import);
}

void shadow_retire(struct shadow *s)
{
    struct shadows *w = s->owner;
    /* The client's own pages may be others by then: it may punch out what no buffer has. */
    if (s->relay->carrier.state == CARRIER_FINISHED || !s->file || !vfd_memory(s->file)->uses ||
        !s->gpu.map || !shadow_serves(s)) {
        shadow_drop(s);
        return;
    }
    s->idle = true;
    w->idle_n++;
    if (w->idle_n <= IDLE_MAX)
        return;
    struct shadow *i, *oldest = NULL;
    LIST_FOREACH (i, &w->all, entry)
        oldest = i->idle ? i : oldest;
    shadow_drop(oldest);
}

void shadows_sweep(struct shadows *w)
{
    struct shadow *s;
    if (!w->idle_n)
        return;
    LIST_FOREACH (s, &w->all, entry)
        if (s->idle && (!vfd_memory(s->file)->uses || !shadow_serves(s)))
            shadow_drop(s);
}

void shadows_released(struct shadows *w, uint32_t import)
{
    struct shadow *s;
    LIST_FOREACH (s, &w->all, entry) {
        if (s->import == import && s->released) {
            shadow_free(s);
            return;
        }
    }
}

bool shadow_serves(const struct shadow *s)
{
    return s->serial == s->owner->gpu->serial;
}

/* NULL: there is no device, or too many are in use. */
static struct virtgpu *device_for(const struct shadows *w, uint64_t size)
{
    return w && w->gpu && w->n < SHADOWS_MAX && w->released_n < RELEASED_MAX && size <= INT32_MAX
               ? gpu_device(w->gpu)
               : NULL;
}

/* Tells the host of @buffer, which is taken. NULL: out of memory. */
static struct shadow *shadow_add(struct shadows *w, struct relay *r, struct virtgpu_buffer *buffer,
                                 const char *what)
{
    struct shadow *s = malloc(sizeof(*s));
    if (!s) {
        virtgpu_buffer_destroy(buffer);
        return NULL;
    }
    *s = (struct shadow){.owner = w, .relay = r, .gpu = *buffer, .serial = w->gpu->serial};
    LIST_INSERT_HEAD(&w->all, s, entry);
    w->n++;
    if (s->gpu.map)
        w->bytes += s->gpu.size;
    s->import = gpu_memory_import(&r->carrier.gpu, s->gpu.resource, s->gpu.size);
    log_debug(r->carrier.ends.subject, "import %u: %llu bytes in resource %u, %s", s->import,
              (unsigned long long)s->gpu.size, s->gpu.resource, what);
    return s;
}

struct shadow *shadow_create(struct shadows *w, struct relay *r, uint64_t size)
{
    struct virtgpu_buffer buffer;
    struct virtgpu *device = device_for(w, size);
    if (!device || size > VIRTGPU_BUFFER_MAX || w->bytes + size > SHADOW_BYTES_MAX)
        return NULL;
    int e = virtgpu_buffer_create(device, size, &buffer);
    if (e == 0)
        return shadow_add(w, r, &buffer, "a copy of the client's");
    if (!w->complained)
        log_warn(r->carrier.ends.subject,
                 "a buffer of %llu bytes goes over the link: the GPU gives no memory: %s",
                 (unsigned long long)size, strerror(-e));
    w->complained = true;
    return NULL;
}

struct shadow *shadow_import(struct shadows *w, struct relay *r, int fd, uint64_t size)
{
    struct virtgpu_buffer buffer;
    struct virtgpu *device = device_for(w, size);
    if (!device)
        return NULL;
    int e = virtgpu_buffer_import(device, fd, size, &buffer);
    if (e == 0)
        return shadow_add(w, r, &buffer, "the client's own");
    log_debug(r->carrier.ends.subject, "a dmabuf is no resource of the GPU: %s", strerror(-e));
    return NULL;
}

struct shadow *shadow_share(struct shadows *w, struct relay *r, const struct memory *file,
                            uint64_t base, uint64_t size)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), first = base / page * page;
    uint64_t end = (base + size + page - 1) / page * page;
    _cleanup_(fd_closep) int tail = -1;
    struct stat st;
    if (!device_for(w, end - first) || w->gpu->udmabuf < 0 || !w->gpu->takes_files)
        return NULL;
    /* A file need not end where a page does. */
    uint8_t *map = NULL;
    uint64_t whole = fstat(file->fd, &st) < 0 ? 0 : (uint64_t)st.st_size / page * page;
    if (whole <= first || (uint64_t)st.st_size < base + size)
        return NULL; /* it may get that size yet: what is there is copied until then */
    if (whole < end) {
        tail = fd_memfd("wayvsock-tail", page);
        if (tail < 0 || fcntl(tail, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
            return NULL;
        map = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, tail, 0);
        if (map == MAP_FAILED)
            return NULL;
    }
    uint64_t size_in_file = (whole < end ? whole : end) - first;
    _cleanup_(fd_closep) int fd =
        udmabuf_of_file(w->gpu->udmabuf, file->fd, first, size_in_file, tail);
    struct shadow *s = fd < 0 ? NULL : shadow_import(w, r, fd, end - first);
    if (!s) {
        if (map)
            munmap(map, page);
        return NULL;
    }
    s->start = base - first;
    s->tail = map;
    s->tail_at = size_in_file;
    return s;
}

int shadow_become_memory(struct shadow *s, struct memory *file, uint64_t base)
{
    /* The host finds byte 0 of the resource at byte 0 of the memory. */
    s->memory =
        gpu_memory_make(&s->relay->carrier.gpu, s->import, s->gpu.size, file, base - s->start);
    if (s->memory && file)
        s->file = memory_ref(file);
    return s->memory ? 0 : -ENOMEM;
}

struct shadow *shadow_find(struct shadows *w, const struct memory *file, uint64_t base,
                           uint64_t size)
{
    struct shadow *s;
    if (!w->idle_n)
        return NULL;
    LIST_FOREACH (s, &w->all, entry) {
        const struct memory *m = s->idle ? s->memory : NULL;
        if (m && s->file->dev == file->dev && s->file->ino == file->ino &&
            m->base + s->start == base && s->start + size <= m->size &&
            m->size - s->start - size < (uint64_t)sysconf(_SC_PAGESIZE) && shadow_serves(s)) {
            s->idle = false;
            w->idle_n--;
            return s;
        }
    }
    return NULL;
}
