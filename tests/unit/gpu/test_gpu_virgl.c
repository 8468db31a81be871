/* SPDX-License-Identifier: MIT */
/* The real library, drawing in software (or on WAYVSOCK_RENDER_NODE): what the fake renderer of the
 * other tests only pretends. */
#include "tests/unit/turn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm_fourcc.h>

#include "host-proxy/gpu/commands-3d.h"
#include "host-proxy/gpu/renderer/engine.h"
#include "host-proxy/gpu/renderer/virgl.h"

#define WIDTH 64u
#define HEIGHT 32u

/* Mesa keeps some memory until the process ends. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

static struct {
    struct loop *loop;
    struct engine *r;
    uint32_t done;
} W;

static void finished(void *user, uint32_t number)
{
    assert_ptr_equal(user, &W);
    W.done = number;
}

static int setup(void **state)
{
    char error[256];
    (void)state;
    W.loop = loop_create();
    W.r = virgl_create(W.loop, getenv("WAYVSOCK_RENDER_NODE"), error, sizeof(error));
    if (!W.r) {
        loop_destroy(W.loop);
        print_message("skipped: %s\n", error);
        return 0;
    }
    W.r->finished = finished;
    W.r->user = &W;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (!W.r)
        return 0;
    W.r->ops->destroy(W.r);
    loop_destroy(W.loop);
    return 0;
}

#define NEED_RENDERER()                                                                            \
    do {                                                                                           \
        if (!W.r)                                                                                  \
            skip();                                                                                \
    } while (0)

static const struct render_resource picture = {
    .id = 5,
    .target = 2,
    .format = 1,                       /* B8G8R8A8 */
    .bind = 1 << 1 | 1 << 3 | 1 << 20, /* drawn on, sampled, shared */
    .width = WIDTH,
    .height = HEIGHT,
    .depth = 1,
    .array_size = 1,
};

static void test_capsets(void **state)
{
    (void)state;
    NEED_RENDERER();
    uint8_t bytes[COMMANDS_3D_CAPSET_MAX];
    assert_in_range(W.r->n_capsets, 1, 2);
    for (unsigned i = 0; i < W.r->n_capsets; i++) {
        const struct engine_capset *c = &W.r->capsets[i];
        assert_in_range(c->size, 4, sizeof(bytes));
        memset(bytes, 0xee, sizeof(bytes));
        W.r->ops->capset(W.r, c->id, c->version, bytes);
        assert_in_range(bytes[0], 1, c->version); /* it begins with a version */
        for (uint32_t at = c->size; at < sizeof(bytes); at++)
            assert_int_equal(bytes[at], 0xee);
        if (c->id != 2)
            continue;
        /* Pixels are not moved in the middle of drawing: there are no pages of the guest. */
        uint32_t bits;
        memcpy(&bits, bytes + 98 * 4, 4);
        assert_int_equal(bits & (1u << 17 | 1u << 26), 0);
        assert_int_not_equal(bits, 0);
        memcpy(&bits, bytes + 172 * 4, 4);
        assert_int_equal(bits & (1u << 3 | 1u << 7), 0);
    }
}

/* A guest may send what it was not offered: a move between a picture and its own pages. */
static void test_moves_in_commands(void **state)
{
    (void)state;
    NEED_RENDERER();
    _Alignas(8) uint32_t words[14] = {0};
    assert_int_equal(W.r->ops->context_create(W.r, 1, 2), 0);
    assert_int_equal(W.r->ops->resource_create(W.r, &picture), 0);
    W.r->ops->context_attach(W.r, 1, 5);
    for (uint32_t command = 40; command < 60; command++) {
        for (uint32_t direction = 0; direction < 4; direction++) {
            const uint32_t move[14] = {
                command | 13u << 16, 5, 0, 0, WIDTH * 4, 0, 0, 0, 0, 8, 8, 1, 0, direction};
            memcpy(words, move, sizeof(words));
            W.r->ops->submit(W.r, 1, words, 14);
        }
    }
    W.r->ops->context_destroy(W.r, 1);
    W.r->ops->resource_destroy(W.r, 5);
}

static bool is_done(void *user)
{
    return W.done == *(uint32_t *)user;
}

static void test_pictures(void **state)
{
    (void)state;
    NEED_RENDERER();
    uint32_t guest[WIDTH * HEIGHT], back[HEIGHT][2 * WIDTH];
    assert_int_equal(W.r->ops->resource_create(W.r, &picture), 0);
    for (uint32_t i = 0; i < WIDTH * HEIGHT; i++)
        guest[i] = i * 2654435761u;
    struct render_transfer t = {.resource = 5,
                                .stride = WIDTH * 4,
                                .box = {0, 0, 0, WIDTH, HEIGHT, 1},
                                .range = {.size = sizeof(guest)},
                                .to_renderer = true};
    assert_int_equal(W.r->ops->transfer(W.r, &t, guest), 0);
    /* A part of it, to rows that are wider: nothing between them changes. */
    memset(back, 0x77, sizeof(back));
    t = (struct render_transfer){.resource = 5,
                                 .stride = sizeof(back[0]),
                                 .box = {8, 4, 0, 40, 16, 1},
                                 .range = {.size = (16 - 1) * sizeof(back[0]) + 40 * 4}};
    assert_int_equal(W.r->ops->transfer(W.r, &t, back), 0);
    for (uint32_t y = 0; y < HEIGHT; y++) {
        for (uint32_t x = 0; x < 2 * WIDTH; x++)
            assert_int_equal(back[y][x],
                             y < 16 && x < 40 ? guest[(y + 4) * WIDTH + x + 8] : 0x77777777);
    }
    /* Memory that is too small is noticed there, too. */
    t.range.size -= 1;
    assert_true(W.r->ops->transfer(W.r, &t, back) < 0);
    W.r->ops->resource_destroy(W.r, 5);
    /* Formats and uses that make no sense. */
    struct render_resource wrong = picture;
    wrong.format = 4095;
    assert_true(W.r->ops->resource_create(W.r, &wrong) < 0);
    wrong = picture;
    wrong.bind = 0;
    assert_true(W.r->ops->resource_create(W.r, &wrong) < 0);
}

/* What host-memory.c takes for pictures comes back as it was, whatever GL makes of it. */
static void test_formats(void **state)
{
    (void)state;
    NEED_RENDERER();
    static const struct {
        uint32_t format, pixel;
    } formats[] = {{1, 4}, {2, 4}, {67, 4}, {100, 4}, {104, 4}, {7, 2}, {8, 4}, {131, 4}, {94, 8}};
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        uint8_t pixels[HEIGHT][WIDTH * 8], back[HEIGHT][WIDTH * 8];
        struct render_resource r = picture;
        r.format = formats[i].format;
        for (uint32_t y = 0; y < HEIGHT; y++)
            for (uint32_t x = 0; x < WIDTH * 8; x++) /* no half is NaN; alpha where there is none */
                pixels[y][x] = formats[i].format == 2 && x % 4 == 3 ? 0xff : (x * 7 + y * 3) & 0x3f;
        memset(back, 0, sizeof(back));
        assert_int_equal(W.r->ops->resource_create(W.r, &r), 0);
        struct render_transfer t = {.resource = 5,
                                    .stride = sizeof(pixels[0]),
                                    .box = {0, 0, 0, WIDTH, HEIGHT, 1},
                                    .range = {.size = sizeof(pixels)},
                                    .to_renderer = true};
        assert_int_equal(W.r->ops->transfer(W.r, &t, pixels), 0);
        t.to_renderer = false;
        assert_int_equal(W.r->ops->transfer(W.r, &t, back), 0);
        for (uint32_t y = 0; y < HEIGHT; y++) {
            if (memcmp(pixels[y], back[y], (size_t)WIDTH * formats[i].pixel) != 0)
                fail_msg("format %u, row %u: %02x%02x%02x%02x is %02x%02x%02x%02x",
                         formats[i].format, y, pixels[y][0], pixels[y][1], pixels[y][2],
                         pixels[y][3], back[y][0], back[y][1], back[y][2], back[y][3]);
        }
        W.r->ops->resource_destroy(W.r, 5);
    }
}

static void test_fences(void **state)
{
    (void)state;
    NEED_RENDERER();
    uint32_t last = 3;
    assert_int_equal(W.r->ops->context_create(W.r, 1, 2), 0);
    for (uint32_t number = 1; number <= last; number++)
        assert_int_equal(W.r->ops->fence(W.r, 1, number), 0);
    turn_until(W.loop, is_done, &last);
    W.r->ops->context_destroy(W.r, 1);
}

/* Whatever a guest sends to be drawn, this process lives, and so do its other contexts. */
static void test_nonsense(void **state)
{
    (void)state;
    NEED_RENDERER();
    _Alignas(8) uint32_t words[64];
    uint32_t seed = 1;
    assert_int_equal(W.r->ops->context_create(W.r, 2, 0), 0);
    for (unsigned round = 0; round < 500; round++) {
        assert_int_equal(W.r->ops->context_create(W.r, 1, 0), 0);
        for (unsigned i = 0; i < 64; i++) {
            seed = seed * 1664525 + 1013904223;
            words[i] = seed >> 8;
        }
        words[0] = seed % 40 | (seed >> 20) % 16 << 16; /* a command, and its length */
        W.r->ops->submit(W.r, 1, words, 64);
        W.r->ops->context_destroy(W.r, 1);
    }
    memset(words, 0, sizeof(words)); /* the command that does nothing */
    assert_int_equal(W.r->ops->submit(W.r, 2, words, 64), 0);
    W.r->ops->context_destroy(W.r, 2);
}

/* Software has dmabufs since Mesa 24.1, where there is /dev/udmabuf; real GPUs have. */
static void test_export(void **state)
{
    (void)state;
    NEED_RENDERER();
    struct render_layout layout;
    uint32_t pixels[WIDTH * HEIGHT];
    for (uint32_t i = 0; i < WIDTH * HEIGHT; i++)
        pixels[i] = i * 2654435761u;
    assert_int_equal(W.r->ops->resource_create(W.r, &picture), 0);
    struct render_transfer t = {.resource = 5,
                                .stride = WIDTH * 4,
                                .box = {0, 0, 0, WIDTH, HEIGHT, 1},
                                .range = {.size = sizeof(pixels)},
                                .to_renderer = true};
    assert_int_equal(W.r->ops->transfer(W.r, &t, pixels), 0);
    uint32_t drawn = 77;
    assert_int_equal(W.r->ops->fence(W.r, 0, drawn), 0);
    turn_until(W.loop, is_done, &drawn);
    unsigned before = count_fds();
    int fd = W.r->ops->export(W.r, 5, &layout);
    if (fd < 0) {
        assert_int_equal(fd, -ENOTSUP);
        assert_int_equal(count_fds(), before);
        print_message("no dmabuf to be had here\n");
    } else {
        off_t size = lseek(fd, 0, SEEK_END);
        print_message("a dmabuf of %lld bytes, modifier %#llx\n", (long long)size,
                      (unsigned long long)layout.modifier);
        assert_int_equal(layout.n_planes, 1);
        assert_in_range(layout.stride[0], WIDTH * 4, 4096);
        assert_true(size >= WIDTH * HEIGHT * 4);
        const uint8_t *map = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
        /* In the driver's own order of colours, which it tells. */
        bool swapped = layout.fourcc == DRM_FORMAT_ABGR8888;
        assert_true(swapped || layout.fourcc == DRM_FORMAT_ARGB8888);
        for (uint32_t i = 0; swapped && i < WIDTH * HEIGHT; i++)
            pixels[i] =
                (pixels[i] & 0xff00ff00) | (pixels[i] >> 16 & 0xff) | (pixels[i] & 0xff) << 16;
        if (layout.modifier == DRM_FORMAT_MOD_LINEAR && map != MAP_FAILED) {
            for (uint32_t y = 0; y < HEIGHT; y++)
                assert_memory_equal(map + layout.offset[0] + y * layout.stride[0],
                                    &pixels[y * WIDTH], WIDTH * 4);
        }
        if (map != MAP_FAILED)
            munmap((void *)map, (size_t)size);
        close(fd);
    }
    W.r->ops->resource_destroy(W.r, 5);
    /* What the host has upside down is not handed out. */
    struct render_resource turned = picture;
    turned.flags = 1;
    assert_int_equal(W.r->ops->resource_create(W.r, &turned), 0);
    assert_int_equal(W.r->ops->export(W.r, 5, &layout), -ENOTSUP);
    W.r->ops->resource_destroy(W.r, 5);
}

static void test_no_such_node(void **state)
{
    (void)state;
    char error[256];
    assert_null(virgl_create(W.loop, "/nowhere/renderD128", error, sizeof(error)));
    assert_int_equal(errno, ENOENT);
    assert_non_null(strstr(error, "/nowhere/renderD128"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_capsets),
        TEST(test_pictures),
        TEST(test_moves_in_commands),
        TEST(test_formats),
        TEST(test_fences),
        TEST(test_nonsense),
        TEST(test_export),
        cmocka_unit_test(test_no_such_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
