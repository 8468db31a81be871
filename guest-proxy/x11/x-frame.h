/* SPDX-License-Identifier: MIT */
#pragma once
/* x-frame: windows of ours around windows that are no rectangles, of the same size, so that what is
 * behind can be seen beside them. */
#include <stddef.h>
#include <stdint.h>

#include <xcb/xcb.h>

struct x_frames {
    xcb_connection_t *x;
    xcb_window_t root;
    xcb_visualid_t visual; /* with an alpha channel; 0: the server has none, nor shapes, perhaps */
    xcb_colormap_t colormap;
    uint8_t shape_notify; /* the event that says that a window in a frame has another shape */
};

/* @x is borrowed. */
void x_frames_begin(struct x_frames *frames, xcb_connection_t *x, const xcb_screen_t *screen);
/* Waits for an answer of the server's. Puts @window, which is not mapped, into a frame of that size
 * if it has a shape, and returns the frame, which tells the root's owner of what happens in it; 0:
 * it has none. */
xcb_window_t x_frame_create(const struct x_frames *frames, xcb_window_t window, int width,
                            int height);

#define X_AREA_MAX 4096
/* The rectangles (x, y, width, height) that @window's shape is made of, of which there is room for
 * X_AREA_MAX; 0: it is none of so few. Waits, too. */
size_t x_frame_area(const struct x_frames *frames, xcb_window_t window, int16_t (*ret_area)[4]);
