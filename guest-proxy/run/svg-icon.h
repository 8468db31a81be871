/* SPDX-License-Identifier: MIT */
#pragma once
/* svg-icon: the picture of an SVG file, by whichever program of the guest's makes one. */

/* As a PNG file of RUN_ICON_EDGE_MAX pixels at most each way: a descriptor (owned, at its
 * beginning). -ENOENT: no such program is installed, or it makes nothing of the file at @path (from
 * the root). Waits for it; one that takes too long is not asked again. */
int svg_icon_draw(const char *path);
