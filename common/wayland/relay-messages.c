/* SPDX-License-Identifier: MIT */
/* Every message of both directions passes message() once. Most need nothing but a look at their
 * size: they are collected as runs of bytes and passed on together. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/wayland/relay-private.h"

#define COPY_MAX 1024 /* bytes: so few are copied behind their frame's head */
#define DISPLAY_DELETE_ID 1

/* Who is to blame for a bad message, as an error kind. */
static enum link_error blame(const struct relay *r, bool from_local)
{
    if (from_local)
        return r->side == RELAY_GUEST ? LINK_ERROR_WAYLAND : LINK_ERROR_COMPOSITOR;
    return LINK_ERROR_WAYLAND;
}

static enum relay_verdict bad(struct relay *r, bool from_local, const struct wl_message *m,
                              const struct wl_iface *iface, uint32_t code, const char *what)
{
    const char *sender = (r->side == RELAY_GUEST) == from_local ? "client" : "compositor";
    if (!iface)
        relay_fail(r, blame(r, from_local), 0, WL_DISPLAY_INVALID_OBJECT,
                   "the %s used object %u: %s", sender, m->object, what);
    else
        relay_fail(r, blame(r, from_local), code == WL_DISPLAY_INVALID_METHOD ? m->object : 0, code,
                   "the %s sent %s#%u.%s%s%u: %s", sender, iface->name, m->object,
                   m->info ? m->info->name : "", m->info ? ", message " : "message ", m->opcode,
                   what);
    return RELAY_END;
}

static uint32_t id_for_host(void *ids, uint32_t id)
{
    return wl_ids_host(ids, id);
}

static uint32_t id_for_application(void *ids, uint32_t id)
{
    return wl_ids_application(ids, id);
}

/* Whose message it is; the arguments follow when they are checked. */
static void translate_object(struct relay *r, struct wl_message *m)
{
    uint32_t id;
    m->object = wl_ids_application(&r->ids, m->object);
    wl_message_poke(m, 0, m->object);
    if (m->object == 1 && m->opcode == DISPLAY_DELETE_ID && m->size == WL_HEADER_SIZE + 4) {
        memcpy(&id, m->bytes + WL_HEADER_SIZE, 4);
        wl_message_poke(m, WL_HEADER_SIZE, wl_ids_application(&r->ids, id));
    }
}

static enum relay_verdict add_objects(struct relay *r, struct wl_message *m, bool event,
                                      bool from_local, const struct wl_iface *iface,
                                      uint32_t version)
{
    const char *s = m->info->signature;
    for (unsigned i = 0; s[i]; i++) {
        const struct wl_iface *type = m->info->types ? m->info->types[i] : NULL;
        uint32_t id = m->args[i].u, new_version = version;
        if (s[i] == 'N') {
            if (m->info->hook != WL_HOOK_REGISTRY_BIND)
                return bad(r, from_local, m, iface, WL_DISPLAY_INVALID_METHOD,
                           "an object of unnamed interface");
            const struct relay_global *global = relay_registry_bind(r, m);
            if (!global)
                return RELAY_END;
            type = global->iface;
            id = m->args[i].n.id;
            new_version = m->args[i].n.version;
        } else if (s[i] != 'n') {
            continue;
        }
        if (!type)
            return bad(r, from_local, m, iface, WL_DISPLAY_INVALID_METHOD,
                       "an object of unknown interface");
        int e = wl_objects_add(&r->objects, event, id, type, new_version);
        if (e != WL_OBJECTS_OK)
            return bad(r, from_local, m, iface,
                       e == WL_OBJECTS_E_FULL ? WL_DISPLAY_NO_MEMORY : WL_DISPLAY_INVALID_OBJECT,
                       wl_objects_error_name(e));
    }
    return RELAY_PASS;
}

static enum relay_verdict hook(struct relay *r, struct wl_message *m, bool event)
{
    enum relay_verdict v = RELAY_PASS;
    switch (m->info->hook) {
    case WL_HOOK_NONE:
        return RELAY_PASS;
    case WL_HOOK_DISPLAY_ERROR:
        log_info(r->subject, "the compositor ended the client: object %u, code %u: %s",
                 m->args[0].u, m->args[1].u, m->args[2].s.text);
        return RELAY_PASS;
    case WL_HOOK_DISPLAY_DELETE_ID:
        if (r->ops->keep_id && r->ops->keep_id(r, m->args[0].u))
            return RELAY_DROP;
        if (!wl_objects_delete(&r->objects, m->args[0].u))
            return RELAY_DROP;
        if (r->uncovered)
            relay_shm_reached(r, m->args[0].u);
        return r->ids.n && m->args[0].u >= WL_SERVER_ID_BASE ? RELAY_DROP : RELAY_PASS;
    case WL_HOOK_REGISTRY_GLOBAL:
        v = relay_registry_global(r, m);
        break;
    case WL_HOOK_REGISTRY_GLOBAL_REMOVE:
        return relay_registry_remove(r, m);
    case WL_HOOK_POOL_CREATE_BUFFER:
    case WL_HOOK_POOL_RESIZE:
    case WL_HOOK_CAPTURE_BUFFER:
    case WL_HOOK_CAPTURE_READY:
    case WL_HOOK_CAPTURE_FAILED:
        v = relay_shm_hook(r, m);
        break;
    default:
        break;
    }
    return v == RELAY_PASS && r->ops->hook ? r->ops->hook(r, m, event) : v;
}

/* guest: the compositor frees an id when it has read @m: at once if @m destroys or asks for nothing
 * but an answer, later if what is created tells of something else. */
static void mark(struct relay *r, const struct wl_message *m)
{
    const char *s = m->info->signature;
    if (m->info->destructor && m->object < WL_SERVER_ID_BASE)
        relay_shm_mark(r, m->object, true);
    for (unsigned i = 0; m->info->creates && s[i]; i++)
        if (s[i] == 'n' && !m->info->types[i]->n_requests)
            relay_shm_mark(r, m->args[i].u, m->object == 1);
}

static enum relay_verdict message(struct relay *r, struct wl_message *m, bool from_local)
{
    bool event = (r->side == RELAY_HOST) == from_local;
    struct wl_object *object = wl_objects_get(&r->objects, m->object);
    m->info = NULL;
    if (!object || (object->zombie && !event))
        return bad(r, from_local, m, NULL, 0,
                   object ? "it is destroyed" : "there is no such object");
    if (object->ours && event)
        return r->ops->own_event(r, m);
    const struct wl_iface *iface = object->iface;
    uint32_t version = object->version;
    unsigned n = event ? iface->n_events : iface->n_requests;
    const struct wl_msg_info *info =
        m->opcode < n ? (event ? iface->events : iface->requests) + m->opcode : NULL;
    if (!info || info->since > version)
        return bad(r, from_local, m, iface, WL_DISPLAY_INVALID_METHOD,
                   info ? "not in the bound version" : "unknown opcode");
    if (!info->variable && !info->creates && !info->n_fds && !info->hook && !info->destructor &&
        m->size == info->min_size && !r->ids.n)
        return RELAY_PASS;
    int e = wl_message_arguments(m, info);
    if (e != WL_MESSAGE_OK)
        return bad(r, from_local, m, iface, WL_DISPLAY_INVALID_METHOD, wl_message_error_name(e));
    if (r->ids.n && !from_local)
        wl_message_map_ids(m, id_for_application, &r->ids);
    enum relay_verdict v = RELAY_PASS;
    bool refused = info->fd_rule == WL_FD_REFUSED ||
                   (info->fd_rule == WL_FD_DMABUF && (!from_local || r->side == RELAY_HOST));
    if (info->n_fds && refused)
        return bad(r, from_local, m, iface, WL_DISPLAY_IMPLEMENTATION,
                   "its descriptor cannot be carried");
    if (info->fd_rule == WL_FD_FILE &&
        from_local) { /* may have to wait: before anything is changed */
        v = relay_vfd_send(r, m, info, iface->name);
        if (v != RELAY_PASS)
            return v;
    }
    if (info->creates) {
        v = add_objects(r, m, event, from_local, iface, version);
        if (v != RELAY_PASS)
            return v;
    }
    if (info->n_fds && from_local && info->fd_rule != WL_FD_FILE && info->fd_rule != WL_FD_DMABUF) {
        v = relay_vfd_send(r, m, info, iface->name);
        if (v != RELAY_PASS)
            return v;
    }
    if (info->fd_rule == WL_FD_POOL && !from_local) {
        v = relay_vfd_take(r, m, iface->name, false);
        if (v != RELAY_PASS)
            return v;
    }
    v = hook(r, m, event);
    if (v == RELAY_END || r->ending)
        return RELAY_END;
    if (v == RELAY_WAIT)
        return v;
    if (info->n_fds && !from_local && info->fd_rule != WL_FD_POOL) {
        enum relay_verdict taken = relay_vfd_take(r, m, iface->name, v == RELAY_DROP);
        if (taken != RELAY_PASS)
            return taken;
    }
    if (info->destructor)
        wl_objects_retire(&r->objects, m->object);
    if (r->uncovered && from_local && v == RELAY_PASS)
        mark(r, m);
    return v;
}

static bool add_run(struct relay *r, const uint8_t *at, size_t size)
{
    if (r->runs_size + size > LINK_WAYLAND_MAX)
        relay_queue_runs(r);
    r->runs_size += size;
    if (r->runs_n && r->runs[r->runs_n - 1].at + r->runs[r->runs_n - 1].size == at) {
        r->runs[r->runs_n - 1].size += size;
        return true;
    }
    if (r->runs_n == r->runs_room) {
        size_t room = r->runs_room ? 2 * r->runs_room : 2;
        void *grown = realloc(r->runs, room * sizeof(*r->runs));
        if (!grown)
            return false;
        r->runs = grown;
        r->runs_room = room;
    }
    r->runs[r->runs_n].at = at;
    r->runs[r->runs_n++].size = size;
    return true;
}

void relay_queue_runs(struct relay *r)
{
    if (!r->runs_size)
        return;
    uint8_t head[LINK_HEADER_SIZE];
    sendq_copy(&r->link->out, head, link_header_encode(head, LINK_WAYLAND, r->runs_size));
    for (size_t i = 0; i < r->runs_n; i++) {
        if (r->runs_size <=
            COPY_MAX) /* behind the head in one piece: cheaper for the socket than two */
            sendq_copy(&r->link->out, r->runs[i].at, r->runs[i].size);
        else
            sendq_borrow(&r->link->out, r->runs[i].at, r->runs[i].size);
    }
    r->counted_wayland += r->runs_size;
    r->runs_n = r->runs_size = 0;
}

size_t relay_from_local(struct relay *r, const uint8_t *bytes, size_t size)
{
    while (size && !r->ending) {
        struct wl_message m;
        int e = wl_message_header(bytes, size, &m);
        if (e == WL_MESSAGE_E_PARTIAL)
            break;
        if (r->side == RELAY_GUEST && sendq_held(&r->link->out) > LINK_HIGH_WATER) {
            r->crowded = true; /* by files, 32 MiB in a message, or thousands of rectangles */
            break;
        }
        if (e != WL_MESSAGE_OK) {
            relay_fail(r, blame(r, true), 0, WL_DISPLAY_INVALID_METHOD,
                       "a message to object %u has size %u", m.object, m.size);
            return 0;
        }
        enum relay_verdict v = message(r, &m, true);
        if (v == RELAY_WAIT)
            break;
        if (v == RELAY_END)
            return 0;
        if (v == RELAY_PASS && r->ids.n) {
            wl_message_poke(&m, 0, wl_ids_host(&r->ids, m.object));
            wl_message_map_ids(&m, id_for_host, &r->ids);
        }
        if (v == RELAY_PASS && !add_run(r, bytes, m.size)) {
            relay_fail(r, LINK_ERROR_INTERNAL, 0, WL_DISPLAY_NO_MEMORY, "out of memory");
            return 0;
        }
        bytes += m.size;
        size -= m.size;
    }
    return size;
}

int relay_from_link(struct relay *r, const uint8_t *bytes, size_t size)
{
    while (size) {
        struct wl_message m;
        int e = wl_message_header(bytes, size, &m);
        if (e != WL_MESSAGE_OK) {
            relay_fail(r, LINK_ERROR_PROTOCOL, 0, WL_DISPLAY_INVALID_METHOD,
                       "a WAYLAND frame with an incomplete or malformed message");
            return -EPROTO;
        }
        if (r->ids.n)
            translate_object(r, &m);
        enum relay_verdict v =
            r->ops->intercept && r->ops->intercept(r, &m) ? RELAY_DROP : message(r, &m, false);
        if (v == RELAY_END)
            return -EPROTO;
        if (v == RELAY_PASS)
            sendq_borrow(&r->local.out, bytes, m.size);
        bytes += m.size;
        size -= m.size;
    }
    return 0;
}
