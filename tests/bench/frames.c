/* SPDX-License-Identifier: MIT */
/* wl_shm frames, the bytes of a frame through one socket pair, and idle toplevels. */
#include "tests/bench/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/ops.h"

#define SMALL 64
#define IDLE_SIZE 128
#define BUFFERS_MAX 8

static void buffer_release(void *data, struct wl_buffer *buffer)
{
    bool *busy = data;

    (void)buffer;
    *busy = false;
}

static const struct wl_buffer_listener buffer_listener = {.release = buffer_release};

int shm_buffer_init(struct shm_buffer *buffer, struct wl_shm *shm, int32_t width, int32_t height,
                    bool sealed)
{
    struct wl_shm_pool *pool;
    int fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    *buffer = (struct shm_buffer){.size = (size_t)width * (size_t)height * 4, .fd = fd};
    if (fd < 0 || ftruncate(fd, (off_t)buffer->size) < 0 ||
        (sealed && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0))
        goto fail;
    buffer->pixels = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (buffer->pixels == MAP_FAILED)
        goto fail;
    pool = wl_shm_create_pool(shm, fd, (int32_t)buffer->size);
    buffer->buffer =
        wl_shm_pool_create_buffer(pool, 0, width, height, width * 4, WL_SHM_FORMAT_XRGB8888);
    wl_buffer_add_listener(buffer->buffer, &buffer_listener, &buffer->busy);
    wl_shm_pool_destroy(pool);
    return 0;
fail:
    if (fd >= 0)
        close(fd);
    buffer->pixels = NULL;
    return -1;
}

void shm_buffer_finish(struct shm_buffer *buffer)
{
    if (buffer->pixels) {
        munmap(buffer->pixels, buffer->size);
        close(buffer->fd);
    }
    *buffer = (struct shm_buffer){0};
}

struct rect {
    int32_t x, y, width, height;
};

struct frames {
    const struct bench *bench;
    struct connection connection;
    struct wl_surface *surface;
    struct shm_buffer buffers[BUFFERS_MAX];
    struct rect drawn[BUFFERS_MAX]; /* what each buffer's turn changed */
    uint64_t n;
    bool done;
};

static void frame_done(void *data, struct wl_callback *callback, uint32_t time)
{
    bool *done = data;

    (void)time;
    wl_callback_destroy(callback);
    *done = true;
}

static const struct wl_callback_listener frame_listener = {.done = frame_done};

static void draw(struct frames *frames, struct shm_buffer *buffer, struct rect rect, uint64_t n)
{
    for (int32_t y = rect.y; y < rect.y + rect.height; y++) {
        size_t row = ((size_t)y * (size_t)frames->bench->width + (size_t)rect.x) * 4;

        memset(buffer->pixels + row, (int)((n * 7 + (uint64_t)y) & 0xff), (size_t)rect.width * 4);
    }
}

/* Shows a frame in which @rect is new, on the least recently used buffer, and waits for it. */
static int frame_show(struct frames *frames, struct rect rect)
{
    unsigned n_buffers = frames->bench->buffers;
    struct shm_buffer *buffer = &frames->buffers[frames->n % n_buffers];

    for (unsigned age = n_buffers - 1; age > 0 && age <= frames->n; age--)
        draw(frames, buffer, frames->drawn[(frames->n - age) % n_buffers], frames->n - age);
    if (!frames->bench->still || frames->n < n_buffers)
        draw(frames, buffer, rect, frames->n);
    frames->drawn[frames->n % n_buffers] = rect;
    frames->n++;
    buffer->busy = true;
    frames->done = false;
    wl_surface_attach(frames->surface, buffer->buffer, 0, 0);
    if (frames->bench->whole)
        rect = (struct rect){0, 0, frames->bench->width, frames->bench->height};
    wl_surface_damage_buffer(frames->surface, rect.x, rect.y, rect.width, rect.height);
    wl_callback_add_listener(wl_surface_frame(frames->surface), &frame_listener, &frames->done);
    wl_surface_commit(frames->surface);
    while (!frames->done || buffer->busy) {
        if (wl_display_dispatch(frames->connection.display) < 0)
            return -1;
    }
    return 0;
}

static int frame_step(void *data)
{
    struct frames *frames = data;
    int32_t width = frames->bench->width, height = frames->bench->height;
    struct rect rect = {0, 0, width, height};

    if (frames->bench->small_damage) {
        /* Walking, as text is written: along a line, then the next line. */
        uint64_t columns = (uint64_t)(width / SMALL), rows = (uint64_t)(height / SMALL);
        uint64_t cell = frames->bench->walk ? frames->n % (columns * rows) : columns + 1;

        rect = (struct rect){(int32_t)(cell % columns) * SMALL, (int32_t)(cell / columns) * SMALL,
                             SMALL, SMALL};
    }
    return frame_show(frames, rect);
}

/* Every buffer once in full, so that all that follows is incremental. */
static int frames_prime(struct frames *frames)
{
    struct rect all = {0, 0, frames->bench->width, frames->bench->height};

    for (unsigned i = 0; i < frames->bench->buffers; i++) {
        if (shm_buffer_init(&frames->buffers[i], frames->connection.shm, all.width, all.height,
                            frames->bench->sealed) < 0)
            return -1;
    }
    for (unsigned i = 0; i < frames->bench->buffers; i++) {
        if (frame_show(frames, all) < 0)
            return -1;
    }
    return 0;
}

/* The compositor ends us when it shows another picture than the one that was drawn. */
static int frames_check(struct frames *frames)
{
    struct wl_region *region = wl_compositor_create_region(frames->connection.compositor);
    struct shm_buffer *last = &frames->buffers[(frames->n - 1) % frames->bench->buffers];

    wl_region_add(region, BENCH_OP_CHECK, bench_hash(last->pixels, last->size), 0, 0);
    return wl_display_roundtrip(frames->connection.display) < 0 ? -1 : 0;
}

int measure_frame(const struct bench *bench)
{
    struct frames frames = {.bench = bench};
    int r = -1;

    if (connection_open(&frames.connection, bench->display) == 0) {
        frames.surface = wl_compositor_create_surface(frames.connection.compositor);
        r = frames_prime(&frames);
        if (r == 0)
            r = bench_run(bench, frame_step, &frames, 1);
        if (r == 0)
            r = frames_check(&frames);
    }
    for (unsigned i = 0; i < bench->buffers; i++)
        shm_buffer_finish(&frames.buffers[i]);
    connection_close(&frames.connection);
    return r;
}

struct bytes {
    int fd;
    uint8_t *pixels;
    size_t size;
};

static int transfer(int fd, uint8_t *data, size_t size, ssize_t (*call)(int, void *, size_t))
{
    while (size > 0) {
        ssize_t n = call(fd, data, size);

        if (n <= 0)
            return -1;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static ssize_t call_read(int fd, void *data, size_t size)
{
    return read(fd, data, size);
}

static ssize_t call_write(int fd, void *data, size_t size)
{
    return write(fd, data, size);
}

static int bytes_step(void *data)
{
    struct bytes *bytes = data;
    uint8_t answer;

    if (transfer(bytes->fd, bytes->pixels, bytes->size, call_write) < 0)
        return -1;
    return transfer(bytes->fd, &answer, 1, call_read);
}

/* The receiving process: takes each frame into memory and answers with one byte. */
static void bytes_receive(struct bytes bytes)
{
    uint8_t answer = 0;

    while (transfer(bytes.fd, bytes.pixels, bytes.size, call_read) == 0) {
        if (transfer(bytes.fd, &answer, 1, call_write) < 0)
            break;
    }
    _exit(0);
}

int measure_bytes(const struct bench *bench)
{
    struct bytes bytes = {.size = (size_t)bench->width * (size_t)bench->height * 4};
    struct bench local = *bench;
    pid_t child;
    int fds[2], r;

    /* Private to each process and present in it, as the client's buffer and the mirror are. */
    bytes.pixels =
        mmap(NULL, bytes.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes.pixels == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -1;
    memset(bytes.pixels, 0x5a, bytes.size);
    child = fork();
    if (child < 0)
        return -1;
    bytes.fd = fds[child == 0];
    close(fds[child != 0]);
    if (child == 0)
        bytes_receive(bytes);
    local.cpu = (struct cpu){.roots = {child}, .n_roots = 1};
    r = bench_run(&local, bytes_step, &bytes, 1);
    close(bytes.fd);
    waitpid(child, NULL, 0);
    munmap(bytes.pixels, bytes.size);
    return r;
}

struct memories {
    uint8_t *from, *to;
    size_t size;
};

static int memcpy_step(void *data)
{
    struct memories *memories = data;

    memcpy(memories->to, memories->from, memories->size);
    return 0;
}

/* A file's memory, as pools and mirrors are. NULL: errno. */
static uint8_t *file_memory(size_t size)
{
    int fd = memfd_create("bench", MFD_CLOEXEC);
    void *map = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
        map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    return map == MAP_FAILED ? NULL : map;
}

int measure_memcpy(const struct bench *bench)
{
    struct memories m = {.size = (size_t)bench->width * (size_t)bench->height * 4};
    int r = -1;

    m.from = file_memory(m.size);
    m.to = file_memory(m.size);
    if (m.from && m.to) {
        memset(m.from, 0x5a, m.size);
        r = bench_run(bench, memcpy_step, &m, 1);
    }
    if (m.from)
        munmap(m.from, m.size);
    if (m.to)
        munmap(m.to, m.size);
    return r;
}

struct hand_over {
    const struct bench *bench;
    struct connection connection;
    struct wl_surface *surface;
    struct wl_shm_pool *pool;
};

/* A new wl_buffer of a pool that is there, shown until the compositor is done with it. */
static int hand_over_step(void *data)
{
    struct hand_over *h = data;
    int32_t width = h->bench->width, height = h->bench->height;
    struct wl_buffer *buffer =
        wl_shm_pool_create_buffer(h->pool, 0, width, height, width * 4, WL_SHM_FORMAT_XRGB8888);
    bool busy = true, done = false;

    wl_buffer_add_listener(buffer, &buffer_listener, &busy);
    wl_surface_attach(h->surface, buffer, 0, 0);
    wl_surface_damage_buffer(h->surface, 0, 0, 1, 1);
    wl_callback_add_listener(wl_surface_frame(h->surface), &frame_listener, &done);
    wl_surface_commit(h->surface);
    while (busy || !done) {
        if (wl_display_dispatch(h->connection.display) < 0)
            return -1;
    }
    wl_buffer_destroy(buffer);
    return 0;
}

int measure_hand_over(const struct bench *bench)
{
    struct hand_over h = {.bench = bench};
    struct shm_buffer buffer = {0};
    int r = -1;

    if (connection_open(&h.connection, bench->display) == 0 &&
        shm_buffer_init(&buffer, h.connection.shm, bench->width, bench->height, bench->sealed) ==
            0) {
        memset(buffer.pixels, 0x5a, buffer.size);
        h.surface = wl_compositor_create_surface(h.connection.compositor);
        h.pool = wl_shm_create_pool(h.connection.shm, buffer.fd, (int32_t)buffer.size);
        r = bench_run(bench, hand_over_step, &h, 1);
    }
    shm_buffer_finish(&buffer);
    connection_close(&h.connection);
    return r;
}

struct window {
    struct connection connection;
    struct wl_surface *surface;
    struct xdg_surface *xdg_surface;
    struct shm_buffer buffer;
    bool configured;
};

static void xdg_surface_configure(void *data, struct xdg_surface *xdg_surface, uint32_t serial)
{
    struct window *window = data;

    xdg_surface_ack_configure(xdg_surface, serial);
    window->configured = true;
}

static const struct xdg_surface_listener xdg_surface_listener = {.configure =
                                                                     xdg_surface_configure};

static void toplevel_configure(void *data, struct xdg_toplevel *toplevel, int32_t width,
                               int32_t height, struct wl_array *states)
{
    (void)data, (void)toplevel, (void)width, (void)height, (void)states;
}

static void toplevel_close(void *data, struct xdg_toplevel *toplevel)
{
    (void)data, (void)toplevel;
}

static const struct xdg_toplevel_listener toplevel_listener = {
    .configure = toplevel_configure,
    .close = toplevel_close,
};

static int window_map(struct window *window, const char *display)
{
    struct xdg_toplevel *toplevel;

    if (connection_open(&window->connection, display) < 0)
        return -1;
    window->surface = wl_compositor_create_surface(window->connection.compositor);
    window->xdg_surface = xdg_wm_base_get_xdg_surface(window->connection.wm_base, window->surface);
    xdg_surface_add_listener(window->xdg_surface, &xdg_surface_listener, window);
    toplevel = xdg_surface_get_toplevel(window->xdg_surface);
    xdg_toplevel_add_listener(toplevel, &toplevel_listener, window);
    xdg_toplevel_set_title(toplevel, "idle");
    wl_surface_commit(window->surface);
    while (!window->configured) {
        if (wl_display_dispatch(window->connection.display) < 0)
            return -1;
    }
    if (shm_buffer_init(&window->buffer, window->connection.shm, IDLE_SIZE, IDLE_SIZE, false) < 0)
        return -1;
    memset(window->buffer.pixels, 0x40, window->buffer.size);
    wl_surface_attach(window->surface, window->buffer.buffer, 0, 0);
    wl_surface_damage_buffer(window->surface, 0, 0, IDLE_SIZE, IDLE_SIZE);
    wl_surface_commit(window->surface);
    return wl_display_roundtrip(window->connection.display) < 0 ? -1 : 0;
}

int measure_idle(const struct bench *bench)
{
    struct window *windows = calloc(bench->clients, sizeof(*windows));
    unsigned n = 0;
    int r = windows ? 0 : -1;
    char byte;

    while (r == 0 && n < bench->clients)
        r = window_map(&windows[n++], bench->display);
    if (r == 0) {
        printf("ready\n");
        fflush(stdout);
        while (read(STDIN_FILENO, &byte, 1) > 0)
            ;
    }
    while (n > 0) {
        connection_close(&windows[--n].connection);
        shm_buffer_finish(&windows[n].buffer);
    }
    free(windows);
    return r;
}
