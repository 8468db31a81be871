/* SPDX-License-Identifier: MIT */
/* dmabufs: owns nothing but the id of its one object. A pool is a zwp_linux_buffer_params_v1 with
 * the same id here: it makes one buffer, as a pool on an import does, and its own events are for
 * us. A picture's is so from the start. What the guest's memory is shows with the buffer, whose
 * layout matters; a layout that was not tried before is, for the next one, and this one is a pool.
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
#include "common/base/memory.h"
#include "common/carrier/vfd-memory.h"
#include "common/wayland/inject.h"
#include "common/wayland/shm-formats.h"
#include "common/wayland/shm-pools.h"
#include "host-proxy/pixels/import-note.h"
#include "host-proxy/pixels/trials.h"
#include "protocol/export.h"

/* shm_pool.told: the compositor knows it as a pool, does not know it yet, or knows it as what a
 * buffer was made of. */
enum { POOL_TOLD, POOL_UNTOLD, POOL_SPENT };

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

void dmabufs_global_gone(struct dmabufs *d, uint32_t registry, uint32_t name)
{
    if (d->registry == registry && d->name == name)
        d->name = 0; /* the compositor is told that nobody binds it any more */
}

bool dmabufs_keep_id(struct dmabufs *d, struct relay *r, uint32_t id)
{
    const struct wl_object *old = wl_objects_get(&r->objects, id);
    const struct wl_iface *iface = wl_iface_find(INTERFACE, strlen(INTERFACE));
    if (d->id || !d->name || !iface || !old || strcmp(old->iface->name, "wl_callback") != 0)
        return false;
    if (r->carrier.vfds.memories || r->carrier.gpu.next > 1 ||
        !wl_objects_keep(&r->objects, id, iface, d->version)) {
        d->name = 0; /* the first one or none: later on, its registry may be gone */
        return false;
    }
    d->id = id;
    inject_local(r, d->registry, MSG_REGISTRY_BIND, d->name, INTERFACE, d->version, id);
    return true;
}

enum relay_verdict dmabufs_event(const struct dmabufs *d, struct relay *r,
                                 const struct wl_message *m)
{
    if (m->object == d->id)
        return RELAY_DROP; /* formats */
    return relay_fail(r, LINK_ERROR_COMPOSITOR, m->object, WL_DISPLAY_IMPLEMENTATION,
                      "the compositor does not take a dmabuf of a kind that it took before");
}

static enum relay_verdict refuse(struct relay *r, const struct wl_message *m, const char *why)
{
    return relay_fail(r, LINK_ERROR_REFUSED, 0, WL_DISPLAY_IMPLEMENTATION, "wl_shm_pool#%u.%s: %s",
                      m->object, m->info->name, why);
}

static enum relay_verdict queue_fd(struct relay *r, const struct wl_message *m,
                                   struct memory *memory)
{
    int fd = fcntl(memory->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return refuse(r, m, strerror(errno));
    int e = sendq_fd(&r->carrier.ends.local.out, fd, memory);
    return e < 0 ? ends_scarce(&r->carrier.ends, m->info->name, e) : RELAY_PASS;
}

static void create_params(const struct dmabufs *d, struct relay *r, uint32_t id)
{
    wl_objects_get(&r->objects, id)->ours = true;
    inject_local(r, d->id, MSG_DMABUF_CREATE_PARAMS, id);
}

static enum relay_verdict tell_pool(struct relay *r, const struct wl_message *m, uint32_t id,
                                    struct shm_pool *pool)
{
    enum relay_verdict v = queue_fd(r, m, pool->memory);
    if (v != RELAY_PASS)
        return v;
    inject_local(r, pool->shm, MSG_SHM_CREATE_POOL, id, (uint32_t)pool->size);
    pool->told = POOL_TOLD;
    return RELAY_PASS;
}

static enum relay_verdict late_create_pool(const struct dmabufs *d, struct relay *r,
                                           const struct wl_message *m, struct shm_pool *pool)
{
    uint32_t id = m->args[0].u;
    if (import_note(pool->memory)->picture)
        create_params(d, r, id);
    else if (wl_objects_get(&r->objects, id)->predecessors)
        pool->told = POOL_UNTOLD; /* the compositor misses no id meanwhile */
    else if (tell_pool(r, m, id, pool) == RELAY_END)
        return RELAY_END;
    return RELAY_DROP;
}

/* How @b lies in the guest's memory. False: it is better shared memory. */
static bool dmabufs_lay_out(const struct memory_buffer *b, struct export_buffer *ret)
{
    *ret = (struct export_buffer){.width = b->width,
                                  .height = b->height,
                                  .fourcc = shm_format_fourcc(b->format),
                                  .modifier = DRM_FORMAT_MOD_LINEAR,
                                  .n_planes = 1,
                                  .offset = {(uint32_t)b->offset},
                                  .stride = {b->stride}};
    return b->cpp > 0 && b->extent > LINEAR_MIN && b->stride % STRIDE_ALIGNMENT == 0 &&
           b->offset <= INT32_MAX && b->offset + (uint64_t)b->stride * b->height <= b->memory->size;
}

/* The channels are where the picture has them; whether there is alpha is the guest's to say. */
static enum relay_verdict late_create_buffer(const struct dmabufs *d, struct trials *trials,
                                             struct relay *r, const struct wl_message *m,
                                             struct shm_pool *pool)
{
    const struct memory_buffer *b = relay_data(r, m->args[0].u, &shm_buffer_type);
    const struct export_buffer *picture = import_note(pool->memory)->picture;
    struct export_buffer own = {0};
    if (pool->told == POOL_SPENT)
        return refuse(r, m, "a picture is one buffer");
    if (picture && !b)
        return refuse(r, m, "it leaves the picture");
    if (pool->told == POOL_UNTOLD && b && dmabufs_lay_out(b, &own) &&
        trials_takes(trials, &own, b->memory->fd)) {
        create_params(d, r, m->object);
        pool->told = POOL_TOLD;
        picture = &own;
    }
    if (pool->told == POOL_UNTOLD && tell_pool(r, m, m->object, pool) == RELAY_END)
        return RELAY_END;
    if (!picture)
        return RELAY_PASS;
    uint32_t fourcc = own.fourcc;
    if (picture != &own)
        fourcc = fourcc_with_alpha(picture->fourcc, fourcc_has_alpha(shm_format_fourcc(b->format)));
    if (queue_fd(r, m, b->memory) == RELAY_END)
        return RELAY_END;
    inject_local(r, m->object, MSG_PARAMS_ADD, 0u, picture->offset[0], picture->stride[0],
                 (uint32_t)(picture->modifier >> 32), (uint32_t)picture->modifier);
    inject_local(r, m->object, MSG_PARAMS_CREATE_IMMED, b->id, b->width, b->height, fourcc, 0u);
    pool->told = POOL_SPENT;
    return RELAY_DROP;
}

static enum relay_verdict late_destroy_pool(const struct dmabufs *d, struct relay *r,
                                            struct wl_message *m, const struct shm_pool *pool)
{
    if (pool->told == POOL_UNTOLD)
        create_params(d, r, m->object); /* its delete_id is waited for */
    if (pool->told != POOL_TOLD || import_note(pool->memory)->picture)
        wl_message_poke(m, 4, (uint32_t)m->size << 16 | wl_named[MSG_PARAMS_DESTROY].opcode);
    return RELAY_PASS;
}

/* --- hooks: of pools whose memory is late --- */

static struct shm_pool *late_pool(struct relay *r, uint32_t id)
{
    struct shm_pool *pool = relay_data(r, id, &shm_pool_type);
    const struct import_note *note = pool ? import_note(pool->memory) : NULL;
    return note && note->late ? pool : NULL;
}

enum relay_verdict dmabufs_create_pool(struct dmabufs *d, struct relay *r, struct wl_message *m)
{
    struct shm_pool *pool = late_pool(r, m->args[0].u);
    return pool ? late_create_pool(d, r, m, pool) : RELAY_PASS;
}

enum relay_verdict dmabufs_create_buffer(struct dmabufs *d, struct trials *trials, struct relay *r,
                                         struct wl_message *m)
{
    struct shm_pool *pool = late_pool(r, m->object);
    return pool ? late_create_buffer(d, trials, r, m, pool) : RELAY_PASS;
}

enum relay_verdict dmabufs_resize_pool(struct relay *r, struct wl_message *m)
{
    /* only within what it is anyway */
    return late_pool(r, m->object) ? refuse(r, m, "it is one buffer's memory") : RELAY_PASS;
}

enum relay_verdict dmabufs_destroy_pool(struct dmabufs *d, struct relay *r, struct wl_message *m)
{
    const struct shm_pool *pool = late_pool(r, m->object);
    return pool ? late_destroy_pool(d, r, m, pool) : RELAY_PASS;
}

void dmabufs_destroy_registry(struct dmabufs *d, const struct wl_message *m)
{
    if (m->args[0].u == d->registry)
        d->name = 0; /* nothing can be bound with it any more */
}
