/* SPDX-License-Identifier: MIT */
#pragma once
/* icon-cache: pictures that took long to make, for the next time that the menu is told. */
#include <stdbool.h>
#include <stdint.h>

#include "protocol/run.h"

struct stat;

/* Whether it is known what became of the file at @path, which @st is of: *ret and @pixels, or a
 * width of 0 where that was nothing. */
bool icon_cache_get(const char *path, const struct stat *st, struct run_icon *ret,
                    uint8_t pixels[RUN_ICON_MAX]);
/* Where there is no room, it is made anew the next time. */
void icon_cache_put(const char *path, const struct stat *st, const struct run_icon *icon,
                    const uint8_t *pixels);
