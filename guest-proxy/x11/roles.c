/* SPDX-License-Identifier: MIT */
/* Owns a record for each surface of the X server's, and our objects that make a window of it. The X
 * server attaches and commits as if everything was shown at once; so until the compositor has
 * configured a surface, neither passes. The last attach is made up for then. Who waits for a frame
 * meanwhile is told that it was shown, or the X server would not go on to draw. */
#include "guest-proxy/x11/roles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "guest-proxy/x11/tunnel.h"

#define TEXT_MAX 400     /* bytes of a title */
#define PATIENCE_MS 1000 /* for a picture of the size that the compositor wants */
#define FRAMES_MAX 16    /* of a surface that is not shown */
#define POPUP_ANCHOR 5   /* xdg_positioner.anchor: top_left */
#define POPUP_GRAVITY 8  /* xdg_positioner.gravity: bottom_right */
#define FRAME_OURS 1     /* zxdg_toplevel_decoration_v1.mode: client_side */
#define FRAME_THEIRS 2   /* server_side */

enum kind { KIND_NONE, KIND_CURSOR, KIND_TOPLEVEL, KIND_POPUP };

struct role {
    LIST_ENTRY(role) entry;
    struct roles *roles;
    uint32_t surface, servers;
    enum kind kind;
    void *window;
    struct role *parent; /* of a popup: its, alive */
    uint32_t xdg, object, frame;
    /* What the compositor has asked for last, and not been told that it is so. */
    uint32_t serial;
    int wanted_width, wanted_height;
    int before_width, before_height; /* by the one before */
    unsigned states;
    int width, height;             /* in X */
    int drawn_width, drawn_height; /* of the last picture */
    bool shown;                    /* attach and commit pass */
    bool attached, committed;
    uint32_t buffer; /* by the X server's name, of the last attach; 0: it is gone */
    int32_t attach_x, attach_y;
    uint32_t frames[FRAMES_MAX];
    unsigned frames_n;
    struct loop_timer *patience;
    int x, y; /* of a popup, relative to its parent */
};

struct roles {
    struct loop *loop;
    struct tunnel *tunnel;
    const struct roles_ops *ops;
    void *user;
    LIST_HEAD(, role) all;
    uint32_t compositor; /* the X server's */
    uint32_t wm_base, frames, seat, serial;
    bool keyboard_moved;
    uint32_t keyboard; /* surface that has it */
};

static struct role *role_find(const struct roles *rs, uint32_t surface)
{
    struct role *r;
    LIST_FOREACH (r, &rs->all, entry)
        if (surface && r->surface == surface)
            return r;
    return NULL;
}

static struct role *role_with_window(const struct roles *rs, uint32_t surface)
{
    struct role *r = role_find(rs, surface);
    return r && r->window ? r : NULL;
}

/* What X and the compositor have agreed upon goes through. */
static void role_show(struct role *r)
{
    struct tunnel *t = r->roles->tunnel;
    loop_timer_disarm(r->patience);
    if (r->serial)
        tunnel_send(t, r->xdg, MSG_XDG_SURFACE_ACK_CONFIGURE, r->serial);
    r->serial = 0;
    if (r->shown)
        return;
    r->shown = true;
    if (r->attached) {
        tunnel_attach(t, r->surface, r->buffer, r->attach_x, r->attach_y);
        tunnel_send(t, r->surface, MSG_SURFACE_DAMAGE, 0u, 0u, 0x7fffffffu, 0x7fffffffu);
    }
    if (r->committed)
        tunnel_send(t, r->surface, MSG_SURFACE_COMMIT);
    r->attached = r->committed = false;
}

/* X has its size from the compositor or from its program, whichever was last: a picture of that
 * size is what is meant. */
static bool fits(const struct role *r, int32_t width, int32_t height)
{
    return r->width == width && r->height == height;
}

static void patience_is_over(void *user)
{
    struct role *r = user;
    if (r->serial) {
        role_show(r);
        tunnel_flush(r->roles->tunnel);
    }
}

static void drop_role(struct role *r)
{
    struct tunnel *t = r->roles->tunnel;
    struct role *popup;
    LIST_FOREACH (popup, &r->roles->all, entry)
        if (popup->parent == r)
            drop_role(popup);
    if (r->frame) {
        tunnel_send(t, r->frame, MSG_DECORATION_DESTROY);
        tunnel_retire(t, r->frame);
    }
    if (r->object) {
        tunnel_send(t, r->object, r->kind == KIND_POPUP ? MSG_POPUP_DESTROY : MSG_TOPLEVEL_DESTROY);
        tunnel_retire(t, r->object);
    }
    if (r->xdg) {
        tunnel_send(t, r->xdg, MSG_XDG_SURFACE_DESTROY);
        tunnel_retire(t, r->xdg);
    }
    r->frame = r->object = r->xdg = r->serial = 0;
    r->parent = NULL;
    r->shown = false;
    if (r->kind != KIND_CURSOR)
        r->kind = KIND_NONE;
    loop_timer_disarm(r->patience);
    void *window = r->window;
    r->window = NULL;
    if (window)
        r->roles->ops->gone(r->roles->user, window);
}

static void role_free(struct role *r)
{
    drop_role(r);
    LIST_REMOVE(r, entry);
    loop_timer_destroy(r->patience);
    free(r);
}

static void add_surface(struct roles *rs, uint32_t servers)
{
    struct role *r = calloc(1, sizeof(*r));
    if (r)
        r->patience = loop_timer_create(rs->loop, patience_is_over, r);
    if (!r || !r->patience) {
        free(r);
        return log_error(NULL, "out of memory: an X window will not be shown");
    }
    r->roles = rs;
    r->servers = servers;
    LIST_INSERT_HEAD(&rs->all, r, entry);
}

/* The X server has named it before the compositor's id was known. */
static void settle_ids(struct roles *rs)
{
    struct role *r, *next;
    LIST_FOREACH_SAFE (r, &rs->all, entry, next)
        if (!r->surface) {
            r->surface = tunnel_id(rs->tunnel, r->servers);
            if (r->surface)
                rs->ops->surface(rs->user, r->servers);
        }
}

/* X does not go on before somebody says that what it has drawn was shown. */
static void answer_frames(struct role *r)
{
    for (unsigned i = 0; i < r->frames_n; i++)
        tunnel_answer(r->roles->tunnel, r->frames[i]);
    r->frames_n = 0;
}

static bool role_request(struct role *r, const struct wl_message *m)
{
    struct tunnel *t = r->roles->tunnel;
    int32_t width, height;
    if (tunnel_is(m, MSG_SURFACE_ATTACH) && m->args[0].u &&
        tunnel_buffer_size(t, m->args[0].u, &width, &height)) {
        r->drawn_width = width;
        r->drawn_height = height;
        if (r->xdg && r->serial && fits(r, width, height)) {
            r->attached = r->committed = false; /* this is instead */
            role_show(r);
        } else if (r->serial && r->kind == KIND_TOPLEVEL) {
            r->shown = false; /* a picture from before would be taken for the window's own wish */
        }
    }
    if (tunnel_is(m, MSG_SURFACE_ATTACH)) {
        r->buffer = m->args[0].u;
        r->attach_x = m->args[1].i;
        r->attach_y = m->args[2].i;
    }
    if (r->shown || r->kind == KIND_CURSOR)
        return true;
    if (tunnel_is(m, MSG_SURFACE_ATTACH)) {
        r->attached = true;
        return false;
    }
    if (tunnel_is(m, MSG_SURFACE_FRAME) && r->frames_n < FRAMES_MAX) {
        r->frames[r->frames_n++] = m->args[0].u;
        return false;
    }
    if (tunnel_is(m, MSG_SURFACE_COMMIT)) {
        r->committed = true;
        answer_frames(r);
        return false;
    }
    return true;
}

bool roles_request(struct roles *rs, uint32_t id, const struct wl_message *m)
{
    struct role *r;
    if (tunnel_is(m, MSG_COMPOSITOR_CREATE_SURFACE)) {
        rs->compositor = id;
        add_surface(rs, m->args[0].u);
        return true;
    }
    settle_ids(rs);
    if (tunnel_is(m, MSG_SURFACE_DESTROY)) {
        r = role_find(rs, id);
        if (r)
            role_free(r);
        return true;
    }
    if (tunnel_is(m, MSG_BUFFER_DESTROY)) {
        uint32_t buffer = tunnel_servers_id(rs->tunnel, id);
        LIST_FOREACH (r, &rs->all, entry)
            if (r->buffer == buffer) {
                r->attached = false;
                r->buffer = 0;
            }
        return true;
    }
    if (tunnel_is(m, MSG_POINTER_SET_CURSOR) || tunnel_is(m, MSG_TABLET_SET_CURSOR)) {
        r = role_find(rs, tunnel_id(rs->tunnel, m->args[1].u));
        if (r && r->kind == KIND_NONE) {
            r->kind = KIND_CURSOR;
            role_show(r);
        }
        return true;
    }
    if (tunnel_is(m, MSG_SEAT_GET_POINTER) || tunnel_is(m, MSG_SEAT_GET_KEYBOARD))
        rs->seat = id;
    r = role_find(rs, id);
    return !r || role_request(r, m);
}

bool roles_event(struct roles *rs, uint32_t id, const struct wl_message *m)
{
    struct role *r;
    (void)id;
    if (tunnel_is(m, MSG_POINTER_ENTER)) {
        r = role_with_window(rs, m->args[1].u);
        if (r)
            rs->ops->pointer(rs->user, r->window);
    } else if (tunnel_is(m, MSG_POINTER_BUTTON) || tunnel_is(m, MSG_KEYBOARD_KEY)) {
        rs->serial = m->args[0].u;
    } else if (tunnel_is(m, MSG_KEYBOARD_ENTER)) {
        rs->serial = m->args[0].u;
        rs->keyboard = m->args[1].u;
        rs->keyboard_moved = true;
    } else if (tunnel_is(m, MSG_KEYBOARD_LEAVE)) {
        rs->keyboard = 0;
        rs->keyboard_moved = true;
    }
    return true;
}

void roles_settled(struct roles *rs)
{
    settle_ids(rs);
    if (!rs->keyboard_moved)
        return;
    rs->keyboard_moved = false;
    struct role *r = role_with_window(rs, rs->keyboard);
    rs->ops->keyboard(rs->user, r ? r->window : NULL);
}

static void wm_base_event(void *user, uint32_t id, const struct wl_message *m, int fd)
{
    struct roles *rs = user;
    (void)fd;
    if (tunnel_is(m, MSG_WM_BASE_PING))
        tunnel_send(rs->tunnel, id, MSG_WM_BASE_PONG, m->args[0].u);
}

bool roles_global(struct roles *rs, uint32_t registry, uint32_t name, const char *interface,
                  uint32_t version)
{
    bool base = strcmp(interface, "xdg_wm_base") == 0;
    bool frames = strcmp(interface, "zxdg_decoration_manager_v1") == 0;
    const struct wl_iface *iface = tunnel_iface(interface);
    if ((!base && !frames) || !iface || (base ? rs->wm_base : rs->frames))
        return base || frames;
    uint32_t most = base ? 2 : 1;
    if (version > most)
        version = most;
    uint32_t id = tunnel_new(rs->tunnel, iface, version, base ? wm_base_event : NULL, rs);
    if (!id)
        return true;
    tunnel_send(rs->tunnel, registry, MSG_REGISTRY_BIND, name, interface, version, id);
    *(base ? &rs->wm_base : &rs->frames) = id;
    return true;
}

bool roles_usable(const struct roles *rs)
{
    return rs->wm_base != 0;
}

uint32_t roles_serial(const struct roles *rs)
{
    return rs->serial;
}

uint32_t roles_seat(const struct roles *rs)
{
    return tunnel_servers_id(rs->tunnel, rs->seat) ? rs->seat : 0;
}

static unsigned states_of(const struct wl_message *m)
{
    static const unsigned known[] = {
        [1] = ROLE_MAXIMIZED, [2] = ROLE_FULLSCREEN, [4] = ROLE_ACTIVATED, [5] = ROLE_TILED,
        [6] = ROLE_TILED,     [7] = ROLE_TILED,      [8] = ROLE_TILED};
    unsigned states = 0;
    for (uint32_t at = 0; at + 4 <= m->args[2].a.size; at += 4) {
        uint32_t state;
        memcpy(&state, m->args[2].a.bytes + at, 4);
        if (state < sizeof(known) / sizeof(*known))
            states |= known[state];
    }
    return states;
}

static void toplevel_event(void *user, uint32_t id, const struct wl_message *m, int fd)
{
    struct role *r = user;
    (void)id, (void)fd;
    if (tunnel_is(m, MSG_TOPLEVEL_CONFIGURE)) {
        r->wanted_width = m->args[0].i > 0 ? m->args[0].i : 0;
        r->wanted_height = m->args[1].i > 0 ? m->args[1].i : 0;
        r->states = states_of(m);
    } else if (tunnel_is(m, MSG_TOPLEVEL_CLOSE)) {
        r->roles->ops->close(r->roles->user, r->window);
    }
}

static void popup_event(void *user, uint32_t id, const struct wl_message *m, int fd)
{
    struct role *r = user;
    (void)id, (void)fd;
    if (tunnel_is(m, MSG_POPUP_DONE))
        drop_role(r);
}

static void xdg_event(void *user, uint32_t id, const struct wl_message *m, int fd)
{
    struct role *r = user;
    (void)id, (void)fd;
    if (!tunnel_is(m, MSG_XDG_SURFACE_CONFIGURE))
        return;
    r->serial = m->args[0].u;
    if (r->kind == KIND_TOPLEVEL) {
        /* What is said again may have crossed a size that the window has chosen since. */
        bool again = !(r->states & (ROLE_MAXIMIZED | ROLE_FULLSCREEN | ROLE_TILED)) &&
                     r->wanted_width == r->before_width && r->wanted_height == r->before_height;
        r->roles->ops->configured(r->roles->user, r->window, again ? 0 : r->wanted_width,
                                  again ? 0 : r->wanted_height, r->states);
        r->before_width = r->wanted_width;
        r->before_height = r->wanted_height;
    }
    if (fits(r, r->drawn_width, r->drawn_height))
        role_show(r);
    else /* X has the size, and its picture will: a smaller one now would be the window's wish */
        loop_timer_arm(r->patience, PATIENCE_MS);
}

/* The record of a surface that may get a role, with an xdg_surface. */
static struct role *role_begin(struct roles *rs, uint32_t servers, void *window, int width,
                               int height)
{
    struct role *r = role_find(rs, tunnel_id(rs->tunnel, servers));
    if (!r || r->kind != KIND_NONE || !rs->wm_base)
        return NULL;
    r->xdg = tunnel_new(rs->tunnel, tunnel_iface("xdg_surface"),
                        tunnel_version(rs->tunnel, rs->wm_base), xdg_event, r);
    if (!r->xdg)
        return NULL;
    r->window = window;
    r->width = width;
    r->height = height;
    r->wanted_width = r->wanted_height = r->before_width = r->before_height = 0;
    tunnel_send(rs->tunnel, rs->wm_base, MSG_WM_BASE_GET_SURFACE, r->xdg, r->surface);
    return r;
}

struct role *roles_toplevel(struct roles *rs, uint32_t servers, void *window, int width, int height)
{
    struct role *r = role_begin(rs, servers, window, width, height);
    if (!r)
        return NULL;
    r->kind = KIND_TOPLEVEL;
    r->object = tunnel_new(rs->tunnel, tunnel_iface("xdg_toplevel"),
                           tunnel_version(rs->tunnel, r->xdg), toplevel_event, r);
    tunnel_send(rs->tunnel, r->xdg, MSG_XDG_SURFACE_GET_TOPLEVEL, r->object);
    return r;
}

/* What was said of a toplevel is complete: the compositor may say what it wants. */
void role_begun(struct role *r)
{
    tunnel_send(r->roles->tunnel, r->surface, MSG_SURFACE_COMMIT);
    tunnel_flush(r->roles->tunnel);
}

static uint32_t positioner_create(const struct role *r)
{
    struct roles *rs = r->roles;
    struct tunnel *t = rs->tunnel;
    uint32_t p =
        tunnel_new(t, tunnel_iface("xdg_positioner"), tunnel_version(t, rs->wm_base), NULL, NULL);
    tunnel_send(t, rs->wm_base, MSG_WM_BASE_CREATE_POSITIONER, p);
    tunnel_send(t, p, MSG_POSITIONER_SET_SIZE, (uint32_t)(r->width > 0 ? r->width : 1),
                (uint32_t)(r->height > 0 ? r->height : 1));
    tunnel_send(t, p, MSG_POSITIONER_SET_ANCHOR_RECT, 0u, 0u, 1u, 1u);
    tunnel_send(t, p, MSG_POSITIONER_SET_ANCHOR, POPUP_ANCHOR);
    tunnel_send(t, p, MSG_POSITIONER_SET_GRAVITY, POPUP_GRAVITY);
    tunnel_send(t, p, MSG_POSITIONER_SET_OFFSET, (uint32_t)r->x, (uint32_t)r->y);
    return p;
}

static void popup_begin(struct role *r)
{
    struct tunnel *t = r->roles->tunnel;
    uint32_t p = positioner_create(r);
    r->kind = KIND_POPUP;
    r->object = tunnel_new(t, tunnel_iface("xdg_popup"), tunnel_version(t, r->xdg), popup_event, r);
    tunnel_send(t, r->xdg, MSG_XDG_SURFACE_GET_POPUP, r->object, r->parent->xdg, p);
    tunnel_send(t, p, MSG_POSITIONER_DESTROY);
    tunnel_retire(t, p);
    role_begun(r);
}

struct role *roles_popup(struct roles *rs, uint32_t servers, void *window, struct role *parent,
                         int x, int y, int width, int height)
{
    struct role *r = role_begin(rs, servers, window, width, height);
    if (!r)
        return NULL;
    r->parent = parent;
    r->x = x;
    r->y = y;
    popup_begin(r);
    return r;
}

/* Anew in the other place: xdg_popup.reposition is of newer versions than many compositors'. */
void role_place(struct role *r, int x, int y)
{
    if (r->kind != KIND_POPUP || (r->x == x && r->y == y))
        return;
    struct role *parent = r->parent;
    void *window = r->window;
    uint32_t servers = r->servers;
    r->window = NULL; /* nobody needs to hear */
    drop_role(r);
    tunnel_send(r->roles->tunnel, r->surface, MSG_SURFACE_ATTACH, 0u, 0u, 0u);
    tunnel_send(r->roles->tunnel, r->surface, MSG_SURFACE_COMMIT);
    r->attached = r->committed = r->buffer != 0; /* X has no reason to draw again */
    r->attach_x = r->attach_y = 0;
    roles_popup(r->roles, servers, window, parent, x, y, r->width, r->height);
}

void role_resized(struct role *r, int width, int height)
{
    r->width = width;
    r->height = height;
}

/* Cut where a character ends. */
static void cut(char *at, size_t room, const char *text)
{
    size_t n = strlen(text);
    if (n >= room)
        for (n = room - 1; n && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    memcpy(at, text, n);
    at[n] = 0;
}

void role_set_title(struct role *r, const char *title)
{
    char text[TEXT_MAX];
    cut(text, sizeof(text), title);
    if (r->kind == KIND_TOPLEVEL)
        tunnel_send(r->roles->tunnel, r->object, MSG_TOPLEVEL_SET_TITLE, text);
}

void role_set_app_id(struct role *r, const char *app_id)
{
    char text[TEXT_MAX];
    cut(text, sizeof(text), app_id);
    if (r->kind == KIND_TOPLEVEL)
        tunnel_send(r->roles->tunnel, r->object, MSG_TOPLEVEL_SET_APP_ID, text);
}

void role_set_parent(struct role *r, struct role *parent)
{
    for (struct role *above = parent; above; above = above->parent)
        if (above == r)
            return;
    if (r->kind == KIND_TOPLEVEL && (!parent || parent->kind == KIND_TOPLEVEL))
        tunnel_send(r->roles->tunnel, r->object, MSG_TOPLEVEL_SET_PARENT,
                    parent ? parent->object : 0u);
}

void role_set_limits(struct role *r, int min_width, int min_height, int max_width, int max_height)
{
    if (r->kind != KIND_TOPLEVEL)
        return;
    tunnel_send(r->roles->tunnel, r->object, MSG_TOPLEVEL_SET_MIN_SIZE, (uint32_t)min_width,
                (uint32_t)min_height);
    tunnel_send(r->roles->tunnel, r->object, MSG_TOPLEVEL_SET_MAX_SIZE, (uint32_t)max_width,
                (uint32_t)max_height);
}

void role_set_states(struct role *r, unsigned states)
{
    struct tunnel *t = r->roles->tunnel;
    if (r->kind != KIND_TOPLEVEL)
        return;
    unsigned change = states ^ r->states;
    if (change & ROLE_MAXIMIZED)
        tunnel_send(t, r->object,
                    states & ROLE_MAXIMIZED ? MSG_TOPLEVEL_SET_MAXIMIZED
                                            : MSG_TOPLEVEL_UNSET_MAXIMIZED);
    if (change & ROLE_FULLSCREEN && states & ROLE_FULLSCREEN)
        tunnel_send(t, r->object, MSG_TOPLEVEL_SET_FULLSCREEN, 0u);
    else if (change & ROLE_FULLSCREEN)
        tunnel_send(t, r->object, MSG_TOPLEVEL_UNSET_FULLSCREEN);
}

void role_set_frame(struct role *r, bool wanted)
{
    struct roles *rs = r->roles;
    if (r->kind != KIND_TOPLEVEL || !rs->frames)
        return;
    if (!r->frame) {
        r->frame =
            tunnel_new(rs->tunnel, tunnel_iface("zxdg_toplevel_decoration_v1"), 1, NULL, NULL);
        tunnel_send(rs->tunnel, rs->frames, MSG_DECORATIONS_GET, r->frame, r->object);
    }
    tunnel_send(rs->tunnel, r->frame, MSG_DECORATION_SET_MODE, wanted ? FRAME_THEIRS : FRAME_OURS);
}

void role_set_area(struct role *r, const int16_t (*area)[4], size_t n)
{
    struct roles *rs = r->roles;
    struct tunnel *t = rs->tunnel;
    if (!tunnel_servers_id(t, rs->compositor))
        return;
    uint32_t region =
        tunnel_new(t, tunnel_iface("wl_region"), tunnel_version(t, rs->compositor), NULL, NULL);
    tunnel_send(t, rs->compositor, MSG_COMPOSITOR_CREATE_REGION, region);
    for (size_t i = 0; i < n; i++)
        tunnel_send(t, region, MSG_REGION_ADD, (uint32_t)area[i][0], (uint32_t)area[i][1],
                    (uint32_t)(uint16_t)area[i][2], (uint32_t)(uint16_t)area[i][3]);
    tunnel_send(t, r->surface, MSG_SURFACE_SET_INPUT_REGION, region);
    tunnel_send(t, region, MSG_REGION_DESTROY);
    tunnel_retire(t, region);
    if (r->shown)
        tunnel_send(t, r->surface, MSG_SURFACE_COMMIT);
}

void role_minimize(struct role *r)
{
    if (r->kind == KIND_TOPLEVEL)
        tunnel_send(r->roles->tunnel, r->object, MSG_TOPLEVEL_SET_MINIMIZED);
}

void role_move(struct role *r)
{
    struct roles *rs = r->roles;
    if (r->kind == KIND_TOPLEVEL && roles_seat(rs))
        tunnel_send(rs->tunnel, r->object, MSG_TOPLEVEL_MOVE, rs->seat, rs->serial);
}

void role_resize(struct role *r, uint32_t edges)
{
    struct roles *rs = r->roles;
    if (r->kind == KIND_TOPLEVEL && roles_seat(rs))
        tunnel_send(rs->tunnel, r->object, MSG_TOPLEVEL_RESIZE, rs->seat, rs->serial, edges);
}

void role_abandon(struct role *r)
{
    r->window = NULL;
    drop_role(r);
}

struct roles *roles_create(struct loop *loop, struct tunnel *tunnel, const struct roles_ops *ops,
                           void *user)
{
    struct roles *rs = calloc(1, sizeof(*rs));
    if (!rs)
        return NULL;
    *rs = (struct roles){.loop = loop, .tunnel = tunnel, .ops = ops, .user = user};
    return rs;
}

void roles_destroy(struct roles *rs)
{
    struct role *r;
    if (!rs)
        return;
    while ((r = LIST_FIRST(&rs->all)))
        role_free(r);
    free(rs);
}
