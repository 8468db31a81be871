/* SPDX-License-Identifier: MIT */
/* The device and its hypervisor: how queues start and stop, memory that changes, resets, and
 * messages that make no sense. */
#include "tests/unit/gpu/gpu_frontend.h"

struct world {
    struct loop *loop;
    struct device *device;
    struct fake_frontend f;
    unsigned gone, forgotten, resets;
};

static void on_gone(void *user, struct resource *resource)
{
    (void)resource;
    ((struct world *)user)->gone++;
}

static void on_forget(void *user, struct resource *resource)
{
    (void)resource;
    ((struct world *)user)->forgotten++;
}

static void on_changed(void *user)
{
    (void)user;
}

static void on_reset(void *user)
{
    ((struct world *)user)->resets++;
}

static const struct device_ops ops = {on_gone, on_forget, on_changed, on_reset, NULL, NULL};
static int fds_before;

static int setup(void **state)
{
    fds_before = count_fds();
    struct world *w = calloc(1, sizeof(*w));
    w->loop = loop_create();
    w->device = device_create(w->loop, DEVICE_UNREF_MS);
    assert_non_null(w->device);
    device_listen(w->device, &ops, w);
    gpu_frontend_init(&w->f, w->loop, w->device);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    frontend_finish(&w->f);
    device_destroy(w->device);
    loop_destroy(w->loop);
    free(w);
    assert_int_equal(count_fds(), fds_before);
    return 0;
}

static void start(struct world *w)
{
    frontend_negotiate(&w->f, ALL_FEATURES);
    frontend_start(&w->f);
}

static void test_commands_through_queues(void **state)
{
    struct world *w = *state;
    uint32_t written;
    start(w);
    assert_true(device_has_driver(w->device));
    assert_int_equal(frontend_get(&w->f, VHOST_USER_GET_QUEUE_NUM), 2);
    for (uint32_t i = 1; i < 300; i++) /* around the rings */
        assert_int_equal(driver_create(&w->f, i, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
    assert_non_null(device_find(w->device, 299));
    assert_null(device_find(w->device, 300));
    assert_int_equal(driver_simple(&w->f, VIRTIO_GPU_CMD_RESOURCE_UNREF, 299),
                     VIRTIO_GPU_RESP_OK_NODATA);
    assert_null(device_find(w->device, 299));

    /* Many at once, answered in their order. */
    unsigned slots[SLOTS];
    for (unsigned i = 0; i < SLOTS; i++) {
        struct virtio_gpu_resource_unref c = {.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_UNREF},
                                              .resource_id = i + 1};
        slots[i] = frontend_put(&w->f, 0, &c, sizeof(c), 24);
    }
    frontend_kick(&w->f, 0);
    for (unsigned i = 0; i < SLOTS; i++) {
        assert_int_equal(frontend_take(&w->f, 0, &written), slots[i]);
        assert_int_equal(written, 24);
    }
    /* The cursor has a queue of its own, and no answers in it. */
    struct virtio_gpu_update_cursor c = {.hdr = {.type = VIRTIO_GPU_CMD_MOVE_CURSOR}};
    frontend_put(&w->f, 1, &c, sizeof(c), 0);
    frontend_kick(&w->f, 1);
    frontend_take(&w->f, 1, &written);
    assert_int_equal(written, 0);
}

static void test_room_for_the_answer(void **state)
{
    struct world *w = *state;
    struct virtio_gpu_ctrl_hdr c = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
    uint32_t written;
    start(w);
    unsigned slot =
        frontend_put(&w->f, 0, &c, sizeof(c), sizeof(struct virtio_gpu_resp_display_info));
    frontend_kick(&w->f, 0);
    frontend_take(&w->f, 0, &written);
    assert_int_equal(written, sizeof(struct virtio_gpu_resp_display_info));
    assert_int_equal(driver_answer(&w->f, 0, slot).type, VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
    slot = frontend_put(&w->f, 0, &c, sizeof(c), sizeof(struct virtio_gpu_resp_display_info) - 1);
    frontend_kick(&w->f, 0);
    frontend_take(&w->f, 0, &written);
    assert_int_equal(written, 24);
    assert_int_equal(driver_answer(&w->f, 0, slot).type, VIRTIO_GPU_RESP_ERR_UNSPEC);
    frontend_put(&w->f, 0, &c, sizeof(c), 23);
    frontend_kick(&w->f, 0);
    frontend_take(&w->f, 0, &written);
    assert_int_equal(written, 0);
    frontend_put(&w->f, 0, &c, sizeof(c), 0);
    frontend_kick(&w->f, 0);
    frontend_take(&w->f, 0, &written);
    assert_int_equal(written, 0);
}

static void test_config(void **state)
{
    struct world *w = *state;
    frontend_negotiate(&w->f, ALL_FEATURES);
    struct {
        struct vhost_user_config c;
        uint8_t bytes[20];
    } get = {.c = {.offset = 0, .size = 20}}, got;
    memset(get.bytes, 0xaa, sizeof(get.bytes));
    frontend_send(&w->f, VHOST_USER_GET_CONFIG, 0, &get, sizeof(get), NULL, 0);
    assert_int_equal(frontend_receive(&w->f, VHOST_USER_GET_CONFIG, &got, sizeof(got)),
                     sizeof(got));
    for (unsigned i = 0; i < sizeof(got.bytes); i++)
        assert_int_equal(got.bytes[i], 0); /* no scanouts, no capability sets */
    /* What cannot be is answered with nothing. */
    get.c.size = 21;
    frontend_send(&w->f, VHOST_USER_GET_CONFIG, 0, &get, sizeof(get), NULL, 0);
    assert_int_equal(frontend_receive(&w->f, VHOST_USER_GET_CONFIG, &got, sizeof(got)), 0);
    get.c.size = 20;
    get.c.offset = UINT32_MAX;
    frontend_send(&w->f, VHOST_USER_GET_CONFIG, 0, &get, sizeof(get), NULL, 0);
    assert_int_equal(frontend_receive(&w->f, VHOST_USER_GET_CONFIG, &got, sizeof(got)), 0);
    get.c.offset = 0;
    frontend_set(&w->f, VHOST_USER_SET_CONFIG, &get, sizeof(get), NULL, 0);
}

static void test_memory_table_again(void **state)
{
    struct world *w = *state;
    start(w);
    driver_make(&w->f, 1, RAM_HIGH_GPA, RAM_HIGH_GPA + 2 * PAGE);
    uint64_t generation = device_find(w->device, 1)->generation;
    frontend_set_memory(&w->f); /* the same, as at every probe */
    assert_int_equal(device_find(w->device, 1)->generation, generation);
    assert_int_equal(driver_create(&w->f, 2, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);

    /* The high region becomes another file: what lay there is lost. The table is larger than it
     * needs to be. */
    int other = fd_memfd("ram", RAM_REGION);
    struct {
        uint32_t n, zero;
        struct vhost_user_region r[3];
    } table = {
        .n = 2,
        .r = {{RAM_LOW_GPA, RAM_REGION, RAM_LOW_UADDR, 0},
              {RAM_HIGH_GPA, RAM_REGION, RAM_HIGH_UADDR, 0}},
    };
    int fds[2] = {w->f.ram_fd, other};
    frontend_set(&w->f, VHOST_USER_SET_MEM_TABLE, &table, sizeof(table), fds, 2);
    assert_int_equal(w->gone, 1);
    assert_int_equal(device_find(w->device, 1)->backing_size, 0);
    assert_true(device_find(w->device, 1)->generation > generation);
    assert_int_equal(driver_create(&w->f, 3, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
    close(other);
}

static void test_memory_slots(void **state)
{
    struct world *w = *state;
    start(w);
    assert_true(frontend_get(&w->f, VHOST_USER_GET_MAX_MEM_SLOTS) >= 8);
    struct {
        uint64_t zero;
        struct vhost_user_region r;
    } slot = {.r = {RAM_HIGH_GPA, RAM_REGION, RAM_HIGH_UADDR, RAM_REGION}};
    driver_make(&w->f, 1, RAM_HIGH_GPA, RAM_HIGH_GPA + 2 * PAGE);
    driver_make(&w->f, 2, RAM_LOW_GPA + 0x80000, RAM_LOW_GPA + 0x90000);
    frontend_set(&w->f, VHOST_USER_REM_MEM_REG, &slot, sizeof(slot), NULL, 0);
    assert_int_equal(device_find(w->device, 1)->backing_size, 0);
    assert_int_equal(device_find(w->device, 2)->backing_size, 2 * PAGE);
    assert_int_equal(frontend_try(&w->f, VHOST_USER_REM_MEM_REG, &slot, sizeof(slot), NULL, 0), 1);
    frontend_set(&w->f, VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), &w->f.ram_fd, 1);
    assert_int_equal(
        frontend_try(&w->f, VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), &w->f.ram_fd, 1), 1);
    const struct virtio_gpu_mem_entry e = {.addr = RAM_HIGH_GPA, .length = PAGE};
    assert_int_equal(driver_attach(&w->f, 1, &e, 1), VIRTIO_GPU_RESP_OK_NODATA);
}

static void test_pause_keeps_resources(void **state)
{
    struct world *w = *state;
    start(w);
    driver_make(&w->f, 1, RAM_HIGH_GPA, RAM_HIGH_GPA + 2 * PAGE);
    uint64_t epoch = device_epoch(w->device);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(frontend_get_base(&w->f, i), i == 0 ? 3 : 0);
    assert_false(device_has_driver(w->device));
    /* What comes meanwhile waits. */
    struct virtio_gpu_resource_unref c = {.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_UNREF},
                                          .resource_id = 1};
    frontend_put(&w->f, 0, &c, sizeof(c), 24);
    turn_times(w->loop, 10);
    assert_false(frontend_answered(&w->f.q[0]));
    frontend_start_queue(&w->f, 0, 3, false);
    frontend_start_queue(&w->f, 1, 0, false);
    assert_int_equal(device_epoch(w->device), epoch);
    turn_until(w->loop, frontend_answered, &w->f.q[0]); /* without a kick */
    assert_null(device_find(w->device, 1));
}

static void test_resets(void **state)
{
    struct world *w = *state;
    start(w);
    uint64_t epoch = device_epoch(w->device);
    /* As QEMU does: it asks for the base, and a new driver begins at 0. */
    driver_make(&w->f, 1, RAM_HIGH_GPA, RAM_HIGH_GPA + 2 * PAGE);
    for (uint32_t i = 0; i < 2; i++)
        frontend_get_base(&w->f, i);
    frontend_start(&w->f);
    assert_true(device_epoch(w->device) > epoch);
    assert_null(device_find(w->device, 1));
    assert_int_equal(driver_create(&w->f, 1, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
    /* As Linux does in UML: it only disables the queues. */
    epoch = device_epoch(w->device);
    frontend_set_state(&w->f, VHOST_USER_SET_VRING_ENABLE, 1, 0);
    frontend_set_state(&w->f, VHOST_USER_SET_VRING_ENABLE, 0, 0);
    assert_non_null(device_find(w->device, 1));
    frontend_start(&w->f);
    assert_true(device_epoch(w->device) > epoch);
    assert_null(device_find(w->device, 1));
    /* And where it is said. */
    assert_int_equal(driver_create(&w->f, 1, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
    epoch = device_epoch(w->device);
    frontend_set(&w->f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
    assert_true(device_epoch(w->device) > epoch);
    assert_null(device_find(w->device, 1));
    frontend_start(&w->f);
    assert_int_equal(driver_create(&w->f, 1, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
}

static void test_reconnect(void **state)
{
    struct world *w = *state;
    int ends[2];
    start(w);
    driver_create(&w->f, 1, 8, 8);
    /* One VM at a time. */
    make_sockets(ends, 0);
    assert_int_equal(device_connect(w->device, ends[1], frontend_was_closed, &w->f), -EBUSY);
    close(ends[0]);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t epoch = device_epoch(w->device);
        w->f.socket = fd_close(w->f.socket);
        turn_until(w->loop, frontend_is_closed, &w->f);
        turn_times(w->loop, 2);
        assert_int_equal(w->f.closed_reason, 0);
        assert_null(device_find(w->device, 1));
        assert_null(device_ram(w->device));
        assert_false(device_has_driver(w->device));
        assert_true(device_epoch(w->device) > epoch);
        frontend_connect(&w->f);
        start(w);
        assert_int_equal(driver_create(&w->f, 1, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
    }
}

static void test_features_are_the_drivers(void **state)
{
    struct world *w = *state;
    struct virtio_gpu_resource_assign_uuid c = {
        .hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID}, .resource_id = 1};
    frontend_negotiate(&w->f, FEATURE(32) | FEATURE(VHOST_USER_F_PROTOCOL_FEATURES));
    frontend_start(&w->f);
    driver_create(&w->f, 1, 8, 8);
    assert_int_equal(driver_command(&w->f, &c, sizeof(c)), VIRTIO_GPU_RESP_ERR_UNSPEC);
    assert_true(
        device_is_shared(w->device, device_find(w->device, 1))); /* there is no way to say so */
}

static void test_sharing(void **state)
{
    struct world *w = *state;
    start(w);
    driver_create(&w->f, 1, 8, 8);
    assert_false(device_is_shared(w->device, device_find(w->device, 1)));
    driver_simple(&w->f, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 1);
    assert_true(device_is_shared(w->device, device_find(w->device, 1)));
    struct {
        struct virtio_gpu_resource_create_blob c;
        struct virtio_gpu_mem_entry e;
    } blob = {
        .c = {.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB},
              .resource_id = 2,
              .blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
              .blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
              .nr_entries = 1,
              .size = PAGE},
        .e = {.addr = RAM_HIGH_GPA, .length = PAGE},
    };
    assert_int_equal(driver_command(&w->f, &blob, sizeof(blob)), VIRTIO_GPU_RESP_OK_NODATA);
    assert_false(device_is_shared(w->device, device_find(w->device, 2)));
    blob.c.resource_id = 3;
    blob.c.blob_flags |= VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE;
    driver_command(&w->f, &blob, sizeof(blob));
    assert_true(device_is_shared(w->device, device_find(w->device, 3)));
}

static void test_broken_ring_until_restart(void **state)
{
    struct world *w = *state;
    uint64_t index = 0, count;
    start(w);
    int error = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    frontend_set(&w->f, VHOST_USER_SET_VRING_ERR, &index, 8, &error, 1);
    driver_create(&w->f, 1, 8, 8);
    w->f.q[0].avail->ring[w->f.q[0].avail->idx % RING_SIZE] = RING_SIZE;
    w->f.q[0].avail->idx++;
    frontend_kick(&w->f, 0);
    turn_times(w->loop, 10);
    assert_int_equal(read(error, &count, 8), 8);
    assert_false(device_has_driver(w->device));
    frontend_start(&w->f);
    assert_int_equal(driver_create(&w->f, 1, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
    close(error);
}

static void test_display_socket_stays_open(void **state)
{
    struct world *w = *state;
    int ends[2];
    uint8_t byte;
    frontend_negotiate(&w->f, ALL_FEATURES);
    make_sockets(ends, 0);
    frontend_set(&w->f, VHOST_USER_GPU_SET_SOCKET, NULL, 0, &ends[1], 1);
    close(ends[1]);
    frontend_start(&w->f);
    assert_int_equal(recv(ends[0], &byte, 1, MSG_DONTWAIT), -1); /* open, and silent */
    assert_int_equal(errno, EAGAIN);
    close(ends[0]);
}

/* What fails without ending the connection. */
static void test_impossible_requests(void **state)
{
    struct world *w = *state;
    start(w);
    struct vhost_user_state s = {2, 16};
    static const uint32_t states[] = {VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE,
                                      VHOST_USER_SET_VRING_ENABLE};
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(frontend_try(&w->f, states[i], &s, sizeof(s), NULL, 0), 1);
    static const uint32_t sizes[] = {0, 3, 24, 2048, 65536};
    for (unsigned i = 0; i < 5; i++) {
        s = (struct vhost_user_state){0, sizes[i]};
        assert_int_equal(frontend_try(&w->f, VHOST_USER_SET_VRING_NUM, &s, sizeof(s), NULL, 0), 1);
    }
    s = (struct vhost_user_state){0, 65536};
    assert_int_equal(frontend_try(&w->f, VHOST_USER_SET_VRING_BASE, &s, sizeof(s), NULL, 0), 1);
    uint64_t index = 5;
    assert_int_equal(frontend_try(&w->f, VHOST_USER_SET_VRING_CALL, &index, 8, &w->f.q[0].call, 1),
                     1);
    assert_int_equal(frontend_try(&w->f, 99, NULL, 0, NULL, 0), 1);
    /* Rings outside of the memory. */
    struct vhost_user_addr addr = {.index = 0, .desc = 1, .used = 2, .avail = 3};
    frontend_set(&w->f, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
    index = 0;
    assert_int_equal(frontend_try(&w->f, VHOST_USER_SET_VRING_KICK, &index, 8, &w->f.q[0].kick, 1),
                     1);
    assert_false(device_has_driver(w->device));
    frontend_start(&w->f);
    assert_true(device_has_driver(w->device));
}

/* Messages that no frontend sends end the connection, and with it everything that it had. */
static void test_malformed_messages(void **state)
{
    struct world *w = *state;
    uint8_t zeros[512] = {0};
    uint32_t many[2] = {9, 0}, none[2] = {0, 0}, one[2] = {1, 0};
    int fds[9];
    for (unsigned i = 0; i < 9; i++)
        fds[i] = w->f.ram_fd;
    struct {
        uint32_t request;
        const void *payload;
        uint32_t size;
        unsigned n_fds;
    } cases[] = {
        {VHOST_USER_SET_FEATURES, zeros, 4, 0},    {VHOST_USER_SET_FEATURES, zeros, 16, 0},
        {VHOST_USER_SET_FEATURES, zeros, 8, 1},    {VHOST_USER_SET_VRING_NUM, zeros, 7, 0},
        {VHOST_USER_SET_VRING_ADDR, zeros, 39, 0}, {VHOST_USER_SET_VRING_ADDR, zeros, 41, 0},
        {VHOST_USER_SET_VRING_KICK, zeros, 8, 0},  {VHOST_USER_SET_VRING_KICK, zeros, 8, 2},
        {VHOST_USER_SET_VRING_KICK, zeros, 4, 1},  {VHOST_USER_GET_VRING_BASE, zeros, 4, 0},
        {VHOST_USER_GET_CONFIG, zeros, 11, 0},     {VHOST_USER_SET_MEM_TABLE, zeros, 4, 0},
        {VHOST_USER_SET_MEM_TABLE, none, 8, 0},    {VHOST_USER_SET_MEM_TABLE, one, 8, 1},
        {VHOST_USER_SET_MEM_TABLE, many, 8, 8},    {VHOST_USER_SET_MEM_TABLE, zeros, 512, 9},
        {VHOST_USER_ADD_MEM_REG, zeros, 40, 0},    {VHOST_USER_REM_MEM_REG, zeros, 39, 0},
        {VHOST_USER_GPU_SET_SOCKET, zeros, 0, 0},  {VHOST_USER_SET_BACKEND_REQ_FD, zeros, 0, 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        start(w);
        frontend_send(&w->f, cases[i].request, VHOST_USER_NEED_REPLY, cases[i].payload,
                      cases[i].size, fds, cases[i].n_fds);
        turn_until(w->loop, frontend_is_closed, &w->f);
        if (w->f.closed_reason != -EPROTO)
            fail_msg("case %zu: %d", i, w->f.closed_reason);
        turn_times(w->loop, 2);
        assert_null(device_ram(w->device));
        close(w->f.socket);
        frontend_connect(&w->f);
    }
    static const uint32_t headers[][3] = {
        {VHOST_USER_GET_FEATURES, 1, VHOST_USER_PAYLOAD_MAX + 1},
        {VHOST_USER_GET_FEATURES, 1, UINT32_MAX},
        {VHOST_USER_GET_FEATURES, 0, 0},
        {VHOST_USER_GET_FEATURES, 2, 0},
        {VHOST_USER_GET_FEATURES, 1 | VHOST_USER_REPLY, 0},
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
        assert_int_equal(send(w->f.socket, headers[i], 12, 0), 12);
        turn_until(w->loop, frontend_is_closed, &w->f);
        turn_times(w->loop, 2);
        close(w->f.socket);
        frontend_connect(&w->f);
    }
}

static void test_memory_that_is_not_there(void **state)
{
    struct world *w = *state;
    frontend_negotiate(&w->f, ALL_FEATURES);
    struct {
        uint32_t n, zero;
        struct vhost_user_region r[2];
    } table = {.n = 2};
    const struct vhost_user_region good = {RAM_LOW_GPA, RAM_REGION, RAM_LOW_UADDR, 0};
    const struct vhost_user_region bad[] = {
        {RAM_HIGH_GPA, 0, RAM_HIGH_UADDR, 0},
        {RAM_HIGH_GPA, 4 * RAM_REGION, RAM_HIGH_UADDR, 0},
        {RAM_HIGH_GPA, RAM_REGION, RAM_HIGH_UADDR, 2 * RAM_REGION},
        {RAM_HIGH_GPA, RAM_REGION, RAM_HIGH_UADDR, UINT64_MAX},
        {UINT64_MAX, RAM_REGION, RAM_HIGH_UADDR, 0},
        {RAM_LOW_GPA + PAGE, PAGE, RAM_HIGH_UADDR, 0},
        {RAM_HIGH_GPA, PAGE, RAM_LOW_UADDR, 0},
    };
    int fds[2] = {w->f.ram_fd, w->f.ram_fd}, pipes[2];
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        table.r[0] = good;
        table.r[1] = bad[i];
        assert_int_equal(
            frontend_try(&w->f, VHOST_USER_SET_MEM_TABLE, &table, sizeof(table), fds, 2), 1);
        assert_null(device_ram(w->device));
    }
    assert_int_equal(pipe(pipes), 0);
    table.n = 1;
    assert_int_equal(frontend_try(&w->f, VHOST_USER_SET_MEM_TABLE, &table, sizeof(table), pipes, 1),
                     1);
    close(pipes[0]);
    close(pipes[1]);
    frontend_start(&w->f); /* the connection goes on */
    assert_int_equal(driver_create(&w->f, 1, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
}

/* Messages in pieces, and several at once. */
static void test_any_pieces(void **state)
{
    struct world *w = *state;
    uint32_t twice[6] = {VHOST_USER_GET_QUEUE_NUM, 1, 0, VHOST_USER_GET_QUEUE_NUM, 1, 0};
    uint64_t value;
    for (size_t cut = 1; cut < sizeof(twice); cut++) {
        assert_int_equal(send(w->f.socket, twice, cut, 0), cut);
        turn_times(w->loop, 3);
        assert_int_equal(send(w->f.socket, (uint8_t *)twice + cut, sizeof(twice) - cut, 0),
                         sizeof(twice) - cut);
        frontend_receive(&w->f, VHOST_USER_GET_QUEUE_NUM, &value, 8);
        frontend_receive(&w->f, VHOST_USER_GET_QUEUE_NUM, &value, 8);
        assert_int_equal(value, 2);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_commands_through_queues),
        TEST(test_room_for_the_answer),
        TEST(test_config),
        TEST(test_memory_table_again),
        TEST(test_memory_slots),
        TEST(test_pause_keeps_resources),
        TEST(test_resets),
        TEST(test_reconnect),
        TEST(test_features_are_the_drivers),
        TEST(test_sharing),
        TEST(test_broken_ring_until_restart),
        TEST(test_display_socket_stays_open),
        TEST(test_impossible_requests),
        TEST(test_malformed_messages),
        TEST(test_memory_that_is_not_there),
        TEST(test_any_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
