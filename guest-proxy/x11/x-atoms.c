/* SPDX-License-Identifier: MIT */
/* All are asked for before the first answer is waited for. */
#include "guest-proxy/x11/x-atoms.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[_X_NAMES_N] = {
#define X_ATOM(name) #name,
#include "guest-proxy/x11/x-atoms.def"
#undef X_ATOM
};

int x_atoms_load(struct x_atoms *atoms, xcb_connection_t *x)
{
    xcb_intern_atom_cookie_t cookies[_X_NAMES_N];
    int result = 0;
    for (int i = 0; i < _X_NAMES_N; i++)
        cookies[i] = xcb_intern_atom(x, 0, (uint16_t)strlen(names[i]), names[i]);
    for (int i = 0; i < _X_NAMES_N; i++) {
        xcb_intern_atom_reply_t *reply = xcb_intern_atom_reply(x, cookies[i], NULL);
        atoms->of[i] = reply ? reply->atom : XCB_ATOM_NONE;
        if (!reply)
            result = -ECONNRESET;
        free(reply);
    }
    return result;
}
