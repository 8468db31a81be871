/* SPDX-License-Identifier: MIT */
#pragma once
/* windows: what an application calls its windows, for whoever asks what is there. */
#include "common/wayland/relay.h"

struct window {
    struct wl_data data; /* of its toplevel */
    LIST_ENTRY(window) entry;
    struct budget *budget; /* pays for it (borrowed); NULL: nobody counts */
    char *title, *app_id;  /* cleaned, without the VM's prefix; NULL: none was said */
};

/* The relay's own hooks. */
relay_hook windows_new, windows_text;
#define WINDOWS_HOOKS [WL_HOOK_NEW_TOPLEVEL] = windows_new, [WL_HOOK_TEXT] = windows_text
