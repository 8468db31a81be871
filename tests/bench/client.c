/* SPDX-License-Identifier: MIT */
/* bench_client: runs one measure once and prints one line of JSON. */
#include "tests/bench/client.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP 0.25 /* of the duration */
#define STEPS_MIN 3
#define SMALLEST 64

static const struct measure {
    const char *name;
    int (*run)(const struct bench *bench);
    const char *help;
} measures[] = {
    {"round-trip", measure_round_trip, "wl_display.sync and its answer"},
    {"one-way", measure_one_way, "requests without an answer"},
    {"events", measure_events, "wl_pointer.motion"},
    {"connect", measure_connect, "connect, list the globals, disconnect"},
    {"clients", measure_clients, "a round trip on each of --clients connections"},
    {"frame", measure_frame, "a wl_shm frame of --size, until its callback and release"},
    {"bytes", measure_bytes, "the bytes of that frame through one socket pair"},
    {"memcpy", measure_memcpy, "the bytes of that frame from one memory to another"},
    {"hand-over", measure_hand_over, "a new wl_buffer of --size, until it is shown and gone"},
    {"copy", measure_copy, "--mib from the client's selection to the compositor"},
    {"paste", measure_paste, "--mib from the compositor's selection to the client"},
    {"receive", measure_receive, "64 bytes of a selection that is there, through a new pipe"},
    {"service-round-trip", measure_service_round_trip, "64 bytes and as many in answer"},
    {"service-one-way", measure_service_one_way, "64 bytes without an answer"},
    {"service-bulk", measure_service_bulk, "--mib to the service"},
    {"service-pipe", measure_service_pipe, "a pipe, through which 64 bytes come"},
    {"service-idle", measure_service_idle, "waits on each of --clients connections"},
    {"idle", measure_idle, "maps a toplevel on each of --clients connections and waits"},
};

static double now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int bench_run(const struct bench *bench, bench_step step, void *data, unsigned ops)
{
    double start = now_ns(), elapsed;
    uint64_t cpu, steps = 0;

    do {
        if (step(data) < 0)
            return -1;
    } while (now_ns() - start < bench->duration_ns * WARM_UP);
    cpu = cpu_used(&bench->cpu);
    start = now_ns();
    do {
        if (step(data) < 0)
            return -1;
        steps++;
        elapsed = now_ns() - start;
    } while (elapsed < bench->duration_ns || steps < STEPS_MIN);
    cpu = cpu_used(&bench->cpu) - cpu;
    printf("{\"measure\": \"%s\", \"ops\": %llu, \"ns\": %.1f, \"cpu_ns\": %.1f}\n", bench->measure,
           (unsigned long long)steps * ops, elapsed / (double)(steps * ops),
           (double)cpu / (double)(steps * ops));
    return 0;
}

static void wm_base_ping(void *data, struct xdg_wm_base *wm_base, uint32_t serial)
{
    (void)data;
    xdg_wm_base_pong(wm_base, serial);
}

static const struct xdg_wm_base_listener wm_base_listener = {.ping = wm_base_ping};

static void registry_global(void *data, struct wl_registry *registry, uint32_t name,
                            const char *interface, uint32_t version)
{
    struct connection *connection = data;

    if (!strcmp(interface, wl_compositor_interface.name) && version >= 4) {
        connection->compositor = wl_registry_bind(registry, name, &wl_compositor_interface, 4);
    } else if (!strcmp(interface, wl_shm_interface.name)) {
        connection->shm = wl_registry_bind(registry, name, &wl_shm_interface, 1);
    } else if (!strcmp(interface, wl_seat_interface.name)) {
        connection->seat = wl_registry_bind(registry, name, &wl_seat_interface, 1);
    } else if (!strcmp(interface, wl_data_device_manager_interface.name)) {
        connection->data_device_manager =
            wl_registry_bind(registry, name, &wl_data_device_manager_interface, 1);
    } else if (!strcmp(interface, xdg_wm_base_interface.name)) {
        connection->wm_base = wl_registry_bind(registry, name, &xdg_wm_base_interface, 1);
        xdg_wm_base_add_listener(connection->wm_base, &wm_base_listener, NULL);
    }
}

static void registry_global_remove(void *data, struct wl_registry *registry, uint32_t name)
{
    (void)data, (void)registry, (void)name;
}

static const struct wl_registry_listener registry_listener = {
    .global = registry_global,
    .global_remove = registry_global_remove,
};

int connection_open(struct connection *connection, const char *display)
{
    *connection = (struct connection){.display = wl_display_connect(display)};
    if (!connection->display) {
        fprintf(stderr, "bench_client: cannot connect to %s: %s\n", display, strerror(errno));
        return -1;
    }
    connection->registry = wl_display_get_registry(connection->display);
    wl_registry_add_listener(connection->registry, &registry_listener, connection);
    if (wl_display_roundtrip(connection->display) < 0)
        return -1;
    if (!connection->compositor || !connection->shm || !connection->seat ||
        !connection->data_device_manager || !connection->wm_base) {
        fprintf(stderr, "bench_client: %s lacks a global that the benchmark needs\n", display);
        return -1;
    }
    return 0;
}

void connection_close(struct connection *connection)
{
    if (connection->display)
        wl_display_disconnect(connection->display);
    *connection = (struct connection){0};
}

int pipe_read_all(int fd, size_t expected)
{
    static uint8_t chunk[65536];
    size_t got = 0;
    ssize_t n;

    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        got += (size_t)n;
    close(fd);
    if (got == expected)
        return 0;
    fprintf(stderr, "bench_client: %zu of %zu bytes came\n", got, expected);
    errno = EPROTO;
    return -1;
}

int connection_flush(struct connection *connection)
{
    while (wl_display_flush(connection->display) < 0) {
        struct pollfd pollfd = {.fd = wl_display_get_fd(connection->display), .events = POLLOUT};

        if (errno != EAGAIN || poll(&pollfd, 1, -1) < 0)
            return -1;
    }
    return 0;
}

static void help(FILE *file)
{
    fprintf(
        file,
        "usage: bench_client [OPTION …] MEASURE\n"
        "  --display SOCKET    the compositor (default: as any Wayland client), or the service\n"
        "  --duration MS       how long to measure (100)\n"
        "  --cpu PID[,PID …]   add the CPU time of these processes and their descendants\n"
        "  --clients N         connections (200)\n"
        "  --size WxH          of frames (1920x1080)\n"
        "  --small             damage 64x64 of the frame, at one place\n"
        "  --walk              each time at the next place\n"
        "  --whole             call all of the frame damaged, whatever was drawn\n"
        "  --still             the pixels stay as they are, and are damaged all the same\n"
        "  --sealed            the pools' files cannot shrink\n"
        "  --buffers N         buffers to alternate between (1)\n"
        "  --mib N             of clipboard transfers (16)\n"
        "measures:\n");
    for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++)
        fprintf(file, "  %-11s %s\n", measures[i].name, measures[i].help);
}

/* The value of a number option within 1..@max; ends the program otherwise. */
static unsigned number(const char *text, unsigned long max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*end || value < 1 || value > max) {
        fprintf(stderr, "bench_client: %s is not a number within 1..%lu\n", text, max);
        exit(2);
    }
    return (unsigned)value;
}

static void parse_cpu(struct cpu *cpu, char *list)
{
    for (char *item = strtok(list, ","); item && cpu->n_roots < CPU_ROOTS_MAX;
         item = strtok(NULL, ","))
        cpu->roots[cpu->n_roots++] = (pid_t)number(item, 1u << 30);
}

static void parse(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {
        {"display", required_argument, NULL, 'd'}, {"duration", required_argument, NULL, 't'},
        {"cpu", required_argument, NULL, 'p'},     {"clients", required_argument, NULL, 'n'},
        {"size", required_argument, NULL, 's'},    {"small", no_argument, NULL, '6'},
        {"buffers", required_argument, NULL, 'b'}, {"mib", required_argument, NULL, 'm'},
        {"walk", no_argument, NULL, 'w'},          {"whole", no_argument, NULL, 'W'},
        {"still", no_argument, NULL, 'S'},         {"sealed", no_argument, NULL, 'L'},
        {"help", no_argument, NULL, 'h'},          {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'd':
            bench->display = optarg;
            break;
        case 't':
            bench->duration_ns = number(optarg, 600000) * 1e6;
            break;
        case 'p':
            parse_cpu(&bench->cpu, optarg);
            break;
        case 'n':
            bench->clients = number(optarg, 10000);
            break;
        case 's':
            if (sscanf(optarg, "%dx%d", &bench->width, &bench->height) != 2 ||
                bench->width < SMALLEST || bench->height < SMALLEST || bench->width > 16384 ||
                bench->height > 16384) {
                fprintf(stderr, "bench_client: a size is WxH, each within 64..16384\n");
                exit(2);
            }
            break;
        case '6':
            bench->small_damage = true;
            break;
        case 'w':
            bench->walk = true;
            break;
        case 'W':
            bench->whole = true;
            break;
        case 'S':
            bench->still = true;
            break;
        case 'L':
            bench->sealed = true;
            break;
        case 'b':
            bench->buffers = number(optarg, 8);
            break;
        case 'm':
            bench->mib = number(optarg, 1024);
            break;
        case 'h':
            help(stdout);
            exit(0);
        default:
            help(stderr);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct bench bench = {
        .duration_ns = 100e6,
        .clients = 200,
        .buffers = 1,
        .mib = 16,
        .width = 1920,
        .height = 1080,
    };
    struct rlimit limit;

    parse(&bench, argc, argv);
    if (optind + 1 != argc) {
        help(stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    bench.measure = argv[optind];
    for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++) {
        if (strcmp(measures[i].name, bench.measure) != 0)
            continue;
        if (measures[i].run(&bench) == 0)
            return 0;
        fprintf(stderr, "bench_client: %s failed: %s\n", bench.measure, strerror(errno));
        return 1;
    }
    fprintf(stderr, "bench_client: no such measure: %s\n", bench.measure);
    return 2;
}
