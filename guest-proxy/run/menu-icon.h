/* SPDX-License-Identifier: MIT */
#pragma once
/* menu-icon: the picture of an entry, as pixels, so that the host has nothing to decode; the only
 * one that includes libpng. */
#include <stdint.h>

#include "protocol/run.h"

struct menu_icon {
    struct run_icon size;
    uint8_t pixels[RUN_ICON_MAX]; /* red, green, blue, alpha */
};

/* Finds and reads the PNG or SVG file of that name or path (Icon=), as large as RUN_ICON_EDGE_MAX
 * at most. 0, or -ENOENT: there is none that can be shown. */
int menu_icon_read(const char *name, struct menu_icon *ret);
