/* SPDX-License-Identifier: MIT */
#pragma once
/* x-tell: what X programs are told of their windows, and of the window manager. */
#include "guest-proxy/x11/x-atoms.h"

struct x_window;

enum { X_WITHDRAWN = 0, X_NORMAL = 1, X_ICONIC = 3 }; /* ICCCM's states of a window */

/* Both are borrowed. */
struct x_tell {
    xcb_connection_t *x;
    const struct x_atoms *atoms;
};

/* What programs look for to know that there is a window manager, and what it can do. */
void x_tell_announce(const struct x_tell *tell, xcb_window_t root, xcb_window_t check);
/* Which window has the keyboard; 0: none. */
void x_tell_active(const struct x_tell *tell, xcb_window_t root, xcb_window_t window);

/* Full screen, maximized, with the focus: as the compositor has it. */
void x_tell_states(const struct x_tell *tell, const struct x_window *window);
void x_tell_wm_state(const struct x_tell *tell, const struct x_window *window, uint32_t state);
/* In words that no server sends: a program that was given nothing else to do hears where it is. */
void x_tell_place(const struct x_tell *tell, const struct x_window *window);
/* It has said that it wants to be told (WM_PROTOCOLS). */
void x_tell_protocol(const struct x_tell *tell, const struct x_window *window,
                     enum x_name protocol);
