/* SPDX-License-Identifier: MIT */
/* The clipboard in both directions: what a pipe carries when it was handed over by Wayland. */
#include "tests/bench/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/bench/ops.h"

#define CHUNK 65536

struct clipboard {
    const struct bench *bench;
    struct connection connection;
    struct wl_data_device *device;
    struct wl_data_offer *offer;
    struct wl_region *region;
    bool selected, finished;
};

static uint8_t chunk[CHUNK];

static int wait_for(int fd, short events)
{
    struct pollfd pollfd = {.fd = fd, .events = events};

    return poll(&pollfd, 1, -1) == 1 ? 0 : -1;
}

static void source_target(void *data, struct wl_data_source *source, const char *mime)
{
    (void)data, (void)source, (void)mime;
}

/* Blocks until all is written: the reader is another process. */
static void source_send(void *data, struct wl_data_source *source, const char *mime, int32_t fd)
{
    struct clipboard *clipboard = data;
    size_t left = clipboard->bench->mib * BENCH_MIB;

    (void)source, (void)mime;
    while (left > 0) {
        ssize_t n = write(fd, chunk, left < CHUNK ? left : CHUNK);

        if (n < 0 && errno == EAGAIN && wait_for(fd, POLLOUT) == 0)
            continue;
        if (n < 0)
            break;
        left -= (size_t)n;
    }
    close(fd);
}

static void source_cancelled(void *data, struct wl_data_source *source)
{
    struct clipboard *clipboard = data;

    wl_data_source_destroy(source);
    clipboard->finished = true;
}

static const struct wl_data_source_listener source_listener = {
    .target = source_target,
    .send = source_send,
    .cancelled = source_cancelled,
};

static int copy_step(void *data)
{
    struct clipboard *clipboard = data;
    struct wl_data_source *source =
        wl_data_device_manager_create_data_source(clipboard->connection.data_device_manager);

    wl_data_source_add_listener(source, &source_listener, clipboard);
    wl_data_source_offer(source, BENCH_MIME);
    wl_data_device_set_selection(clipboard->device, source, 0);
    clipboard->finished = false;
    while (!clipboard->finished) {
        if (wl_display_dispatch(clipboard->connection.display) < 0)
            return -1;
    }
    return 0;
}

static void offer_offer(void *data, struct wl_data_offer *offer, const char *mime)
{
    (void)data, (void)offer, (void)mime;
}

static const struct wl_data_offer_listener offer_listener = {.offer = offer_offer};

static void device_data_offer(void *data, struct wl_data_device *device,
                              struct wl_data_offer *offer)
{
    (void)data, (void)device;
    wl_data_offer_add_listener(offer, &offer_listener, NULL);
}

static void device_enter(void *data, struct wl_data_device *device, uint32_t serial,
                         struct wl_surface *surface, wl_fixed_t x, wl_fixed_t y,
                         struct wl_data_offer *offer)
{
    (void)data, (void)device, (void)serial, (void)surface, (void)x, (void)y, (void)offer;
}

static void device_leave(void *data, struct wl_data_device *device)
{
    (void)data, (void)device;
}

static void device_motion(void *data, struct wl_data_device *device, uint32_t time, wl_fixed_t x,
                          wl_fixed_t y)
{
    (void)data, (void)device, (void)time, (void)x, (void)y;
}

static void device_selection(void *data, struct wl_data_device *device, struct wl_data_offer *offer)
{
    struct clipboard *clipboard = data;

    (void)device;
    clipboard->offer = offer;
    clipboard->selected = offer != NULL;
}

static const struct wl_data_device_listener device_listener = {
    .data_offer = device_data_offer,
    .enter = device_enter,
    .leave = device_leave,
    .motion = device_motion,
    .drop = device_leave,
    .selection = device_selection,
};

/* The compositor offers a selection of @bytes. */
static int await_offer(struct clipboard *clipboard, size_t bytes)
{
    clipboard->selected = false;
    wl_region_add(clipboard->region, BENCH_OP_OFFER, (int32_t)bytes, 0, 0);
    while (!clipboard->selected) {
        if (wl_display_dispatch(clipboard->connection.display) < 0)
            return -1;
    }
    return 0;
}

static int receive(struct clipboard *clipboard, size_t expected)
{
    int fds[2], r;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    wl_data_offer_receive(clipboard->offer, BENCH_MIME, fds[1]);
    r = connection_flush(&clipboard->connection);
    close(fds[1]);
    if (r == 0)
        return pipe_read_all(fds[0], expected);
    close(fds[0]);
    return -1;
}

static int paste_step(void *data)
{
    struct clipboard *clipboard = data;
    size_t size = clipboard->bench->mib * BENCH_MIB;
    int r;

    if (await_offer(clipboard, size) < 0)
        return -1;
    r = receive(clipboard, size);
    wl_data_offer_destroy(clipboard->offer);
    clipboard->offer = NULL;
    return r;
}

static int receive_step(void *data)
{
    struct clipboard *clipboard = data;

    if (!clipboard->offer && await_offer(clipboard, BENCH_PIPE) < 0)
        return -1;
    return receive(clipboard, BENCH_PIPE);
}

static int clipboard_run(const struct bench *bench, bench_step step)
{
    struct clipboard clipboard = {.bench = bench};
    struct connection *connection = &clipboard.connection;
    int r = -1;

    if (connection_open(connection, bench->display) == 0) {
        clipboard.region = wl_compositor_create_region(connection->compositor);
        clipboard.device = wl_data_device_manager_get_data_device(connection->data_device_manager,
                                                                  connection->seat);
        wl_data_device_add_listener(clipboard.device, &device_listener, &clipboard);
        r = bench_run(bench, step, &clipboard, 1);
    }
    connection_close(connection);
    return r;
}

int measure_copy(const struct bench *bench)
{
    return clipboard_run(bench, copy_step);
}

int measure_paste(const struct bench *bench)
{
    return clipboard_run(bench, paste_step);
}

int measure_receive(const struct bench *bench)
{
    return clipboard_run(bench, receive_step);
}
