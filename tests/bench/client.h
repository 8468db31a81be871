/* SPDX-License-Identifier: MIT */
#pragma once
/* bench_client: what its measures share. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <wayland-client.h>

#include "xdg-shell-client-protocol.h"

#define CPU_ROOTS_MAX 16

/* The processes whose CPU time counts, besides our own: these and all their descendants. */
struct cpu {
    pid_t roots[CPU_ROOTS_MAX];
    unsigned n_roots;
};

/* Nanoseconds of CPU that we and the processes of @cpu have used so far. */
uint64_t cpu_used(const struct cpu *cpu);

struct bench {
    const char *measure;
    const char *display;
    double duration_ns;
    unsigned clients;
    unsigned buffers;
    unsigned mib;
    int32_t width, height;
    bool small_damage, walk, whole, still, sealed;
    struct cpu cpu;
};

/* One step of a measure; 0 or -1. */
typedef int (*bench_step)(void *data);

/* Warms up, repeats @step for the measure's duration and prints the result of a step of @ops
 * operations. 0, or -1 with a message. */
int bench_run(const struct bench *bench, bench_step step, void *data, unsigned ops);

/* A connection with the globals that the measures need, those that exist. */
struct connection {
    struct wl_display *display;
    struct wl_registry *registry;
    struct wl_compositor *compositor;
    struct wl_shm *shm;
    struct wl_seat *seat;
    struct wl_data_device_manager *data_device_manager;
    struct xdg_wm_base *wm_base;
};

/* 0, or -1 with a message. */
int connection_open(struct connection *connection, const char *display);
void connection_close(struct connection *connection);
/* Sends all that is queued, waiting for room. 0 or -1. */
int connection_flush(struct connection *connection);

/* Reads all of @fd (taken), a pipe that @expected bytes come through. 0 or -1. */
int pipe_read_all(int fd, size_t expected);

/* A wl_shm buffer on a pool and file of its own (@sealed: that cannot shrink). */
struct shm_buffer {
    struct wl_buffer *buffer;
    uint8_t *pixels;
    size_t size;
    int fd;
    bool busy;
};

/* 0 or -1. */
int shm_buffer_init(struct shm_buffer *buffer, struct wl_shm *shm, int32_t width, int32_t height,
                    bool sealed);
void shm_buffer_finish(struct shm_buffer *buffer);

/* The measures: 0, or -1 with a message. */
int measure_round_trip(const struct bench *bench);
int measure_one_way(const struct bench *bench);
int measure_events(const struct bench *bench);
int measure_connect(const struct bench *bench);
int measure_clients(const struct bench *bench);
int measure_frame(const struct bench *bench);
int measure_bytes(const struct bench *bench);
int measure_memcpy(const struct bench *bench);
int measure_hand_over(const struct bench *bench);
int measure_copy(const struct bench *bench);
int measure_paste(const struct bench *bench);
int measure_receive(const struct bench *bench);
int measure_service_round_trip(const struct bench *bench);
int measure_service_one_way(const struct bench *bench);
int measure_service_bulk(const struct bench *bench);
int measure_service_pipe(const struct bench *bench);
/* Maps a toplevel on each of its connections, says "ready" and waits for the end of its input. */
int measure_idle(const struct bench *bench);
/* The same, of a service's connections that nothing more is said on. */
int measure_service_idle(const struct bench *bench);
