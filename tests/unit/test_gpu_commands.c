/* SPDX-License-Identifier: MIT */
/* What the guest's driver may ask, each way to ask wrongly, and the table of resources against a
 * model. */
#include "tests/unit/support.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "common/fd.h"
#include "host-proxy/gpu/commands.h"

#define PAGE 4096u
#define LOW 0x10000u        /* gpa of the first region: 256 pages */
#define HIGH 0x100000000ull /* gpa of the second one: 256 pages */
#define REGION (256u * PAGE)

struct world {
    struct commands commands;
    struct guest_ram ram;
    uint8_t *bytes; /* of both regions: what the guest sees */
    struct resource *last_gone;
    unsigned n_gone;
};

static void on_gone(void *user, struct resource *resource)
{
    struct world *w = user;
    w->last_gone = resource;
    w->n_gone++;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    int fd = fd_memfd("ram", 2 * REGION);
    assert_true(fd >= 0);
    w->bytes = mmap(NULL, 2 * REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_int_equal(guest_ram_add(&w->ram, LOW, REGION, 0x1000, 0, dup(fd)), 0);
    assert_int_equal(guest_ram_add(&w->ram, HIGH, REGION, 0x40000000, REGION, fd), 0);
    assert_int_equal(commands_init(&w->commands, on_gone, w), 0);
    w->commands.ram = &w->ram;
    w->commands.features = COMMANDS_FEATURES;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    commands_finish(&w->commands);
    guest_ram_finish(&w->ram);
    munmap(w->bytes, 2 * REGION);
    free(w);
    return 0;
}

static uint8_t response[COMMANDS_RESPONSE_MAX];

/* Executes a command that is exactly so long, in memory of exactly that size. Returns the type of
 * the answer. */
static uint32_t execute_held(struct world *w, const void *command, size_t size,
                             struct resource **ret_doomed)
{
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, command, size);
    /* The device hands over a buffer of the largest size; what is not there is not looked at. */
    uint8_t *request = calloc(1, size < 256 ? 256 : size);
    memcpy(request, exact, size);
    size_t n = commands_control(&w->commands, request, size, response, ret_doomed);
    struct virtio_gpu_ctrl_hdr h;
    assert_true(n >= sizeof(h) && n <= COMMANDS_RESPONSE_MAX);
    memcpy(&h, response, sizeof(h));
    free(request);
    free(exact);
    return h.type;
}

static uint32_t execute(struct world *w, const void *command, size_t size)
{
    struct resource *doomed;
    uint32_t type = execute_held(w, command, size, &doomed);
    assert_null(doomed);
    return type;
}

#define HDR(t) .hdr = {.type = VIRTIO_GPU_CMD_##t}
#define OK VIRTIO_GPU_RESP_OK_NODATA
#define ERR_UNSPEC VIRTIO_GPU_RESP_ERR_UNSPEC
#define ERR_ID VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define ERR_PARAM VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define ERR_SCANOUT VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID
#define ERR_MEMORY VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY

static uint32_t create_2d(struct world *w, uint32_t id, uint32_t width, uint32_t height,
                          uint32_t format)
{
    struct virtio_gpu_resource_create_2d c = {HDR(RESOURCE_CREATE_2D), .resource_id = id,
                                              .format = format, .width = width, .height = height};
    return execute(w, &c, sizeof(c));
}

static uint32_t unref(struct world *w, uint32_t id)
{
    struct virtio_gpu_resource_unref c = {HDR(RESOURCE_UNREF), .resource_id = id};
    return execute(w, &c, sizeof(c));
}

static uint32_t detach(struct world *w, uint32_t id)
{
    struct virtio_gpu_resource_detach_backing c = {HDR(RESOURCE_DETACH_BACKING), .resource_id = id};
    return execute(w, &c, sizeof(c));
}

/* @listed entries follow, @claimed are announced. */
static uint32_t attach_claiming(struct world *w, uint32_t id,
                                const struct virtio_gpu_mem_entry *entries, uint32_t listed,
                                uint32_t claimed)
{
    struct virtio_gpu_resource_attach_backing c = {HDR(RESOURCE_ATTACH_BACKING), .resource_id = id,
                                                   .nr_entries = claimed};
    uint8_t *all = malloc(sizeof(c) + listed * sizeof(*entries));
    memcpy(all, &c, sizeof(c));
    if (listed)
        memcpy(all + sizeof(c), entries, listed * sizeof(*entries));
    uint32_t type = execute(w, all, sizeof(c) + listed * sizeof(*entries));
    free(all);
    return type;
}

static uint32_t attach(struct world *w, uint32_t id, const struct virtio_gpu_mem_entry *entries,
                       uint32_t n)
{
    return attach_claiming(w, id, entries, n, n);
}

static uint32_t create_blob(struct world *w, struct virtio_gpu_resource_create_blob c,
                            const struct virtio_gpu_mem_entry *entries, uint32_t n)
{
    uint8_t *all = malloc(sizeof(c) + n * sizeof(*entries));
    c.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB;
    memcpy(all, &c, sizeof(c));
    if (n)
        memcpy(all + sizeof(c), entries, n * sizeof(*entries));
    uint32_t type = execute(w, all, sizeof(c) + n * sizeof(*entries));
    free(all);
    return type;
}

static void test_display_info(void **state)
{
    struct world *w = *state;
    struct virtio_gpu_ctrl_hdr c = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
    struct virtio_gpu_resp_display_info info;
    assert_int_equal(execute(w, &c, sizeof(c)), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
    memcpy(&info, response, sizeof(info));
    for (unsigned i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++)
        assert_int_equal(info.pmodes[i].enabled, 0);
}

static void test_fences_come_back(void **state)
{
    struct world *w = *state;
    struct virtio_gpu_ctrl_hdr h;
    struct virtio_gpu_resource_create_2d c = {
        .hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
                .flags = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX,
                .fence_id = 0x123456789abcdef0,
                .ctx_id = 7,
                .ring_idx = 3},
        .resource_id = 1,
        .format = 1,
        .width = 4,
        .height = 4};
    assert_int_equal(execute(w, &c, sizeof(c)), OK);
    memcpy(&h, response, sizeof(h));
    assert_int_equal(h.flags, VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX);
    assert_int_equal(h.fence_id, 0x123456789abcdef0);
    assert_int_equal(h.ctx_id, 7);
    assert_int_equal(h.ring_idx, 3);
    /* On errors too: the guest waits for it. */
    assert_int_equal(execute(w, &c, sizeof(c)), ERR_ID);
    memcpy(&h, response, sizeof(h));
    assert_int_equal(h.fence_id, 0x123456789abcdef0);
    c.hdr.flags = 0;
    c.resource_id = 2;
    execute(w, &c, sizeof(c));
    memcpy(&h, response, sizeof(h));
    assert_int_equal(h.flags, 0);
    assert_int_equal(h.fence_id, 0);
}

static void test_create_2d(void **state)
{
    struct world *w = *state;
    static const uint32_t formats[] = {1, 2, 3, 4, 67, 68, 121, 134};
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        assert_int_equal(create_2d(w, 10 + i, 64, 32, formats[i]), OK);
        assert_int_not_equal(commands_fourcc(formats[i]), 0);
        const struct resource *r = resources_find(&w->commands.table, 10 + i);
        assert_int_equal(r->width, 64);
        assert_int_equal(r->height, 32);
        assert_int_equal(r->size, 64 * 32 * 4);
        assert_int_equal(r->backing_size, 0);
    }
    assert_int_equal(create_2d(w, 0, 64, 32, 1), ERR_ID);
    assert_int_equal(create_2d(w, 10, 64, 32, 1), ERR_ID);
    assert_int_equal(create_2d(w, 1, 0, 32, 1), ERR_PARAM);
    assert_int_equal(create_2d(w, 1, 64, 0, 1), ERR_PARAM);
    assert_int_equal(create_2d(w, 1, RESOURCE_SIDE_MAX + 1, 1, 1), ERR_PARAM);
    assert_int_equal(create_2d(w, 1, 1, UINT32_MAX, 1), ERR_PARAM);
    assert_int_equal(create_2d(w, 1, 64, 32, 0), ERR_PARAM);
    assert_int_equal(create_2d(w, 1, 64, 32, 5), ERR_PARAM);
    assert_null(resources_find(&w->commands.table, 1));
    assert_int_equal(create_2d(w, UINT32_MAX, RESOURCE_SIDE_MAX, RESOURCE_SIDE_MAX, 1), OK);
}

static void test_attach(void **state)
{
    struct world *w = *state;
    const struct virtio_gpu_mem_entry scattered[] = {
        {.addr = HIGH + 5 * PAGE, .length = PAGE},
        {.addr = LOW, .length = PAGE},
        {.addr = LOW + PAGE, .length = 2 * PAGE}, /* joins the one before */
        {.addr = HIGH, .length = PAGE},
    };
    uint8_t bytes[5 * PAGE], expected[5 * PAGE];
    create_2d(w, 1, 64, 64, 1);
    assert_int_equal(attach(w, 1, scattered, 4), OK);
    const struct resource *r = resources_find(&w->commands.table, 1);
    assert_int_equal(r->n_runs, 3);
    assert_int_equal(r->backing_size, 5 * PAGE);
    for (size_t i = 0; i < 2 * REGION; i++)
        w->bytes[i] = (uint8_t)(i * 7 + i / PAGE);
    memcpy(expected, w->bytes + REGION + 5 * PAGE, PAGE);
    memcpy(expected + PAGE, w->bytes, 3 * PAGE);
    memcpy(expected + 4 * PAGE, w->bytes + REGION, PAGE);
    assert_int_equal(resource_copy(r, &w->ram, 0, bytes, sizeof(bytes), false), 0);
    assert_memory_equal(bytes, expected, sizeof(bytes));
    /* From the middle of one run into the next. */
    assert_int_equal(resource_copy(r, &w->ram, 4 * PAGE - 10, bytes, 20, false), 0);
    assert_memory_equal(bytes, expected + 4 * PAGE - 10, 20);
    assert_int_equal(resource_copy(r, &w->ram, 4 * PAGE - 1, "xy", 2, true), 0);
    assert_int_equal(w->bytes[3 * PAGE - 1], 'x');
    assert_int_equal(w->bytes[REGION], 'y');
    assert_int_equal(resource_copy(r, &w->ram, 5 * PAGE - 1, bytes, 2, false), -EFAULT);
    assert_int_equal(resource_copy(r, &w->ram, UINT64_MAX, bytes, 2, false), -EFAULT);

    uint64_t generation = r->generation;
    assert_int_equal(attach(w, 1, scattered, 4), ERR_UNSPEC); /* it has memory */
    assert_int_equal(r->generation, generation);
    assert_int_equal(w->n_gone, 0);
    assert_int_equal(detach(w, 1), OK);
    assert_ptr_equal(w->last_gone, r);
    assert_int_equal(r->backing_size, 0);
    assert_true(r->generation > generation);
    assert_int_equal(detach(w, 1), ERR_UNSPEC);
    assert_int_equal(attach(w, 1, scattered, 1), OK);
    assert_int_equal(detach(w, 2), ERR_ID);
    assert_int_equal(attach(w, 2, scattered, 1), ERR_ID);
}

static void test_backing_that_is_refused(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *what;
        struct virtio_gpu_mem_entry entries[3];
        uint32_t n, claimed;
        uint32_t expected;
    } cases[] = {
        {"none", {{0}}, 0, 0, ERR_PARAM},
        {"an empty piece", {{.addr = LOW, .length = 0}}, 1, 1, ERR_PARAM},
        {"below the memory", {{.addr = LOW - PAGE, .length = PAGE}}, 1, 1, ERR_PARAM},
        {"half below the memory", {{.addr = LOW - PAGE, .length = 2 * PAGE}}, 1, 1, ERR_PARAM},
        {"beyond the memory", {{.addr = LOW + REGION, .length = PAGE}}, 1, 1, ERR_PARAM},
        {"over the end", {{.addr = LOW + REGION - PAGE, .length = 2 * PAGE}}, 1, 1, ERR_PARAM},
        {"in the hole", {{.addr = 0x80000000, .length = PAGE}}, 1, 1, ERR_PARAM},
        {"at the end of everything",
         {{.addr = UINT64_MAX - PAGE + 1, .length = PAGE}},
         1,
         1,
         ERR_PARAM},
        {"around the end", {{.addr = UINT64_MAX, .length = UINT32_MAX}}, 1, 1, ERR_PARAM},
        {"the longest", {{.addr = LOW, .length = UINT32_MAX}}, 1, 1, ERR_PARAM},
        {"the same page twice",
         {{.addr = LOW, .length = PAGE},
          {.addr = HIGH, .length = PAGE},
          {.addr = LOW, .length = PAGE}},
         3,
         3,
         ERR_PARAM},
        {"overlapping by a byte",
         {{.addr = LOW + PAGE, .length = PAGE}, {.addr = LOW, .length = PAGE + 1}},
         2,
         2,
         ERR_PARAM},
        {"fewer than announced", {{.addr = LOW, .length = PAGE}}, 1, 2, ERR_PARAM},
        {"more than announced",
         {{.addr = LOW, .length = PAGE}, {.addr = HIGH, .length = PAGE}},
         2,
         1,
         ERR_PARAM},
        {"a list bomb", {{.addr = LOW, .length = PAGE}}, 1, UINT32_MAX, ERR_MEMORY},
        {"one more than allowed",
         {{.addr = LOW, .length = PAGE}},
         1,
         RESOURCE_ENTRIES_MAX + 1,
         ERR_MEMORY},
        {"a list whose size wraps", {{.addr = LOW, .length = PAGE}}, 1, 0x10000001, ERR_MEMORY},
    };
    create_2d(w, 1, 8, 8, 1);
    const struct resource *r = resources_find(&w->commands.table, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint32_t type = attach_claiming(w, 1, cases[i].entries, cases[i].n, cases[i].claimed);
        if (type != cases[i].expected)
            fail_msg("%s: 0x%x instead of 0x%x", cases[i].what, type, cases[i].expected);
        assert_int_equal(r->n_runs, 0);
        struct virtio_gpu_resource_create_blob blob = {.resource_id = 2,
                                                       .blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
                                                       .nr_entries = cases[i].claimed,
                                                       .size = 1};
        type = create_blob(w, blob, cases[i].entries, cases[i].n);
        if (type != cases[i].expected)
            fail_msg("as a blob, %s: 0x%x instead of 0x%x", cases[i].what, type, cases[i].expected);
        assert_null(resources_find(&w->commands.table, 2));
    }
    /* Many pages, all of the memory, in the worst order: fine; one twice: not. */
    struct virtio_gpu_mem_entry pages[512];
    for (unsigned i = 0; i < 512; i++) {
        unsigned page = (i * 193) % 512;
        pages[i] = (struct virtio_gpu_mem_entry){
            .addr = page < 256 ? LOW + page * PAGE : HIGH + (page - 256) * PAGE, .length = PAGE};
    }
    assert_int_equal(attach(w, 1, pages, 512), OK);
    assert_int_equal(r->backing_size, 2 * REGION);
    assert_int_equal(r->n_runs, 512);
    detach(w, 1);
    assert_int_equal(w->commands.table.n_runs, 0);
    pages[100] = pages[400];
    assert_int_equal(attach(w, 1, pages, 512), ERR_PARAM);
    /* Without any memory nothing can be attached. */
    w->commands.ram = NULL;
    assert_int_equal(attach(w, 1, pages, 1), ERR_PARAM);
}

static void test_runs_across_regions(void **state)
{
    struct world *w = *state;
    struct guest_ram ram = {0};
    int fd = fd_memfd("ram", 4 * PAGE);
    /* Neighbours by guest address, not in the file. */
    assert_int_equal(guest_ram_add(&ram, 0, 2 * PAGE, 0, 2 * PAGE, dup(fd)), 0);
    assert_int_equal(guest_ram_add(&ram, 2 * PAGE, 2 * PAGE, 0x100000, 0, fd), 0);
    w->commands.ram = &ram;
    struct virtio_gpu_mem_entry whole = {.addr = PAGE, .length = 2 * PAGE};
    create_2d(w, 1, 8, 8, 1);
    assert_int_equal(attach(w, 1, &whole, 1), OK);
    const struct resource *r = resources_find(&w->commands.table, 1);
    assert_int_equal(r->n_runs, 2);
    assert_int_equal(pwrite(fd, "A", 1, 4 * PAGE - 1), 1);
    assert_int_equal(pwrite(fd, "B", 1, 0), 1);
    char two[2];
    assert_int_equal(resource_copy(r, &ram, PAGE - 1, two, 2, false), 0);
    assert_memory_equal(two, "AB", 2);
    w->commands.ram = &w->ram;
    guest_ram_finish(&ram);
}

static void test_blob(void **state)
{
    struct world *w = *state;
    const struct virtio_gpu_mem_entry two = {.addr = LOW, .length = 2 * PAGE};
    struct virtio_gpu_resource_create_blob good = {
        .resource_id = 1,
        .blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
        .blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE,
        .nr_entries = 1,
        .size = 2 * PAGE,
    };
    assert_int_equal(create_blob(w, good, &two, 1), OK);
    const struct resource *r = resources_find(&w->commands.table, 1);
    assert_int_equal(r->kind, RESOURCE_BLOB);
    assert_int_equal(r->backing_size, 2 * PAGE);
    assert_int_equal(create_blob(w, good, &two, 1), ERR_ID);
    struct virtio_gpu_resource_create_blob bad = good;
    bad.resource_id = 0;
    assert_int_equal(create_blob(w, bad, &two, 1), ERR_ID);
    bad = good;
    bad.resource_id = 2;
    bad.size = 2 * PAGE + 1;
    assert_int_equal(create_blob(w, bad, &two, 1), ERR_PARAM);
    bad.size = 0;
    assert_int_equal(create_blob(w, bad, &two, 1), ERR_PARAM);
    bad.size = UINT64_MAX;
    assert_int_equal(create_blob(w, bad, &two, 1), ERR_PARAM);
    bad.size = PAGE;
    bad.blob_flags = 8;
    assert_int_equal(create_blob(w, bad, &two, 1), ERR_PARAM);
    bad.blob_flags = 0;
    static const uint32_t memories[] = {0, VIRTIO_GPU_BLOB_MEM_HOST3D,
                                        VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST, 4};
    for (unsigned i = 0; i < 4; i++) {
        bad.blob_mem = memories[i];
        assert_int_equal(create_blob(w, bad, &two, 1), ERR_PARAM);
    }
    bad.blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST;
    w->commands.features = 0;
    assert_int_equal(create_blob(w, bad, &two, 1), ERR_UNSPEC);
    assert_null(resources_find(&w->commands.table, 2));
    w->commands.features = COMMANDS_FEATURES;
    assert_int_equal(create_blob(w, bad, &two, 1), OK);
    assert_int_equal(detach(w, 2), OK);
    assert_int_equal(unref(w, 2), OK);
    assert_int_equal(unref(w, 2), ERR_ID);
}

static void test_transfer_flush_scanout(void **state)
{
    struct world *w = *state;
    const struct virtio_gpu_mem_entry pages = {.addr = LOW, .length = 4 * PAGE};
    create_2d(w, 1, 64, 64, 1); /* 4 pages */
    struct virtio_gpu_transfer_to_host_2d t = {HDR(TRANSFER_TO_HOST_2D), .r = {0, 0, 64, 64},
                                               .resource_id = 1};
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_UNSPEC); /* from nowhere */
    attach(w, 1, &pages, 1);
    assert_int_equal(execute(w, &t, sizeof(t)), OK);
    t.offset = 1;
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_PARAM);
    t.offset = UINT64_MAX;
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_PARAM);
    t.offset = 63 * 256;
    t.r.height = 1;
    assert_int_equal(execute(w, &t, sizeof(t)), OK);
    t.r.x = 1;
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_PARAM);
    t.r.x = UINT32_MAX;
    t.r.width = 1;
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_PARAM);
    t.resource_id = 9;
    assert_int_equal(execute(w, &t, sizeof(t)), ERR_ID);

    struct virtio_gpu_resource_flush f = {HDR(RESOURCE_FLUSH), .r = {0, 0, 64, 64},
                                          .resource_id = 1};
    assert_int_equal(execute(w, &f, sizeof(f)), OK);
    f.r.y = 1;
    assert_int_equal(execute(w, &f, sizeof(f)), ERR_PARAM);
    f.resource_id = 9;
    assert_int_equal(execute(w, &f, sizeof(f)), ERR_ID);

    struct virtio_gpu_set_scanout s = {HDR(SET_SCANOUT), .r = {0, 0, 64, 64}, .resource_id = 1};
    assert_int_equal(execute(w, &s, sizeof(s)), OK);
    s.r.width = 65;
    assert_int_equal(execute(w, &s, sizeof(s)), ERR_PARAM);
    s.resource_id = 9;
    assert_int_equal(execute(w, &s, sizeof(s)), ERR_ID);
    s.resource_id = 0;
    assert_int_equal(execute(w, &s, sizeof(s)), OK);
    s.scanout_id = VIRTIO_GPU_MAX_SCANOUTS;
    assert_int_equal(execute(w, &s, sizeof(s)), ERR_SCANOUT);

    struct virtio_gpu_resource_create_blob blob = {
        .resource_id = 2, .blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST, .nr_entries = 1, .size = 4 * PAGE};
    create_blob(w, blob, &pages, 1);
    struct virtio_gpu_set_scanout_blob b = {
        HDR(SET_SCANOUT_BLOB), .r = {0, 0, 64, 64}, .resource_id = 2, .width = 64,
        .height = 64,          .format = 1,         .strides = {256}};
    assert_int_equal(execute(w, &b, sizeof(b)), OK);
    b.offsets[0] = 1;
    assert_int_equal(execute(w, &b, sizeof(b)), ERR_PARAM);
    b.offsets[0] = 0;
    b.strides[0] = 255;
    assert_int_equal(execute(w, &b, sizeof(b)), ERR_PARAM);
    b.strides[0] = UINT32_MAX;
    assert_int_equal(execute(w, &b, sizeof(b)), ERR_PARAM);
    b.strides[0] = 256;
    b.r.x = 1;
    assert_int_equal(execute(w, &b, sizeof(b)), ERR_PARAM);
    b.r.x = 0;
    b.resource_id = 1; /* no blob */
    assert_int_equal(execute(w, &b, sizeof(b)), ERR_PARAM);
}

static void test_uuid(void **state)
{
    struct world *w = *state;
    struct virtio_gpu_resource_assign_uuid c = {HDR(RESOURCE_ASSIGN_UUID), .resource_id = 1};
    struct virtio_gpu_resp_resource_uuid first, again, other;
    assert_int_equal(execute(w, &c, sizeof(c)), ERR_ID);
    create_2d(w, 1, 8, 8, 1);
    create_2d(w, 2, 8, 8, 1);
    assert_int_equal(execute(w, &c, sizeof(c)), VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
    memcpy(&first, response, sizeof(first));
    execute(w, &c, sizeof(c));
    memcpy(&again, response, sizeof(again));
    assert_memory_equal(first.uuid, again.uuid, 16);
    c.resource_id = 2;
    execute(w, &c, sizeof(c));
    memcpy(&other, response, sizeof(other));
    assert_memory_not_equal(first.uuid, other.uuid, 16);
    w->commands.features = 0;
    assert_int_equal(execute(w, &c, sizeof(c)), ERR_UNSPEC);
}

static void test_lengths(void **state)
{
    struct world *w = *state;
    static const struct {
        uint32_t type;
        size_t size;
    } fixed[] = {
        {VIRTIO_GPU_CMD_GET_DISPLAY_INFO, 24},        {VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, 40},
        {VIRTIO_GPU_CMD_RESOURCE_UNREF, 32},          {VIRTIO_GPU_CMD_SET_SCANOUT, 48},
        {VIRTIO_GPU_CMD_RESOURCE_FLUSH, 48},          {VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, 56},
        {VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, 32}, {VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 32},
        {VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 32},    {VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, 56},
        {VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, 96},
    };
    create_2d(w, 1, 8, 8, 1);
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
        uint8_t bytes[256] = {0};
        uint32_t one = 1;
        memcpy(bytes, &fixed[i].type, 4);
        memcpy(bytes + 24, &one, 4); /* most have the id here */
        for (size_t size = 0; size <= 128; size++) {
            uint32_t type = execute(w, bytes, size);
            if (size < 24)
                assert_int_equal(type, ERR_UNSPEC);
            else if (size != fixed[i].size)
                assert_int_equal(type, ERR_PARAM);
        }
        if (!resources_find(&w->commands.table, 1))
            create_2d(w, 1, 8, 8, 1);
    }
    /* What we have not: EDID, 3D, and numbers that nobody knows. */
    static const uint32_t unknown[] = {0,     0x108, 0x109, 0x10a, 0x10e,  0x200,     0x204,
                                       0x207, 0x208, 0x300, 0x301, 0x1100, UINT32_MAX};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
        uint8_t bytes[64] = {0};
        memcpy(bytes, &unknown[i], 4);
        assert_int_equal(execute(w, bytes, sizeof(bytes)), ERR_UNSPEC);
    }
    /* Longer than can be gathered: refused without looking. */
    struct virtio_gpu_resource_attach_backing c = {HDR(RESOURCE_ATTACH_BACKING), .resource_id = 1,
                                                   .nr_entries = 1};
    uint8_t *large = calloc(1, COMMANDS_REQUEST_MAX);
    struct resource *doomed;
    struct virtio_gpu_ctrl_hdr h;
    memcpy(large, &c, sizeof(c));
    commands_control(&w->commands, large, COMMANDS_REQUEST_MAX + 16, response, &doomed);
    memcpy(&h, response, sizeof(h));
    assert_int_equal(h.type, ERR_PARAM);
    free(large);
}

static void test_cursor(void **state)
{
    struct world *w = *state;
    struct virtio_gpu_update_cursor c = {HDR(UPDATE_CURSOR)};
    struct virtio_gpu_ctrl_hdr h;
    uint8_t bytes[256] = {0};
#define CURSOR(size)                                                                               \
    (memcpy(bytes, &c, sizeof(c)), commands_cursor(&w->commands, bytes, size, response),           \
     memcpy(&h, response, sizeof(h)), h.type)
    assert_int_equal(CURSOR(sizeof(c)), OK);
    c.resource_id = 5;
    assert_int_equal(CURSOR(sizeof(c)), ERR_ID);
    create_2d(w, 5, 64, 64, 1);
    assert_int_equal(CURSOR(sizeof(c)), OK);
    assert_int_equal(CURSOR(sizeof(c) - 1), ERR_PARAM);
    assert_int_equal(CURSOR(sizeof(c) + 1), ERR_PARAM);
    assert_int_equal(CURSOR(10), ERR_UNSPEC);
    c.pos.scanout_id = 16;
    assert_int_equal(CURSOR(sizeof(c)), ERR_SCANOUT);
    c.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF;
    assert_int_equal(CURSOR(sizeof(c)), ERR_UNSPEC);
    assert_non_null(resources_find(&w->commands.table, 5));
}

static void test_unref_of_held(void **state)
{
    struct world *w = *state;
    struct resource *doomed;
    struct virtio_gpu_resource_unref c = {HDR(RESOURCE_UNREF), .resource_id = 1};
    create_2d(w, 1, 8, 8, 1);
    struct resource *r = resources_find(&w->commands.table, 1);
    uint64_t generation = r->generation;
    r->holds = 1;
    assert_int_equal(execute_held(w, &c, sizeof(c), &doomed), OK);
    assert_ptr_equal(doomed, r);
    assert_ptr_equal(w->last_gone, r);
    assert_null(resources_find(&w->commands.table, 1));
    /* The id may be used again before the old one is let go. */
    assert_int_equal(create_2d(w, 1, 8, 8, 1), OK);
    assert_true(resources_find(&w->commands.table, 1)->generation > generation);
    resource_destroy(&w->commands.table, doomed);
    assert_non_null(resources_find(&w->commands.table, 1));
}

static void test_exhaustion(void **state)
{
    struct world *w = *state;
    for (uint32_t i = 1; i <= RESOURCES_MAX; i++)
        assert_int_equal(create_2d(w, i * 4096, 8, 8, 1), OK);
    assert_int_equal(create_2d(w, 1, 8, 8, 1), ERR_MEMORY);
    assert_int_equal(unref(w, 4096), OK);
    assert_int_equal(create_2d(w, 1, 8, 8, 1), OK);
}

/* Against a model: which ids exist, of which generation, with how much memory. */
static void test_model(void **state)
{
    enum { IDS = 40 };
    struct world *w = *state;
    struct {
        bool exists;
        uint64_t size, generation;
    } model[IDS + 1] = {0};
    uint32_t seed = 12345;
    uint64_t newest = 0;
    for (unsigned step = 0; step < 20000; step++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t id = (seed >> 8) % IDS + 1, pages = (seed >> 20) % 8 + 1;
        uint64_t start = (seed >> 13) % 240;
        struct virtio_gpu_mem_entry e[2] = {
            {.addr = LOW + start * PAGE, .length = pages * PAGE},
            {.addr = HIGH + start * PAGE, .length = PAGE},
        };
        struct resource *r;
        switch (seed >> 29) {
        case 0:
        case 1:
            assert_int_equal(create_2d(w, id, 8, 8, 1), model[id].exists ? ERR_ID : OK);
            if (!model[id].exists)
                model[id].exists = true, model[id].size = 0;
            break;
        case 2:
            assert_int_equal(unref(w, id), model[id].exists ? OK : ERR_ID);
            model[id].exists = false;
            break;
        case 3:
        case 4:
        case 5:
            assert_int_equal(attach(w, id, e, 2), !model[id].exists ? ERR_ID
                                                  : model[id].size  ? ERR_UNSPEC
                                                                    : OK);
            if (model[id].exists && !model[id].size)
                model[id].size = (pages + 1) * PAGE;
            break;
        default:
            assert_int_equal(detach(w, id), !model[id].exists ? ERR_ID
                                            : model[id].size  ? OK
                                                              : ERR_UNSPEC);
            model[id].size = 0;
            break;
        }
        uint32_t n = 0;
        uint64_t runs = 0;
        for (uint32_t i = 1; i <= IDS; i++) {
            r = resources_find(&w->commands.table, i);
            assert_int_equal(r != NULL, model[i].exists);
            if (!r)
                continue;
            n++;
            runs += r->n_runs;
            assert_int_equal(r->backing_size, model[i].size);
            if (r->generation != model[i].generation) /* never one that was there before */
                assert_true(r->generation > newest);
        }
        for (uint32_t i = 1; i <= IDS; i++) {
            r = resources_find(&w->commands.table, i);
            if (r) {
                model[i].generation = r->generation;
                newest = r->generation > newest ? r->generation : newest;
            }
        }
        assert_int_equal(w->commands.table.n, n);
        assert_int_equal(w->commands.table.n_runs, runs);
    }
}

static void test_ram(void **state)
{
    (void)state;
    struct guest_ram ram = {0};
    int before = count_fds();
    int fd = fd_memfd("ram", 4 * PAGE);
    assert_int_equal(guest_ram_add(&ram, 0, 0, 0, 0, dup(fd)), -EINVAL);
    assert_int_equal(guest_ram_add(&ram, UINT64_MAX, 2, 0, 0, dup(fd)), -EINVAL);
    assert_int_equal(guest_ram_add(&ram, 0, PAGE, UINT64_MAX, 0, dup(fd)), -EINVAL);
    assert_int_equal(guest_ram_add(&ram, 0, PAGE, 0, UINT64_MAX, dup(fd)), -EINVAL);
    assert_int_equal(guest_ram_add(&ram, 0, 5 * PAGE, 0, 0, dup(fd)), -ENXIO);
    assert_int_equal(guest_ram_add(&ram, 0, PAGE, 0, 4 * PAGE, dup(fd)), -ENXIO);
    assert_int_equal(guest_ram_add(&ram, PAGE, PAGE, PAGE, 0, dup(fd)), 0);
    assert_int_equal(guest_ram_add(&ram, 0, 2 * PAGE, 8 * PAGE, 0, dup(fd)),
                     -EINVAL); /* overlaps by gpa */
    assert_int_equal(guest_ram_add(&ram, 8 * PAGE, 2 * PAGE, 0, 0, dup(fd)),
                     -EINVAL); /* by uaddr */
    assert_int_equal(guest_ram_add(&ram, 2 * PAGE, 2 * PAGE, 2 * PAGE, 2 * PAGE, dup(fd)), 0);
    assert_non_null(guest_ram_at(&ram, PAGE, PAGE));
    assert_null(guest_ram_at(&ram, PAGE, PAGE + 1));
    assert_null(guest_ram_at(&ram, PAGE, UINT64_MAX));
    assert_null(guest_ram_at(&ram, 0, 1));
    assert_null(guest_ram_at_uaddr(&ram, UINT64_MAX, 2));
    assert_int_equal(guest_ram_remove(&ram, PAGE, PAGE, 0), -ENOENT);
    assert_int_equal(guest_ram_remove(&ram, PAGE, PAGE, PAGE), 0);
    assert_null(guest_ram_find(&ram, PAGE));
    for (uint64_t i = ram.n; i < GUEST_RAM_REGIONS_MAX; i++)
        assert_int_equal(guest_ram_add(&ram, (i + 10) * PAGE, PAGE, (i + 10) * PAGE, 0, dup(fd)),
                         0);
    assert_int_equal(guest_ram_add(&ram, 100 * PAGE, PAGE, 100 * PAGE, 0, dup(fd)), -E2BIG);
    guest_ram_finish(&ram);
    fd_close(fd);
    assert_int_equal(count_fds(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_display_info, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fences_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_create_2d, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attach, setup, teardown),
        cmocka_unit_test_setup_teardown(test_backing_that_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runs_across_regions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blob, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transfer_flush_scanout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uuid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lengths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cursor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unref_of_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exhaustion, setup, teardown),
        cmocka_unit_test_setup_teardown(test_model, setup, teardown),
        cmocka_unit_test(test_ram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
