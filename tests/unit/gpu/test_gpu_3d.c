/* SPDX-License-Identifier: MIT */
/* 3D commands: what reaches the renderer, and everything that must not. */
#include "tests/unit/gpu/gpu_guest.h"
#include "tests/support/renderer_fake.h"

#include <endian.h>

#define ERR_CONTEXT VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID
#define BGRA 1
#define RENDER 2 /* a use: drawn on */

/* There is no device that would hear of it. */
static void transferred(void *user, const struct renderer_transfer *transfer, int result)
{
    struct commands *c = user;
    commands_3d_transferred(&c->drawing, &c->table, c->ram, transfer, result);
}

static const struct renderer_listener listener = {.transferred = transferred};

static int setup(void **state)
{
    commands_setup(state);
    struct world *w = *state;
    w->commands.drawing.renderer = fake_renderer();
    fake.renderer.listener = &listener;
    fake.renderer.user = &w->commands;
    w->commands.features = COMMANDS_FEATURES | COMMANDS_3D_FEATURES;
    return 0;
}

static int teardown(void **state)
{
    commands_teardown(state);
    /* Nothing is left with the renderer. */
    assert_int_equal(fake.n_contexts, 0);
    assert_int_equal(fake.n_resources, 0);
    return 0;
}

static uint32_t context(struct world *w, uint32_t id, uint32_t init)
{
    struct virtio_gpu_ctx_create c = {
        .hdr = {.type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = id}, .nlen = 4, .context_init = init};
    return execute(w, &c, sizeof(c));
}

static uint32_t end_context(struct world *w, uint32_t id)
{
    struct virtio_gpu_ctx_destroy c = {.hdr = {.type = VIRTIO_GPU_CMD_CTX_DESTROY, .ctx_id = id}};
    return execute(w, &c, sizeof(c));
}

static uint32_t use(struct world *w, uint32_t type, uint32_t context, uint32_t resource)
{
    struct virtio_gpu_ctx_resource c = {.hdr = {.type = type, .ctx_id = context},
                                        .resource_id = resource};
    return execute(w, &c, sizeof(c));
}

/* A picture of 64 x 32. */
static const struct virtio_gpu_resource_create_3d picture = {
    HDR(RESOURCE_CREATE_3D), .resource_id = 5, .target = 2,  .format = BGRA,
    .bind = RENDER,          .width = 64,      .height = 32, .depth = 1,
    .array_size = 1,         .flags = 1};

static uint32_t create(struct world *w, struct virtio_gpu_resource_create_3d c)
{
    return execute(w, &c, sizeof(c));
}

static void test_capsets(void **state)
{
    struct world *w = *state;
    struct virtio_gpu_get_capset_info ask = {HDR(GET_CAPSET_INFO)};
    struct virtio_gpu_resp_capset_info info;
    for (uint32_t i = 0; i < 2; i++) {
        ask.capset_index = i;
        assert_int_equal(execute(w, &ask, sizeof(ask)), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
        memcpy(&info, guest_response, sizeof(info));
        assert_int_equal(info.capset_id, i + 1);
        assert_int_equal(info.capset_max_version, i + 1);
        assert_int_equal(info.capset_max_size, i ? 1376 : 308);
    }
    ask.capset_index = 2;
    assert_int_equal(execute(w, &ask, sizeof(ask)), ERR_PARAM);
    struct virtio_gpu_get_capset get = {HDR(GET_CAPSET), .capset_id = 2, .capset_version = 2};
    assert_int_equal(execute(w, &get, sizeof(get)), VIRTIO_GPU_RESP_OK_CAPSET);
    assert_int_equal(guest_response[24], 0xa2);
    assert_int_equal(guest_response[24 + 1375], 0xa2);
    assert_int_equal(guest_response[24 + 1376], 0);
    get.capset_version = 3;
    assert_int_equal(execute(w, &get, sizeof(get)), ERR_PARAM);
    get.capset_version = 1;
    get.capset_id = 3;
    assert_int_equal(execute(w, &get, sizeof(get)), ERR_PARAM);
    /* A set that would not fit. */
    get.capset_id = 1;
    fake.capsets[0].size = COMMANDS_3D_CAPSET_MAX + 1;
    assert_int_equal(execute(w, &get, sizeof(get)), ERR_PARAM);
}

static void test_contexts(void **state)
{
    struct world *w = *state;
    assert_int_equal(context(w, 0, 0), ERR_CONTEXT);
    assert_int_equal(context(w, 1, 2), OK);
    assert_int_equal(fake.init, 2);
    assert_int_equal(context(w, 1, 0), ERR_CONTEXT);
    assert_int_equal(context(w, 2, 4), ERR_PARAM); /* a set that we have not */
    assert_int_equal(context(w, 2, 0x101), ERR_PARAM);
    assert_int_equal(end_context(w, 2), ERR_CONTEXT);
    assert_int_equal(end_context(w, 1), OK);
    assert_int_equal(end_context(w, 1), ERR_CONTEXT);
    /* A name that is longer than its place. */
    struct virtio_gpu_ctx_create c = {.hdr = {.type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = 3},
                                      .nlen = 65};
    assert_int_equal(execute(w, &c, sizeof(c)), ERR_PARAM);
    fake.refuses = true;
    assert_int_equal(context(w, 3, 0), ERR_MEMORY);
    fake.refuses = false;
    for (uint32_t i = 0; i < COMMANDS_3D_CONTEXTS_MAX; i++)
        assert_int_equal(context(w, 1000 + i, 0), OK);
    assert_int_equal(context(w, 1, 0), ERR_MEMORY);
    assert_int_equal(end_context(w, 1100), OK);
    assert_int_equal(context(w, 1, 0), OK);
    /* A driver that does not know of the sets: the field is not looked at. */
    assert_int_equal(end_context(w, 1), OK);
    w->commands.features &= ~(1ull << VIRTIO_GPU_F_CONTEXT_INIT);
    assert_int_equal(context(w, 1, 77), OK);
    assert_int_equal(fake.init, 0);
}

static void test_resources(void **state)
{
    struct world *w = *state;
    assert_int_equal(create(w, picture), OK);
    assert_int_equal(fake.made.id, 5);
    assert_int_equal(fake.made.width, 64);
    assert_int_equal(fake.made.flags, 1);
    assert_int_equal(create(w, picture), ERR_ID);
    assert_int_equal(create_2d(w, 5, 8, 8, 1), ERR_ID); /* one space of ids */
    assert_int_equal(unref(w, 5), OK);
    assert_int_equal(fake.n_resources, 0);
    assert_int_equal(w->commands.drawing.bytes, 0);
    fake.refuses = true;
    assert_int_equal(create(w, picture), ERR_PARAM);
    assert_null(resources_find(&w->commands.table, 5));
    fake.refuses = false;
    /* What nobody draws on is the guest's memory. */
    struct virtio_gpu_resource_create_3d plain = picture;
    plain.bind = 0;
    assert_int_equal(create(w, plain), OK);
    assert_int_equal(fake.n_resources, 0);
    assert_int_equal(resources_find(&w->commands.table, 5)->kind, RESOURCE_2D);
}

static void test_shapes(void **state)
{
    struct world *w = *state;
    static const struct {
        uint32_t target, width, height, depth, array, level, samples;
        bool good;
    } shapes[] = {
        {0, 1 << 30, 1, 1, 1, 0, 0, true},     {0, (1 << 30) + 1, 1, 1, 1, 0, 0, false},
        {0, 64, 2, 1, 1, 0, 0, false},         {0, 64, 1, 1, 1, 1, 0, false},
        {1, 32768, 1, 1, 1, 15, 0, true},      {1, 64, 2, 1, 1, 0, 0, false},
        {2, 4096, 4096, 1, 1, 0, 0, true},     {2, 32769, 1, 1, 1, 0, 0, false},
        {2, 1, 32769, 1, 1, 0, 0, false},      {2, 0, 1, 1, 1, 0, 0, false},
        {2, 1, 0, 1, 1, 0, 0, false},          {2, 1, 1, 0, 1, 0, 0, false},
        {2, 1, 1, 1, 0, 0, 0, false},          {2, 1, 1, 2, 1, 0, 0, false},
        {2, 1, 1, 1, 2, 0, 0, false},          {2, 64, 64, 1, 1, 16, 0, false},
        {2, 64, 64, 1, 1, 0, 32, true},        {2, 64, 64, 1, 1, 0, 33, false},
        {3, 64, 64, 64, 1, 6, 0, true},        {3, 64, 64, 2049, 1, 0, 0, false},
        {3, 64, 64, 64, 2, 0, 0, false},       {4, 64, 64, 1, 6, 0, 0, true},
        {4, 64, 64, 1, 1, 0, 0, false},        {4, 64, 64, 1, 12, 0, 0, false},
        {5, 64, 64, 1, 1, 0, 0, true},         {6, 64, 1, 1, 2048, 0, 0, true},
        {6, 64, 2, 1, 2, 0, 0, false},         {7, 64, 64, 1, 2048, 0, 0, true},
        {7, 64, 64, 1, 2049, 0, 0, false},     {8, 64, 64, 1, 12, 0, 0, true},
        {8, 64, 64, 1, 13, 0, 0, false},       {9, 64, 64, 1, 1, 0, 0, false},
        {UINT32_MAX, 1, 1, 1, 1, 0, 0, false}, {2, UINT32_MAX, UINT32_MAX, 1, 1, 0, 0, false},
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        struct virtio_gpu_resource_create_3d c = picture;
        c.target = shapes[i].target;
        c.width = shapes[i].width;
        c.height = shapes[i].height;
        c.depth = shapes[i].depth;
        c.array_size = shapes[i].array;
        c.last_level = shapes[i].level;
        c.nr_samples = shapes[i].samples;
        if (create(w, c) != (shapes[i].good ? OK : ERR_PARAM))
            fail_msg("shape %zu", i);
        if (shapes[i].good)
            assert_int_equal(unref(w, 5), OK);
    }
}

/* The host's memory is not the guest's to fill. */
static void test_how_much(void **state)
{
    struct world *w = *state;
    struct virtio_gpu_resource_create_3d c = picture;
    uint32_t n = 0;
    c.width = c.height = 4096; /* 64 MiB */
    for (c.resource_id = 1; create(w, c) == OK; c.resource_id++)
        n++;
    assert_int_equal(n, COMMANDS_3D_BYTES_MAX >> 26);
    assert_int_equal(create(w, c), ERR_MEMORY);
    assert_int_equal(unref(w, 1), OK);
    assert_int_equal(create(w, c), OK);
    c.resource_id++;
    assert_int_equal(create(w, c), ERR_MEMORY);
    /* One alone. */
    c.width = c.height = 32768;
    c.nr_samples = 32;
    assert_int_equal(create(w, c), ERR_MEMORY);
}

static const struct virtio_gpu_mem_entry pages[] = {{.addr = HIGH, .length = PAGE},
                                                    {.addr = LOW + 4 * PAGE, .length = PAGE}};

static void test_memory(void **state)
{
    struct world *w = *state;
    create(w, picture);
    assert_int_equal(attach(w, 5, pages, 2), OK);
    assert_int_equal(attach(w, 5, pages, 2), ERR_UNSPEC); /* it has memory */
    assert_int_equal(detach(w, 5), OK);
    assert_int_equal(attach(w, 5, pages, 1), OK);
    assert_int_equal(unref(w, 5), OK);
    /* Lists that do not hold: as with any resource. */
    create(w, picture);
    const struct virtio_gpu_mem_entry outside = {.addr = HIGH + REGION, .length = PAGE};
    assert_int_equal(attach(w, 5, &outside, 1), ERR_PARAM);
    assert_int_equal(resources_find(&w->commands.table, 5)->n_runs, 0);
}

static void test_contexts_use_resources(void **state)
{
    struct world *w = *state;
    context(w, 1, 0);
    create(w, picture);
    create_2d(w, 6, 8, 8, 1);
    assert_int_equal(use(w, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 5), OK);
    assert_int_equal(fake.attached, 1);
    assert_int_equal(use(w, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 2, 5), ERR_CONTEXT);
    assert_int_equal(use(w, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 7), ERR_ID);
    assert_int_equal(use(w, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, 1, 7), ERR_ID);
    /* Not the renderer's: no harm, and no effect. */
    assert_int_equal(use(w, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 6), OK);
    assert_int_equal(fake.attached, 1);
    assert_int_equal(use(w, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, 1, 5), OK);
    assert_int_equal(fake.attached, 0);
}

static struct virtio_gpu_transfer_host_3d transfer_of(uint32_t x, uint32_t y, uint32_t z,
                                                      uint32_t w, uint32_t h, uint32_t d)
{
    return (struct virtio_gpu_transfer_host_3d){
        .hdr = {.type = VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, .ctx_id = 1},
        .box = {x, y, z, w, h, d},
        .resource_id = 5,
        .stride = 256,
    };
}

static void test_transfers(void **state)
{
    struct world *w = *state;
    struct virtio_gpu_transfer_host_3d t = transfer_of(1, 2, 0, 63, 30, 1);
    context(w, 1, 0);
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_ID);
    create(w, picture);
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_UNSPEC); /* nowhere to put it */
    attach(w, 5, pages, 2);
    fake.picture[2][1] = 0x12345678;
    t.offset = 64;
    assert_int_equal(execute(w, &t, sizeof(t)), OK);
    assert_memory_equal(guest_ram_at(&w->ram, HIGH + 64, 4), "\x78\x56\x34\x12", 4);
    assert_false(fake.moved.to_renderer);
    assert_int_equal(fake.moved.box.height, 30);
    /* Rows that the box does not have are not touched. */
    assert_memory_equal(guest_ram_at(&w->ram, HIGH, 64), (uint8_t[64]){0}, 64);
    t.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D;
    assert_int_equal(execute(w, &t, sizeof(t)), OK);
    assert_true(fake.moved.to_renderer);
    t.hdr.ctx_id = 2;
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_CONTEXT);
    t.hdr.ctx_id = 0; /* none is fine */
    assert_int_equal(execute(w, &t, sizeof(t)), OK);
    /* What the renderer refuses leaves the guest's memory as it is. */
    t.hdr.type = VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D;
    fake.picture[2][1] = 0x87654321;
    fake.refuses = true;
    assert_int_equal(execute(w, &t, sizeof(t)), OK);
    assert_memory_equal(guest_ram_at(&w->ram, HIGH + 64, 4), "\x78\x56\x34\x12", 4);
    fake.refuses = false;

    static const uint32_t beyond[][6] = {
        {0, 0, 0, 65, 32, 1},        {0, 0, 0, 64, 33, 1},        {0, 0, 0, 64, 32, 2},
        {64, 0, 0, 1, 1, 1},         {0, 32, 0, 1, 1, 1},         {0, 0, 1, 1, 1, 1},
        {0, 0, 0, 0, 1, 1},          {0, 0, 0, 1, 0, 1},          {0, 0, 0, 1, 1, 0},
        {UINT32_MAX, 0, 0, 1, 1, 1}, {1, 0, 0, UINT32_MAX, 1, 1}, {0, UINT32_MAX, 0, 1, 2, 1},
        {0, 0, UINT32_MAX, 1, 1, 2}};
    unsigned before = fake.transfers;
    for (size_t i = 0; i < sizeof(beyond) / sizeof(*beyond); i++) {
        const uint32_t *b = beyond[i];
        t = transfer_of(b[0], b[1], b[2], b[3], b[4], b[5]);
        assert_int_equal(execute(w, &t, sizeof(t)), ERR_PARAM);
    }
    /* No such level; the memory ends before the last row begins. */
    t = transfer_of(0, 0, 0, 1, 1, 1);
    t.level = 1;
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_PARAM);
    t.level = 0;
    t.offset = 2 * PAGE;
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_PARAM);
    t.offset = UINT64_MAX;
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_PARAM);
    t = transfer_of(0, 0, 0, 1, 32, 1);
    t.offset = 253; /* 31 rows of 256 fit before, and three bytes more */
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_PARAM);
    t.stride = UINT32_MAX;
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_PARAM);
    t = transfer_of(0, 0, 0, 64, 2, 1);
    t.stride = 255; /* rows upon each other */
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_PARAM);
    assert_int_equal(fake.transfers, before);
    t = transfer_of(0, 0, 0, 1, 32, 1);
    t.offset = 252;
    assert_int_equal(execute(w, &t, sizeof(t)), OK);
}

/* Levels are half as large each; a volume's depth, too, but not the layers of an array. */
static void test_transfers_of_levels(void **state)
{
    struct world *w = *state;
    struct virtio_gpu_resource_create_3d c = picture;
    context(w, 1, 0);
    for (unsigned round = 0; round < 2; round++) {
        c.target = round ? 7 : 3;
        c.depth = round ? 1 : 8;
        c.array_size = round ? 8 : 1;
        c.last_level = 6;
        assert_int_equal(create(w, c), OK);
        attach(w, 5, pages, 2);
        struct virtio_gpu_transfer_host_3d t = transfer_of(0, 0, 0, 16, 16, 4);
        t.level = 1;
        t.stride = 64;
        t.layer_stride = 16 * 64;
        assert_int_equal(execute(w, &t, sizeof(t)), OK);
        t.box.d = 5;
        assert_int_equal(execute(w, &t, sizeof(t)), round ? OK : ERR_PARAM);
        t.box.d = 1;
        t.box.w = 33;
        assert_int_equal(execute(w, &t, sizeof(t)), ERR_PARAM);
        t.level = 6; /* 1 x 1 */
        t.box.w = t.box.h = 1;
        assert_int_equal(execute(w, &t, sizeof(t)), OK);
        t.box.h = 2;
        assert_int_equal(execute(w, &t, sizeof(t)), ERR_PARAM);
        unref(w, 5);
    }
}

static void test_submit(void **state)
{
    struct world *w = *state;
    struct {
        struct virtio_gpu_cmd_submit c;
        uint32_t words[3];
    } s = {{.hdr = {.type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = 1}, .size = 12}, {7, 8, 9}};
    const size_t whole = sizeof(s.c) + sizeof(s.words);
    assert_int_equal(execute(w, &s, whole), ERR_CONTEXT);
    context(w, 1, 0);
    assert_int_equal(execute(w, &s, whole), OK);
    assert_int_equal(fake.words, 3);
    assert_int_equal(fake.first_word, 7);
    fake.words = 0;
    s.c.size = 16; /* longer than what there is */
    assert_int_equal(execute(w, &s, whole), ERR_PARAM);
    s.c.size = 8; /* shorter */
    assert_int_equal(execute(w, &s, whole), ERR_PARAM);
    s.c.size = 11; /* no whole words */
    assert_int_equal(execute(w, &s, whole - 1), ERR_PARAM);
    s.c.size = 0; /* nothing but, perhaps, a fence */
    assert_int_equal(execute(w, &s, sizeof(s.c)), OK);
    assert_int_equal(fake.words, 0);
}

/* Rows go where the guest has them, and nowhere between; the renderer has them close together. */
static void test_rows(void **state)
{
    struct world *w = *state;
    uint8_t *guest = guest_ram_at(&w->ram, HIGH, PAGE);
    context(w, 1, 0);
    create(w, picture);
    attach(w, 5, pages, 2);
    for (uint32_t i = 0; i < FAKE_SIDE * FAKE_SIDE; i++)
        (&fake.picture[0][0])[i] = 0x01010101 * (i % 200 + 1);
    memset(guest, 0xee, PAGE);
    struct virtio_gpu_transfer_host_3d t = transfer_of(3, 2, 0, 2, 3, 1);
    t.stride = 40;
    t.offset = 100;
    assert_int_equal(execute(w, &t, sizeof(t)), OK);
    assert_int_equal(fake.moved.stride, 8);
    assert_int_equal(fake.moved.range.size, 24);
    for (uint32_t i = 0; i < PAGE; i++) {
        uint32_t y = i < 100 ? 99 : (i - 100) / 40, x = (i - 100) % 40;
        uint8_t right = y < 3 && x < 8 ? (uint8_t)fake.picture[2 + y][3 + x / 4] : 0xee;
        if (guest[i] != right)
            fail_msg("byte %u: 0x%x, not 0x%x", i, guest[i], right);
    }
    /* Linux before 5.10 does not tell a stride: rows are as long as the picture's. */
    t = transfer_of(0, 0, 0, 2, 2, 1);
    t.stride = 0;
    memset(guest, 0xee, PAGE);
    assert_int_equal(execute(w, &t, sizeof(t)), OK);
    assert_memory_equal(guest, fake.picture[0], 8);
    assert_int_equal(guest[8], 0xee);
    assert_memory_equal(guest + 256, fake.picture[1], 8);
    /* Of a format whose pixels nobody here knows, what lies between them stays, too. */
    struct virtio_gpu_resource_create_3d c = picture;
    c.resource_id = 6;
    c.format = 140;
    create(w, c);
    const struct virtio_gpu_mem_entry other = {.addr = LOW, .length = PAGE};
    attach(w, 6, &other, 1);
    guest = guest_ram_at(&w->ram, LOW, PAGE);
    for (uint32_t stride = 0; stride <= 40; stride += 40) {
        memset(guest, 0xee, PAGE);
        t.resource_id = 6;
        t.stride = stride;
        fake.pixel = 2;
        assert_int_equal(execute(w, &t, sizeof(t)), OK);
        /* Without a stride, the fake renderer has each row at the begin. */
        assert_memory_equal(guest, fake.picture[stride ? 0 : 1], 4);
        assert_int_equal(guest[4], 0xee);
        if (stride)
            assert_memory_equal(guest + 40, fake.picture[1], 4);
    }
}

/* Other memory, or none, or an owner who wants nothing more: nothing is written there. */
static void test_late_answers(void **state)
{
    struct world *w = *state;
    uint8_t *guest = guest_ram_at(&w->ram, HIGH, PAGE), bytes[256];
    create(w, picture);
    attach(w, 5, pages, 2);
    struct renderer_transfer t = {
        .what = {.resource = 5, .box = {0, 0, 0, 64, 1, 1}},
        .stage = {.bytes = bytes},
        .rows = {.generation = resources_find(&w->commands.table, 5)->generation,
                 .height = 1,
                 .depth = 1,
                 .size = 256,
                 .end_size = 256}};
    memset(bytes, 0x11, sizeof(bytes));
    memset(guest, 0, PAGE);
    commands_3d_transferred(&w->commands.drawing, &w->commands.table, &w->ram, &t, -EINVAL);
    commands_3d_transferred(&w->commands.drawing, &w->commands.table, NULL, &t, 0);
    commands_3d_cut(&w->commands.drawing);
    commands_3d_transferred(&w->commands.drawing, &w->commands.table, &w->ram, &t, 0);
    assert_int_equal(guest[0], 0);
    t.rows.cut = 1;
    detach(w, 5);
    commands_3d_transferred(&w->commands.drawing, &w->commands.table, &w->ram, &t, 0);
    attach(w, 5, pages, 2);
    commands_3d_transferred(&w->commands.drawing, &w->commands.table, &w->ram, &t, 0);
    assert_int_equal(guest[0], 0);
    t.rows.generation = resources_find(&w->commands.table, 5)->generation;
    commands_3d_transferred(&w->commands.drawing, &w->commands.table, &w->ram, &t, 0);
    assert_int_equal(guest[255], 0x11);
}

/* What a renderer had that is gone is an error until the guest has destroyed it. */
static void test_a_renderer_that_is_gone(void **state)
{
    struct world *w = *state;
    struct {
        struct virtio_gpu_cmd_submit c;
        uint32_t words[2];
    } s = {{.hdr = {.type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = 1}, .size = 8}, {7, 8}};
    struct virtio_gpu_transfer_host_3d t = transfer_of(0, 0, 0, 1, 1, 1);
    context(w, 1, 0);
    create(w, picture);
    attach(w, 5, pages, 2);
    const struct virtio_gpu_mem_entry other = {.addr = LOW, .length = PAGE};
    struct virtio_gpu_resource_create_3d query = {.hdr = picture.hdr,
                                                  .resource_id = 8,
                                                  .bind = 1 << 17,
                                                  .format = 64,
                                                  .width = 16,
                                                  .height = 1,
                                                  .depth = 1,
                                                  .array_size = 1};
    create(w, query);
    attach(w, 8, &other, 1);
    fake.n_contexts = fake.n_resources = 0; /* with all that it had */
    fake.renderer.life++;
    assert_int_equal(execute(w, &s, sizeof(s)), ERR_UNSPEC);
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_UNSPEC);
    assert_int_equal(use(w, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 5), ERR_UNSPEC);
    /* Mesa waits in a loop for what a query has counted: nothing, then. */
    uint8_t *counted = guest_ram_at(&w->ram, LOW, PAGE);
    memset(counted, 0xee, 20);
    struct virtio_gpu_transfer_host_3d ask = transfer_of(0, 0, 0, 16, 1, 1);
    ask.resource_id = 8;
    assert_int_equal(execute(w, &ask, sizeof(ask)), OK);
    assert_memory_equal(counted, ((uint8_t[20]){1, 0, 0, 0, 8, [16] = 0xee, 0xee, 0xee, 0xee}), 20);
    assert_int_equal(unref(w, 8), OK);
    assert_int_equal(context(w, 1, 0), ERR_CONTEXT);
    assert_int_equal(create(w, picture), ERR_ID);
    /* The next one knows nothing of these. */
    assert_int_equal(context(w, 2, 0), OK);
    assert_int_equal(use(w, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 2, 5), ERR_UNSPEC);
    assert_int_equal(end_context(w, 1), OK);
    assert_int_equal(unref(w, 5), OK);
    assert_int_equal(context(w, 1, 0), OK);
    assert_int_equal(create(w, picture), OK);
    assert_int_equal(use(w, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1, 5), OK);
    assert_int_equal(w->commands.drawing.bytes, 64 * 32 * 4);
    /* For a while there is none. */
    fake.is_gone = true;
    s.c.hdr.ctx_id = 2;
    assert_int_equal(context(w, 3, 0), ERR_UNSPEC);
    assert_int_equal(execute(w, &s, sizeof(s)), ERR_UNSPEC);
    fake.is_gone = false;
}

static void test_lengths_3d(void **state)
{
    struct world *w = *state;
    context(w, 1, 0);
    for (uint32_t type = 0x100; type < 0x300; type++) {
        bool more;
        size_t right = commands_3d_size(type, &more);
        if (!right)
            continue;
        for (size_t size = 24; size < 160; size++) {
            uint8_t bytes[256] = {0};
            memcpy(bytes, &type, 4);
            if (size < right || (size > right && !more))
                assert_int_equal(execute(w, bytes, size), ERR_PARAM);
        }
    }
    /* A driver that did not accept 3D has none of it. */
    w->commands.features = COMMANDS_FEATURES;
    assert_int_equal(context(w, 2, 0), ERR_UNSPEC);
    assert_int_equal(create(w, picture), ERR_UNSPEC);
    w->commands.features |= COMMANDS_3D_FEATURES;
    /* Nor has one whose device has no renderer, whatever it says. */
    struct renderer *r = w->commands.drawing.renderer;
    end_context(w, 1);
    w->commands.drawing.renderer = NULL;
    assert_int_equal(context(w, 2, 0), ERR_UNSPEC);
    assert_int_equal(create(w, picture), ERR_UNSPEC);
    w->commands.drawing.renderer = r;
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_capsets),
        TEST(test_contexts),
        TEST(test_resources),
        TEST(test_shapes),
        TEST(test_how_much),
        TEST(test_memory),
        TEST(test_contexts_use_resources),
        TEST(test_transfers),
        TEST(test_transfers_of_levels),
        TEST(test_submit),
        TEST(test_rows),
        TEST(test_late_answers),
        TEST(test_a_renderer_that_is_gone),
        TEST(test_lengths_3d),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
