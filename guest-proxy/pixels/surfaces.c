/* SPDX-License-Identifier: MIT */
/* surfaces: owns what each surface shows and what is pending: state is double-buffered as in the
 * protocol, requests change what is pending, a commit applies it. Before a commit passes, the
 * pixels that the host lacks have been queued. */
#include "guest-proxy/pixels/surfaces.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/carrier/vfd-memory.h"
#include "common/wayland/shm-captures.h"
#include "common/wayland/wl-shm.h"
#include "guest-proxy/pixels/damage.h"
#include "guest-proxy/pixels/pools.h"
#include "guest-proxy/pixels/repeats.h"

/* Bytes that are on their way as copies: so many before some are sent, and at most. */
#define PART (256u << 10)
#define COPIES_MAX (4u << 20)

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

static const struct wl_data_type surface_type = {.name = "wl_surface", .destroy = surface_destroy};
static const struct wl_data_type viewport_type = {.name = "wp_viewport",
                                                  .destroy = viewport_destroy};

static enum relay_verdict create_surface(struct relay *r, uint32_t id)
{
    struct surface *s = calloc(1, sizeof(*s));
    if (s)
        s->damage = damage_surface_create();
    if (!s || !s->damage) {
        free(s);
        return relay_out_of_memory(r);
    }
    s->data = (struct wl_data){.type = &surface_type};
    s->mapping.scale = 1;
    relay_attach(r, id, &s->data);
    return RELAY_PASS;
}

static enum relay_verdict create_viewport(struct relay *r, uint32_t id, uint32_t surface)
{
    struct surface *s = relay_data(r, surface, &surface_type);
    struct viewport *v = calloc(1, sizeof(*v));
    if (!v)
        return relay_out_of_memory(r);
    v->data = (struct wl_data){.type = &viewport_type};
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

/* What the host holds of a memory. */
struct damage_note {
    struct memory_note note;
    struct damage_file *file;
};

static void damage_note_destroy(struct memory_note *note)
{
    struct damage_note *n = (struct damage_note *)note;
    damage_file_destroy(n->file);
    free(n);
}

static const struct memory_note_type damage_type = {"damage", damage_note_destroy};

/* NULL: out of memory. */
static struct damage_file *file_of(struct memory *m)
{
    struct damage_note *n = (struct damage_note *)memory_note(m, &damage_type);
    if (n)
        return n->file;
    n = malloc(sizeof(*n));
    struct damage_file *file = n ? damage_file_create() : NULL;
    if (!file) {
        free(n);
        return NULL;
    }
    *n = (struct damage_note){.note.type = &damage_type, .file = file};
    memory_attach(m, &n->note);
    return file;
}

struct sending {
    struct relay *relay;
    struct memory_buffer *buffer;
    bool truncated;
};

static struct link_mem_write rows_of(const struct damage_rect *rect)
{
    return (struct link_mem_write){
        .offset = rect->offset, .row = rect->row, .rows = rect->rows, .stride = rect->stride};
}

static void send_straight(void *user, const struct damage_rect *rect)
{
    struct sending *to = user;
    vfd_memory_send(&to->relay->carrier.vfds, to->buffer->memory, rows_of(rect), to->buffer->id);
}

static void send_bytes(void *user, uint64_t offset, const uint8_t *bytes, uint32_t size)
{
    struct sending *to = user;
    vfd_memory_send_bytes(&to->relay->carrier.vfds, to->buffer->memory, offset, bytes, size);
}

static bool has_room(void *user)
{
    const struct sending *to = user;
    struct link *link = to->relay->carrier.ends.link;
    if (sendq_held(&link->out) > PART)
        link_flush(link);
    return sendq_held(&link->out) < COPIES_MAX;
}

static const struct repeats_ops repeats_ops = {
    .bytes = send_bytes, .rows = send_straight, .has_room = has_room};

static void send_rect(void *user, const struct damage_rect *rect)
{
    struct sending *to = user;
    struct link_mem_write rows = rows_of(rect);
    int e = to->truncated ? -EFAULT : pools_send(to->relay, to->buffer, &rows);
    if (e == -ENOTSUP && rect->repeats && !to->buffer->backing)
        e = repeats_send(rect->repeats, to->buffer->memory, rect, &repeats_ops, to);
    else if (e == -ENOTSUP)
        send_straight(to, rect);
    if (e < 0 && e != -ENOTSUP)
        to->truncated = true;
}

/* What became of damage_…(): 0 or an error. */
static enum relay_verdict surfaces_sent(const struct sending *to, int e)
{
    if (e < 0)
        return relay_out_of_memory(to->relay);
    if (!to->truncated)
        return RELAY_PASS;
    return relay_fail(to->relay, LINK_ERROR_WAYLAND, to->buffer->id, WL_SHM_INVALID_FD,
                      "error accessing SHM buffer: its file has been truncated");
}

/* What may hold a commit back, with what it would show (NULL: nothing). True: it has to wait, and
 * relay_wait() was said. */
typedef bool commit_gate(const struct surface *surface, const struct memory_buffer *shown);

/* Whoever has the pixels is still drawing. */
static bool backing_gate(const struct surface *surface, const struct memory_buffer *shown)
{
    struct buffer_backing *backing = shown ? shown->backing : NULL;
    (void)surface;
    return backing && backing->ops->wait && backing->ops->wait(backing);
}

static commit_gate *const commit_gates[] = {backing_gate};

static enum relay_verdict commit(struct relay *r, struct surface *s)
{
    const struct memory_buffer *shown = s->attached ? s->pending : s->current;
    for (size_t i = 0; i < sizeof(commit_gates) / sizeof(*commit_gates); i++)
        if (commit_gates[i](s, shown))
            return RELAY_WAIT;
    if (s->attached) {
        shm_buffer_unref(s->current);
        s->current = s->pending;
        s->pending = NULL;
    }
    struct memory_buffer *b = s->current;
    struct damage_file *file = b ? file_of(b->memory) : NULL;
    if (b && !file)
        return relay_out_of_memory(r);
    struct damage_layout layout = b ? layout_of(b) : (struct damage_layout){0};
    struct sending to = {.relay = r, .buffer = b};
    int e = damage_commit(s->damage, file, b ? &layout : NULL, &s->mapping, s->attached, s->moved,
                          send_rect, &to);
    s->attached = s->moved = false;
    return surfaces_sent(&to, e);
}

void surfaces_forget(struct memory *memory, uint64_t offset, uint64_t length)
{
    const struct damage_note *n = (struct damage_note *)memory_note(memory, &damage_type);
    if (n)
        damage_forget(n->file, offset, length);
}

/* --- hooks --- */

enum relay_verdict surfaces_create(struct relay *r, struct wl_message *m)
{
    return create_surface(r, m->args[0].u);
}

enum relay_verdict surfaces_get_viewport(struct relay *r, struct wl_message *m)
{
    return create_viewport(r, m->args[0].u, m->args[1].u);
}

/* A reader that has no surface: an icon. */
enum relay_verdict surfaces_buffer_read(struct relay *r, struct wl_message *m)
{
    struct memory_buffer *b = relay_data(r, m->args[0].u, &shm_buffer_type);
    if (!b)
        return RELAY_PASS;
    struct damage_file *file = file_of(b->memory);
    struct damage_layout layout = layout_of(b);
    struct sending to = {.relay = r, .buffer = b};
    return file ? surfaces_sent(&to, damage_whole(file, &layout, send_rect, &to))
                : relay_out_of_memory(r);
}

/* A screen copy came in: what the host holds there is what it wrote, not what we sent. */
enum relay_verdict surfaces_capture_ready(struct relay *r, struct wl_message *m)
{
    struct shm_capture *c = relay_data(r, m->object, &shm_capture_type);
    if (!c)
        return RELAY_PASS;
    struct memory_buffer *b = c->buffer;
    if (b->backing && b->backing->ops->captured)
        b->backing->ops->captured(b->backing, b);
    surfaces_forget(b->memory, b->offset, b->extent);
    return RELAY_PASS;
}

static struct surface *surface_of(struct relay *r, const struct wl_message *m)
{
    return relay_data(r, m->object, &surface_type);
}

enum relay_verdict surfaces_attach(struct relay *r, struct wl_message *m)
{
    struct surface *s = surface_of(r, m);
    const union wl_arg *a = m->args;
    if (!s)
        return RELAY_PASS;
    struct memory_buffer *b = a[0].u ? relay_data(r, a[0].u, &shm_buffer_type) : NULL;
    shm_buffer_unref(s->pending);
    s->pending = b ? shm_buffer_ref(b) : NULL;
    s->attached = true;
    s->moved |= a[1].i || a[2].i;
    return RELAY_PASS;
}

enum relay_verdict surfaces_offset(struct relay *r, struct wl_message *m)
{
    struct surface *s = surface_of(r, m);
    if (s)
        s->moved |= m->args[0].i || m->args[1].i;
    return RELAY_PASS;
}

enum relay_verdict surfaces_damage(struct relay *r, struct wl_message *m)
{
    struct surface *s = surface_of(r, m);
    const union wl_arg *a = m->args;
    if (s)
        damage_surface_add(s->damage, a[0].i, a[1].i, a[2].i, a[3].i);
    return RELAY_PASS;
}

enum relay_verdict surfaces_damage_buffer(struct relay *r, struct wl_message *m)
{
    struct surface *s = surface_of(r, m);
    const union wl_arg *a = m->args;
    if (s)
        damage_surface_add_buffer(s->damage, a[0].i, a[1].i, a[2].i, a[3].i);
    return RELAY_PASS;
}

/* Values out of range are errors that the compositor answers. */

enum relay_verdict surfaces_transform(struct relay *r, struct wl_message *m)
{
    struct surface *s = surface_of(r, m);
    int32_t transform = m->args[0].i;
    if (s && transform >= 0 && transform <= 7)
        s->mapping.transform = transform;
    return RELAY_PASS;
}

enum relay_verdict surfaces_scale(struct relay *r, struct wl_message *m)
{
    struct surface *s = surface_of(r, m);
    if (s && m->args[0].i > 0)
        s->mapping.scale = m->args[0].i;
    return RELAY_PASS;
}

enum relay_verdict surfaces_commit(struct relay *r, struct wl_message *m)
{
    struct surface *s = surface_of(r, m);
    return s ? commit(r, s) : RELAY_PASS;
}

static struct damage_mapping *viewport_mapping(struct relay *r, const struct wl_message *m)
{
    const struct viewport *v = relay_data(r, m->object, &viewport_type);
    return v && v->surface ? &v->surface->mapping : NULL;
}

enum relay_verdict surfaces_viewport_source(struct relay *r, struct wl_message *m)
{
    struct damage_mapping *to = viewport_mapping(r, m);
    const union wl_arg *a = m->args;
    if (!to)
        return RELAY_PASS;
    to->has_source = a[2].i > 0 && a[3].i > 0; /* four times -1.0 unsets it */
    to->source_x = a[0].i;
    to->source_y = a[1].i;
    to->source_width = a[2].i;
    to->source_height = a[3].i;
    return RELAY_PASS;
}

enum relay_verdict surfaces_viewport_destination(struct relay *r, struct wl_message *m)
{
    struct damage_mapping *to = viewport_mapping(r, m);
    const union wl_arg *a = m->args;
    if (!to)
        return RELAY_PASS;
    to->has_destination = a[0].i > 0 && a[1].i > 0;
    to->width = a[0].i;
    to->height = a[1].i;
    return RELAY_PASS;
}
