/* SPDX-License-Identifier: MIT */
/* What the guest's driver may ask, and each way to ask wrongly. */
#include "tests/unit/gpu/gpu_guest.h"

static void test_display_info(void **state)
{
    struct world *w = *state;
    struct virtio_gpu_ctrl_hdr c = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
    struct virtio_gpu_resp_display_info info;
    assert_int_equal(execute(w, &c, sizeof(c)), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
    memcpy(&info, guest_response, sizeof(info));
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
    memcpy(&h, guest_response, sizeof(h));
    assert_int_equal(h.flags, VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX);
    assert_int_equal(h.fence_id, 0x123456789abcdef0);
    assert_int_equal(h.ctx_id, 7);
    assert_int_equal(h.ring_idx, 3);
    /* On errors too: the guest waits for it. */
    assert_int_equal(execute(w, &c, sizeof(c)), ERR_ID);
    memcpy(&h, guest_response, sizeof(h));
    assert_int_equal(h.fence_id, 0x123456789abcdef0);
    c.hdr.flags = 0;
    c.resource_id = 2;
    execute(w, &c, sizeof(c));
    memcpy(&h, guest_response, sizeof(h));
    assert_int_equal(h.flags, 0);
    assert_int_equal(h.fence_id, 0);
}

static void test_create_2d(void **state)
{
    struct world *w = *state;
    static const uint32_t formats[] = {1, 2, 3, 4, 67, 68, 121, 134};
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        assert_int_equal(create_2d(w, 10 + i, 64, 32, formats[i]), OK);
        assert_int_not_equal(resource_fourcc(formats[i]), 0);
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
    memcpy(&first, guest_response, sizeof(first));
    execute(w, &c, sizeof(c));
    memcpy(&again, guest_response, sizeof(again));
    assert_memory_equal(first.uuid, again.uuid, 16);
    c.resource_id = 2;
    execute(w, &c, sizeof(c));
    memcpy(&other, guest_response, sizeof(other));
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
    commands_control(&w->commands, large, COMMANDS_REQUEST_MAX + 16, guest_response, &doomed);
    memcpy(&h, guest_response, sizeof(h));
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
    (memcpy(bytes, &c, sizeof(c)), commands_cursor(&w->commands, bytes, size, guest_response),     \
     memcpy(&h, guest_response, sizeof(h)), h.type)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_display_info, commands_setup, commands_teardown),
        cmocka_unit_test_setup_teardown(test_fences_come_back, commands_setup, commands_teardown),
        cmocka_unit_test_setup_teardown(test_create_2d, commands_setup, commands_teardown),
        cmocka_unit_test_setup_teardown(test_transfer_flush_scanout, commands_setup,
                                        commands_teardown),
        cmocka_unit_test_setup_teardown(test_uuid, commands_setup, commands_teardown),
        cmocka_unit_test_setup_teardown(test_lengths, commands_setup, commands_teardown),
        cmocka_unit_test_setup_teardown(test_cursor, commands_setup, commands_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
