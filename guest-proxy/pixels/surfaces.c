/* SPDX-License-Identifier: MIT */
/* State is double-buffered as in the protocol: requests change what is pending, a commit applies
 * it. */
#include "guest-proxy/pixels/surfaces.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "guest-proxy/pixels/damage.h"
#include "guest-proxy/pixels/dmabuf.h"
#include "guest-proxy/pixels/pools.h"

enum { WL_DATA_SURFACE = _WL_DATA_SHARED_N, WL_DATA_VIEWPORT };

struct viewport;

struct surface {
    struct wl_data data;
    struct damage_surface *damage;
    struct damage_mapping
        mapping; /* pending; it becomes current with the commit that damage_commit() sees */
    struct memory_buffer *pending, *current; /* references; NULL: none, or not shared memory */
    bool attached, moved;
    struct viewport *viewport;
};

struct viewport {
    struct wl_data data;
    struct surface *surface; /* NULL once it is destroyed */
};

static void surface_destroy(struct wl_data *data)
{
    struct surface *s = (struct surface *)data;
    if (s->viewport)
        s->viewport->surface = NULL;
    shm_buffer_unref(s->pending);
    shm_buffer_unref(s->current);
    damage_surface_destroy(s->damage);
    free(s);
}

static void viewport_destroy(struct wl_data *data)
{
    struct viewport *v = (struct viewport *)data;
    if (v->surface) {
        v->surface->viewport = NULL;
        v->surface->mapping.has_source = v->surface->mapping.has_destination = false;
    }
    free(v);
}

static enum relay_verdict out_of_memory(struct relay *r)
{
    relay_fail(r, LINK_ERROR_INTERNAL, 0, WL_DISPLAY_NO_MEMORY, "out of memory");
    return RELAY_END;
}

static enum relay_verdict create_surface(struct relay *r, uint32_t id)
{
    struct surface *s = calloc(1, sizeof(*s));
    if (s)
        s->damage = damage_surface_create();
    if (!s || !s->damage) {
        free(s);
        return out_of_memory(r);
    }
    s->data = (struct wl_data){.kind = WL_DATA_SURFACE, .destroy = surface_destroy};
    s->mapping.scale = 1;
    relay_attach(r, id, &s->data);
    return RELAY_PASS;
}

static enum relay_verdict create_viewport(struct relay *r, uint32_t id, uint32_t surface)
{
    struct surface *s = relay_data(r, surface, WL_DATA_SURFACE);
    struct viewport *v = calloc(1, sizeof(*v));
    if (!v)
        return out_of_memory(r);
    v->data = (struct wl_data){.kind = WL_DATA_VIEWPORT, .destroy = viewport_destroy};
    if (s && !s->viewport) { /* a second one is an error that the compositor answers */
        v->surface = s;
        s->viewport = v;
    }
    relay_attach(r, id, &v->data);
    return RELAY_PASS;
}

static struct damage_layout layout_of(const struct memory_buffer *b)
{
    return (struct damage_layout){.offset = b->offset,
                                  .stride = b->stride,
                                  .width = b->width,
                                  .height = b->height,
                                  .cpp = b->cpp,
                                  .format = b->format,
                                  .extent = b->extent};
}

static struct damage_file *file_of(struct memory *m)
{
    if (!m->damage) {
        m->damage = damage_file_create();
        m->damage_destroy = damage_file_destroy;
    }
    return m->damage;
}

struct sending {
    struct relay *relay;
    struct shadows *shadows;
    struct memory_buffer *buffer;
    bool truncated;
};

static void send_rect(void *user, const struct damage_rect *rect)
{
    struct sending *to = user;
    int e = to->truncated ? -EFAULT : pools_send(to->shadows, to->relay, to->buffer, rect);
    if (e != -ENOTSUP) {
        to->truncated |= e < 0;
        return;
    }
    struct link_mem_write rows = {
        .offset = rect->offset, .row = rect->row, .rows = rect->rows, .stride = rect->stride};
    relay_send_rows(to->relay, to->buffer->memory, rows, to->buffer->id);
}

/* What became of damage_…(): 0 or an error. */
static enum relay_verdict sent(const struct sending *to, int e)
{
    if (e < 0)
        return out_of_memory(to->relay);
    if (!to->truncated)
        return RELAY_PASS;
    relay_fail(to->relay, LINK_ERROR_WAYLAND, to->buffer->id, WL_SHM_INVALID_FD,
               "error accessing SHM buffer: its file has been truncated");
    return RELAY_END;
}

static enum relay_verdict commit(struct relay *r, struct shadows *shadows, struct surface *s)
{
    const bool shown = s->attached ? s->pending != NULL : s->current != NULL;
    if (shown && dmabuf_wait(s->attached ? s->pending : s->current))
        return RELAY_WAIT;
    if (s->attached) {
        shm_buffer_unref(s->current);
        s->current = s->pending;
        s->pending = NULL;
    }
    struct memory_buffer *b = s->current;
    struct damage_file *file = b ? file_of(b->memory) : NULL;
    if (b && !file)
        return out_of_memory(r);
    struct damage_layout layout = b ? layout_of(b) : (struct damage_layout){0};
    struct sending to = {.relay = r, .shadows = shadows, .buffer = b};
    int e = damage_commit(s->damage, file, b ? &layout : NULL, &s->mapping, s->attached, s->moved,
                          send_rect, &to);
    s->attached = s->moved = false;
    return sent(&to, e);
}

/* A reader that has no surface: an icon. */
static enum relay_verdict read_buffer(struct relay *r, struct shadows *shadows, uint32_t id)
{
    struct memory_buffer *b = relay_data(r, id, WL_DATA_BUFFER);
    if (!b)
        return RELAY_PASS;
    struct damage_file *file = file_of(b->memory);
    struct damage_layout layout = layout_of(b);
    struct sending to = {.relay = r, .shadows = shadows, .buffer = b};
    return file ? sent(&to, damage_whole(file, &layout, send_rect, &to)) : out_of_memory(r);
}

/* A screen copy came in: what the host holds there is what it wrote, not what we sent. */
static void captured(struct relay *r, uint32_t frame)
{
    struct shm_capture *c = relay_data(r, frame, WL_DATA_CAPTURE);
    if (!c)
        return;
    if (dmabuf_is(c->buffer))
        dmabuf_captured(c->buffer);
    surfaces_forget(c->buffer->memory, c->buffer->offset, c->buffer->extent);
}

void surfaces_forget(struct memory *memory, uint64_t offset, uint64_t length)
{
    if (memory->damage)
        damage_forget(memory->damage, offset, length);
}

static enum relay_verdict surface_request(struct relay *r, struct shadows *shadows,
                                          struct surface *s, const struct wl_message *m)
{
    const union wl_arg *a = m->args;
    switch (m->info->hook) {
    case WL_HOOK_SURFACE_ATTACH: {
        struct memory_buffer *b = a[0].u ? relay_data(r, a[0].u, WL_DATA_BUFFER) : NULL;
        shm_buffer_unref(s->pending);
        s->pending = b ? shm_buffer_ref(b) : NULL;
        s->attached = true;
        s->moved |= a[1].i || a[2].i;
        break;
    }
    case WL_HOOK_SURFACE_OFFSET:
        s->moved |= a[0].i || a[1].i;
        break;
    case WL_HOOK_SURFACE_DAMAGE:
        damage_surface_add(s->damage, a[0].i, a[1].i, a[2].i, a[3].i);
        break;
    case WL_HOOK_SURFACE_DAMAGE_BUFFER:
        damage_surface_add_buffer(s->damage, a[0].i, a[1].i, a[2].i, a[3].i);
        break;
    case WL_HOOK_SURFACE_TRANSFORM: /* values out of range are errors that the compositor answers */
        if (a[0].i >= 0 && a[0].i <= 7)
            s->mapping.transform = a[0].i;
        break;
    case WL_HOOK_SURFACE_SCALE:
        if (a[0].i > 0)
            s->mapping.scale = a[0].i;
        break;
    case WL_HOOK_SURFACE_COMMIT:
        return commit(r, shadows, s);
    }
    return RELAY_PASS;
}

static void viewport_request(struct surface *s, const struct wl_message *m)
{
    const union wl_arg *a = m->args;
    struct damage_mapping *to = &s->mapping;
    if (m->info->hook == WL_HOOK_VIEWPORT_SOURCE) { /* four times -1.0 unsets it */
        to->has_source = a[2].i > 0 && a[3].i > 0;
        to->source_x = a[0].i;
        to->source_y = a[1].i;
        to->source_width = a[2].i;
        to->source_height = a[3].i;
    } else {
        to->has_destination = a[0].i > 0 && a[1].i > 0;
        to->width = a[0].i;
        to->height = a[1].i;
    }
}

enum relay_verdict surfaces_hook(struct relay *r, struct shadows *shadows, struct wl_message *m)
{
    struct surface *s;
    struct viewport *v;
    switch (m->info->hook) {
    case WL_HOOK_CREATE_SURFACE:
        return create_surface(r, m->args[0].u);
    case WL_HOOK_GET_VIEWPORT:
        return create_viewport(r, m->args[0].u, m->args[1].u);
    case WL_HOOK_VIEWPORT_SOURCE:
    case WL_HOOK_VIEWPORT_DESTINATION:
        v = relay_data(r, m->object, WL_DATA_VIEWPORT);
        if (v && v->surface)
            viewport_request(v->surface, m);
        return RELAY_PASS;
    case WL_HOOK_BUFFER_READ:
        return read_buffer(r, shadows, m->args[0].u);
    case WL_HOOK_CAPTURE_READY:
        captured(r, m->object);
        return RELAY_PASS;
    default:
        s = relay_data(r, m->object, WL_DATA_SURFACE);
        return s ? surface_request(r, shadows, s, m) : RELAY_PASS;
    }
}
