/* SPDX-License-Identifier: MIT */
/* bench_server: the smallest compositor that makes a client pay what a real one makes it pay.
 *
 * A commit copies the damaged pixels into a store of its own (the upload), releases the buffer and
 * answers the frame callbacks at once. Nothing is drawn. The client asks for the rest by the
 * operations of ops.h. It serves its own benchmark and trusts it. */
#include "tests/bench/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <wayland-server.h>

#include "xdg-shell-server-protocol.h"

#define DAMAGE_MAX 32
#define CHUNK 65536
#define EVENTS_PER_FLUSH 128 /* of 24 bytes at most: less than the 4096 that libwayland buffers */
#define STALL_MS 10000

struct rect {
    int32_t x, y, width, height;
};

struct surface {
    struct wl_resource *resource;
    struct wl_resource *pending; /* attached, not yet committed */
    struct wl_listener pending_gone;
    struct wl_list callbacks;
    struct rect damage[DAMAGE_MAX];
    unsigned n_damage;
    uint8_t *store;
    size_t store_size;
    struct wl_resource *xdg_surface, *xdg_toplevel;
    bool configured;
};

struct transfer { /* a client's selection on its way to us */
    struct wl_resource *source;
    struct wl_listener source_gone;
    struct wl_event_source *event;
    int fd;
};

struct paste { /* our selection on its way to a client */
    struct wl_event_source *event;
    size_t left;
    int fd;
};

static struct wl_display *display;
static struct wl_list pointers;
static struct wl_list devices;
static struct surface *last_surface;
static uint8_t chunk[CHUNK];

static void resource_destroy(struct wl_client *client, struct wl_resource *resource)
{
    (void)client;
    wl_resource_destroy(resource);
}

static void resource_unlink(struct wl_resource *resource)
{
    wl_list_remove(wl_resource_get_link(resource));
}

/* Creates @id of @client, or tells the client that there is no memory. */
static struct wl_resource *resource_new(struct wl_client *client,
                                        const struct wl_interface *interface, int version,
                                        uint32_t id, const void *implementation, void *data,
                                        wl_resource_destroy_func_t destroy)
{
    struct wl_resource *resource = wl_resource_create(client, interface, version, id);

    if (!resource) {
        wl_client_post_no_memory(client);
        return NULL;
    }
    wl_resource_set_implementation(resource, implementation, data, destroy);
    return resource;
}

/* --- surfaces ------------------------------------------------------------------------------- */

static void surface_set_pending(struct surface *surface, struct wl_resource *buffer)
{
    if (surface->pending)
        wl_list_remove(&surface->pending_gone.link);
    surface->pending = buffer;
    if (buffer)
        wl_resource_add_destroy_listener(buffer, &surface->pending_gone);
}

static void surface_pending_gone(struct wl_listener *listener, void *data)
{
    struct surface *surface = wl_container_of(listener, surface, pending_gone);

    (void)data;
    surface_set_pending(surface, NULL);
}

static void surface_attach(struct wl_client *client, struct wl_resource *resource,
                           struct wl_resource *buffer, int32_t x, int32_t y)
{
    (void)client, (void)x, (void)y;
    surface_set_pending(wl_resource_get_user_data(resource), buffer);
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
    struct wl_shm_buffer *buffer = wl_shm_buffer_get(surface->pending);

    if (buffer) {
        size_t size =
            (size_t)wl_shm_buffer_get_stride(buffer) * (size_t)wl_shm_buffer_get_height(buffer);

        if (size != surface->store_size) {
            free(surface->store);
            surface->store = calloc(1, size);
            surface->store_size = surface->store ? size : 0;
        }
        if (surface->store) {
            wl_shm_buffer_begin_access(buffer);
            for (unsigned i = 0; i < surface->n_damage; i++)
                surface_upload(surface, buffer, surface->damage[i]);
            wl_shm_buffer_end_access(buffer);
        }
    }
    wl_buffer_send_release(surface->pending);
    surface_set_pending(surface, NULL);
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
    if (surface->pending)
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

    surface_set_pending(surface, NULL);
    wl_resource_for_each_safe(callback, next, &surface->callbacks) wl_resource_destroy(callback);
    if (last_surface == surface)
        last_surface = NULL;
    free(surface->store);
    free(surface);
}

/* --- the operations ------------------------------------------------------------------------- */

/* libwayland drops a client whose buffer is full, so wait for room, as no compositor would. */
static void events_send(struct wl_client *client, int32_t n)
{
    struct pollfd pollfd = {.fd = wl_client_get_fd(client), .events = POLLOUT};
    struct wl_resource *pointer;

    wl_resource_for_each(pointer, &pointers)
    {
        if (wl_resource_get_client(pointer) != client)
            continue;
        for (int32_t i = 0; i < n; i++) {
            if (i % EVENTS_PER_FLUSH == 0) {
                wl_client_flush(client);
                if (poll(&pollfd, 1, STALL_MS) != 1)
                    return;
            }
            wl_pointer_send_motion(pointer, (uint32_t)i, wl_fixed_from_int(i),
                                   wl_fixed_from_int(i));
        }
    }
}

static void offer_accept(struct wl_client *client, struct wl_resource *resource, uint32_t serial,
                         const char *mime)
{
    (void)client, (void)resource, (void)serial, (void)mime;
}

static void paste_end(struct paste *paste)
{
    wl_event_source_remove(paste->event);
    close(paste->fd);
    free(paste);
}

static int paste_writable(int fd, uint32_t mask, void *data)
{
    struct paste *paste = data;

    (void)mask;
    while (paste->left > 0) {
        ssize_t n = write(fd, chunk, paste->left < CHUNK ? paste->left : CHUNK);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n < 0)
            break;
        paste->left -= (size_t)n;
    }
    paste_end(paste);
    return 0;
}

static void offer_receive(struct wl_client *client, struct wl_resource *resource, const char *mime,
                          int fd)
{
    struct wl_event_loop *loop = wl_display_get_event_loop(display);
    struct paste *paste = calloc(1, sizeof(*paste));

    (void)mime;
    if (!paste || fcntl(fd, F_SETFL, O_WRONLY | O_NONBLOCK) < 0) {
        free(paste);
        close(fd);
        wl_client_post_no_memory(client);
        return;
    }
    paste->left = (size_t)(intptr_t)wl_resource_get_user_data(resource) * BENCH_MIB;
    paste->fd = fd;
    paste->event = wl_event_loop_add_fd(loop, fd, WL_EVENT_WRITABLE, paste_writable, paste);
}

static void offer_finish(struct wl_client *client, struct wl_resource *resource)
{
    (void)client, (void)resource;
}

static void offer_actions(struct wl_client *client, struct wl_resource *resource, uint32_t actions,
                          uint32_t preferred)
{
    (void)client, (void)resource, (void)actions, (void)preferred;
}

static const struct wl_data_offer_interface offer_implementation = {
    .accept = offer_accept,
    .receive = offer_receive,
    .destroy = resource_destroy,
    .finish = offer_finish,
    .set_actions = offer_actions,
};

static void offer_send(struct wl_client *client, int32_t mib)
{
    struct wl_resource *device;

    wl_resource_for_each(device, &devices)
    {
        struct wl_resource *offer;

        if (wl_resource_get_client(device) != client)
            continue;
        offer = resource_new(client, &wl_data_offer_interface, wl_resource_get_version(device), 0,
                             &offer_implementation, (void *)(intptr_t)mib, NULL);
        if (!offer)
            return;
        wl_data_device_send_data_offer(device, offer);
        wl_data_offer_send_offer(offer, BENCH_MIME);
        wl_data_device_send_selection(device, offer);
    }
}

static void check_last_surface(struct wl_resource *region, int32_t expected)
{
    if (!last_surface || !last_surface->store) {
        wl_resource_post_error(region, 0, "the benchmark's compositor shows no picture");
        return;
    }
    if (bench_hash(last_surface->store, last_surface->store_size) != expected)
        wl_resource_post_error(region, 0, "the picture that arrived is not the one that was drawn");
}

static void region_add(struct wl_client *client, struct wl_resource *resource, int32_t op,
                       int32_t arg, int32_t width, int32_t height)
{
    (void)width, (void)height;
    switch (op) {
    case BENCH_OP_EVENTS:
        events_send(client, arg);
        break;
    case BENCH_OP_OFFER:
        offer_send(client, arg);
        break;
    case BENCH_OP_CHECK:
        check_last_surface(resource, arg);
        break;
    default:
        break;
    }
}

static const struct wl_region_interface region_implementation = {
    .destroy = resource_destroy,
    .add = region_add,
    .subtract = region_add,
};

static void compositor_create_surface(struct wl_client *client, struct wl_resource *resource,
                                      uint32_t id)
{
    struct surface *surface = calloc(1, sizeof(*surface));

    if (!surface) {
        wl_client_post_no_memory(client);
        return;
    }
    wl_list_init(&surface->callbacks);
    surface->pending_gone.notify = surface_pending_gone;
    surface->resource =
        resource_new(client, &wl_surface_interface, wl_resource_get_version(resource), id,
                     &surface_implementation, surface, surface_destroy);
    if (!surface->resource)
        free(surface);
}

static void compositor_create_region(struct wl_client *client, struct wl_resource *resource,
                                     uint32_t id)
{
    (void)resource;
    resource_new(client, &wl_region_interface, 1, id, &region_implementation, NULL, NULL);
}

static const struct wl_compositor_interface compositor_implementation = {
    .create_surface = compositor_create_surface,
    .create_region = compositor_create_region,
};

/* --- xdg-shell: as much as maps a toplevel -----------------------------------------------------
 */

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

static const struct xdg_wm_base_interface wm_base_implementation = {
    .destroy = resource_destroy,
    .get_xdg_surface = wm_base_get_xdg_surface,
    .pong = wm_base_pong,
};

/* --- seat and clipboard ------------------------------------------------------------------------
 */

static void pointer_cursor(struct wl_client *client, struct wl_resource *resource, uint32_t serial,
                           struct wl_resource *surface, int32_t x, int32_t y)
{
    (void)client, (void)resource, (void)serial, (void)surface, (void)x, (void)y;
}

static const struct wl_pointer_interface pointer_implementation = {
    .set_cursor = pointer_cursor,
    .release = resource_destroy,
};

static void seat_get_pointer(struct wl_client *client, struct wl_resource *resource, uint32_t id)
{
    struct wl_resource *pointer =
        resource_new(client, &wl_pointer_interface, wl_resource_get_version(resource), id,
                     &pointer_implementation, NULL, resource_unlink);

    if (pointer)
        wl_list_insert(&pointers, wl_resource_get_link(pointer));
}

static void seat_without(struct wl_client *client, struct wl_resource *resource, uint32_t id)
{
    (void)client, (void)id;
    wl_resource_post_error(resource, WL_SEAT_ERROR_MISSING_CAPABILITY, "only a pointer here");
}

static const struct wl_seat_interface seat_implementation = {
    .get_pointer = seat_get_pointer,
    .get_keyboard = seat_without,
    .get_touch = seat_without,
    .release = resource_destroy,
};

static void transfer_end(struct transfer *transfer)
{
    if (transfer->source) {
        wl_list_remove(&transfer->source_gone.link);
        wl_data_source_send_cancelled(transfer->source); /* tells the client that all has arrived */
    }
    wl_event_source_remove(transfer->event);
    close(transfer->fd);
    free(transfer);
}

static int transfer_readable(int fd, uint32_t mask, void *data)
{
    ssize_t n = read(fd, chunk, CHUNK);

    (void)mask;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        transfer_end(data);
    return 0;
}

static void transfer_source_gone(struct wl_listener *listener, void *data)
{
    struct transfer *transfer = wl_container_of(listener, transfer, source_gone);

    (void)data;
    transfer->source = NULL;
}

static void device_set_selection(struct wl_client *client, struct wl_resource *resource,
                                 struct wl_resource *source, uint32_t serial)
{
    struct wl_event_loop *loop = wl_display_get_event_loop(display);
    struct transfer *transfer;
    int fds[2];

    (void)resource, (void)serial;
    if (!source)
        return;
    transfer = calloc(1, sizeof(*transfer));
    if (!transfer || pipe2(fds, O_CLOEXEC) < 0) {
        free(transfer);
        wl_client_post_no_memory(client);
        return;
    }
    wl_data_source_send_send(source, BENCH_MIME, fds[1]);
    close(fds[1]);
    *transfer = (struct transfer){.source = source, .fd = fds[0]};
    transfer->source_gone.notify = transfer_source_gone;
    wl_resource_add_destroy_listener(source, &transfer->source_gone);
    transfer->event =
        wl_event_loop_add_fd(loop, fds[0], WL_EVENT_READABLE, transfer_readable, transfer);
}

static const struct wl_data_device_interface device_implementation = {
    .set_selection = device_set_selection,
    .release = resource_destroy,
};

static void source_offer(struct wl_client *client, struct wl_resource *resource, const char *mime)
{
    (void)client, (void)resource, (void)mime;
}

static void source_actions(struct wl_client *client, struct wl_resource *resource, uint32_t actions)
{
    (void)client, (void)resource, (void)actions;
}

static const struct wl_data_source_interface source_implementation = {
    .offer = source_offer,
    .destroy = resource_destroy,
    .set_actions = source_actions,
};

static void manager_create_source(struct wl_client *client, struct wl_resource *resource,
                                  uint32_t id)
{
    resource_new(client, &wl_data_source_interface, wl_resource_get_version(resource), id,
                 &source_implementation, NULL, NULL);
}

static void manager_get_device(struct wl_client *client, struct wl_resource *resource, uint32_t id,
                               struct wl_resource *seat)
{
    struct wl_resource *device =
        resource_new(client, &wl_data_device_interface, wl_resource_get_version(resource), id,
                     &device_implementation, NULL, resource_unlink);

    (void)seat;
    if (device)
        wl_list_insert(&devices, wl_resource_get_link(device));
}

static const struct wl_data_device_manager_interface manager_implementation = {
    .create_data_source = manager_create_source,
    .get_data_device = manager_get_device,
};

static const struct wl_output_interface output_implementation = {
    .release = resource_destroy,
};

/* --- globals and start ---------------------------------------------------------------------------
 */

struct global {
    const struct wl_interface *interface;
    int version;
    const void *implementation;
};

static const struct global globals[] = {
    {&wl_compositor_interface, 4, &compositor_implementation},
    {&xdg_wm_base_interface, 1, &wm_base_implementation},
    {&wl_seat_interface, 5, &seat_implementation},
    {&wl_data_device_manager_interface, 3, &manager_implementation},
    {&wl_output_interface, 3, &output_implementation},
};

static void global_bind(struct wl_client *client, void *data, uint32_t version, uint32_t id)
{
    const struct global *global = data;
    struct wl_resource *resource = resource_new(client, global->interface, (int)version, id,
                                                global->implementation, NULL, NULL);

    if (!resource)
        return;
    if (global->interface == &wl_seat_interface)
        wl_seat_send_capabilities(resource, WL_SEAT_CAPABILITY_POINTER);
    if (global->interface == &wl_output_interface) {
        wl_output_send_geometry(resource, 0, 0, 0, 0, WL_OUTPUT_SUBPIXEL_UNKNOWN, "bench", "bench",
                                WL_OUTPUT_TRANSFORM_NORMAL);
        wl_output_send_mode(resource, WL_OUTPUT_MODE_CURRENT, 3840, 2160, 60000);
        if (version >= WL_OUTPUT_DONE_SINCE_VERSION)
            wl_output_send_done(resource);
    }
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 &&
        (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 512) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

int main(int argc, char **argv)
{
    int fd;

    if (argc != 2) {
        fprintf(stderr, "usage: bench_server SOCKET\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    wl_list_init(&pointers);
    wl_list_init(&devices);
    display = wl_display_create();
    fd = listen_at(argv[1]);
    if (!display || fd < 0 || wl_display_add_socket_fd(display, fd) < 0 ||
        wl_display_init_shm(display) < 0) {
        fprintf(stderr, "bench_server: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    for (size_t i = 0; i < sizeof(globals) / sizeof(globals[0]); i++) {
        if (!wl_global_create(display, globals[i].interface, globals[i].version,
                              (void *)&globals[i], global_bind))
            return 1;
    }
    wl_display_run(display);
    return 0;
}
