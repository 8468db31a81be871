/* SPDX-License-Identifier: MIT */
/* A pool is a zwp_linux_buffer_params_v1 with the same id here: it makes one buffer, as a pool on
 * an import does, and its own events are for us.
 *
 * What makes it is an object of ours, and ids have to be dense. So we take one that the client has
 * used and the compositor has freed: the client is not told, and does not use it again. That is the
 * id of the wl_callback by which a client waits for the globals, before it has any memory whose end
 * somebody could be waiting for. */
#include "host-proxy/dmabufs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/fourcc.h"
#include "common/inject.h"
#include "common/memory.h"
#include "protocol/export.h"

#define INTERFACE "zwp_linux_dmabuf_v1"
#define VERSION_MIN 2 /* has create_immed */
#define VERSION_MAX 4 /* tells no formats on its own */

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
    if (d->id || !d->name || !iface || r->memories || r->next_import > 1 || !old ||
        strcmp(old->iface->name, "wl_callback") != 0 ||
        !wl_objects_keep(&r->objects, id, iface, d->version))
        return false;
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

static enum relay_verdict create_pool(const struct dmabufs *d, struct relay *r,
                                      const struct wl_message *m)
{
    uint32_t id = m->args[0].u;
    wl_objects_get(&r->objects, id)->ours = true;
    TO_LOCAL(r, d->id, DMABUF_CREATE_PARAMS, WORDS(id));
    return RELAY_DROP;
}

/* The channels are where the device says; whether there is alpha is the guest's to say. */
static enum relay_verdict create_buffer(struct relay *r, const struct wl_message *m,
                                        struct shm_pool *pool)
{
    const struct memory_buffer *b = relay_data(r, m->args[0].u, WL_DATA_BUFFER);
    const struct export_buffer *picture = pool->memory->dmabuf;
    if (!b)
        return refuse(r, m, "it leaves the picture");
    if (pool->spent)
        return refuse(r, m, "a picture is one buffer");
    pool->spent = true;
    uint32_t fourcc =
        fourcc_with_alpha(picture->fourcc, fourcc_has_alpha(shm_format_fourcc(b->format)));
    int fd = fcntl(b->memory->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return refuse(r, m, strerror(errno));
    sendq_fd(&r->local.out, fd);
    TO_LOCAL(r, m->object, PARAMS_ADD,
             WORDS(0, picture->offset[0], picture->stride[0], (uint32_t)(picture->modifier >> 32),
                   (uint32_t)picture->modifier));
    TO_LOCAL(r, m->object, PARAMS_CREATE_IMMED, WORDS(b->id, b->width, b->height, fourcc, 0));
    return RELAY_DROP;
}

enum relay_verdict dmabufs_hook(const struct dmabufs *d, struct relay *r, struct wl_message *m)
{
    uint8_t hook = m->info->hook;
    bool creates = hook == WL_HOOK_SHM_CREATE_POOL;
    if (!creates && hook != WL_HOOK_POOL_CREATE_BUFFER && hook != WL_HOOK_POOL_RESIZE &&
        hook != WL_HOOK_POOL_DESTROY)
        return RELAY_PASS;
    struct shm_pool *pool = relay_data(r, creates ? m->args[0].u : m->object, WL_DATA_POOL);
    if (!pool || !pool->memory->dmabuf)
        return RELAY_PASS;
    switch (hook) {
    case WL_HOOK_SHM_CREATE_POOL:
        return create_pool(d, r, m);
    case WL_HOOK_POOL_CREATE_BUFFER:
        return create_buffer(r, m, pool);
    case WL_HOOK_POOL_RESIZE:
        return refuse(r, m, "a picture does not grow");
    default:
        wl_message_poke(m, 4, (uint32_t)m->size << 16 | PARAMS_DESTROY);
        return RELAY_PASS;
    }
}
