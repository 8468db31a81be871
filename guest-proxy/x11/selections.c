/* SPDX-License-Identifier: MIT */
/* Owns a window that has X's selections while another program of the desktop has them. X's targets
 * are MIME types, but for text, which has names of its own there. */
#include "guest-proxy/x11/selections.h"

#include <stdlib.h>
#include <string.h>
#include <xcb/xfixes.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "guest-proxy/x11/selection-flow.h"
#include "guest-proxy/x11/wm.h"

static const char text_utf8[] = "text/plain;charset=utf-8";
static const char text_plain[] = "text/plain";

struct selection {
    xcb_atom_t atom;
    bool ours;                /* X's programs get what the compositor has */
    xcb_timestamp_t since;    /* of the present owner */
    struct offer_types types; /* the compositor's */
};

struct selections {
    struct loop *loop;
    uint32_t (*serial)(void *user);
    void *user;
    struct wm *wm;
    struct offers *offers;
    xcb_connection_t *x;
    xcb_window_t window;
    uint8_t xfixes; /* its first event */
    struct flows flows;
    struct flow_base base;
    struct selection at[OFFERS_KINDS];
};

static xcb_atom_t atom(const struct selections *s, enum x_name name)
{
    return wm_atoms(s->wm)->of[name];
}

static struct selection *find(struct selections *s, xcb_atom_t name)
{
    for (int kind = 0; kind < OFFERS_KINDS; kind++)
        if (s->at[kind].atom == name)
            return &s->at[kind];
    return NULL;
}

static enum offers_kind kind_of(const struct selections *s, const struct selection *one)
{
    return (enum offers_kind)(one - s->at);
}

static void compositor_has(void *user, enum offers_kind kind, const struct offer_types *types)
{
    struct selections *s = user;
    struct selection *one = &s->at[kind];
    one->types = *types;
    if (!s->window || (!types->n && !one->ours))
        return;
    xcb_set_selection_owner(s->x, types->n ? s->window : XCB_WINDOW_NONE, one->atom,
                            XCB_CURRENT_TIME);
    xcb_flush(s->x);
}

static xcb_atom_t intern(const struct selections *s, const char *name)
{
    xcb_intern_atom_reply_t *reply =
        xcb_intern_atom_reply(s->x, xcb_intern_atom(s->x, 0, (uint16_t)strlen(name), name), NULL);
    xcb_atom_t found = reply ? reply->atom : XCB_ATOM_NONE;
    free(reply);
    return found;
}

static void compositor_wants(void *user, enum offers_kind kind, const char *type, int fd)
{
    struct selections *s = user;
    if (!s->window || s->at[kind].ours) {
        fd_close(fd);
        return;
    }
    bool text = strcmp(type, text_utf8) == 0 || strcmp(type, text_plain) == 0;
    flow_fetch(&s->base, wm_root(s->wm), s->at[kind].atom,
               text ? atom(s, X_UTF8_STRING) : intern(s, type), fd);
}

const struct offers_ops selections_offers_ops = {.selected = compositor_has,
                                                 .send = compositor_wants};

static bool offers_text(const struct offer_types *types, const char **ret_type)
{
    const char *const names[] = {text_utf8, "UTF8_STRING", text_plain};
    for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++)
        for (unsigned i = 0; i < types->n; i++)
            if (strcmp(types->at[i], names[n]) == 0) {
                *ret_type = types->at[i];
                return true;
            }
    return false;
}

static void answer_targets(struct selections *s, const struct selection *one,
                           const xcb_selection_request_event_t *e)
{
    xcb_atom_t targets[OFFER_TYPES_MAX + 4];
    xcb_intern_atom_cookie_t cookies[OFFER_TYPES_MAX];
    const char *type;
    unsigned n = 0;
    targets[n++] = atom(s, X_TARGETS);
    targets[n++] = atom(s, X_TIMESTAMP);
    if (offers_text(&one->types, &type)) {
        targets[n++] = atom(s, X_UTF8_STRING);
        targets[n++] = atom(s, X_TEXT);
    }
    for (unsigned i = 0; i < one->types.n; i++)
        cookies[i] = xcb_intern_atom(s->x, 0, (uint16_t)strlen(one->types.at[i]), one->types.at[i]);
    for (unsigned i = 0; i < one->types.n; i++) {
        xcb_intern_atom_reply_t *reply = xcb_intern_atom_reply(s->x, cookies[i], NULL);
        if (reply)
            targets[n++] = reply->atom;
        free(reply);
    }
    xcb_change_property(s->x, XCB_PROP_MODE_REPLACE, e->requestor, e->property, XCB_ATOM_ATOM, 32,
                        n, targets);
    flow_answer(s->x, e, e->property);
}

/* The compositor's name of a target; NULL: it has none. */
static const char *type_of(struct selections *s, const struct selection *one, xcb_atom_t target,
                           char *name, size_t room)
{
    const char *type;
    if (target == atom(s, X_UTF8_STRING) || target == atom(s, X_TEXT))
        return offers_text(&one->types, &type) ? type : NULL;
    xcb_get_atom_name_reply_t *reply =
        xcb_get_atom_name_reply(s->x, xcb_get_atom_name(s->x, target), NULL);
    size_t n = reply ? (size_t)xcb_get_atom_name_name_length(reply) : room;
    if (n < room) {
        memcpy(name, xcb_get_atom_name_name(reply), n);
        name[n] = 0;
    }
    free(reply);
    return n < room ? name : NULL;
}

static void on_request(struct selections *s, const xcb_selection_request_event_t *e)
{
    struct selection *one = find(s, e->selection);
    char name[OFFER_TYPE_MAX];
    if (!one || !one->ours || e->owner != s->window || e->target == atom(s, X_MULTIPLE))
        return flow_answer(s->x, e, XCB_ATOM_NONE);
    if (e->target == atom(s, X_TARGETS) && e->property)
        return answer_targets(s, one, e);
    if (e->target == atom(s, X_TIMESTAMP) && e->property) {
        xcb_change_property(s->x, XCB_PROP_MODE_REPLACE, e->requestor, e->property,
                            XCB_ATOM_INTEGER, 32, 1, &one->since);
        return flow_answer(s->x, e, e->property);
    }
    const char *type = type_of(s, one, e->target, name, sizeof(name));
    int fd = type ? offers_receive(s->offers, kind_of(s, one), type) : -1;
    if (fd < 0)
        return flow_answer(s->x, e, XCB_ATOM_NONE);
    flow_serve(&s->base, e, e->target == atom(s, X_TEXT) ? atom(s, X_UTF8_STRING) : e->target, fd);
}

/* An X program has it now: what can it give? */
static void on_owner(struct selections *s, const xcb_xfixes_selection_notify_event_t *e)
{
    struct selection *one = find(s, e->selection);
    if (!one)
        return;
    one->ours = e->owner == s->window;
    one->since = e->selection_timestamp;
    if (one->ours)
        return;
    if (e->owner == XCB_WINDOW_NONE)
        offers_clear(s->offers, kind_of(s, one));
    else
        xcb_convert_selection(s->x, s->window, one->atom, atom(s, X_TARGETS), one->atom,
                              e->timestamp);
}

/* Not what is about the selection itself, or has a name that says nothing outside of X. */
static void add_target(struct selections *s, struct offer_types *types, xcb_atom_t target,
                       const xcb_get_atom_name_reply_t *reply)
{
    char name[OFFER_TYPE_MAX];
    size_t n = (size_t)xcb_get_atom_name_name_length(reply);
    if (target == atom(s, X_UTF8_STRING)) {
        offer_types_add(types, text_utf8);
        offer_types_add(types, text_plain);
        offer_types_add(types, "UTF8_STRING");
    } else if (n < sizeof(name) && memchr(xcb_get_atom_name_name(reply), '/', n)) {
        memcpy(name, xcb_get_atom_name_name(reply), n);
        name[n] = 0;
        offer_types_add(types, name);
    }
}

static void on_targets(struct selections *s, struct selection *one)
{
    xcb_get_property_reply_t *r = xcb_get_property_reply(
        s->x, xcb_get_property(s->x, 1, s->window, one->atom, XCB_ATOM_ATOM, 0, OFFER_TYPES_MAX),
        NULL);
    xcb_get_atom_name_cookie_t cookies[OFFER_TYPES_MAX];
    struct offer_types *types = calloc(1, sizeof(*types));
    const xcb_atom_t *targets = r ? xcb_get_property_value(r) : NULL;
    unsigned n = r && r->format == 32 ? (unsigned)xcb_get_property_value_length(r) / 4 : 0;
    for (unsigned i = 0; i < n && types; i++)
        cookies[i] = xcb_get_atom_name(s->x, targets[i]);
    for (unsigned i = 0; i < n && types; i++) {
        xcb_get_atom_name_reply_t *reply = xcb_get_atom_name_reply(s->x, cookies[i], NULL);
        if (reply)
            add_target(s, types, targets[i], reply);
        free(reply);
    }
    if (types && types->n)
        offers_set(s->offers, kind_of(s, one), types, s->serial(s->user));
    free(types);
    free(r);
}

static void on_answer(struct selections *s, const xcb_selection_notify_event_t *e)
{
    struct selection *one = find(s, e->selection);
    if (one && !one->ours && e->requestor == s->window && e->property == one->atom &&
        e->target == atom(s, X_TARGETS))
        on_targets(s, one);
}

void selections_event(struct selections *s, const xcb_generic_event_t *event)
{
    const void *e = event;
    if (!s->window || flow_event(&s->flows, event))
        return;
    uint8_t type = event->response_type & 0x7f;
    if (type == XCB_SELECTION_REQUEST)
        on_request(s, e);
    else if (type == XCB_SELECTION_NOTIFY)
        on_answer(s, e);
    else if (type == s->xfixes + XCB_XFIXES_SELECTION_NOTIFY)
        on_owner(s, e);
}

void selections_begin(struct selections *s, struct wm *wm, struct offers *offers)
{
    s->wm = wm;
    s->offers = offers;
    s->x = wm_connection(wm);
    s->base.loop = s->loop;
    s->base.x = s->x;
    s->base.atoms = wm_atoms(wm);
    s->base.flows = &s->flows;
    s->at[OFFERS_CLIPBOARD].atom = atom(s, X_CLIPBOARD);
    s->at[OFFERS_PRIMARY].atom = XCB_ATOM_PRIMARY;
    const xcb_query_extension_reply_t *xfixes = xcb_get_extension_data(s->x, &xcb_xfixes_id);
    if (!xfixes || !xfixes->present)
        return log_warn(NULL, "this X server has no XFIXES: X programs copy and paste among "
                              "themselves only");
    s->xfixes = xfixes->first_event;
    s->window = xcb_generate_id(s->x);
    xcb_create_window(s->x, XCB_COPY_FROM_PARENT, s->window, wm_root(wm), -1, -1, 1, 1, 0,
                      XCB_WINDOW_CLASS_INPUT_ONLY, XCB_COPY_FROM_PARENT, 0, NULL);
    for (int kind = 0; kind < OFFERS_KINDS; kind++)
        xcb_xfixes_select_selection_input(
            s->x, s->window, s->at[kind].atom,
            XCB_XFIXES_SELECTION_EVENT_MASK_SET_SELECTION_OWNER |
                XCB_XFIXES_SELECTION_EVENT_MASK_SELECTION_WINDOW_DESTROY |
                XCB_XFIXES_SELECTION_EVENT_MASK_SELECTION_CLIENT_CLOSE);
    for (int kind = 0; kind < OFFERS_KINDS; kind++) {
        const struct offer_types types = s->at[kind].types;
        compositor_has(s, (enum offers_kind)kind, &types); /* which came before */
    }
}

struct selections *selections_create(struct loop *loop, uint32_t (*serial)(void *user),
                                     void (*asked)(void *user), void *user)
{
    struct selections *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->loop = loop;
    s->serial = serial;
    s->base = (struct flow_base){.asked = asked, .user = user};
    s->user = user;
    return s;
}

void selections_destroy(struct selections *s)
{
    if (!s)
        return;
    flows_finish(&s->flows);
    free(s);
}
