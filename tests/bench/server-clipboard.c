/* SPDX-License-Identifier: MIT */
/* The clipboard: reads every selection that a client sets and offers one of its own on request. */
#include "tests/bench/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/ops.h"

#define CHUNK 65536

struct copy { /* a client's selection on its way to us */
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

static struct wl_list devices;
static uint8_t chunk[CHUNK];

void clipboard_init(void)
{
    wl_list_init(&devices);
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
    paste->left = (size_t)(intptr_t)wl_resource_get_user_data(resource);
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

void clipboard_offer(struct wl_client *client, int32_t bytes)
{
    struct wl_resource *device;

    wl_resource_for_each(device, &devices)
    {
        struct wl_resource *offer;

        if (wl_resource_get_client(device) != client)
            continue;
        offer = resource_new(client, &wl_data_offer_interface, wl_resource_get_version(device), 0,
                             &offer_implementation, (void *)(intptr_t)bytes, NULL);
        if (!offer)
            return;
        wl_data_device_send_data_offer(device, offer);
        wl_data_offer_send_offer(offer, BENCH_MIME);
        wl_data_device_send_selection(device, offer);
    }
}

static void copy_end(struct copy *copy)
{
    if (copy->source) {
        wl_list_remove(&copy->source_gone.link);
        wl_data_source_send_cancelled(copy->source); /* tells the client that all has arrived */
    }
    wl_event_source_remove(copy->event);
    close(copy->fd);
    free(copy);
}

static int copy_readable(int fd, uint32_t mask, void *data)
{
    ssize_t n = read(fd, chunk, CHUNK);

    (void)mask;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        copy_end(data);
    return 0;
}

static void copy_source_gone(struct wl_listener *listener, void *data)
{
    struct copy *copy = wl_container_of(listener, copy, source_gone);

    (void)data;
    copy->source = NULL;
}

static void device_set_selection(struct wl_client *client, struct wl_resource *resource,
                                 struct wl_resource *source, uint32_t serial)
{
    struct wl_event_loop *loop = wl_display_get_event_loop(display);
    struct copy *copy;
    int fds[2];

    (void)resource, (void)serial;
    if (!source)
        return;
    copy = calloc(1, sizeof(*copy));
    if (!copy || pipe2(fds, O_CLOEXEC) < 0) {
        free(copy);
        wl_client_post_no_memory(client);
        return;
    }
    wl_data_source_send_send(source, BENCH_MIME, fds[1]);
    close(fds[1]);
    *copy = (struct copy){.source = source, .fd = fds[0]};
    copy->source_gone.notify = copy_source_gone;
    wl_resource_add_destroy_listener(source, &copy->source_gone);
    copy->event = wl_event_loop_add_fd(loop, fds[0], WL_EVENT_READABLE, copy_readable, copy);
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

const struct wl_data_device_manager_interface data_device_manager_implementation = {
    .create_data_source = manager_create_source,
    .get_data_device = manager_get_device,
};
