/* SPDX-License-Identifier: MIT */
/* A pool is a zwp_linux_buffer_params_v1 with the same id here: it makes one buffer, as a pool on
 * an import does, and its own events are for us. A picture's is so from the start. What the guest's
 * memory is shows with the buffer, whose layout matters; a layout that was not tried before is, for
 * the next one, and this one is a pool.
 *
 * What makes it is an object of ours, and ids have to be dense. So we take one that the client has
 * used and the compositor has freed: the client is not told, and does not use it again. That is the
 * id of the wl_callback by which a client waits for the globals, before it has any memory whose end
 * somebody could be waiting for. */
#include "host-proxy/pixels/dmabufs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <drm_fourcc.h>

#include "common/base/fourcc.h"
#include "common/wayland/inject.h"
#include "common/base/memory.h"
#include "host-proxy/pixels/trials.h"
#include "protocol/export.h"

#define INTERFACE "zwp_linux_dmabuf_v1"
#define VERSION_MIN 2 /* has create_immed */
#define VERSION_MAX 4 /* tells no formats on its own */
/* Bytes. Icons have to be in shared memory, and what is small gains nothing. */
#define LINEAR_MIN (1u << 20)
#define STRIDE_ALIGNMENT 256 /* bytes; as AMD's, the strictest of those that take such memory */

void dmabufs_global(struct dmabufs *d, const struct wl_message *m, const struct wl_iface *iface)
{
    uint32_t version = m->args[2].u;
    if (d->name || strcmp(iface->name, INTERFACE) != 0 || version < VERSION_MIN)
        return;
    d->registry = m->object;
    d->name = m->args[0].u;
    d->version = version < VERSION_MAX ? version : VERSION_MAX;
}

bool dmabufs_keep_id(struct dmabufs *d, struct relay *r, uint32_t id)
{
    const struct wl_object *old = wl_objects_get(&r->objects, id);
    const struct wl_iface *iface = wl_iface_find(INTERFACE, strlen(INTERFACE));
    if (d->id || !d->name || !iface || !old || strcmp(old->iface->name, "wl_callback") != 0)
        return false;
    if (r->memories || r->next_import > 1 || !wl_objects_keep(&r->objects, id, iface, d->version)) {
        d->name = 0; /* the first one or none: later on, its registry may be gone */
        return false;
    }
    d->id = id;
    uint32_t words[9] = {d->name, sizeof(INTERFACE), [7] = d->version, [8] = id};
    memcpy(&words[2], INTERFACE, sizeof(INTERFACE));
    TO_LOCAL(r, d->registry, REGISTRY_BIND, 9, words);
    return true;
}

enum relay_verdict dmabufs_event(const struct dmabufs *d, struct relay *r,
                                 const struct wl_message *m)
{
    if (m->object == d->id)
        return RELAY_DROP; /* formats */
    relay_fail(r, LINK_ERROR_COMPOSITOR, m->object, WL_DISPLAY_IMPLEMENTATION,
               "the compositor does not take a dmabuf of a kind that it took before");
    return RELAY_END;
}

static enum relay_verdict refuse(struct relay *r, const struct wl_message *m, const char *why)
{
    relay_fail(r, LINK_ERROR_REFUSED, 0, WL_DISPLAY_IMPLEMENTATION, "wl_shm_pool#%u.%s: %s",
               m->object, m->info->name, why);
    return RELAY_END;
}

/* 0 or negative after relay_fail(). */
static int queue_fd(struct relay *r, const struct wl_message *m, const struct memory *memory)
{
    int fd = fcntl(memory->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        refuse(r, m, strerror(errno));
        return -EMFILE;
    }
    sendq_fd(&r->local.out, fd);
    return 0;
}

static void create_params(const struct dmabufs *d, struct relay *r, uint32_t id)
{
    wl_objects_get(&r->objects, id)->ours = true;
    TO_LOCAL(r, d->id, DMABUF_CREATE_PARAMS, WORDS(id));
}

static int tell_pool(struct relay *r, const struct wl_message *m, uint32_t id,
                     struct shm_pool *pool)
{
    if (queue_fd(r, m, pool->memory) < 0)
        return -EPROTO;
    TO_LOCAL(r, pool->shm, SHM_CREATE_POOL, WORDS(id, (uint32_t)pool->size));
    pool->untold = false;
    return 0;
}

static enum relay_verdict create_pool(const struct dmabufs *d, struct relay *r,
                                      const struct wl_message *m, struct shm_pool *pool)
{
    uint32_t id = m->args[0].u;
    if (pool->memory->picture)
        create_params(d, r, id);
    else if (wl_objects_get(&r->objects, id)->predecessors)
        pool->untold = true; /* the compositor misses no id meanwhile */
    else if (tell_pool(r, m, id, pool) < 0)
        return RELAY_END;
    return RELAY_DROP;
}

/* How @b lies in the guest's memory. False: it is better shared memory. */
static bool lay_out(const struct memory_buffer *b, struct export_buffer *ret)
{
    *ret = (struct export_buffer){.width = b->width,
                                  .height = b->height,
                                  .fourcc = shm_format_fourcc(b->format),
                                  .modifier = DRM_FORMAT_MOD_LINEAR,
                                  .n_planes = 1,
                                  .offset = {(uint32_t)b->offset},
                                  .stride = {b->stride}};
    return b->extent > LINEAR_MIN && b->stride % STRIDE_ALIGNMENT == 0 && b->offset <= INT32_MAX &&
           b->offset + (uint64_t)b->stride * b->height <= b->memory->size;
}

/* The channels are where the picture has them; whether there is alpha is the guest's to say. */
static enum relay_verdict create_buffer(const struct dmabufs *d, struct trials *trials,
                                        struct relay *r, const struct wl_message *m,
                                        struct shm_pool *pool)
{
    const struct memory_buffer *b = relay_data(r, m->args[0].u, WL_DATA_BUFFER);
    const struct export_buffer *picture = pool->memory->picture;
    struct export_buffer own;
    if (pool->spent)
        return refuse(r, m, "a picture is one buffer");
    if (picture && !b)
        return refuse(r, m, "it leaves the picture");
    if (pool->untold && b && lay_out(b, &own) && trials_takes(trials, &own, b->memory->fd)) {
        create_params(d, r, m->object);
        pool->untold = false;
        picture = &own;
    }
    if (pool->untold && tell_pool(r, m, m->object, pool) < 0)
        return RELAY_END;
    if (!picture)
        return RELAY_PASS;
    uint32_t fourcc =
        fourcc_with_alpha(picture->fourcc, fourcc_has_alpha(shm_format_fourcc(b->format)));
    if (queue_fd(r, m, b->memory) < 0)
        return RELAY_END;
    TO_LOCAL(r, m->object, PARAMS_ADD,
             WORDS(0, picture->offset[0], picture->stride[0], (uint32_t)(picture->modifier >> 32),
                   (uint32_t)picture->modifier));
    TO_LOCAL(r, m->object, PARAMS_CREATE_IMMED, WORDS(b->id, b->width, b->height, fourcc, 0));
    pool->spent = true;
    return RELAY_DROP;
}

static enum relay_verdict destroy_pool(const struct dmabufs *d, struct relay *r,
                                       struct wl_message *m, const struct shm_pool *pool)
{
    if (pool->untold)
        create_params(d, r, m->object); /* its delete_id is waited for */
    if (pool->untold || pool->spent || pool->memory->picture)
        wl_message_poke(m, 4, (uint32_t)m->size << 16 | PARAMS_DESTROY);
    return RELAY_PASS;
}

enum relay_verdict dmabufs_hook(struct dmabufs *d, struct trials *trials, struct relay *r,
                                struct wl_message *m)
{
    uint8_t hook = m->info->hook;
    if (hook == WL_HOOK_DESTROY_REGISTRY && m->args[0].u == d->registry)
        d->name = 0; /* nothing can be bound with it any more */
    bool creates = hook == WL_HOOK_SHM_CREATE_POOL;
    if (!creates && hook != WL_HOOK_POOL_CREATE_BUFFER && hook != WL_HOOK_POOL_RESIZE &&
        hook != WL_HOOK_POOL_DESTROY)
        return RELAY_PASS;
    struct shm_pool *pool = relay_data(r, creates ? m->args[0].u : m->object, WL_DATA_POOL);
    if (!pool || !pool->memory->late)
        return RELAY_PASS;
    switch (hook) {
    case WL_HOOK_SHM_CREATE_POOL:
        return create_pool(d, r, m, pool);
    case WL_HOOK_POOL_CREATE_BUFFER:
        return create_buffer(d, trials, r, m, pool);
    case WL_HOOK_POOL_RESIZE: /* only within what it is anyway */
        return refuse(r, m, "it is one buffer's memory");
    default:
        return destroy_pool(d, r, m, pool);
    }
}
