/* SPDX-License-Identifier: MIT */
/* The measures that carry only messages: no descriptor, no pixel. */
#include "tests/bench/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/ops.h"

#define BATCH 5000
#define REQUESTS_PER_FLUSH 128 /* of 24 bytes: less than the 4096 that libwayland buffers */

static int round_trip_step(void *data)
{
    struct connection *connection = data;

    return wl_display_roundtrip(connection->display) < 0 ? -1 : 0;
}

int measure_round_trip(const struct bench *bench)
{
    struct connection connection;
    int r;

    if (connection_open(&connection, bench->display) < 0)
        return -1;
    r = bench_run(bench, round_trip_step, &connection, 1);
    connection_close(&connection);
    return r;
}

struct messages {
    struct connection connection;
    struct wl_region *region;
    unsigned events;
};

static int one_way_step(void *data)
{
    struct messages *messages = data;

    for (int32_t i = 0; i < BATCH; i++) {
        wl_region_add(messages->region, BENCH_OP_NONE, i, 0, 0);
        if (i % REQUESTS_PER_FLUSH == REQUESTS_PER_FLUSH - 1 &&
            connection_flush(&messages->connection) < 0)
            return -1;
    }
    return wl_display_roundtrip(messages->connection.display) < 0 ? -1 : 0;
}

int measure_one_way(const struct bench *bench)
{
    struct messages messages = {0};
    int r = -1;

    if (connection_open(&messages.connection, bench->display) < 0)
        return -1;
    messages.region = wl_compositor_create_region(messages.connection.compositor);
    r = bench_run(bench, one_way_step, &messages, BATCH);
    connection_close(&messages.connection);
    return r;
}

static void pointer_enter(void *data, struct wl_pointer *pointer, uint32_t serial,
                          struct wl_surface *surface, wl_fixed_t x, wl_fixed_t y)
{
    (void)data, (void)pointer, (void)serial, (void)surface, (void)x, (void)y;
}

static void pointer_leave(void *data, struct wl_pointer *pointer, uint32_t serial,
                          struct wl_surface *surface)
{
    (void)data, (void)pointer, (void)serial, (void)surface;
}

static void pointer_motion(void *data, struct wl_pointer *pointer, uint32_t time, wl_fixed_t x,
                           wl_fixed_t y)
{
    struct messages *messages = data;

    (void)pointer, (void)time, (void)x, (void)y;
    messages->events++;
}

static void pointer_button(void *data, struct wl_pointer *pointer, uint32_t serial, uint32_t time,
                           uint32_t button, uint32_t state)
{
    (void)data, (void)pointer, (void)serial, (void)time, (void)button, (void)state;
}

static void pointer_axis(void *data, struct wl_pointer *pointer, uint32_t time, uint32_t axis,
                         wl_fixed_t value)
{
    (void)data, (void)pointer, (void)time, (void)axis, (void)value;
}

static const struct wl_pointer_listener pointer_listener = {
    .enter = pointer_enter,
    .leave = pointer_leave,
    .motion = pointer_motion,
    .button = pointer_button,
    .axis = pointer_axis,
};

static int events_step(void *data)
{
    struct messages *messages = data;

    messages->events = 0;
    wl_region_add(messages->region, BENCH_OP_EVENTS, BATCH, 0, 0);
    if (wl_display_roundtrip(messages->connection.display) < 0)
        return -1;
    if (messages->events == BATCH)
        return 0;
    fprintf(stderr, "bench_client: %u of %d events came\n", messages->events, BATCH);
    errno = EPROTO;
    return -1;
}

int measure_events(const struct bench *bench)
{
    struct messages messages = {0};
    int r;

    if (connection_open(&messages.connection, bench->display) < 0)
        return -1;
    messages.region = wl_compositor_create_region(messages.connection.compositor);
    wl_pointer_add_listener(wl_seat_get_pointer(messages.connection.seat), &pointer_listener,
                            &messages);
    r = bench_run(bench, events_step, &messages, BATCH);
    connection_close(&messages.connection);
    return r;
}

static int connect_step(void *data)
{
    const struct bench *bench = data;
    struct connection connection;
    int r = connection_open(&connection, bench->display);

    connection_close(&connection);
    return r;
}

int measure_connect(const struct bench *bench)
{
    return bench_run(bench, connect_step, (void *)bench, 1);
}

struct crowd {
    struct connection *connections;
    unsigned n, waiting;
};

static void sync_done(void *data, struct wl_callback *callback, uint32_t serial)
{
    struct crowd *crowd = data;

    (void)serial;
    wl_callback_destroy(callback);
    crowd->waiting--;
}

static const struct wl_callback_listener sync_listener = {.done = sync_done};

/* All ask before any waits, so that every connection is busy at the same time. */
static int clients_step(void *data)
{
    struct crowd *crowd = data;

    crowd->waiting = crowd->n;
    for (unsigned i = 0; i < crowd->n; i++) {
        struct wl_callback *callback = wl_display_sync(crowd->connections[i].display);

        wl_callback_add_listener(callback, &sync_listener, crowd);
        if (connection_flush(&crowd->connections[i]) < 0)
            return -1;
    }
    for (unsigned i = 0; i < crowd->n; i++) {
        unsigned before = crowd->waiting;

        while (crowd->waiting == before) {
            if (wl_display_dispatch(crowd->connections[i].display) < 0)
                return -1;
        }
    }
    return 0;
}

int measure_clients(const struct bench *bench)
{
    struct crowd crowd = {.n = bench->clients};
    unsigned open = 0;
    int r = 0;

    crowd.connections = calloc(crowd.n, sizeof(*crowd.connections));
    if (!crowd.connections)
        return -1;
    while (r == 0 && open < crowd.n)
        r = connection_open(&crowd.connections[open++], bench->display);
    if (r == 0)
        r = bench_run(bench, clients_step, &crowd, crowd.n);
    while (open > 0)
        connection_close(&crowd.connections[--open]);
    free(crowd.connections);
    return r;
}
