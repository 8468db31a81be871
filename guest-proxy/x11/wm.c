/* SPDX-License-Identifier: MIT */
/* Owns the connection to the X server, and a record for each child of its root window. Windows lie
 * one over the other in the middle of X's screen, since where they are is the compositor's
 * business; a menu's place is meant relative to the window below it, and the one that the pointer
 * is on comes first. */
#include "guest-proxy/x11/wm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xcb/composite.h>
#include <xcb/shape.h>
#include <xcb/xfixes.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "guest-proxy/x11/roles.h"
#include "guest-proxy/x11/x-frame.h"
#include "guest-proxy/x11/x-tell.h"
#include "guest-proxy/x11/x-window.h"

#define WINDOWS_MAX 65536
#define FIXED (ROLE_MAXIMIZED | ROLE_FULLSCREEN | ROLE_TILED)

enum { REMOVE = 0, ADD = 1, TOGGLE = 2 };                    /* _NET_WM_STATE */
enum { MOVERESIZE_MOVE = 8, MOVERESIZE_KEYBOARD_MOVE = 10 }; /* _NET_WM_MOVERESIZE */

struct wm {
    const struct wm_ops *ops;
    void *user;
    xcb_connection_t *x;
    struct x_atoms atoms;
    struct x_tell tell;
    struct roles *roles;
    xcb_window_t root, check;
    struct x_frames frames;
    int width, height; /* of the root */
    LIST_HEAD(, x_window) windows;
    unsigned n;
    struct x_window *focused; /* has the keyboard, or had it last; NULL: none */
    struct x_window *pointed; /* the pointer is on it */
};

static xcb_atom_t atom(const struct wm *wm, enum x_name name)
{
    return wm->atoms.of[name];
}

static struct x_window *find(const struct wm *wm, xcb_window_t id)
{
    struct x_window *w;
    LIST_FOREACH (w, &wm->windows, entry)
        if (w->id == id)
            return w;
    return NULL;
}

/* The one that is shown: a child of the root window. */
static xcb_window_t outermost(const struct x_window *w)
{
    return w->frame ? w->frame : w->id;
}

static struct x_window *find_shown(const struct wm *wm, xcb_window_t id)
{
    struct x_window *w;
    LIST_FOREACH (w, &wm->windows, entry)
        if (outermost(w) == id)
            return w;
    return NULL;
}

static bool is_ours(const struct wm *wm, xcb_window_t id)
{
    const xcb_setup_t *setup = xcb_get_setup(wm->x);
    return (id & ~setup->resource_id_mask) == setup->resource_id_base;
}

static void add(struct wm *wm, const xcb_create_notify_event_t *e)
{
    if (e->parent != wm->root || is_ours(wm, e->window) || find(wm, e->window) ||
        wm->n >= WINDOWS_MAX)
        return;
    struct x_window *w = calloc(1, sizeof(*w));
    if (!w)
        return;
    *w = (struct x_window){.id = e->window,
                           .x = e->x,
                           .y = e->y,
                           .width = e->width,
                           .height = e->height,
                           .override = e->override_redirect,
                           .input = true};
    LIST_INSERT_HEAD(&wm->windows, w, entry);
    wm->n++;
}

static void forget(struct wm *wm, struct x_window *w)
{
    if (wm->focused == w)
        wm->focused = NULL;
    if (wm->pointed == w)
        wm->pointed = NULL;
}

/* To its size, in the middle. */
static void place(struct wm *wm, struct x_window *w, int width, int height)
{
    w->x = wm->width > width ? (wm->width - width) / 2 : 0;
    w->y = wm->height > height ? (wm->height - height) / 2 : 0;
    w->width = width;
    w->height = height;
    uint32_t values[] = {(uint32_t)w->x, (uint32_t)w->y, (uint32_t)width, (uint32_t)height, 0};
    if (w->frame)
        xcb_configure_window(wm->x, w->id,
                             XCB_CONFIG_WINDOW_WIDTH | XCB_CONFIG_WINDOW_HEIGHT |
                                 XCB_CONFIG_WINDOW_BORDER_WIDTH,
                             values + 2);
    xcb_configure_window(wm->x, outermost(w),
                         XCB_CONFIG_WINDOW_X | XCB_CONFIG_WINDOW_Y | XCB_CONFIG_WINDOW_WIDTH |
                             XCB_CONFIG_WINDOW_HEIGHT | XCB_CONFIG_WINDOW_BORDER_WIDTH,
                         values);
    if (w->role)
        role_resized(w->role, width, height);
    x_tell_place(&wm->tell, w);
}

/* Beside its shape, the pointer reaches what is behind. */
static void tell_area(struct wm *wm, const struct x_window *w)
{
    static int16_t area[X_AREA_MAX][4];
    size_t n = w->frame ? x_frame_area(&wm->frames, w->id, area) : 0;
    if (n)
        role_set_area(w->role, area, n);
}

/* What a toplevel is told, of what its window says. */
static void describe(struct wm *wm, struct x_window *w)
{
    struct x_window *parent = w->parent ? find(wm, w->parent) : NULL;
    role_set_title(w->role, w->title);
    role_set_app_id(w->role, w->app_id);
    role_set_limits(w->role, w->min_width, w->min_height, w->max_width, w->max_height);
    role_set_parent(w->role, parent && parent != w ? parent->role : NULL);
    role_set_frame(w->role, !w->frameless && !w->override);
}

/* The window that a menu belongs to. */
static struct x_window *below(struct wm *wm, const struct x_window *w)
{
    struct x_window *candidates[] = {w->parent ? find(wm, w->parent) : NULL, wm->pointed,
                                     wm->focused};
    for (size_t i = 0; i < sizeof(candidates) / sizeof(*candidates); i++)
        if (candidates[i] && candidates[i]->role && !candidates[i]->override)
            return candidates[i];
    struct x_window *other;
    LIST_FOREACH (other, &wm->windows, entry)
        if (other->role && !other->override)
            return other;
    return NULL;
}

/* Once X has drawn a surface for it, and the compositor knows that. */
static void show(struct wm *wm, struct x_window *w)
{
    if (w->role || !w->mapped || !w->surface)
        return;
    struct x_window *parent = w->override ? below(wm, w) : NULL;
    if (parent) {
        w->role = roles_popup(wm->roles, w->surface, w, parent->role, w->x - parent->x,
                              w->y - parent->y, w->width, w->height);
        return;
    }
    w->role = roles_toplevel(wm->roles, w->surface, w, w->width, w->height);
    if (!w->role)
        return; /* not yet */
    describe(wm, w);
    tell_area(wm, w);
    role_set_states(w->role, w->asked);
    role_begun(w->role);
}

static void surface_is_there(void *user, uint32_t servers)
{
    struct wm *wm = user;
    struct x_window *w;
    LIST_FOREACH (w, &wm->windows, entry)
        if (w->surface == servers)
            return show(wm, w);
}

static void configured(void *user, void *window, int width, int height, unsigned states)
{
    struct wm *wm = user;
    struct x_window *w = window;
    bool filled = w->states & FIXED, fills = states & FIXED;
    if (states != w->states) {
        w->states = states;
        x_tell_states(&wm->tell, w);
    }
    if (fills && !filled) {
        w->free_width = w->width;
        w->free_height = w->height;
    } else if (filled && !fills) { /* as it likes: as it was */
        width = width ? width : w->free_width;
        height = height ? height : w->free_height;
    }
    width = width ? width : w->width;
    height = height ? height : w->height;
    if (width != w->width || height != w->height)
        place(wm, w, width, height);
    xcb_flush(wm->x);
}

static void close_window(void *user, void *window)
{
    struct wm *wm = user;
    struct x_window *w = window;
    if (w->deletes)
        x_tell_protocol(&wm->tell, w, X_WM_DELETE_WINDOW);
    else
        xcb_kill_client(wm->x, w->id);
    xcb_flush(wm->x);
}

static void surface_is_gone(void *user, void *window)
{
    (void)user;
    ((struct x_window *)window)->role = NULL;
}

static void raise_window(const struct wm *wm, const struct x_window *w)
{
    uint32_t above = XCB_STACK_MODE_ABOVE;
    xcb_configure_window(wm->x, outermost(w), XCB_CONFIG_WINDOW_STACK_MODE, &above);
}

/* X looks for the uppermost window below the pointer; menus stay above. */
static void pointer_is_on(void *user, void *window)
{
    struct wm *wm = user;
    struct x_window *w = window, *menu;
    if (w->override) {
        raise_window(wm, w);
    } else if (wm->pointed != w) {
        wm->pointed = w;
        raise_window(wm, w);
        LIST_FOREACH (menu, &wm->windows, entry)
            if (menu->override && menu->mapped)
                raise_window(wm, menu);
    }
    xcb_flush(wm->x);
}

static void keyboard_is_at(void *user, void *window)
{
    struct wm *wm = user;
    struct x_window *w = window;
    xcb_window_t id = w ? w->id : XCB_WINDOW_NONE;
    if (!w) {
        xcb_set_input_focus(wm->x, XCB_INPUT_FOCUS_POINTER_ROOT, wm->check, XCB_CURRENT_TIME);
    } else {
        wm->focused = w;
        if (w->input)
            xcb_set_input_focus(wm->x, XCB_INPUT_FOCUS_POINTER_ROOT, w->id, XCB_CURRENT_TIME);
        if (w->takes_focus)
            x_tell_protocol(&wm->tell, w, X_WM_TAKE_FOCUS);
    }
    x_tell_active(&wm->tell, wm->root, id);
    xcb_flush(wm->x);
}

const struct roles_ops wm_roles_ops = {.surface = surface_is_there,
                                       .configured = configured,
                                       .close = close_window,
                                       .gone = surface_is_gone,
                                       .pointer = pointer_is_on,
                                       .keyboard = keyboard_is_at};

static void on_map_request(struct wm *wm, const xcb_map_request_event_t *e)
{
    struct x_window *w = find(wm, e->window);
    if (w && !w->override) {
        uint32_t events = XCB_EVENT_MASK_PROPERTY_CHANGE;
        xcb_change_window_attributes(wm->x, w->id, XCB_CW_EVENT_MASK, &events);
        x_window_read(w, wm->x, &wm->atoms);
        if (!w->frame)
            w->frame = x_frame_create(&wm->frames, w->id, w->width, w->height);
        place(wm, w, w->width, w->height);
        x_tell_wm_state(&wm->tell, w, X_NORMAL);
        x_tell_states(&wm->tell, w);
        if (w->frame)
            xcb_map_window(wm->x, w->frame);
    }
    xcb_map_window(wm->x, e->window);
}

static void on_map(struct wm *wm, const xcb_map_notify_event_t *e)
{
    struct x_window *w = find(wm, e->window);
    if (!w)
        return;
    w->override = e->override_redirect;
    if (w->override)
        x_window_read(w, wm->x, &wm->atoms);
    w->mapped = true;
    show(wm, w);
}

static void on_unmap(struct wm *wm, const xcb_unmap_notify_event_t *e)
{
    struct x_window *w = find(wm, e->window);
    if (!w || !w->mapped)
        return;
    w->mapped = false;
    w->surface = 0;
    w->states = 0;
    forget(wm, w);
    if (w->role) /* the server takes its time with the surface */
        role_abandon(w->role);
    w->role = NULL;
    if (w->frame)
        xcb_unmap_window(wm->x, w->frame);
    if (!w->override)
        x_tell_wm_state(&wm->tell, w, X_WITHDRAWN);
}

static void on_destroy(struct wm *wm, const xcb_destroy_notify_event_t *e)
{
    struct x_window *w = find(wm, e->window);
    if (!w)
        return;
    forget(wm, w);
    if (w->role)
        role_abandon(w->role);
    if (w->frame)
        xcb_destroy_window(wm->x, w->frame);
    LIST_REMOVE(w, entry);
    wm->n--;
    free(w);
}

/* Its program has taken it out of its frame. */
static void on_reparent(struct wm *wm, const xcb_reparent_notify_event_t *e)
{
    struct x_window *w = find(wm, e->window);
    if (!w || !w->frame || e->parent == w->frame)
        return;
    xcb_destroy_window(wm->x, w->frame);
    w->frame = XCB_WINDOW_NONE;
}

static void on_configure_request(struct wm *wm, const xcb_configure_request_event_t *e)
{
    struct x_window *w = find(wm, e->window);
    uint32_t values[4];
    unsigned n = 0;
    if (w && !w->override) {
        bool decided = w->mapped && w->states & FIXED;
        int width = e->value_mask & XCB_CONFIG_WINDOW_WIDTH ? e->width : w->width;
        int height = e->value_mask & XCB_CONFIG_WINDOW_HEIGHT ? e->height : w->height;
        return place(wm, w, decided ? w->width : width, decided ? w->height : height);
    }
    if (e->value_mask & XCB_CONFIG_WINDOW_X)
        values[n++] = (uint32_t)e->x;
    if (e->value_mask & XCB_CONFIG_WINDOW_Y)
        values[n++] = (uint32_t)e->y;
    if (e->value_mask & XCB_CONFIG_WINDOW_WIDTH)
        values[n++] = e->width;
    if (e->value_mask & XCB_CONFIG_WINDOW_HEIGHT)
        values[n++] = e->height;
    xcb_configure_window(wm->x, e->window,
                         e->value_mask & (XCB_CONFIG_WINDOW_X | XCB_CONFIG_WINDOW_Y |
                                          XCB_CONFIG_WINDOW_WIDTH | XCB_CONFIG_WINDOW_HEIGHT),
                         values);
}

static void on_configure(struct wm *wm, const xcb_configure_notify_event_t *e)
{
    if (e->window == wm->root) {
        wm->width = e->width;
        wm->height = e->height;
        return;
    }
    struct x_window *w = find(wm, e->window);
    if (!w || !e->override_redirect)
        return; /* of the others, what we have said counts */
    w->x = e->x;
    w->y = e->y;
    w->width = e->width;
    w->height = e->height;
    if (!w->role)
        return;
    role_resized(w->role, w->width, w->height);
    struct x_window *parent = below(wm, w);
    if (parent)
        role_place(w->role, w->x - parent->x, w->y - parent->y);
}

static void on_property(struct wm *wm, const xcb_property_notify_event_t *e)
{
    struct x_window *w = find(wm, e->window);
    bool ours = e->atom == atom(wm, X_WM_STATE) || e->atom == atom(wm, X__NET_WM_STATE);
    if (!w || ours || w->override)
        return;
    x_window_read(w, wm->x, &wm->atoms);
    if (w->role)
        describe(wm, w);
}

static void change_states(struct wm *wm, struct x_window *w, const xcb_client_message_event_t *e)
{
    unsigned states = w->role ? w->states & ~(unsigned)(ROLE_ACTIVATED | ROLE_TILED) : w->asked;
    unsigned change = 0;
    for (int i = 1; i <= 2; i++) {
        if (e->data.data32[i] == atom(wm, X__NET_WM_STATE_FULLSCREEN))
            change |= ROLE_FULLSCREEN;
        if (e->data.data32[i] == atom(wm, X__NET_WM_STATE_MAXIMIZED_VERT) ||
            e->data.data32[i] == atom(wm, X__NET_WM_STATE_MAXIMIZED_HORZ))
            change |= ROLE_MAXIMIZED;
    }
    switch (e->data.data32[0]) {
    case REMOVE:
        states &= ~change;
        break;
    case ADD:
        states |= change;
        break;
    case TOGGLE:
        states ^= change;
    }
    w->asked = states;
    if (w->role)
        role_set_states(w->role, states);
}

static void move_or_resize(struct x_window *w, uint32_t how)
{
    /* Of the eight directions, in EWMH's order: xdg_toplevel.resize_edge. */
    static const uint32_t edges[] = {5, 1, 9, 8, 10, 2, 6, 4};
    if (!w->role)
        return;
    if (how < sizeof(edges) / sizeof(*edges))
        role_resize(w->role, edges[how]);
    else if (how == MOVERESIZE_MOVE || how == MOVERESIZE_KEYBOARD_MOVE)
        role_move(w->role);
}

static void on_message(struct wm *wm, const xcb_client_message_event_t *e)
{
    bool surface = e->type == atom(wm, X_WL_SURFACE_ID);
    struct x_window *w = surface ? find_shown(wm, e->window) : find(wm, e->window), *other;
    if (!w || e->format != 32)
        return;
    if (surface) {
        LIST_FOREACH (other, &wm->windows, entry)
            if (other->surface == e->data.data32[0])
                other->surface = 0;
        w->surface = e->data.data32[0];
        show(wm, w);
    } else if (e->type == atom(wm, X__NET_WM_STATE)) {
        change_states(wm, w, e);
    } else if (e->type == atom(wm, X__NET_WM_MOVERESIZE)) {
        move_or_resize(w, e->data.data32[2]);
    } else if (e->type == atom(wm, X__NET_CLOSE_WINDOW)) {
        close_window(wm, w);
    } else if (e->type == atom(wm, X_WM_CHANGE_STATE) && e->data.data32[0] == X_ICONIC && w->role) {
        role_minimize(w->role);
    }
}

static void on_shape(struct wm *wm, const xcb_shape_notify_event_t *e)
{
    const struct x_window *w = find(wm, e->affected_window);
    if (w && w->role && e->shape_kind == XCB_SHAPE_SK_BOUNDING)
        tell_area(wm, w);
}

static void take(struct wm *wm, const xcb_generic_event_t *e)
{
    const void *event = e;
    if (wm->frames.shape_notify && (e->response_type & 0x7f) == wm->frames.shape_notify)
        return on_shape(wm, event);
    switch (e->response_type & 0x7f) {
    case XCB_CREATE_NOTIFY:
        return add(wm, event);
    case XCB_DESTROY_NOTIFY:
        return on_destroy(wm, event);
    case XCB_MAP_REQUEST:
        return on_map_request(wm, event);
    case XCB_MAP_NOTIFY:
        return on_map(wm, event);
    case XCB_UNMAP_NOTIFY:
        return on_unmap(wm, event);
    case XCB_REPARENT_NOTIFY:
        return on_reparent(wm, event);
    case XCB_CONFIGURE_REQUEST:
        return on_configure_request(wm, event);
    case XCB_CONFIGURE_NOTIFY:
        return on_configure(wm, event);
    case XCB_PROPERTY_NOTIFY:
        on_property(wm, event);
        break; /* selections have properties, too */
    case XCB_CLIENT_MESSAGE:
        return on_message(wm, event);
    }
    wm->ops->other(wm->user, e);
}

int wm_receive(struct wm *wm)
{
    xcb_generic_event_t *e;
    while ((e = xcb_poll_for_event(wm->x))) {
        take(wm, e);
        free(e);
    }
    xcb_flush(wm->x);
    return xcb_connection_has_error(wm->x) ? -ECONNRESET : 0;
}

void wm_flush(struct wm *wm)
{
    if (wm->x)
        xcb_flush(wm->x);
}

/* What the server needs to be told once; 0 or -errno. */
static int begin(struct wm *wm)
{
    const xcb_screen_t *screen = xcb_setup_roots_iterator(xcb_get_setup(wm->x)).data;
    wm->root = screen->root;
    wm->width = screen->width_in_pixels;
    wm->height = screen->height_in_pixels;
    xcb_prefetch_extension_data(wm->x, &xcb_composite_id);
    xcb_prefetch_extension_data(wm->x, &xcb_shape_id);
    xcb_prefetch_extension_data(wm->x, &xcb_xfixes_id);
    int r = x_atoms_load(&wm->atoms, wm->x);
    if (r < 0)
        return r;
    free(xcb_composite_query_version_reply(wm->x, xcb_composite_query_version(wm->x, 0, 4), NULL));
    free(xcb_xfixes_query_version_reply(wm->x, xcb_xfixes_query_version(wm->x, 6, 0), NULL));
    uint32_t events = XCB_EVENT_MASK_SUBSTRUCTURE_NOTIFY | XCB_EVENT_MASK_SUBSTRUCTURE_REDIRECT |
                      XCB_EVENT_MASK_STRUCTURE_NOTIFY;
    xcb_generic_error_t *error = xcb_request_check(
        wm->x, xcb_change_window_attributes_checked(wm->x, wm->root, XCB_CW_EVENT_MASK, &events));
    if (error) {
        free(error);
        return -EBUSY;
    }
    /* Each window has its own picture, which the server shows as a surface. */
    xcb_composite_redirect_subwindows(wm->x, wm->root, XCB_COMPOSITE_REDIRECT_MANUAL);
    /* The last program's end is the server's: we do not count. */
    xcb_xfixes_set_client_disconnect_mode(wm->x, XCB_XFIXES_CLIENT_DISCONNECT_FLAGS_TERMINATE);
    wm->tell = (struct x_tell){wm->x, &wm->atoms};
    x_frames_begin(&wm->frames, wm->x, screen);
    wm->check = xcb_generate_id(wm->x);
    xcb_create_window(wm->x, XCB_COPY_FROM_PARENT, wm->check, wm->root, -1, -1, 1, 1, 0,
                      XCB_WINDOW_CLASS_INPUT_ONLY, XCB_COPY_FROM_PARENT, 0, NULL);
    xcb_map_window(wm->x, wm->check);
    x_tell_announce(&wm->tell, wm->root, wm->check);
    return 0;
}

int wm_connect(struct wm *wm, int fd, struct roles *roles)
{
    wm->roles = roles;
    wm->x = xcb_connect_to_fd(fd, NULL); /* takes it */
    if (xcb_connection_has_error(wm->x))
        return -ECONNRESET;
    return begin(wm);
}

void wm_open(struct wm *wm)
{
    xcb_set_selection_owner(wm->x, wm->check, atom(wm, X_WM_S0), XCB_CURRENT_TIME);
    xcb_flush(wm->x);
}

xcb_connection_t *wm_connection(struct wm *wm)
{
    return wm->x;
}

const struct x_atoms *wm_atoms(const struct wm *wm)
{
    return &wm->atoms;
}

xcb_window_t wm_root(const struct wm *wm)
{
    return wm->root;
}

struct wm *wm_create(const struct wm_ops *ops, void *user)
{
    struct wm *wm = calloc(1, sizeof(*wm));
    if (!wm)
        return NULL;
    wm->ops = ops;
    wm->user = user;
    return wm;
}

void wm_destroy(struct wm *wm)
{
    struct x_window *w;
    if (!wm)
        return;
    while ((w = LIST_FIRST(&wm->windows))) {
        if (w->role)
            role_abandon(w->role);
        LIST_REMOVE(w, entry);
        free(w);
    }
    if (wm->x)
        xcb_disconnect(wm->x);
    free(wm);
}
