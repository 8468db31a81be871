/* SPDX-License-Identifier: MIT */
/* The host's relay against any bytes on its link, where the compositor gets dmabufs: imports are
 * mirrors, the guest's pages or pictures, in turn. The first byte says in which pieces they come.
 */
#include "tests/fuzz/relay.h"

#include <drm_fourcc.h>

#include "host-proxy/pixels/dmabufs.h"
#include "host-proxy/pixels/import-note.h"
#include "host-proxy/pixels/trials.h"
#include "protocol/export.h"

#define DMABUF "zwp_linux_dmabuf_v1"
#define GLOBAL 99

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dmabufs dmabufs;
static const struct export_buffer picture = {.kind = EXPORT_KIND_DMABUF,
                                             .memory = EXPORT_MEMORY_HOST,
                                             .width = 64,
                                             .height = 64,
                                             .fourcc = DRM_FORMAT_ABGR8888,
                                             .n_planes = 1,
                                             .stride = {256}};

/* In place of trials.c: every second width. */
bool trials_takes(struct trials *trials, const struct export_buffer *layout, int fd)
{
    (void)trials;
    (void)fd;
    return layout->width % 2;
}

static void hidden(struct relay *r, const struct wl_message *m, const struct wl_iface *iface)
{
    (void)r;
    dmabufs_global(&dmabufs, m, iface);
}

static bool keep_id(struct relay *r, uint32_t id)
{
    return dmabufs_keep_id(&dmabufs, r, id);
}

static enum relay_verdict own_event(struct relay *r, const struct wl_message *m)
{
    return dmabufs_event(&dmabufs, r, m);
}

static enum relay_verdict create_pool(struct relay *r, struct wl_message *m)
{
    return dmabufs_create_pool(&dmabufs, r, m);
}

static enum relay_verdict create_buffer(struct relay *r, struct wl_message *m)
{
    return dmabufs_create_buffer(&dmabufs, NULL, r, m);
}

static enum relay_verdict destroy_pool(struct relay *r, struct wl_message *m)
{
    return dmabufs_destroy_pool(&dmabufs, r, m);
}

static enum relay_verdict destroy_registry(struct relay *r, struct wl_message *m)
{
    (void)r;
    dmabufs_destroy_registry(&dmabufs, m);
    return RELAY_PASS;
}

static relay_hook *const hooks[_WL_HOOK_N] = {
    [WL_HOOK_SHM_CREATE_POOL] = create_pool,       [WL_HOOK_POOL_CREATE_BUFFER] = create_buffer,
    [WL_HOOK_POOL_RESIZE] = dmabufs_resize_pool,   [WL_HOOK_POOL_DESTROY] = destroy_pool,
    [WL_HOOK_DESTROY_REGISTRY] = destroy_registry,
};

static void pages_gone(struct import_note *note)
{
    free(note);
}

static struct memory *import_memory(void *user, const struct link_mem_import *import)
{
    (void)user;
    if (import->import % 3 == 0)
        return memory_create(import->size, NULL);
    struct import_note *note = calloc(1, sizeof(*note));
    struct memory *m = memory_share(fd_memfd("pages", import->size), import->size, NULL);
    if (!m || !note)
        abort();
    *note = (struct import_note){
        .late = true, .picture = import->import % 3 == 1 ? &picture : NULL, .gone = pages_gone};
    import_note_attach(m, note);
    return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[256];
    if (size < 1)
        return 0;
    fuzz_start(CARRIER_HOST);
    struct relay_ops ops = *F.relay->ops;
    struct gpu_memory_ops gpu = *ops.gpu;
    gpu.memory = import_memory;
    ops.hooks = hooks;
    ops.hidden = hidden;
    ops.keep_id = keep_id;
    ops.own_event = own_event;
    F.relay->ops = &ops;
    F.relay->carrier.gpu.ops = &gpu;
    dmabufs = (struct dmabufs){0};
    uint32_t callback = 3;
    for (size_t i = 0; i < FUZZ_GLOBALS_N; i++)
        callback += wl_iface_find(fuzz_globals[i], strlen(fuzz_globals[i])) != NULL;
    fuzz_send_link(bytes, wl_build(bytes, 1, 0, "u", callback));
    size_t n = wl_build(bytes, 2, 0, "usu", GLOBAL, DMABUF, 4);
    n += wl_build(bytes + n, callback, 0, "u", 1);
    n += wl_build(bytes + n, 1, 1, "u", callback);
    fuzz_send(F.local, bytes, n, -1);
    if (!F.relay || dmabufs.id != callback)
        abort();
    fuzz_send_pieces(F.link, data[0], data + 1, size - 1);
    fuzz_stop();
    return 0;
}
