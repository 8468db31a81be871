/* SPDX-License-Identifier: MIT */
/* Owns nothing: a frame is its window's. X draws nothing outside of a window's shape, but its
 * picture, which becomes a surface, is a rectangle, and holds there whatever was drawn before. In a
 * window whose visual has an alpha channel and whose background is nothing, the server puts it
 * together itself: what is inside gets there, and is opaque; the rest stays background. */
#include "guest-proxy/x11/x-frame.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xcb/shape.h>

#define DEPTH 32 /* of a visual with an alpha channel */

static xcb_visualid_t find_visual(const xcb_screen_t *screen)
{
    for (xcb_depth_iterator_t d = xcb_screen_allowed_depths_iterator(screen); d.rem;
         xcb_depth_next(&d)) {
        xcb_visualtype_iterator_t v = xcb_depth_visuals_iterator(d.data);
        for (; d.data->depth == DEPTH && v.rem; xcb_visualtype_next(&v))
            if (v.data->_class == XCB_VISUAL_CLASS_TRUE_COLOR)
                return v.data->visual_id;
    }
    return 0;
}

void x_frames_begin(struct x_frames *f, xcb_connection_t *x, const xcb_screen_t *screen)
{
    const xcb_query_extension_reply_t *shape = xcb_get_extension_data(x, &xcb_shape_id);
    *f = (struct x_frames){.x = x, .root = screen->root};
    if (!shape || !shape->present)
        return;
    f->shape_notify = shape->first_event + XCB_SHAPE_NOTIFY;
    f->visual = find_visual(screen);
    f->colormap = xcb_generate_id(x);
    if (f->visual)
        xcb_create_colormap(x, XCB_COLORMAP_ALLOC_NONE, f->colormap, f->root, f->visual);
}

static bool has_shape(const struct x_frames *f, xcb_window_t window)
{
    xcb_shape_query_extents_reply_t *r =
        xcb_shape_query_extents_reply(f->x, xcb_shape_query_extents(f->x, window), NULL);
    bool shaped = r && r->bounding_shaped;
    free(r);
    return shaped;
}

xcb_window_t x_frame_create(const struct x_frames *f, xcb_window_t window, int width, int height)
{
    uint32_t values[] = {0, 0,
                         XCB_EVENT_MASK_SUBSTRUCTURE_NOTIFY | XCB_EVENT_MASK_SUBSTRUCTURE_REDIRECT,
                         f->colormap};
    if (!f->visual || !has_shape(f, window))
        return XCB_WINDOW_NONE;
    xcb_window_t frame = xcb_generate_id(f->x);
    xcb_create_window(f->x, DEPTH, frame, f->root, 0, 0, (uint16_t)width, (uint16_t)height, 0,
                      XCB_WINDOW_CLASS_INPUT_OUTPUT, f->visual,
                      XCB_CW_BACK_PIXEL | XCB_CW_BORDER_PIXEL | XCB_CW_EVENT_MASK | XCB_CW_COLORMAP,
                      values);
    xcb_reparent_window(f->x, window, frame, 0, 0);
    xcb_shape_select_input(f->x, window, 1);
    return frame;
}

size_t x_frame_area(const struct x_frames *f, xcb_window_t window, int16_t (*area)[4])
{
    xcb_shape_get_rectangles_reply_t *r = xcb_shape_get_rectangles_reply(
        f->x, xcb_shape_get_rectangles(f->x, window, XCB_SHAPE_SK_BOUNDING), NULL);
    int n = r ? xcb_shape_get_rectangles_rectangles_length(r) : 0;
    static_assert(sizeof(xcb_rectangle_t) == sizeof(*area), "both are four numbers");
    if (n > X_AREA_MAX)
        n = 0;
    if (n)
        memcpy(area, xcb_shape_get_rectangles_rectangles(r), (size_t)n * sizeof(*area));
    free(r);
    return (size_t)n;
}
