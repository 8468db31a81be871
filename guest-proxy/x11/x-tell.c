/* SPDX-License-Identifier: MIT */
/* Owns nothing. Properties of ICCCM and EWMH, and events that a window manager sends in its own
 * words.
 */
#include "guest-proxy/x11/x-tell.h"

#include <string.h>

#include "guest-proxy/x11/roles.h"
#include "guest-proxy/x11/x-window.h"

static xcb_atom_t atom(const struct x_tell *t, enum x_name name)
{
    return t->atoms->of[name];
}

static void set_words(const struct x_tell *t, xcb_window_t id, enum x_name property,
                      xcb_atom_t type, const uint32_t *words, unsigned n)
{
    xcb_change_property(t->x, XCB_PROP_MODE_REPLACE, id, atom(t, property), type, 32, n, words);
}

void x_tell_states(const struct x_tell *t, const struct x_window *w)
{
    uint32_t words[4];
    unsigned n = 0;
    if (w->states & ROLE_FULLSCREEN)
        words[n++] = atom(t, X__NET_WM_STATE_FULLSCREEN);
    if (w->states & ROLE_MAXIMIZED) {
        words[n++] = atom(t, X__NET_WM_STATE_MAXIMIZED_HORZ);
        words[n++] = atom(t, X__NET_WM_STATE_MAXIMIZED_VERT);
    }
    if (w->states & ROLE_ACTIVATED)
        words[n++] = atom(t, X__NET_WM_STATE_FOCUSED);
    set_words(t, w->id, X__NET_WM_STATE, XCB_ATOM_ATOM, words, n);
}

void x_tell_wm_state(const struct x_tell *t, const struct x_window *w, uint32_t state)
{
    uint32_t words[2] = {state, XCB_WINDOW_NONE};
    set_words(t, w->id, X_WM_STATE, atom(t, X_WM_STATE), words, 2);
}

void x_tell_place(const struct x_tell *t, const struct x_window *w)
{
    xcb_configure_notify_event_t e = {.response_type = XCB_CONFIGURE_NOTIFY,
                                      .event = w->id,
                                      .window = w->id,
                                      .x = (int16_t)w->x,
                                      .y = (int16_t)w->y,
                                      .width = (uint16_t)w->width,
                                      .height = (uint16_t)w->height};
    char bytes[32] = {0};
    memcpy(bytes, &e, sizeof(e));
    xcb_send_event(t->x, 0, w->id, XCB_EVENT_MASK_STRUCTURE_NOTIFY, bytes);
}

void x_tell_protocol(const struct x_tell *t, const struct x_window *w, enum x_name protocol)
{
    xcb_client_message_event_t e = {.response_type = XCB_CLIENT_MESSAGE,
                                    .format = 32,
                                    .window = w->id,
                                    .type = atom(t, X_WM_PROTOCOLS)};
    e.data.data32[0] = atom(t, protocol);
    e.data.data32[1] = XCB_CURRENT_TIME;
    xcb_send_event(t->x, 0, w->id, XCB_EVENT_MASK_NO_EVENT, (const char *)&e);
}

void x_tell_announce(const struct x_tell *t, xcb_window_t root, xcb_window_t check)
{
    /* Java knows by this name, and by few others, that windows here have no frame around them that
     * is a window itself; else it waits for one, and draws nothing. */
    static const char name[] = "LG3D";
    uint32_t supported[] = {atom(t, X__NET_ACTIVE_WINDOW),
                            atom(t, X__NET_CLOSE_WINDOW),
                            atom(t, X__NET_SUPPORTED),
                            atom(t, X__NET_SUPPORTING_WM_CHECK),
                            atom(t, X__NET_WM_MOVERESIZE),
                            atom(t, X__NET_WM_NAME),
                            atom(t, X__NET_WM_STATE),
                            atom(t, X__NET_WM_STATE_FOCUSED),
                            atom(t, X__NET_WM_STATE_FULLSCREEN),
                            atom(t, X__NET_WM_STATE_MAXIMIZED_HORZ),
                            atom(t, X__NET_WM_STATE_MAXIMIZED_VERT),
                            atom(t, X__NET_WM_STATE_MODAL)};
    set_words(t, root, X__NET_SUPPORTED, XCB_ATOM_ATOM, supported,
              sizeof(supported) / sizeof(*supported));
    set_words(t, root, X__NET_SUPPORTING_WM_CHECK, XCB_ATOM_WINDOW, &check, 1);
    set_words(t, check, X__NET_SUPPORTING_WM_CHECK, XCB_ATOM_WINDOW, &check, 1);
    xcb_change_property(t->x, XCB_PROP_MODE_REPLACE, check, atom(t, X__NET_WM_NAME),
                        atom(t, X_UTF8_STRING), 8, sizeof(name) - 1, name);
}

void x_tell_active(const struct x_tell *t, xcb_window_t root, xcb_window_t window)
{
    set_words(t, root, X__NET_ACTIVE_WINDOW, XCB_ATOM_WINDOW, &window, 1);
}
