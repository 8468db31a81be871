/* SPDX-License-Identifier: MIT */
#pragma once
/* x-atoms: X's numbers for the names that we need. */
#include <xcb/xcb.h>

enum x_name {
#define X_ATOM(name) X_##name,
#include "guest-proxy/x11/x-atoms.def"
#undef X_ATOM
    _X_NAMES_N,
};

struct x_atoms {
    xcb_atom_t of[_X_NAMES_N];
};

/* Asks the server for all. 0 or -ECONNRESET. */
int x_atoms_load(struct x_atoms *atoms, xcb_connection_t *x);
