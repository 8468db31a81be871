/* SPDX-License-Identifier: MIT */
/* Surfaces: a commit copies the damage of a wl_shm buffer and answers at once. */
#include "tests/bench/server.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/ops.h"
#include "xdg-shell-server-protocol.h"

#define DAMAGE_MAX 32

struct rect {
    int32_t x, y, width, height;
};

/* A buffer, as long as it is there. */
struct held {
    struct wl_resource *buffer; /* NULL: none */
    struct wl_listener gone;
};

struct surface {
    struct wl_resource *resource;
    struct held pending; /* attached, not yet committed */
    struct held unread;  /* shown with no_upload */
    struct wl_list callbacks;
    struct rect damage[DAMAGE_MAX];
    unsigned n_damage;
    uint8_t *store;
    size_t store_size;
    struct wl_resource *xdg_surface, *xdg_toplevel;
    bool configured;
};

bool no_upload;

static struct surface *last_surface;

static void held_gone(struct wl_listener *listener, void *data)
{
    struct held *held = wl_container_of(listener, held, gone);

    (void)data;
    wl_list_remove(&held->gone.link);
    held->buffer = NULL;
}

static void held_set(struct held *held, struct wl_resource *buffer)
{
    if (held->buffer)
        wl_list_remove(&held->gone.link);
    held->buffer = buffer;
    held->gone.notify = held_gone;
    if (buffer)
        wl_resource_add_destroy_listener(buffer, &held->gone);
}

static void surface_attach(struct wl_client *client, struct wl_resource *resource,
                           struct wl_resource *buffer, int32_t x, int32_t y)
{
    struct surface *surface = wl_resource_get_user_data(resource);

    (void)client, (void)x, (void)y;
    held_set(&surface->pending, buffer);
}

static void surface_damage(struct wl_client *client, struct wl_resource *resource, int32_t x,
                           int32_t y, int32_t width, int32_t height)
{
    struct surface *surface = wl_resource_get_user_data(resource);

    (void)client;
    if (surface->n_damage < DAMAGE_MAX)
        surface->damage[surface->n_damage++] = (struct rect){x, y, width, height};
}

static void surface_frame(struct wl_client *client, struct wl_resource *resource, uint32_t id)
{
    struct surface *surface = wl_resource_get_user_data(resource);
    struct wl_resource *callback =
        resource_new(client, &wl_callback_interface, 1, id, NULL, NULL, resource_unlink);

    if (callback)
        wl_list_insert(surface->callbacks.prev, wl_resource_get_link(callback));
}

static void surface_region(struct wl_client *client, struct wl_resource *resource,
                           struct wl_resource *region)
{
    (void)client, (void)resource, (void)region;
}

static void surface_number(struct wl_client *client, struct wl_resource *resource, int32_t number)
{
    (void)client, (void)resource, (void)number;
}

/* What glTexSubImage2D would do: copies @rect of the buffer into the store. */
static void surface_upload(struct surface *surface, struct wl_shm_buffer *buffer, struct rect rect)
{
    int64_t width = wl_shm_buffer_get_width(buffer), height = wl_shm_buffer_get_height(buffer);
    size_t stride = (size_t)wl_shm_buffer_get_stride(buffer);
    int64_t x0 = rect.x < 0 ? 0 : rect.x, y0 = rect.y < 0 ? 0 : rect.y;
    int64_t x1 = (int64_t)rect.x + rect.width, y1 = (int64_t)rect.y + rect.height;
    const uint8_t *pixels = wl_shm_buffer_get_data(buffer);

    x1 = x1 > width ? width : x1;
    y1 = y1 > height ? height : y1;
    if (x0 >= x1)
        return;
    for (int64_t y = y0; y < y1; y++) {
        size_t offset = (size_t)y * stride + (size_t)x0 * 4;

        memcpy(surface->store + offset, pixels + offset, (size_t)(x1 - x0) * 4);
    }
}

static void surface_show(struct surface *surface)
{
    struct wl_shm_buffer *buffer = wl_shm_buffer_get(surface->pending.buffer);

    if (buffer) {
        size_t size =
            (size_t)wl_shm_buffer_get_stride(buffer) * (size_t)wl_shm_buffer_get_height(buffer);

        if (size != surface->store_size) {
            free(surface->store);
            surface->store = calloc(1, size);
            surface->store_size = surface->store ? size : 0;
        }
        if (surface->store && !no_upload) {
            wl_shm_buffer_begin_access(buffer);
            for (unsigned i = 0; i < surface->n_damage; i++)
                surface_upload(surface, buffer, surface->damage[i]);
            wl_shm_buffer_end_access(buffer);
        }
    }
    if (no_upload)
        held_set(&surface->unread, surface->pending.buffer);
    wl_buffer_send_release(surface->pending.buffer);
    held_set(&surface->pending, NULL);
}

static void surface_commit(struct wl_client *client, struct wl_resource *resource)
{
    struct surface *surface = wl_resource_get_user_data(resource);
    struct wl_resource *callback, *next;

    (void)client;
    if (surface->xdg_toplevel && !surface->configured) {
        struct wl_array states;

        wl_array_init(&states);
        xdg_toplevel_send_configure(surface->xdg_toplevel, 0, 0, &states);
        xdg_surface_send_configure(surface->xdg_surface, wl_display_next_serial(display));
        surface->configured = true;
    }
    last_surface = surface;
    if (surface->pending.buffer)
        surface_show(surface);
    surface->n_damage = 0;
    wl_resource_for_each_safe(callback, next, &surface->callbacks)
    {
        wl_callback_send_done(callback, 0);
        wl_resource_destroy(callback);
    }
}

static const struct wl_surface_interface surface_implementation = {
    .destroy = resource_destroy,
    .attach = surface_attach,
    .damage = surface_damage,
    .frame = surface_frame,
    .set_opaque_region = surface_region,
    .set_input_region = surface_region,
    .commit = surface_commit,
    .set_buffer_transform = surface_number,
    .set_buffer_scale = surface_number,
    .damage_buffer = surface_damage,
};

static void surface_destroy(struct wl_resource *resource)
{
    struct surface *surface = wl_resource_get_user_data(resource);
    struct wl_resource *callback, *next;

    held_set(&surface->pending, NULL);
    held_set(&surface->unread, NULL);
    wl_resource_for_each_safe(callback, next, &surface->callbacks) wl_resource_destroy(callback);
    if (last_surface == surface)
        last_surface = NULL;
    free(surface->store);
    free(surface);
}

void surface_create(struct wl_client *client, struct wl_resource *compositor, uint32_t id)
{
    struct surface *surface = calloc(1, sizeof(*surface));

    if (!surface) {
        wl_client_post_no_memory(client);
        return;
    }
    wl_list_init(&surface->callbacks);
    surface->resource =
        resource_new(client, &wl_surface_interface, wl_resource_get_version(compositor), id,
                     &surface_implementation, surface, surface_destroy);
    if (!surface->resource)
        free(surface);
}

void surface_check(struct wl_resource *region, int32_t expected)
{
    if (!last_surface || !last_surface->store) {
        wl_resource_post_error(region, 0, "the benchmark's compositor shows no picture");
        return;
    }
    if (last_surface->unread.buffer) {
        struct wl_shm_buffer *buffer = wl_shm_buffer_get(last_surface->unread.buffer);
        struct rect all = {0, 0, wl_shm_buffer_get_width(buffer), wl_shm_buffer_get_height(buffer)};

        wl_shm_buffer_begin_access(buffer);
        surface_upload(last_surface, buffer, all);
        wl_shm_buffer_end_access(buffer);
    }
    if (bench_hash(last_surface->store, last_surface->store_size) != expected)
        wl_resource_post_error(region, 0, "the picture that arrived is not the one that was drawn");
}

static void toplevel_parent(struct wl_client *client, struct wl_resource *resource,
                            struct wl_resource *parent)
{
    (void)client, (void)resource, (void)parent;
}

static void toplevel_string(struct wl_client *client, struct wl_resource *resource,
                            const char *text)
{
    (void)client, (void)resource, (void)text;
}

static void toplevel_nothing(struct wl_client *client, struct wl_resource *resource)
{
    (void)client, (void)resource;
}

static void toplevel_size(struct wl_client *client, struct wl_resource *resource, int32_t width,
                          int32_t height)
{
    (void)client, (void)resource, (void)width, (void)height;
}

static const struct xdg_toplevel_interface toplevel_implementation = {
    .destroy = resource_destroy,
    .set_parent = toplevel_parent,
    .set_title = toplevel_string,
    .set_app_id = toplevel_string,
    .set_max_size = toplevel_size,
    .set_min_size = toplevel_size,
    .set_maximized = toplevel_nothing,
    .unset_maximized = toplevel_nothing,
    .unset_fullscreen = toplevel_nothing,
    .set_minimized = toplevel_nothing,
};

static void xdg_surface_get_toplevel(struct wl_client *client, struct wl_resource *resource,
                                     uint32_t id)
{
    struct surface *surface = wl_resource_get_user_data(resource);

    surface->xdg_surface = resource;
    surface->xdg_toplevel =
        resource_new(client, &xdg_toplevel_interface, wl_resource_get_version(resource), id,
                     &toplevel_implementation, NULL, NULL);
}

static void xdg_surface_geometry(struct wl_client *client, struct wl_resource *resource, int32_t x,
                                 int32_t y, int32_t width, int32_t height)
{
    (void)client, (void)resource, (void)x, (void)y, (void)width, (void)height;
}

static void xdg_surface_ack(struct wl_client *client, struct wl_resource *resource, uint32_t serial)
{
    (void)client, (void)resource, (void)serial;
}

static const struct xdg_surface_interface xdg_surface_implementation = {
    .destroy = resource_destroy,
    .get_toplevel = xdg_surface_get_toplevel,
    .set_window_geometry = xdg_surface_geometry,
    .ack_configure = xdg_surface_ack,
};

static void wm_base_get_xdg_surface(struct wl_client *client, struct wl_resource *resource,
                                    uint32_t id, struct wl_resource *surface)
{
    resource_new(client, &xdg_surface_interface, wl_resource_get_version(resource), id,
                 &xdg_surface_implementation, wl_resource_get_user_data(surface), NULL);
}

static void wm_base_pong(struct wl_client *client, struct wl_resource *resource, uint32_t serial)
{
    (void)client, (void)resource, (void)serial;
}

const struct xdg_wm_base_interface wm_base_implementation = {
    .destroy = resource_destroy,
    .get_xdg_surface = wm_base_get_xdg_surface,
    .pong = wm_base_pong,
};
