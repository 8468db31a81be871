/* SPDX-License-Identifier: MIT */
#pragma once
/* wm: the X server's window manager: each window that is no menu of another's becomes a toplevel,
 * and what happens to either happens to both. */
#include <stdint.h>
#include <xcb/xcb.h>

#include "guest-proxy/x11/x-atoms.h"

struct roles;
struct roles_ops;
struct wm;

struct wm_ops {
    /* An event that is not the window manager's. */
    void (*other)(void *user, const xcb_generic_event_t *event);
};

/* Not connected yet. NULL: out of memory. */
struct wm *wm_create(const struct wm_ops *ops, void *user);
void wm_destroy(struct wm *wm); /* accepts NULL; before the roles */

/* What roles_create() is to be given, with the wm as the user. */
extern const struct roles_ops wm_roles_ops;

/* Becomes the window manager of the server at @fd (taken), which answers now. 0 or -errno. */
int wm_connect(struct wm *wm, int fd, struct roles *roles);
/* X programs are let in. */
void wm_open(struct wm *wm);
/* Before wm_connect(): NULL. */
xcb_connection_t *wm_connection(struct wm *wm);
const struct x_atoms *wm_atoms(const struct wm *wm);
xcb_window_t wm_root(const struct wm *wm);

/* Takes what the server has sent. 0, or -ECONNRESET: it is gone. */
int wm_receive(struct wm *wm);
void wm_flush(struct wm *wm);
