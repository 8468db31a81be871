/* SPDX-License-Identifier: MIT */
/* dispatch: every message of both directions passes message() once. Most need nothing but a look at
 * their size: they are collected as runs of bytes and passed on together. What a message's
 * descriptor needs comes before its hooks where they have to see it (pools), or where it may have
 * to wait (files: before anything is changed). */
#include "common/wayland/dispatch.h"

#include <string.h>

#include "common/base/list.h"
#include "common/base/memory.h"
#include "common/carrier/vfd-file.h"
#include "common/carrier/vfd-kinds.h"
#include "common/wayland/inject.h"
#include "common/wayland/registry.h"
#include "common/wayland/shm-captures.h"
#include "common/wayland/shm-pools.h"
#include "common/wayland/uncovered.h"
#include "common/wayland/windows.h"

/* How a message's descriptors go, by enum wl_fd_rule. */
static const struct {
    enum link_vfd_kind kind; /* 0: not at all */
    uint32_t unfit;          /* the error code where the local side's is no good */
} fd_rules[_WL_FD_N] = {
    [WL_FD_POOL] = {LINK_VFD_MEMORY, WL_SHM_INVALID_FD},
    [WL_FD_FILE] = {LINK_VFD_FILE, WL_DISPLAY_IMPLEMENTATION},
    [WL_FD_STREAM] = {LINK_VFD_STREAM, WL_DISPLAY_IMPLEMENTATION},
};

/* Who is to blame for a bad message, as an error kind. */
static enum link_error blame(const struct relay *r, bool from_local)
{
    if (from_local)
        return relay_side(r) == CARRIER_GUEST ? LINK_ERROR_WAYLAND : LINK_ERROR_COMPOSITOR;
    return LINK_ERROR_WAYLAND;
}

static enum relay_verdict relay_bad_message(struct relay *r, bool from_local,
                                            const struct wl_message *m,
                                            const struct wl_iface *iface, uint32_t code,
                                            const char *what)
{
    const char *sender = (relay_side(r) == CARRIER_GUEST) == from_local ? "client" : "compositor";
    if (!iface)
        return relay_fail(r, blame(r, from_local), 0, WL_DISPLAY_INVALID_OBJECT,
                          "the %s used object %u: %s", sender, m->object, what);
    return relay_fail(r, blame(r, from_local), code == WL_DISPLAY_INVALID_METHOD ? m->object : 0,
                      code, "the %s sent %s#%u.%s%s%u: %s", sender, iface->name, m->object,
                      m->info ? m->info->name : "", m->info ? ", message " : "message ", m->opcode,
                      what);
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
    if (m->object == 1 && message_is(m, MSG_DISPLAY_DELETE_ID) && m->size == WL_HEADER_SIZE + 4) {
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
                return relay_bad_message(r, from_local, m, iface, WL_DISPLAY_INVALID_METHOD,
                                         "an object of unnamed interface");
            const struct relay_global *global = registry_bound(r, m);
            if (!global)
                return RELAY_END;
            type = global->iface;
            id = m->args[i].n.id;
            new_version = m->args[i].n.version;
        } else if (s[i] != 'n') {
            continue;
        }
        if (!type)
            return relay_bad_message(r, from_local, m, iface, WL_DISPLAY_INVALID_METHOD,
                                     "an object of unknown interface");
        int e = wl_objects_add(&r->objects, event, id, type, new_version);
        if (e != WL_OBJECTS_OK)
            return relay_bad_message(r, from_local, m, iface,
                                     e == WL_OBJECTS_E_FULL ? WL_DISPLAY_NO_MEMORY
                                                            : WL_DISPLAY_INVALID_OBJECT,
                                     wl_objects_error_name(e));
    }
    return RELAY_PASS;
}

/* --- hooks of both sides --- */

static enum relay_verdict display_error(struct relay *r, struct wl_message *m)
{
    log_info(r->carrier.ends.subject, "the compositor ended the client: object %u, code %u: %s",
             m->args[0].u, m->args[1].u, m->args[2].s.text);
    return RELAY_PASS;
}

static enum relay_verdict display_delete_id(struct relay *r, struct wl_message *m)
{
    uint32_t id = m->args[0].u;
    const struct wl_object *object = wl_objects_get(&r->objects, id);
    struct wl_data *data = object ? object->data : NULL;
    if (r->ops->keep_id && r->ops->keep_id(r, id))
        return RELAY_DROP;
    if (data && data->type->freed && data->type->freed(r, data))
        return RELAY_DROP;
    if (!wl_objects_delete(&r->objects, id))
        return RELAY_DROP;
    if (r->uncovered)
        uncovered_reached(r, id);
    return r->ids.n && id >= WL_SERVER_ID_BASE ? RELAY_DROP : RELAY_PASS;
}

relay_hook *const relay_hooks[_WL_HOOK_N] = {
    [WL_HOOK_DISPLAY_ERROR] = display_error,
    [WL_HOOK_DISPLAY_DELETE_ID] = display_delete_id,
    REGISTRY_HOOKS,
    SHM_POOLS_HOOKS,
    SHM_CAPTURES_HOOKS,
    WINDOWS_HOOKS,
};

static enum relay_verdict call_hooks(struct relay *r, struct wl_message *m)
{
    uint8_t hook = m->info->hook;
    enum relay_verdict v = RELAY_PASS;
    if (hook == WL_HOOK_NONE)
        return RELAY_PASS;
    if (relay_hooks[hook])
        v = relay_hooks[hook](r, m);
    return v == RELAY_PASS && r->ops->hooks && r->ops->hooks[hook] ? r->ops->hooks[hook](r, m) : v;
}

/* --- descriptors --- */

static enum relay_verdict refuse_fd(struct relay *r, const struct wl_message *m,
                                    const struct wl_iface *iface, uint32_t code, const char *what)
{
    return relay_fail(r, blame(r, true), m->object, code, "%s#%u.%s: %s", iface->name, m->object,
                      m->info->name, what);
}

/* How much of a descriptor the message speaks of: a pool's size; for a file, the size that follows
 * it, or an offset and a length. */
static int64_t announced_size(const struct wl_message *m)
{
    int64_t size = 0;
    const char *at = strchr(m->info->signature, 'h');
    if (m->info->fd_rule == WL_FD_POOL)
        return m->args[2].i;
    for (at++; *at; at++)
        size += *at == 'u' ? m->args[at - m->info->signature].u : 0;
    return size;
}

/* A local message's descriptor becomes a VFD, ahead of it. */
static enum relay_verdict send_fd(struct relay *r, struct wl_message *m,
                                  const struct wl_iface *iface)
{
    uint8_t rule = m->info->fd_rule;
    struct vfd_offer offer = {
        .what = m->info->name, .role = "a pool", .announced = announced_size(m)};
    if (rule == WL_FD_POOL)
        offer.what = "wl_shm.create_pool";
    int e = vfds_send(&r->carrier.vfds, fd_rules[rule].kind, &offer);
    switch (e) {
    case VFD_WAIT:
        return RELAY_WAIT;
    case VFD_MISSING:
        return refuse_fd(r, m, iface, WL_DISPLAY_INVALID_METHOD, "its descriptor is missing");
    case VFD_UNFIT:
        return refuse_fd(r, m, iface, fd_rules[rule].unfit, offer.problem);
    case VFD_SCARCE:
        return refuse_fd(r, m, iface, WL_DISPLAY_NO_MEMORY, offer.problem);
    default:
        if (e < 0)
            return RELAY_END;
    }
    return rule == WL_FD_POOL ? shm_pool_create(r, m, offer.memory) : RELAY_PASS;
}

/* The VFD that the link brought for @m, before its hooks: a pool is theirs to see. */
static enum relay_verdict take_vfd(struct relay *r, struct wl_message *m,
                                   const struct wl_iface *iface, struct vfd *ret)
{
    struct vfd vfd;
    if (vfds_take(&r->carrier.vfds, fd_rules[m->info->fd_rule].kind, m->object, &vfd) < 0)
        return RELAY_END;
    enum relay_verdict v = RELAY_PASS;
    if (m->info->fd_rule == WL_FD_POOL) {
        int32_t size = m->args[2].i;
        if (size <= 0 || (uint64_t)size > vfd.memory->size)
            v = refuse_fd(r, m, iface, WL_SHM_INVALID_FD, "invalid pool size");
        else
            v = shm_pool_create(r, m, vfd.memory);
    } else if (m->info->fd_rule == WL_FD_FILE && relay_side(r) == CARRIER_HOST &&
               !vfd_file_reaches(vfd.memory->size, announced_size(m))) {
        v = refuse_fd(r, m, iface, WL_DISPLAY_IMPLEMENTATION,
                      "the file is shorter than the message says"); /* the compositor maps it */
    }
    if (v == RELAY_PASS)
        *ret = vfd;
    else
        vfd_release(&vfd);
    return v;
}

/* It becomes a descriptor of the local side. */
static enum relay_verdict pass_vfd(struct relay *r, struct wl_message *m,
                                   const struct wl_iface *iface, struct vfd *vfd)
{
    int fd = vfd_open(&r->carrier.vfds, vfd);
    if (fd == -EPROTO)
        return RELAY_END;
    if (fd < 0)
        return refuse_fd(r, m, iface, WL_DISPLAY_NO_MEMORY, strerror(-fd));
    int e = sendq_fd(&r->carrier.ends.local.out, fd, vfd->memory);
    return e < 0 ? ends_scarce(&r->carrier.ends, m->info->name, e) : RELAY_PASS;
}

/* --- one message --- */

/* The table's entry for @m, or NULL after relay_fail(). */
static const struct wl_msg_info *relay_look_up(struct relay *r, const struct wl_message *m,
                                               bool event, bool from_local,
                                               const struct wl_object *object)
{
    const struct wl_iface *iface = object->iface;
    unsigned n = event ? iface->n_events : iface->n_requests;
    const struct wl_msg_info *info =
        m->opcode < n ? (event ? iface->events : iface->requests) + m->opcode : NULL;
    /* An event that is newer than what was bound does no harm: libwayland's client library takes
     * it, too, and some compositors send such. */
    if (info && (event || info->since <= object->version))
        return info;
    relay_bad_message(r, from_local, m, iface, WL_DISPLAY_INVALID_METHOD,
                      info ? "not in the bound version" : "unknown opcode");
    return NULL;
}

/* What @m needs, in the order in which it may. */
static enum relay_verdict handle(struct relay *r, struct wl_message *m, bool event, bool from_local,
                                 const struct wl_iface *iface, uint32_t version)
{
    const struct wl_msg_info *info = m->info;
    bool carried = info->n_fds && fd_rules[info->fd_rule].kind;
    struct vfd vfd;
    enum relay_verdict v = RELAY_PASS;
    if (info->n_fds && !carried &&
        !(info->fd_rule == WL_FD_DMABUF && from_local && relay_side(r) == CARRIER_GUEST))
        return relay_bad_message(r, from_local, m, iface, WL_DISPLAY_IMPLEMENTATION,
                                 "its descriptor cannot be carried");
    if (carried && from_local && info->fd_rule == WL_FD_FILE) /* may have to wait */
        v = send_fd(r, m, iface);
    if (v == RELAY_PASS && info->creates)
        v = add_objects(r, m, event, from_local, iface, version);
    if (v == RELAY_PASS && carried && from_local && info->fd_rule != WL_FD_FILE)
        v = send_fd(r, m, iface);
    if (v == RELAY_PASS && carried && !from_local)
        v = take_vfd(r, m, iface, &vfd);
    if (v != RELAY_PASS)
        return v;
    v = call_hooks(r, m);
    if (carrier_is_over(&r->carrier))
        v = RELAY_END;
    if (carried && !from_local) {
        if (v == RELAY_PASS)
            v = pass_vfd(r, m, iface, &vfd);
        vfd_release(&vfd);
    }
    if (v == RELAY_END || v == RELAY_WAIT)
        return v;
    if (info->destructor)
        wl_objects_retire(&r->objects, m->object);
    if (r->uncovered && from_local && v == RELAY_PASS)
        uncovered_mark(r, m);
    return iface->carried ? v : RELAY_DROP; /* the host knows nothing of what is our own */
}

static enum relay_verdict message(struct relay *r, struct wl_message *m, bool from_local)
{
    bool event = (relay_side(r) == CARRIER_HOST) == from_local;
    struct wl_object *object = wl_objects_get(&r->objects, m->object);
    m->info = NULL;
    if (!object && event && from_local)
        return RELAY_DROP; /* as libwayland's client library does */
    if (!object || (object->zombie && !event))
        return relay_bad_message(r, from_local, m, NULL, 0,
                                 object ? "it is destroyed" : "there is no such object");
    if (object->ours && event)
        return r->ops->own_event(r, m);
    const struct wl_iface *iface = object->iface;
    if (!iface->carried && event) { /* the host speaks to what stands for it there */
        if (object->data && object->data->type->event)
            object->data->type->event(r, object->data, m);
        return carrier_is_over(&r->carrier) ? RELAY_END : RELAY_DROP;
    }
    uint32_t version = object->version;
    const struct wl_msg_info *info = relay_look_up(r, m, event, from_local, object);
    if (!info)
        return RELAY_END;
    m->iface = iface;
    m->info = info;
    if (!info->variable && !info->creates && !info->n_fds && !info->hook && !info->destructor &&
        m->size == info->min_size && !r->ids.n)
        return RELAY_PASS;
    int e = wl_message_arguments(m, info);
    if (e != WL_MESSAGE_OK)
        return relay_bad_message(r, from_local, m, iface, WL_DISPLAY_INVALID_METHOD,
                                 wl_message_error_name(e));
    if (r->ids.n && !from_local)
        wl_message_map_ids(m, id_for_application, &r->ids);
    return handle(r, m, event, from_local, iface, version);
}

static void trace(struct relay *r, const struct wl_message *m, bool from_local)
{
    if (m->info)
        r->ops->traced(r, m, (relay_side(r) == CARRIER_HOST) == from_local);
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
    if (array_room(&r->runs, &r->runs_room, r->runs_n + 1, SIZE_MAX) < 0)
        return false;
    r->runs[r->runs_n].at = at;
    r->runs[r->runs_n++].size = size;
    return true;
}

static void requests_over(struct relay *r)
{
    if (relay_side(r) == CARRIER_GUEST && r->ops->batch)
        r->ops->batch(r);
    relay_queue_runs(r);
}

size_t relay_from_local(struct relay *r, const uint8_t *bytes, size_t size)
{
    while (size && !carrier_is_over(&r->carrier)) {
        struct wl_message m;
        int e = wl_message_header(bytes, size, &m);
        if (e == WL_MESSAGE_E_PARTIAL || !carrier_has_room(&r->carrier))
            break;
        if (e != WL_MESSAGE_OK) {
            relay_fail(r, blame(r, true), 0, WL_DISPLAY_INVALID_METHOD,
                       "a message to object %u has size %u", m.object, m.size);
            size = 0;
            break;
        }
        enum relay_verdict v = message(r, &m, true);
        if (v == RELAY_WAIT)
            break;
        if (r->traced)
            trace(r, &m, true);
        if (v == RELAY_END) {
            size = 0;
            break;
        }
        if (v == RELAY_PASS && r->ids.n) {
            wl_message_poke(&m, 0, wl_ids_host(&r->ids, m.object));
            wl_message_map_ids(&m, id_for_host, &r->ids);
        }
        if (v == RELAY_PASS && !add_run(r, bytes, m.size)) {
            relay_out_of_memory(r);
            size = 0;
            break;
        }
        bytes += m.size;
        size -= m.size;
    }
    requests_over(r);
    return size;
}

int relay_from_link(struct relay *r, const uint8_t *bytes, size_t size)
{
    while (size) {
        struct wl_message m;
        int e = wl_message_header(bytes, size, &m);
        if (e != WL_MESSAGE_OK)
            return relay_fail(r, LINK_ERROR_PROTOCOL, 0, WL_DISPLAY_INVALID_METHOD,
                              "a WAYLAND frame with an incomplete or malformed message");
        if (r->ids.n)
            translate_object(r, &m);
        enum relay_verdict v = message(r, &m, false);
        if (r->traced)
            trace(r, &m, false);
        if (v == RELAY_END)
            return -EPROTO;
        if (v == RELAY_PASS)
            sendq_borrow(&r->carrier.ends.local.out, bytes, m.size);
        bytes += m.size;
        size -= m.size;
    }
    return 0;
}
