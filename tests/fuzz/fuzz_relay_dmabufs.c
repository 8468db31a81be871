/* SPDX-License-Identifier: MIT */
/* The host's relay against any bytes on its link, where the compositor gets dmabufs: imports are
 * mirrors, the guest's pages or pictures, in turn. The first byte says in which pieces they come.
 */
#include "tests/fuzz/relay.h"

#include <drm_fourcc.h>

#include "host-proxy/pixels/dmabufs.h"
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

static enum relay_verdict hook(struct relay *r, struct wl_message *m, bool event)
{
    (void)event;
    return dmabufs_hook(&dmabufs, NULL, r, m);
}

static struct memory *import_memory(struct relay *r, const struct link_mem_import *import)
{
    (void)r;
    if (import->import % 3 == 0)
        return memory_create(import->size);
    struct memory *m = memory_share(fd_memfd("pages", import->size), import->size);
    if (m) {
        m->late = true;
        m->picture = import->import % 3 == 1 ? &picture : NULL;
    }
    return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[256];
    if (size < 1)
        return 0;
    fuzz_start(RELAY_HOST);
    struct relay_ops ops = *F.relay->ops;
    ops.hook = hook;
    ops.hidden = hidden;
    ops.keep_id = keep_id;
    ops.own_event = own_event;
    ops.import_memory = import_memory;
    F.relay->ops = &ops;
    dmabufs = (struct dmabufs){0};
    uint32_t callback = 3;
    for (size_t i = 0; i < FUZZ_GLOBALS_N; i++)
        callback += wl_iface_find(fuzz_globals[i], strlen(fuzz_globals[i])) != NULL;
    fuzz_send_link(bytes, fuzz_message(bytes, 1, 0, "u", callback));
    size_t n = fuzz_message(bytes, 2, 0, "usu", GLOBAL, DMABUF, 4);
    n += fuzz_message(bytes + n, callback, 0, "u", 1);
    n += fuzz_message(bytes + n, 1, 1, "u", callback);
    fuzz_send(F.local, bytes, n, -1);
    if (!F.relay || dmabufs.id != callback)
        abort();
    fuzz_send_pieces(F.link, data[0], data + 1, size - 1);
    fuzz_stop();
    return 0;
}
