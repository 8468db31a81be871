/* SPDX-License-Identifier: MIT */
#pragma once
/* menu-png: a picture as a PNG file, of pixels, without compression. */
#include <stddef.h>
#include <stdint.h>

#include "protocol/run.h"

#define MENU_PNG_MAX (RUN_ICON_MAX + RUN_ICON_EDGE_MAX + 128)

/* Writes @width × @height pixels (bytes of red, green, blue, alpha; edges up to RUN_ICON_EDGE_MAX).
 * The number of bytes. */
size_t menu_png_write(const uint8_t *pixels, uint32_t width, uint32_t height,
                      uint8_t png[MENU_PNG_MAX]);
