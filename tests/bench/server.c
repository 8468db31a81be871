/* SPDX-License-Identifier: MIT */
/* bench_server: the smallest compositor that makes a client pay what a real one makes it pay.
 *
 * A commit copies the damaged pixels into a store of its own (the upload), releases the buffer and
 * answers the frame callbacks at once. Nothing is drawn. The client asks for the rest by the
 * operations of ops.h. It serves its own benchmark and trusts it. */
#include "tests/bench/server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/ops.h"
#include "xdg-shell-server-protocol.h"

#define EVENTS_PER_FLUSH 128 /* of 24 bytes at most: less than the 4096 that libwayland buffers */
#define STALL_MS 10000

struct wl_display *display;
static struct wl_list pointers;

void resource_destroy(struct wl_client *client, struct wl_resource *resource)
{
    (void)client;
    wl_resource_destroy(resource);
}

void resource_unlink(struct wl_resource *resource)
{
    wl_list_remove(wl_resource_get_link(resource));
}

struct wl_resource *resource_new(struct wl_client *client, const struct wl_interface *interface,
                                 int version, uint32_t id, const void *implementation, void *data,
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

static void region_add(struct wl_client *client, struct wl_resource *resource, int32_t op,
                       int32_t arg, int32_t width, int32_t height)
{
    (void)width, (void)height;
    switch (op) {
    case BENCH_OP_EVENTS:
        events_send(client, arg);
        break;
    case BENCH_OP_OFFER:
        clipboard_offer(client, arg);
        break;
    case BENCH_OP_CHECK:
        surface_check(resource, arg);
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

static void compositor_create_region(struct wl_client *client, struct wl_resource *resource,
                                     uint32_t id)
{
    (void)resource;
    resource_new(client, &wl_region_interface, 1, id, &region_implementation, NULL, NULL);
}

static const struct wl_compositor_interface compositor_implementation = {
    .create_surface = surface_create,
    .create_region = compositor_create_region,
};

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

static const struct wl_output_interface output_implementation = {
    .release = resource_destroy,
};

struct global {
    const struct wl_interface *interface;
    int version;
    const void *implementation;
};

static const struct global globals[] = {
    {&wl_compositor_interface, 4, &compositor_implementation},
    {&xdg_wm_base_interface, 1, &wm_base_implementation},
    {&wl_seat_interface, 5, &seat_implementation},
    {&wl_data_device_manager_interface, 3, &data_device_manager_implementation},
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

    if (argc == 3 && strcmp(argv[2], "--no-upload") == 0) {
        no_upload = true;
    } else if (argc != 2) {
        fprintf(stderr, "usage: bench_server SOCKET [--no-upload]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    wl_list_init(&pointers);
    clipboard_init();
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
