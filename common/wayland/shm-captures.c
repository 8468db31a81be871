/* SPDX-License-Identifier: MIT */
/* shm-captures: a frame that names a buffer holds a reference to it until the frame is destroyed.
 * The host writes only where a frame says so; the client's file gets the pixels before the client
 * hears that they are there. */
#include "common/wayland/shm-captures.h"

#include <stdlib.h>

#include "common/carrier/vfd-memory.h"

static void capture_destroy(struct wl_data *data)
{
    struct shm_capture *c = (struct shm_capture *)data;
    shm_capture_end(c->buffer);
    shm_buffer_unref(c->buffer);
    free(c);
}

const struct wl_data_type shm_capture_type = {.name = "screen copy", .destroy = capture_destroy};

bool shm_captured(const struct memory *m, uint64_t offset, uint64_t end)
{
    return (m->file ? m->file : m)->writable && shm_is_captured(m, offset, end);
}

/* zwlr_screencopy_frame_v1.copy, ext_image_copy_capture_frame_v1.attach_buffer: the buffer comes
 * first. */
enum relay_verdict shm_capture_buffer(struct relay *r, struct wl_message *m)
{
    struct memory_buffer *b = relay_data(r, m->args[0].u, &shm_buffer_type);
    if (!b)
        return RELAY_PASS;
    struct shm_capture *c = malloc(sizeof(*c));
    if (!c)
        return relay_out_of_memory(r);
    *c = (struct shm_capture){.data = {.type = &shm_capture_type}, .buffer = shm_buffer_ref(b)};
    shm_capture_begin(b);
    relay_attach(r, m->object, &c->data);
    return RELAY_PASS;
}

/* The compositor has filled the buffer. */
enum relay_verdict shm_capture_ready(struct relay *r, struct wl_message *m)
{
    struct shm_capture *c = relay_data(r, m->object, &shm_capture_type);
    if (!c || relay_side(r) == CARRIER_GUEST)
        return RELAY_PASS;
    const struct memory_buffer *b = c->buffer;
    uint32_t import = vfd_memory(b->memory)->import, row = b->width * b->cpp;
    struct link_mem_write rows = {
        .offset = b->offset, .row = row, .rows = b->height, .stride = b->stride};
    if (!b->cpp)
        rows = (struct link_mem_write){.offset = b->offset,
                                       .row = (uint32_t)b->extent,
                                       .rows = 1,
                                       .stride = (uint32_t)b->extent};
    enum relay_verdict v = RELAY_DROP;
    if (import && r->ops->copy_back)
        v = r->ops->copy_back(r, b->memory, &rows);
    if (v == RELAY_PASS)
        gpu_memory_copy(&r->carrier.gpu, b->memory, rows, import, rows.offset, rows.stride);
    if (v != RELAY_DROP)
        return v;
    vfd_memory_send(&r->carrier.vfds, b->memory, rows, 0);
    return RELAY_PASS;
}
