/* SPDX-License-Identifier: MIT */
/* What it costs that drawing is in a process of its own: the same things asked of virglrenderer in
 * this process and of a renderer beside it, in turn, and the median of how much longer the latter
 * takes. Pixels begin and end in memory of this process, as a guest's do in the device's. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "host-proxy/gpu/remote-renderer.h"
#include "host-proxy/gpu/renderer/engine.h"
#include "host-proxy/gpu/renderer/renderer-process.h"
#include "host-proxy/gpu/renderer/virgl.h"
#include "host-proxy/gpu/renderer-spawner.h"

#define WIDTH 1920u
#define HEIGHT 1080u
#define ROUNDS 41
#define RESOURCE 5u

static const struct render_resource picture = {.id = RESOURCE,
                                               .target = 2,
                                               .format = 1,
                                               .bind = 1 << 1 | 1 << 3,
                                               .width = WIDTH,
                                               .height = HEIGHT,
                                               .depth = 1,
                                               .array_size = 1};

static struct {
    struct loop *loop;
    struct engine *engine;
    struct renderer *renderer;
    struct renderer_spawner spawner;
    uint8_t *pixels;
    uint32_t memory; /* a mirror: the renderer writes there by itself */
    uint32_t fence, done;
    bool failed;
} B;

static void engine_finished(void *user, uint32_t number)
{
    (void)user;
    B.done = number;
    loop_stop(B.loop);
}

static void renderer_transferred(void *user, const struct renderer_transfer *t, int result)
{
    (void)user;
    B.failed |= result < 0;
    if (t->stage.bytes && !t->what.to_renderer)
        memcpy(B.pixels, t->stage.bytes, t->stage.range.size);
}

static void renderer_lost(void *user)
{
    (void)user;
    B.failed = true;
    loop_stop(B.loop);
}

static void renderer_rested(void *user)
{
    (void)user;
}

static const struct renderer_listener listener = {.finished = engine_finished,
                                                  .transferred = renderer_transferred,
                                                  .lost = renderer_lost,
                                                  .rested = renderer_rested};

static void wait_for_fence(void)
{
    while (B.done != B.fence && !B.failed)
        loop_run(B.loop);
}

static void fence(bool apart)
{
    B.fence++;
    int r = apart ? B.renderer->ops->fence(B.renderer, 1, B.fence)
                  : B.engine->ops->fence(B.engine, 1, B.fence);
    B.failed |= r < 0;
    wait_for_fence();
}

static void submit(bool apart)
{
    static _Alignas(8) uint32_t words[4096]; /* commands that do nothing, each a word */
    int r = apart ? B.renderer->ops->submit(B.renderer, 1, words, 4096)
                  : B.engine->ops->submit(B.engine, 1, words, 4096);
    B.failed |= r < 0;
    fence(apart);
}

static void move(bool apart, uint32_t width, uint32_t height, bool to_renderer, bool mirrored)
{
    struct renderer_transfer t = {.what = {.resource = RESOURCE,
                                           .context = mirrored ? 0 : 1,
                                           .stride = width * 4,
                                           .to_renderer = to_renderer,
                                           .box = {0, 0, 0, width, height, 1},
                                           .range = {B.memory, 0, (uint64_t)width * height * 4}}};
    int r = 0;
    if (!apart) {
        B.failed |= B.engine->ops->transfer(B.engine, &t.what, B.pixels) < 0;
        fence(apart);
        return;
    }
    if (!mirrored) {
        r = B.renderer->ops->stage(B.renderer, t.what.range.size, &t.stage);
        t.what.range = t.stage.range;
        if (r == 0 && to_renderer)
            memcpy(t.stage.bytes, B.pixels, t.what.range.size);
    }
    B.failed |= r < 0 || B.renderer->ops->transfer(B.renderer, &t) < 0;
    fence(apart);
}

static void upload_small(bool apart)
{
    move(apart, 64, 64, true, false);
}

static void upload(bool apart)
{
    move(apart, WIDTH, HEIGHT, true, false);
}

static void read_back(bool apart)
{
    move(apart, WIDTH, HEIGHT, false, false);
}

static void mirror(bool apart)
{
    move(apart, WIDTH, HEIGHT, false, true);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Processor time of this process and of the renderer. */
static int64_t used_ns(void)
{
    struct timespec a, b = {0};
    clockid_t clock;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    if (renderer_spawner_used_ms(&B.spawner) >= 0 &&
        clock_getcpuclockid(B.spawner.renderer, &clock) == 0)
        clock_gettime(clock, &b);
    return (int64_t)(a.tv_sec + b.tv_sec) * 1000000000 + a.tv_nsec + b.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void measure(const char *what, void (*act)(bool apart), unsigned times)
{
    double here[ROUNDS], apart[ROUNDS], ratio[ROUNDS], used[2][ROUNDS], used_ratio[ROUNDS];
    for (unsigned round = 0; round < ROUNDS && !B.failed; round++) {
        for (unsigned side = 0; side < 2; side++) {
            bool is_apart = side != round % 2;
            int64_t begin = now_ns(), used_before = used_ns();
            for (unsigned i = 0; i < times; i++)
                act(is_apart);
            *(is_apart ? &apart[round] : &here[round]) = (double)(now_ns() - begin) / times / 1000;
            used[is_apart][round] = (double)(used_ns() - used_before) / times / 1000;
        }
        ratio[round] = apart[round] / here[round];
        used_ratio[round] = used[1][round] / used[0][round];
    }
    if (B.failed)
        return;
    qsort(here, ROUNDS, sizeof(*here), by_size);
    qsort(apart, ROUNDS, sizeof(*apart), by_size);
    qsort(ratio, ROUNDS, sizeof(*ratio), by_size);
    qsort(used[0], ROUNDS, sizeof(*used[0]), by_size);
    qsort(used[1], ROUNDS, sizeof(*used[1]), by_size);
    qsort(used_ratio, ROUNDS, sizeof(*used_ratio), by_size);
    printf("%-32s %9.1f %9.1f  x %5.2f   %9.1f %9.1f  x %5.2f\n", what, here[ROUNDS / 2],
           apart[ROUNDS / 2], ratio[ROUNDS / 2], used[0][ROUNDS / 2], used[1][ROUNDS / 2],
           used_ratio[ROUNDS / 2]);
}

static bool begin(const char *render_node)
{
    char error[512];
    int fd = fd_memfd("mirror", (uint64_t)WIDTH * HEIGHT * 4);
    B.pixels = mmap(NULL, (size_t)WIDTH * HEIGHT * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    B.loop = loop_create();
    B.renderer = remote_renderer_spawn(B.loop, &B.spawner, error, sizeof(error));
    B.engine = B.renderer ? virgl_create(B.loop, render_node, error, sizeof(error)) : NULL;
    if (!B.engine || B.pixels == MAP_FAILED || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0) {
        fprintf(stderr, "cannot begin: %s\n", error);
        return false;
    }
    B.engine->finished = engine_finished;
    B.renderer->listener = &listener;
    bool good =
        B.engine->ops->context_create(B.engine, 1, 0) == 0 &&
        B.engine->ops->resource_create(B.engine, &picture) == 0 &&
        B.renderer->ops->context_create(B.renderer, 1, 0) == 0 &&
        B.renderer->ops->resource_create(B.renderer, &picture) == 0 &&
        B.renderer->ops->memory_add(B.renderer, fd, (uint64_t)WIDTH * HEIGHT * 4, &B.memory) == 0;
    B.engine->ops->context_attach(B.engine, 1, RESOURCE);
    B.renderer->ops->context_attach(B.renderer, 1, RESOURCE);
    fd_close(fd);
    return good;
}

/* bench_render [RENDER-NODE] */
int main(int argc, char **argv)
{
    if (strcmp(argv[0], RENDERER_PROGRAM) == 0)
        return renderer_process_run(argc, argv);
    log_init("bench_render", LOG_LEVEL_WARN);
    const char *render_node = argc > 1 ? argv[1] : NULL;
    if (renderer_spawner_start(&B.spawner, render_node, LOG_LEVEL_WARN) < 0 || !begin(render_node))
        return 1;
    printf("%-32s %9s %9s  %7s   %9s %9s\n", "microseconds", "here", "apart", "", "CPU here",
           "CPU apart");
    measure("a fence", fence, 100);
    measure("16 KiB of commands and a fence", submit, 100);
    measure("64x64 to the renderer", upload_small, 50);
    measure("1920x1080 to the renderer", upload, 3);
    measure("1920x1080 back", read_back, 3);
    measure("1920x1080 into a mirror", mirror, 3);
    B.renderer->ops->destroy(B.renderer);
    renderer_spawner_finish(&B.spawner);
    return B.failed;
}
