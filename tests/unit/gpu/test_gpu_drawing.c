/* SPDX-License-Identifier: MIT */
/* A device that draws: when fences are answered, what a reset or another memory does to the
 * renderer, and how its pictures are exported. */
#include "tests/unit/gpu/gpu_peer.h"
#include "tests/support/renderer_fake.h"

#include "common/base/fd.h"

#define FEATURES_3D                                                                                \
    (ALL_FEATURES | FEATURE(VIRTIO_GPU_F_VIRGL) | FEATURE(VIRTIO_GPU_F_CONTEXT_INIT))
#define OK VIRTIO_GPU_RESP_OK_NODATA
#define ROW (FAKE_SIDE * 4)

static int setup(void **state)
{
    peer_fds_before = count_fds();
    struct world *w = calloc(1, sizeof(*w));
    w->loop = loop_create();
    w->device = device_create(w->loop, 3600 * 1000);
    assert_int_equal(device_draw(w->device, fake_renderer()), 0);
    fake_attach_loop(w->loop);
    w->exports = exports_create(w->loop, w->device, -1, NULL, 0);
    gpu_frontend_init(&w->f, w->loop, w->device);
    frontend_negotiate(&w->f, FEATURES_3D);
    frontend_start(&w->f);
    peer_connect(w, &w->p);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    fake_detach_loop();
    peer_teardown(state);
    assert_int_equal(fake.n_contexts, 0);
    assert_int_equal(fake.n_resources, 0);
    return 0;
}

static uint32_t driver_context(struct world *w, uint32_t id)
{
    struct virtio_gpu_ctx_create c = {.hdr = {.type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = id}};
    return driver_command(&w->f, &c, sizeof(c));
}

static uint32_t driver_picture(struct world *w, uint32_t id, uint32_t width, uint32_t height)
{
    struct virtio_gpu_resource_create_3d c = {.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D},
                                              .resource_id = id,
                                              .target = 2,
                                              .format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
                                              .bind = 2,
                                              .width = width,
                                              .height = height,
                                              .depth = 1,
                                              .array_size = 1};
    return driver_command(&w->f, &c, sizeof(c));
}

/* As Linux does with a buffer that leaves the device. */
static void driver_share(struct world *w, uint32_t id)
{
    assert_int_equal(driver_simple(&w->f, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, id),
                     VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
}

/* An empty list of drawing commands, with a fence; its slot. */
static unsigned put_fence(struct world *w, uint32_t type, uint64_t fence)
{
    struct virtio_gpu_cmd_submit c = {
        .hdr = {.type = type, .flags = VIRTIO_GPU_FLAG_FENCE, .fence_id = fence, .ctx_id = 1}};
    struct virtio_gpu_resource_unref simple = {.hdr = c.hdr, .resource_id = 99};
    unsigned slot = type == VIRTIO_GPU_CMD_SUBMIT_3D
                        ? frontend_put(&w->f, 0, &c, sizeof(c), 24)
                        : frontend_put(&w->f, 0, &simple, sizeof(simple), 24);
    frontend_kick(&w->f, 0);
    turn_times(w->loop, 5);
    return slot;
}

static void take(struct world *w, unsigned slot, uint64_t fence)
{
    uint32_t written;
    assert_int_equal(frontend_take(&w->f, 0, &written), slot);
    assert_int_equal(written, 24);
    struct virtio_gpu_ctrl_hdr h = driver_answer(&w->f, 0, slot);
    assert_int_equal(h.flags, VIRTIO_GPU_FLAG_FENCE);
    assert_int_equal(h.fence_id, fence);
    assert_int_equal(h.ctx_id, 1);
}

static void finish(uint32_t number)
{
    fake.renderer.listener->finished(fake.renderer.user, number);
}

static void test_what_is_offered(void **state)
{
    struct world *w = *state;
    struct {
        struct vhost_user_config c;
        struct virtio_gpu_config gpu;
    } config = {{0, sizeof(config.gpu), 0}, {0}};
    frontend_send(&w->f, VHOST_USER_GET_CONFIG, 0, &config, sizeof(config), NULL, 0);
    assert_int_equal(frontend_receive(&w->f, VHOST_USER_GET_CONFIG, &config, sizeof(config)),
                     sizeof(config));
    assert_int_equal(config.gpu.num_capsets, 2);
    assert_int_equal(config.gpu.num_scanouts, 0);
    assert_true(peer_hello(&w->p).features & EXPORT_FEATURE_DMABUF);
}

static void test_fences(void **state)
{
    struct world *w = *state;
    driver_context(w, 1);
    unsigned a = put_fence(w, VIRTIO_GPU_CMD_SUBMIT_3D, 100);
    unsigned b = put_fence(w, VIRTIO_GPU_CMD_SUBMIT_3D, 101);
    /* What needs no drawing waits behind them all the same: Linux takes the answer for all. */
    unsigned c = put_fence(w, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 102);
    assert_int_equal(fake.fences, 3);
    assert_false(frontend_answered(&w->f.q[0]));
    /* Without a fence it does not. */
    assert_int_equal(driver_create(&w->f, 7, 8, 8), OK);
    finish(fake.last_fence - 2);
    take(w, a, 100);
    assert_false(frontend_answered(&w->f.q[0]));
    finish(fake.last_fence - 2); /* told again */
    assert_false(frontend_answered(&w->f.q[0]));
    finish(fake.last_fence); /* one word for two */
    take(w, b, 101);
    take(w, c, 102);
    /* When nothing is drawn, other commands' fences are done at once. */
    unsigned d = put_fence(w, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 103);
    take(w, d, 103);
    assert_int_equal(fake.fences, 3);
    /* Where the renderer has no fence to give. */
    fake.refuses = true;
    unsigned e = put_fence(w, VIRTIO_GPU_CMD_SUBMIT_3D, 104);
    take(w, e, 104);
}

static void test_fences_when_the_queue_stops(void **state)
{
    struct world *w = *state;
    driver_context(w, 1);
    unsigned slot = put_fence(w, VIRTIO_GPU_CMD_SUBMIT_3D, 5);
    uint32_t old = fake.last_fence;
    struct vhost_user_state s = {0, 0};
    frontend_send(&w->f, VHOST_USER_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0);
    frontend_receive(&w->f, VHOST_USER_GET_VRING_BASE, &s, sizeof(s));
    take(w, slot, 5); /* given back */
    frontend_start_queue(&w->f, 0, (uint16_t)s.value, false);
    unsigned next = put_fence(w, VIRTIO_GPU_CMD_SUBMIT_3D, 6);
    finish(old); /* late: nobody's any more */
    assert_false(frontend_answered(&w->f.q[0]));
    finish(fake.last_fence);
    take(w, next, 6);
}

static void test_resets(void **state)
{
    struct world *w = *state;
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(driver_context(w, 1), OK);
        assert_int_equal(driver_picture(w, 5, 64, 32), OK);
        const struct virtio_gpu_mem_entry page = {.addr = RAM_HIGH_GPA, .length = PAGE};
        assert_int_equal(driver_attach(&w->f, 5, &page, 1), OK);
        put_fence(w, VIRTIO_GPU_CMD_SUBMIT_3D, 7);
        if (round == 0) {
            frontend_set(&w->f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
        } else if (round == 1) { /* the hypervisor goes away */
            close(w->f.socket);
            turn_until(w->loop, frontend_is_closed, &w->f);
            turn_times(w->loop, 3);
            frontend_connect(&w->f);
        } else {
            break; /* with all of it there, at the end */
        }
        assert_int_equal(fake.n_contexts, 0);
        assert_int_equal(fake.n_resources, 0);
        finish(fake.last_fence);
        if (round == 1)
            frontend_negotiate(&w->f, FEATURES_3D);
        frontend_start(&w->f);
    }
}

static void test_memory_moves(void **state)
{
    struct world *w = *state;
    const struct virtio_gpu_mem_entry pages[2] = {{.addr = RAM_HIGH_GPA, .length = PAGE},
                                                  {.addr = RAM_LOW_GPA + 0x80000, .length = PAGE}};
    driver_picture(w, 5, 64, 32);
    driver_attach(&w->f, 5, pages, 2);
    frontend_set_memory(&w->f); /* the same memory, mapped anew */
    assert_int_equal(device_find(w->device, 5)->n_runs, 2);
    /* Memory that is gone is nobody's. */
    struct {
        uint64_t padding;
        struct vhost_user_region r;
    } slot = {.r = {RAM_HIGH_GPA, RAM_REGION, RAM_HIGH_UADDR, RAM_REGION}};
    frontend_set(&w->f, VHOST_USER_REM_MEM_REG, &slot, sizeof(slot), NULL, 0);
    assert_int_equal(device_find(w->device, 5)->n_runs, 0);
    assert_int_equal(fake.n_resources, 1); /* the picture is the host's */
}

/* The answer comes when the pixels are there, also where nobody asked for a fence. */
static void test_reading_waits(void **state)
{
    struct world *w = *state;
    const struct virtio_gpu_mem_entry pages[2] = {{.addr = RAM_HIGH_GPA, .length = PAGE},
                                                  {.addr = RAM_LOW_GPA + 0x80000, .length = PAGE}};
    struct virtio_gpu_transfer_host_3d t = {
        .hdr = {.type = VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, .ctx_id = 1},
        .box = {0, 0, 0, 1, 1, 1},
        .resource_id = 5};
    uint32_t written;
    driver_context(w, 1);
    driver_picture(w, 5, 64, 32);
    driver_attach(&w->f, 5, pages, 2);
    fake.picture[0][0] = 0x12345678;
    unsigned slot = frontend_put(&w->f, 0, &t, sizeof(t), 24);
    frontend_kick(&w->f, 0);
    turn_times(w->loop, 5);
    assert_false(frontend_answered(&w->f.q[0]));
    finish(fake.last_fence);
    assert_int_equal(frontend_take(&w->f, 0, &written), slot);
    assert_int_equal(driver_answer(&w->f, 0, slot).flags, 0);
    assert_memory_equal(gpa(&w->f, RAM_HIGH_GPA), "\x78\x56\x34\x12", 4);
}

/* It is killed, while fences wait and pictures are exported. */
static void test_a_renderer_that_is_lost(void **state)
{
    struct world *w = *state;
    introduce(w);
    driver_context(w, 1);
    driver_picture(w, 5, FAKE_SIDE, 32);
    driver_share(w, 5);
    struct export_exported e = peer_export(&w->p, 5);
    unsigned a = put_fence(w, VIRTIO_GPU_CMD_SUBMIT_3D, 100);
    unsigned b = put_fence(w, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 101);
    assert_false(frontend_answered(&w->f.q[0]));
    fake_lose();
    /* Nobody in the guest waits, and the order is kept. */
    take(w, a, 100);
    take(w, b, 101);
    /* The picture is gone for those who show it, and nobody else gets it. */
    peer_gone(&w->p, e.buffer.id);
    struct export_copy copy = {.id = e.buffer.id,
                               .generation = e.buffer.generation,
                               .source_stride = ROW,
                               .target_stride = ROW,
                               .n_rects = 1,
                               .rects = {{0, 0, 16, 3}}};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_STALE);
    assert_int_equal(peer_export(&w->p, 5).status, EXPORT_EMPTY);
    /* Memory of the guest is what it was, and so is drawing for those who begin now. */
    assert_int_equal(driver_create(&w->f, 7, 8, 8), OK);
    assert_int_equal(driver_context(w, 2), OK);
    assert_int_equal(driver_picture(w, 6, FAKE_SIDE, 32), OK);
    driver_share(w, 6);
    assert_int_equal(peer_export(&w->p, 6).status, EXPORT_OK);
    assert_int_equal(driver_simple(&w->f, VIRTIO_GPU_CMD_RESOURCE_UNREF, 5), OK);
}

/* It has enough to do: the guest's commands wait where they are, and others do not. */
static void test_a_renderer_that_is_busy(void **state)
{
    struct world *w = *state;
    struct virtio_gpu_resource_create_2d c = {.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D},
                                              .resource_id = 9,
                                              .format = 1,
                                              .width = 8,
                                              .height = 8};
    uint32_t written;
    introduce(w);
    fake.is_busy = true;
    unsigned slot = frontend_put(&w->f, 0, &c, sizeof(c), 24);
    frontend_kick(&w->f, 0);
    turn_times(w->loop, 5);
    assert_false(frontend_answered(&w->f.q[0]));
    assert_null(device_find(w->device, 9));
    fake.is_busy = false;
    fake.renderer.listener->rested(fake.renderer.user);
    turn_times(w->loop, 5);
    assert_int_equal(frontend_take(&w->f, 0, &written), slot);
    assert_non_null(device_find(w->device, 9));
}

static void fill_picture(void)
{
    for (uint32_t y = 0; y < FAKE_SIDE; y++)
        for (uint32_t x = 0; x < FAKE_SIDE; x++)
            fake.picture[y][x] = 0x01000000 + y * 0x100 + x;
}

static void test_export(void **state)
{
    struct world *w = *state;
    introduce(w);
    driver_picture(w, 5, FAKE_SIDE, 32);
    assert_int_equal(peer_export(&w->p, 5).status, EXPORT_UNMARKED);
    driver_share(w, 5);
    struct export_exported e = peer_export(&w->p, 5);
    assert_int_equal(e.status, EXPORT_OK);
    assert_int_equal(w->p.fd, -1);
    assert_int_equal(e.buffer.kind, EXPORT_KIND_NONE);
    assert_int_equal(e.buffer.memory, EXPORT_MEMORY_HOST);
    assert_int_equal(e.buffer.reason, EXPORT_REASON_REFUSED);
    assert_int_equal(e.buffer.fourcc, 0x34325258); /* XR24 */
    assert_int_equal(e.buffer.width, FAKE_SIDE);
    assert_int_equal(e.buffer.height, 32);
    assert_int_equal(e.buffer.n_planes, 1);
    assert_int_equal(e.buffer.offset[0], 0);
    assert_int_equal(e.buffer.stride[0], ROW);
    assert_int_equal(e.buffer.size, ROW * 32);
    assert_int_equal(e.buffer.modifier, 0);
    /* What is no picture has no such memory. */
    struct virtio_gpu_resource_create_3d c = {.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D},
                                              .resource_id = 6,
                                              .bind = 16,
                                              .format = 64,
                                              .width = 4096,
                                              .height = 1,
                                              .depth = 1,
                                              .array_size = 1};
    assert_int_equal(driver_command(&w->f, &c, sizeof(c)), OK);
    driver_share(w, 6);
    assert_int_equal(peer_export(&w->p, 6).status, EXPORT_EMPTY);
    /* It goes at once: no page of the guest is shown. */
    assert_int_equal(driver_simple(&w->f, VIRTIO_GPU_CMD_RESOURCE_UNREF, 5), OK);
    peer_gone(&w->p, e.buffer.id);
    assert_int_equal(peer_export(&w->p, 5).status, EXPORT_UNKNOWN);
    assert_int_equal(fake.n_resources, 1);
}

static void test_read_back(void **state)
{
    struct world *w = *state;
    uint8_t *mirror;
    int fd = make_mirror(4 * PAGE, &mirror);
    introduce(w);
    fill_picture();
    driver_picture(w, 5, FAKE_SIDE, 32);
    driver_share(w, 5);
    struct export_exported e = peer_export(&w->p, 5);
    struct export_copy copy = {.id = e.buffer.id,
                               .generation = e.buffer.generation,
                               .source = 2 * ROW + 8,
                               .target = 100,
                               .source_stride = ROW,
                               .target_stride = 300,
                               .n_rects = 2,
                               .rects = {{0, 0, 16, 3}, {20, 4, 4, 1}}};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_MEMORY);
    assert_int_equal(peer_mirror(&w->p, e.buffer.id, fd, 4 * PAGE), EXPORT_OK);
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_OK);
    for (uint32_t y = 0; y < 3; y++)
        assert_memory_equal(mirror + 100 + y * 300, &fake.picture[2 + y][2], 16);
    assert_memory_equal(mirror + 100 + 4 * 300 + 20, &fake.picture[6][7], 4);
    assert_int_equal(mirror[116], 0);
    assert_int_equal(mirror[99], 0);
    /* And back, for screen copies. */
    memset(mirror, 0x5c, 4 * PAGE);
    struct export_copy back = copy;
    back.flags = EXPORT_TO_GUEST;
    back.source = 100;
    back.target = 2 * ROW + 8;
    back.source_stride = 300;
    back.target_stride = ROW;
    assert_int_equal(peer_copy(&w->p, &back), EXPORT_OK);
    assert_int_equal(fake.picture[2][2], 0x5c5c5c5c);
    assert_int_equal(fake.picture[2][1], 0x01000201);
    assert_int_equal(fake.picture[6][7], 0x5c5c5c5c);
    munmap(mirror, 4 * PAGE);
    close(fd);
}

static void test_read_back_out_of_range(void **state)
{
    struct world *w = *state;
    uint8_t *mirror;
    int fd = make_mirror(4 * PAGE, &mirror);
    munmap(mirror, 4 * PAGE);
    introduce(w);
    driver_picture(w, 5, 60, 32); /* rows of 240 */
    driver_share(w, 5);
    struct export_exported e = peer_export(&w->p, 5);
    assert_int_equal(peer_mirror(&w->p, e.buffer.id, fd, 4 * PAGE), EXPORT_OK);
    close(fd);
    const struct export_copy good = {.id = e.buffer.id,
                                     .generation = e.buffer.generation,
                                     .source_stride = 240,
                                     .target_stride = 240,
                                     .n_rects = 1,
                                     .rects = {{0, 0, 240, 32}}};
    struct export_copy bad[] = {good, good, good, good, good, good, good, good, good, good};
    bad[0].rects[0].height = 33;
    bad[1].rects[0].width = 244;
    bad[1].target_stride = 244;
    bad[2].source = 4; /* one pixel to the right */
    bad[3].source = 240;
    bad[4].rects[0].width = 239; /* no whole pixels */
    bad[5].source = 1;
    bad[5].rects[0].width = 4;
    bad[6].source_stride = 256; /* not what was told */
    bad[7].source = UINT64_MAX - 3;
    bad[8].target = 4 * PAGE - 240 * 31; /* the mirror ends */
    bad[9].n_rects = 2;                  /* one of them */
    bad[9].rects[1] = (struct export_rect){0, 32, 4, 1};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (peer_copy(&w->p, &bad[i]) != EXPORT_RANGE)
            fail_msg("copy %zu", i);
    }
    assert_int_equal(fake.transfers, 0);
    assert_int_equal(peer_copy(&w->p, &good), EXPORT_OK);
    fake.refuses = true;
    assert_int_equal(peer_copy(&w->p, &good), EXPORT_FAILED);
    fake.refuses = false;
    /* Other guest memory is another generation, wherever the picture is. */
    const struct virtio_gpu_mem_entry page = {.addr = RAM_HIGH_GPA + 0x8000, .length = PAGE};
    driver_attach(&w->f, 5, &page, 1);
    assert_int_equal(peer_copy(&w->p, &good), EXPORT_STALE);
}

static int make_dmabuf(void)
{
    return fd_memfd("dmabuf", 4 * PAGE);
}

/* Pixels of other sizes: only whole ones are copied. */
static void test_formats(void **state)
{
    struct world *w = *state;
    static const struct {
        uint32_t format, fourcc, pixel;
    } formats[] = {{7, 0x36314752, 2},
                   {131, 0x30335241, 4},
                   {100, 0x34325241, 4},
                   {94, 0x48344241, 8}}; /* RG16, AR30, AR24, AB4H */
    uint8_t *mirror;
    int fd = make_mirror(4 * PAGE, &mirror);
    munmap(mirror, 4 * PAGE);
    introduce(w);
    for (uint32_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        struct virtio_gpu_resource_create_3d c = {
            .hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D},
            .resource_id = 50 + i,
            .target = 2,
            .format = formats[i].format,
            .bind = 2,
            .width = 16,
            .height = 8,
            .depth = 1,
            .array_size = 1};
        fake.pixel = formats[i].pixel;
        assert_int_equal(driver_command(&w->f, &c, sizeof(c)), OK);
        driver_share(w, 50 + i);
        struct export_exported e = peer_export(&w->p, 50 + i);
        assert_int_equal(e.status, EXPORT_OK);
        assert_int_equal(e.buffer.fourcc, formats[i].fourcc);
        assert_int_equal(e.buffer.stride[0], 16 * formats[i].pixel);
        assert_int_equal(e.buffer.size, 16 * 8 * formats[i].pixel);
        assert_int_equal(peer_mirror(&w->p, e.buffer.id, fd, 4 * PAGE), EXPORT_OK);
        struct export_copy copy = {.id = e.buffer.id,
                                   .generation = e.buffer.generation,
                                   .source = 2 * formats[i].pixel,
                                   .source_stride = 16 * formats[i].pixel,
                                   .target_stride = 256,
                                   .n_rects = 1,
                                   .rects = {{0, 0, 14 * formats[i].pixel, 8}}};
        assert_int_equal(peer_copy(&w->p, &copy), EXPORT_OK);
        assert_int_equal(fake.moved.box.x, 2);
        assert_int_equal(fake.moved.box.width, 14);
        copy.rects[0].width = 15 * formats[i].pixel;
        assert_int_equal(peer_copy(&w->p, &copy), EXPORT_RANGE);
        copy.rects[0].width = formats[i].pixel - 1;
        assert_int_equal(peer_copy(&w->p, &copy), EXPORT_RANGE);
    }
    close(fd);
}

static void test_descriptor(void **state)
{
    struct world *w = *state;
    uint8_t *mirror;
    int fd = make_mirror(4 * PAGE, &mirror);
    introduce(w);
    fill_picture();
    driver_picture(w, 5, 60, 32);
    driver_share(w, 5);
    fake.make_fd = make_dmabuf;
    fake.layout = (struct render_layout){
        .fourcc = 0x34325241, .modifier = 0, .n_planes = 1, .offset = {128}, .stride = {256}};
    struct export_exported e = peer_export(&w->p, 5);
    assert_int_equal(e.buffer.kind, EXPORT_KIND_DMABUF);
    assert_true(w->p.fd >= 0);
    assert_int_equal(e.buffer.size, 4 * PAGE);
    assert_int_equal(e.buffer.offset[0], 128);
    assert_int_equal(e.buffer.stride[0], 256);
    /* Rows are named as they were told, also for reading back. */
    struct export_copy copy = {.id = e.buffer.id,
                               .generation = e.buffer.generation,
                               .source = 128 + 256 + 4,
                               .source_stride = 256,
                               .target_stride = 64,
                               .n_rects = 1,
                               .rects = {{0, 0, 8, 2}}};
    assert_int_equal(peer_mirror(&w->p, e.buffer.id, fd, 4 * PAGE), EXPORT_OK);
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_OK);
    assert_memory_equal(mirror, &fake.picture[1][1], 8);
    assert_memory_equal(mirror + 64, &fake.picture[2][1], 8);
    copy.source = 64; /* before it */
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_RANGE);
    munmap(mirror, 4 * PAGE);
    close(fd);
    /* Layouts that cannot be: the renderer is not believed. */
    const struct render_layout wrong[] = {
        {.fourcc = 0x34325241, .n_planes = 2, .stride = {256, 256}},
        {.fourcc = 0x34325241, .n_planes = 1, .stride = {236}},
        {.fourcc = 0x34325241, .n_planes = 1, .stride = {1024}},
        {.fourcc = 0x34325241, .n_planes = 1, .stride = {256}, .offset = {4 * PAGE}},
        {.fourcc = 0x30334241, .n_planes = 1, .stride = {256}}, /* AB30: other bits */
        {.fourcc = 0x36314752, .n_planes = 1, .stride = {256}}, /* RG16 */
        {.fourcc = 0x84324258, .n_planes = 1, .stride = {256}}, /* nobody else's name */
        {.n_planes = 1, .stride = {256}},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        fake.layout = wrong[i];
        e = peer_export(&w->p, 5);
        assert_int_equal(e.status, EXPORT_OK);
        assert_int_equal(e.buffer.kind, EXPORT_KIND_NONE);
        assert_int_equal(e.buffer.stride[0], 240);
        assert_int_equal(w->p.fd, -1);
    }
}

/* The driver's order of colours may be another one; the descriptor is read by that. */
static void test_orders(void **state)
{
    struct world *w = *state;
    static const struct {
        uint32_t format, drivers, told; /* 0: no descriptor */
    } cases[] = {
        {1, 0x34325241, 0x34325241},  /* BGRA: AR24 */
        {1, 0x34324241, 0x34324241},  /* AB24 */
        {1, 0x34324258, 0},           /* XB24: where would alpha be? */
        {2, 0x34324241, 0x34324258},  /* BGRX in AB24: what is in alpha means nothing */
        {2, 0x34324258, 0x34324258},  /* XB24 */
        {67, 0x34325241, 0x34325241}, /* RGBA in AR24 */
        {7, 0x36314752, 0x36314752},  /* RG16 */
        {7, 0x36314742, 0x36314742},  /* BG16 */
        {8, 0x30335241, 0x30335241},  /* R10G10B10A2 in AR30 */
        {233, 0x30334241, 0x30334258},
        {8, 0x34324241, 0},
        {94, 0x48344241, 0x48344241},
        {94, 0x48344258, 0},
        {236, 0x48344241, 0x48344258},
        {94, 0, 0},
    };
    introduce(w);
    fake.make_fd = make_dmabuf;
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct virtio_gpu_resource_create_3d c = {
            .hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_3D},
            .resource_id = 50 + i,
            .target = 2,
            .format = cases[i].format,
            .bind = 2,
            .width = 16,
            .height = 8,
            .depth = 1,
            .array_size = 1};
        assert_int_equal(driver_command(&w->f, &c, sizeof(c)), OK);
        driver_share(w, 50 + i);
        fake.layout =
            (struct render_layout){.fourcc = cases[i].drivers, .n_planes = 1, .stride = {256}};
        struct export_exported e = peer_export(&w->p, 50 + i);
        assert_int_equal(e.status, EXPORT_OK);
        assert_int_equal(e.buffer.kind, cases[i].told ? EXPORT_KIND_DMABUF : EXPORT_KIND_NONE);
        if (cases[i].told)
            assert_int_equal(e.buffer.fourcc, cases[i].told);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_offered),
        TEST(test_fences),
        TEST(test_fences_when_the_queue_stops),
        TEST(test_resets),
        TEST(test_memory_moves),
        TEST(test_reading_waits),
        TEST(test_a_renderer_that_is_lost),
        TEST(test_a_renderer_that_is_busy),
        TEST(test_export),
        TEST(test_read_back),
        TEST(test_read_back_out_of_range),
        TEST(test_formats),
        TEST(test_descriptor),
        TEST(test_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
