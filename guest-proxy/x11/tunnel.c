/* SPDX-License-Identifier: MIT */
/* Owns the two sockets and who is called what. Ids have to be handed out without gaps, by us as by
 * the X server, so an object has two: at the compositor, where ours are among the X server's, and
 * at the X server. The compositor's are indexes of the books of objects, a client's and a server's;
 * the X server's are indexes of lists of those. An id is free again when both sides know. */
#include "guest-proxy/x11/tunnel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/transport/local-socket.h"
#include "common/wayland/inject.h"
#include "common/wayland/wl-objects.h"

#define WAITING_MAX (4u << 20) /* bytes that the one does not take: the other is not read */

struct object {
    const struct wl_iface *iface; /* NULL: the id is free */
    uint32_t version;
    uint32_t servers;      /* what the X server calls it; 0: ours */
    bool dead;             /* its destructor has passed */
    int32_t width, height; /* of a buffer, or of what becomes one */
    tunnel_event *event;
    void *user;
};

/* Ids from 1 on (index 0: the first), that are free again or were never used. */
struct book {
    struct object *at;
    size_t n, room;
    size_t used; /* that many from the first one on are in use */
};

struct names {
    uint32_t *at; /* the compositor's id; 0: free */
    size_t n, room;
};

struct tunnel {
    struct loop *loop;
    struct local_socket server, compositor;
    const struct tunnel_ops *ops;
    void *user;
    struct book book[2];   /* made by the client, by the compositor */
    struct names names[2]; /* the same, by the X server's ids */
    bool over;
};

static uint32_t first_id(bool by_server)
{
    return by_server ? WL_SERVER_ID_BASE : 1;
}

static struct object *object_of(const struct tunnel *t, uint32_t id)
{
    bool side = id >= WL_SERVER_ID_BASE;
    uint32_t index = id - first_id(side);
    const struct book *b = &t->book[side];
    return id && index < b->n && b->at[index].iface ? &b->at[index] : NULL;
}

static uint32_t *name_of(const struct tunnel *t, uint32_t servers)
{
    bool side = servers >= WL_SERVER_ID_BASE;
    uint32_t index = servers - first_id(side);
    return servers && index < t->names[side].n ? &t->names[side].at[index] : NULL;
}

static uint32_t any_id(const struct tunnel *t, uint32_t servers)
{
    const uint32_t *name = name_of(t, servers);
    return name ? *name : 0;
}

uint32_t tunnel_id(const struct tunnel *t, uint32_t servers)
{
    uint32_t id = any_id(t, servers);
    const struct object *o = object_of(t, id);
    return o && !o->dead ? id : 0;
}

uint32_t tunnel_servers_id(const struct tunnel *t, uint32_t id)
{
    const struct object *o = object_of(t, id);
    return o ? o->servers : 0;
}

uint32_t tunnel_version(const struct tunnel *t, uint32_t id)
{
    const struct object *o = object_of(t, id);
    return o ? o->version : 0;
}

bool tunnel_buffer_size(const struct tunnel *t, uint32_t servers, int32_t *ret_width,
                        int32_t *ret_height)
{
    const struct object *o = object_of(t, tunnel_id(t, servers));
    if (!o)
        return false;
    *ret_width = o->width;
    *ret_height = o->height;
    return true;
}

static void tunnel_end(struct tunnel *t, const char *why)
{
    if (t->over)
        return;
    t->over = true;
    local_socket_pause(&t->server, true);
    local_socket_pause(&t->compositor, true);
    t->ops->ended(t->user, why);
}

/* @id as the one who makes it has chosen it: without gaps, and not in use. */
static struct object *book_enter(struct book *b, uint32_t index)
{
    if (index > b->n || (index < b->n && b->at[index].iface))
        return NULL;
    if (index == b->n) {
        if (array_room(&b->at, &b->room, b->n + 1, WL_OBJECTS_MAX) < 0)
            return NULL;
        b->n++;
    }
    b->at[index] = (struct object){0};
    return &b->at[index];
}

static uint32_t book_free(struct book *b)
{
    while (b->used < b->n && b->at[b->used].iface)
        b->used++;
    return (uint32_t)b->used;
}

/* Of ids that the X server has used without our passing them on (tunnel_answer()), there is no
 * name.
 */
static bool name_enter(struct names *names, uint32_t index, uint32_t id)
{
    if (index < names->n && names->at[index])
        return false;
    if (index >= names->n) {
        if (array_room(&names->at, &names->room, (size_t)index + 1, WL_OBJECTS_MAX) < 0)
            return false;
        memset(names->at + names->n, 0, (index + 1 - names->n) * sizeof(*names->at));
        names->n = (size_t)index + 1;
    }
    names->at[index] = id;
    return true;
}

static void forget(struct tunnel *t, uint32_t id)
{
    struct object *o = object_of(t, id);
    uint32_t *name = o ? name_of(t, o->servers) : NULL;
    if (name)
        *name = 0;
    if (!o)
        return;
    *o = (struct object){0};
    struct book *b = &t->book[id >= WL_SERVER_ID_BASE];
    size_t index = (size_t)(o - b->at);
    if (index < b->used)
        b->used = index;
}

/* A new object of the X server's, which has named it. */
static bool add_servers(struct tunnel *t, uint32_t servers, const struct wl_iface *iface,
                        uint32_t version)
{
    if (servers >= WL_SERVER_ID_BASE || !iface)
        return false;
    uint32_t index = book_free(&t->book[0]);
    struct object *o = book_enter(&t->book[0], index);
    if (!o || !name_enter(&t->names[0], servers - 1, index + 1))
        return false;
    *o = (struct object){.iface = iface, .version = version, .servers = servers};
    return true;
}

/* A new object of the compositor's, in an event for the X server (@ours: for us). */
static bool add_compositors(struct tunnel *t, uint32_t id, const struct wl_iface *iface,
                            uint32_t version, bool ours)
{
    if (id < WL_SERVER_ID_BASE || !iface)
        return false;
    struct object *o = book_enter(&t->book[1], id - WL_SERVER_ID_BASE);
    if (!o)
        return false;
    *o = (struct object){.iface = iface, .version = version};
    if (ours)
        return true;
    struct names *names = &t->names[1];
    uint32_t index = 0;
    while (index < names->n && names->at[index])
        index++;
    if (!name_enter(names, index, id))
        return false;
    o->servers = WL_SERVER_ID_BASE + index;
    return true;
}

uint32_t tunnel_new(struct tunnel *t, const struct wl_iface *iface, uint32_t version,
                    tunnel_event *event, void *user)
{
    uint32_t index = book_free(&t->book[0]);
    struct object *o = book_enter(&t->book[0], index);
    if (!o) {
        tunnel_end(t, "out of memory for objects");
        return 0;
    }
    *o = (struct object){.iface = iface, .version = version, .event = event, .user = user};
    return index + 1;
}

void tunnel_adopt(struct tunnel *t, uint32_t id, tunnel_event *event, void *user)
{
    struct object *o = object_of(t, id);
    if (!o)
        return;
    o->event = event;
    o->user = user;
}

void tunnel_retire(struct tunnel *t, uint32_t id)
{
    struct object *o = object_of(t, id);
    if (!o)
        return;
    o->dead = true;
    o->event = NULL;
    if (id >= WL_SERVER_ID_BASE)
        forget(t, id);
}

void tunnel_send(struct tunnel *t, uint32_t object, enum wl_named what, ...)
{
    uint8_t message[INJECT_MAX];
    va_list args;
    if (t->over)
        return;
    va_start(args, what);
    sendq_copy(&t->compositor.out, message, inject_build_plain(message, object, what, args));
    va_end(args);
}

void tunnel_send_fd(struct tunnel *t, int fd)
{
    if (t->over)
        fd_close(fd);
    else
        sendq_fd(&t->compositor.out, fd, NULL);
}

static void tunnel_tell(struct tunnel *t, uint32_t object, enum wl_named what, ...)
{
    uint8_t message[INJECT_MAX];
    va_list args;
    va_start(args, what);
    sendq_copy(&t->server.out, message, inject_build_plain(message, object, what, args));
    va_end(args);
}

void tunnel_answer(struct tunnel *t, uint32_t callback)
{
    tunnel_tell(t, callback, MSG_CALLBACK_DONE, (uint32_t)loop_now_ms());
    tunnel_tell(t, 1, MSG_DISPLAY_DELETE_ID, callback);
}

void tunnel_attach(struct tunnel *t, uint32_t surface, uint32_t servers_buffer, int32_t x,
                   int32_t y)
{
    tunnel_send(t, surface, MSG_SURFACE_ATTACH, tunnel_id(t, servers_buffer), x, y);
}

void tunnel_flush(struct tunnel *t)
{
    if (t->over)
        return;
    if (local_socket_flush(&t->compositor) < 0 || local_socket_flush(&t->server) < 0)
        return tunnel_end(t, "out of memory");
    local_socket_pause(&t->server, local_socket_waiting(&t->compositor) > WAITING_MAX);
    local_socket_pause(&t->compositor, local_socket_waiting(&t->server) > WAITING_MAX);
}

struct mapping {
    const struct tunnel *t;
    bool unknown;
};

static uint32_t map_servers(void *user, uint32_t servers)
{
    struct mapping *m = user;
    uint32_t id = servers ? any_id(m->t, servers) : 0;
    m->unknown |= servers && !id;
    return id;
}

static uint32_t map_compositors(void *user, uint32_t id)
{
    struct mapping *m = user;
    uint32_t servers = id ? tunnel_servers_id(m->t, id) : 0;
    m->unknown |= id && !servers;
    return servers;
}

/* New ids among the arguments are entered; what a buffer measures is kept with it. */
static bool enter_new(struct tunnel *t, uint32_t id, const struct wl_message *m, bool by_server)
{
    const struct object parent = *object_of(t, id);
    const union wl_arg *arg = m->args;
    for (size_t i = 0; m->info->signature[i]; i++, arg++) {
        const struct wl_iface *iface = m->info->types[i];
        uint32_t new_id = arg->u, version = parent.version;
        if (m->info->signature[i] == 'N') {
            iface = wl_iface_find(arg->n.interface, arg->n.length);
            version = arg->n.version;
            new_id = arg->n.id;
        } else if (m->info->signature[i] != 'n') {
            continue;
        }
        if (!(by_server ? add_compositors(t, new_id, iface, version, !parent.servers)
                        : add_servers(t, new_id, iface, version)))
            return false;
        struct object *o = object_of(t, by_server ? new_id : any_id(t, new_id));
        if (tunnel_is(m, MSG_POOL_CREATE_BUFFER)) {
            o->width = m->args[2].i;
            o->height = m->args[3].i;
        } else if (tunnel_is(m, MSG_PARAMS_CREATE_IMMED)) {
            o->width = m->args[1].i;
            o->height = m->args[2].i;
        } else if (tunnel_is(m, MSG_PARAMS_CREATED)) {
            o->width = parent.width;
            o->height = parent.height;
        }
    }
    if (tunnel_is(m, MSG_PARAMS_CREATE)) {
        struct object *params = object_of(t, id);
        params->width = m->args[0].i;
        params->height = m->args[1].i;
    }
    return true;
}

static bool pass_fds(struct local_socket *from, struct local_socket *to, unsigned n)
{
    while (n--) {
        int fd = local_socket_claim_fd(from);
        if (fd < 0 || sendq_fd(&to->out, fd, NULL) < 0)
            return false;
    }
    return true;
}

/* NULL, or what is wrong with it. */
static const char *take_request(struct tunnel *t, struct wl_message *m)
{
    uint32_t id = tunnel_id(t, m->object);
    const struct object *o = object_of(t, id);
    if (!o || m->opcode >= o->iface->n_requests)
        return "the X server's message is of no object";
    int r = wl_message_arguments(m, &o->iface->requests[m->opcode]);
    if (r != WL_MESSAGE_OK)
        return wl_message_error_name(r);
    if (!t->ops->request(t->user, id, m))
        return NULL;
    if (m->info->creates && !enter_new(t, id, m, false))
        return "the X server's new object has no id that it could have";
    struct mapping mapping = {.t = t};
    wl_message_map_ids(m, map_servers, &mapping);
    if (mapping.unknown)
        return "the X server names an object that is not there";
    if (!pass_fds(&t->server, &t->compositor, m->info->n_fds))
        return "the X server's message lacks a descriptor";
    wl_message_poke(m, 0, id);
    sendq_copy(&t->compositor.out, m->bytes, m->size);
    if (m->info->destructor) {
        object_of(t, id)->dead = true;
        if (id >= WL_SERVER_ID_BASE)
            forget(t, id);
    }
    return NULL;
}

static void take_own(struct tunnel *t, uint32_t id, const struct wl_message *m)
{
    const struct object o = *object_of(t, id);
    int fd = -1;
    for (unsigned i = 0; i < m->info->n_fds; i++) {
        fd_close(fd);
        fd = local_socket_claim_fd(&t->compositor);
    }
    if (o.event)
        o.event(o.user, id, m, fd);
    else
        fd_close(fd);
}

/* What this build does not know is not offered, nor a version that it does not know. */
static bool known_global(struct wl_message *m)
{
    const struct wl_iface *iface = wl_iface_find(m->args[1].s.text, m->args[1].s.length);
    if (iface && m->args[2].u > iface->version) {
        m->args[2].u = iface->version;
        wl_message_poke(m, m->size - 4u, iface->version);
    }
    return iface != NULL;
}

static const char *take_event(struct tunnel *t, struct wl_message *m)
{
    uint32_t id = m->object;
    const struct object *o = object_of(t, id);
    if (!o)
        return NULL; /* of the compositor's, destroyed meanwhile */
    if (m->opcode >= o->iface->n_events)
        return "the compositor's message is none that is known";
    int r = wl_message_arguments(m, &o->iface->events[m->opcode]);
    if (r != WL_MESSAGE_OK)
        return wl_message_error_name(r);
    if (m->info->creates && !enter_new(t, id, m, true))
        return "the compositor's new object has no id that it could have";
    o = object_of(t, id);
    if (id != 1 && !o->servers) {
        take_own(t, id, m);
        return NULL;
    }
    if (tunnel_is(m, MSG_DISPLAY_DELETE_ID)) {
        uint32_t gone = m->args[0].u, servers = tunnel_servers_id(t, gone);
        if (servers)
            tunnel_tell(t, 1, MSG_DISPLAY_DELETE_ID, servers);
        if (gone != 1)
            forget(t, gone);
        return NULL;
    }
    if (tunnel_is(m, MSG_REGISTRY_GLOBAL) && !known_global(m))
        return NULL;
    if (!t->ops->event(t->user, id, m))
        return NULL;
    o = object_of(t, id);
    struct mapping mapping = {.t = t};
    wl_message_map_ids(m, map_compositors, &mapping);
    if (!pass_fds(&t->compositor, &t->server, m->info->n_fds))
        return "the compositor's message lacks a descriptor";
    if (!mapping.unknown) { /* else it is about one of ours */
        wl_message_poke(m, 0, o->servers);
        sendq_copy(&t->server.out, m->bytes, m->size);
    }
    if (m->info->destructor) {
        object_of(t, id)->dead = true;
        if (id >= WL_SERVER_ID_BASE)
            forget(t, id);
    }
    return NULL;
}

static void take_all(struct tunnel *t, struct local_socket *from,
                     const char *(*take)(struct tunnel *t, struct wl_message *m))
{
    const uint8_t *bytes;
    ssize_t n = local_socket_receive(from, &bytes);
    if (n == -EAGAIN)
        return;
    if (n <= 0)
        return tunnel_end(t, from == &t->server ? NULL : "the compositor is gone");
    const char *wrong = NULL;
    size_t size = (size_t)n;
    while (size && !wrong && !t->over) {
        struct wl_message m;
        int r = wl_message_header(bytes, size, &m);
        if (r == WL_MESSAGE_E_PARTIAL)
            break;
        wrong = r == WL_MESSAGE_OK ? take(t, &m) : wl_message_error_name(r);
        bytes += m.size;
        size -= m.size;
    }
    if (!wrong && !t->over && local_socket_keep(from, bytes, size) < 0)
        wrong = "out of memory";
    if (wrong)
        tunnel_end(t, wrong);
}

static void server_ready(void *user, unsigned events)
{
    struct tunnel *t = user;
    if (events & LOOP_READ && !t->over)
        take_all(t, &t->server, take_request);
    t->ops->settled(t->user);
    tunnel_flush(t);
}

static void compositor_ready(void *user, unsigned events)
{
    struct tunnel *t = user;
    if (events & LOOP_READ && !t->over)
        take_all(t, &t->compositor, take_event);
    t->ops->settled(t->user);
    tunnel_flush(t);
}

struct tunnel *tunnel_create(struct loop *loop, int server, int compositor,
                             const struct tunnel_ops *ops, void *user)
{
    struct tunnel *t = calloc(1, sizeof(*t));
    if (!t) {
        fd_close(server);
        fd_close(compositor);
        return NULL;
    }
    t->loop = loop;
    t->ops = ops;
    t->user = user;
    int r = local_socket_init(&t->server, loop, server, server_ready, t);
    if (r < 0)
        fd_close(compositor);
    else
        r = local_socket_init(&t->compositor, loop, compositor, compositor_ready, t);
    if (r < 0 || !add_servers(t, 1, tunnel_iface("wl_display"), 1)) {
        tunnel_destroy(t);
        errno = ENOMEM;
        return NULL;
    }
    return t;
}

void tunnel_destroy(struct tunnel *t)
{
    if (!t)
        return;
    local_socket_finish(&t->server);
    local_socket_finish(&t->compositor);
    for (int side = 0; side < 2; side++) {
        free(t->book[side].at);
        free(t->names[side].at);
    }
    free(t);
}
