/* SPDX-License-Identifier: MIT */
#pragma once
/* x-window: what an X program says of one of its windows. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "guest-proxy/x11/x-atoms.h"

struct role;

struct x_window {
    LIST_ENTRY(x_window) entry;
    xcb_window_t id;
    xcb_window_t frame; /* ours, around it; 0: none, as it is a rectangle */
    int x, y, width, height;
    int free_width, free_height; /* when nothing had it fill a place; 0: not known */
    bool override;               /* it places itself: a menu, a tooltip */
    bool mapped;
    uint32_t surface;  /* the X server's id of it; 0: none yet */
    struct role *role; /* NULL: it is not shown */
    unsigned states;   /* ROLE_…, as the compositor has it */
    unsigned asked;    /* ROLE_…, as the program wants it */
    /* Of its properties: */
    char title[512];
    char app_id[256];
    xcb_window_t parent;                              /* WM_TRANSIENT_FOR; 0: none */
    int min_width, min_height, max_width, max_height; /* 0: none */
    bool frameless;                                   /* it wants no title bar */
    bool input;                                       /* the focus is for us to give */
    bool takes_focus;                                 /* it wants to hear of it (WM_TAKE_FOCUS) */
    bool deletes;                                     /* it closes itself (WM_DELETE_WINDOW) */
};

/* Asks for all properties, and waits for the answers. */
void x_window_read(struct x_window *window, xcb_connection_t *x, const struct x_atoms *atoms);
