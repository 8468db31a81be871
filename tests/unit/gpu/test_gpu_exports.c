/* SPDX-License-Identifier: MIT */
/* The export socket, with a guest behind the device and a client that asks for its buffers. */
#include "tests/unit/gpu/gpu_peer.h"

static void test_hello(void **state)
{
    struct world *w = *state;
    struct export_welcome welcome = peer_hello(&w->p);
    assert_int_equal(welcome.version, EXPORT_VERSION_MAX);
    assert_int_equal(welcome.driver, 1);
    assert_int_equal(welcome.epoch, device_epoch(w->device));
    assert_true(welcome.features & EXPORT_FEATURE_COPY);
    assert_true(welcome.features & EXPORT_FEATURE_NEEDS_BIND);
}

static void test_binding(void **state)
{
    struct world *w = *state;
    char other[EXPORT_NONCE_SIZE];
    peer_hello(&w->p);
    driver_make(&w->f, 1, FIRST, SECOND);
    memcpy(gpa(&w->f, FIRST), peer_nonce, EXPORT_NONCE_SIZE);
    assert_int_equal(peer_export(&w->p, 1).status, EXPORT_UNBOUND);
    assert_int_equal(peer_bind(&w->p, 2, peer_nonce, 0), EXPORT_UNKNOWN);
    driver_create(&w->f, 3, 8, 8);
    assert_int_equal(peer_bind(&w->p, 3, peer_nonce, 0), EXPORT_EMPTY);
    assert_int_equal(peer_export(&w->p, 1).status, EXPORT_UNBOUND);
    /* The bytes are shown as they are: the client compares. */
    for (unsigned i = 0; i < EXPORT_NONCE_SIZE; i++) {
        memcpy(other, peer_nonce, sizeof(other));
        other[i] ^= 0x40;
        assert_int_equal(peer_bind(&w->p, 1, other, 0), EXPORT_MISMATCH);
    }
    assert_int_equal(peer_bind(&w->p, 1, peer_nonce, 0), EXPORT_OK);
    assert_int_equal(peer_export(&w->p, 1).status, EXPORT_OK);
    /* Another connection is not bound by this. */
    struct peer second;
    peer_connect(w, &second);
    peer_hello(&second);
    assert_int_equal(peer_export(&second, 1).status, EXPORT_UNBOUND);
    close(second.socket);
}

static void test_export(void **state)
{
    struct world *w = *state;
    struct export_exported e = export_two_pages(w);
    assert_int_equal(e.status, EXPORT_OK);
    assert_int_equal(e.buffer.size, 2 * PAGE);
    assert_int_equal(e.buffer.width, 64);
    assert_int_equal(e.buffer.height, 32);
    assert_int_equal(e.buffer.fourcc, 0x34325258); /* XR24 */
    assert_int_equal(e.buffer.runs, 2);
    assert_int_equal(e.buffer.memory, EXPORT_MEMORY_GUEST);
    assert_int_equal(e.buffer.generation, device_find(w->device, 7)->generation);
    assert_int_equal(w->p.fd >= 0, e.buffer.kind != EXPORT_KIND_NONE);
    /* Twice: two exports. */
    struct export_exported again = peer_export(&w->p, 7);
    assert_int_not_equal(again.buffer.id, e.buffer.id);
    assert_int_equal(again.buffer.generation, e.buffer.generation);
    /* Nothing else resolves. */
    for (uint32_t id = 1; id < 100; id++) {
        if (id != 7)
            assert_int_equal(peer_export(&w->p, id).status, EXPORT_UNKNOWN);
    }
    /* Not shared; not there any more; without memory. */
    driver_create(&w->f, 8, 8, 8);
    assert_int_equal(peer_export(&w->p, 8).status, EXPORT_EMPTY);
    const struct virtio_gpu_mem_entry page = {.addr = RAM_HIGH_GPA + 0x8000, .length = PAGE};
    driver_attach(&w->f, 8, &page, 1);
    assert_int_equal(peer_export(&w->p, 8).status, EXPORT_UNMARKED);
    driver_simple(&w->f, VIRTIO_GPU_CMD_RESOURCE_UNREF, 8);
    assert_int_equal(peer_export(&w->p, 8).status, EXPORT_UNKNOWN);
}

/* Where the kernel has udmabuf: the very pages, in the guest's order, and only as many. */
static void test_pages_themselves(void **state)
{
    struct world *w = *state;
    uint8_t expected[2 * PAGE];
    if (!(peer_hello(&w->p).features & EXPORT_FEATURE_UDMABUF))
        skip();
    driver_make(&w->f, 1000, RAM_HIGH_GPA, RAM_HIGH_GPA + 2 * PAGE);
    memcpy(gpa(&w->f, RAM_HIGH_GPA), peer_nonce, EXPORT_NONCE_SIZE);
    assert_int_equal(peer_bind(&w->p, 1000, peer_nonce, 0), EXPORT_OK);
    driver_make(&w->f, 7, FIRST, SECOND);
    struct export_exported e = peer_export(&w->p, 7);
    assert_int_equal(e.buffer.kind, EXPORT_KIND_UDMABUF);
    assert_int_equal(e.buffer.reason, EXPORT_REASON_NONE);
    assert_int_equal(lseek(w->p.fd, 0, SEEK_END), 2 * PAGE);
    uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, w->p.fd, 0);
    assert_true(pages != MAP_FAILED);
    for (unsigned round = 0; round < 2; round++) {
        fill_pattern(expected, sizeof(expected), round);
        memcpy(gpa(&w->f, FIRST), expected, PAGE);
        memcpy(gpa(&w->f, SECOND), expected + PAGE, PAGE);
        assert_memory_equal(pages, expected, sizeof(expected));
    }
    pages[PAGE] ^= 1; /* a screen copy */
    assert_int_equal(*gpa(&w->f, SECOND), expected[PAGE] ^ 1);
    munmap(pages, 2 * PAGE);
    /* Where it is not made of pages: for copies. */
    const struct virtio_gpu_mem_entry half = {.addr = RAM_HIGH_GPA + 0x8000, .length = PAGE / 2};
    driver_create(&w->f, 8, 8, 8);
    driver_attach(&w->f, 8, &half, 1);
    driver_simple(&w->f, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 8);
    e = peer_export(&w->p, 8);
    assert_int_equal(e.status, EXPORT_OK);
    assert_int_equal(e.buffer.reason, EXPORT_REASON_ALIGNMENT);
    assert_int_equal(w->p.fd, -1);
}

static void test_copy(void **state)
{
    struct world *w = *state;
    uint8_t *mirror, expected[2 * PAGE];
    int fd = make_mirror(4 * PAGE, &mirror);
    introduce(w);
    driver_make(&w->f, 7, FIRST, SECOND);
    fill_pattern(expected, sizeof(expected), 1);
    memcpy(gpa(&w->f, FIRST), expected, PAGE);
    memcpy(gpa(&w->f, SECOND), expected + PAGE, PAGE);
    struct export_exported e = peer_export(&w->p, 7);
    struct export_copy copy = {.id = e.buffer.id,
                               .generation = e.buffer.generation,
                               .source_stride = 256,
                               .target_stride = 256,
                               .n_rects = 1,
                               .rects = {{0, 0, 256, 32}}};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_MEMORY); /* nowhere to copy to */
    assert_int_equal(peer_mirror(&w->p, e.buffer.id, fd, 4 * PAGE), EXPORT_OK);
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_OK);
    assert_memory_equal(mirror, expected, sizeof(expected));

    /* Rectangles across the page border, other strides and bases. */
    memset(mirror, 0, 4 * PAGE);
    copy.source = 8;
    copy.target = 64;
    copy.target_stride = 320;
    copy.n_rects = 2;
    copy.rects[0] = (struct export_rect){4, 10, 100, 12};
    copy.rects[1] = (struct export_rect){200, 0, 8, 1};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_OK);
    for (unsigned y = 0; y < 32; y++) {
        for (unsigned x = 0; x < 256; x++) {
            bool in = (x >= 4 && x < 104 && y >= 10 && y < 22) || (x >= 200 && x < 208 && y < 1);
            assert_int_equal(mirror[64 + y * 320 + x], in ? expected[8 + y * 256 + x] : 0);
        }
    }
    /* The other way: a screen copy. */
    fill_pattern(mirror, 4 * PAGE, 2);
    copy = (struct export_copy){.id = e.buffer.id,
                                .flags = EXPORT_TO_GUEST,
                                .generation = e.buffer.generation,
                                .source = PAGE,
                                .source_stride = 256,
                                .target_stride = 256,
                                .n_rects = 1,
                                .rects = {{16, 15, 32, 3}}};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_OK);
    for (unsigned y = 15; y < 18; y++)
        memcpy(expected + y * 256 + 16, mirror + PAGE + y * 256 + 16, 32);
    assert_memory_equal(gpa(&w->f, FIRST), expected, PAGE);
    assert_memory_equal(gpa(&w->f, SECOND), expected + PAGE, PAGE);
    munmap(mirror, 4 * PAGE);
    close(fd);
}

static void test_copies_out_of_range(void **state)
{
    struct world *w = *state;
    uint8_t *mirror;
    int fd = make_mirror(2 * PAGE, &mirror);
    struct export_exported e = export_two_pages(w);
    peer_mirror(&w->p, e.buffer.id, fd, 2 * PAGE);
    static const struct {
        const char *what;
        uint64_t source, target;
        uint32_t source_stride, target_stride;
        struct export_rect rect;
    } cases[] = {
        {"one row too many", 0, 0, 256, 256, {0, 0, 256, 33}},
        {"one byte too far at the source", 1, 0, 256, 256, {0, 31, 256, 1}},
        {"one byte too far at the target", 0, 1, 256, 256, {0, 31, 256, 1}},
        {"wider than a row", 0, 0, 256, 256, {1, 0, 256, 1}},
        {"wider than a row of the target", 0, 0, 256, 255, {0, 0, 256, 1}},
        {"no stride", 0, 0, 0, 0, {0, 0, 1, 1}},
        {"nothing", 0, 0, 256, 256, {0, 0, 0, 1}},
        {"no rows", 0, 0, 256, 256, {0, 0, 1, 0}},
        {"a base beyond everything", UINT64_MAX, 0, 256, 256, {0, 0, 256, 1}},
        {"a target beyond everything", 0, UINT64_MAX - 255, 256, 256, {0, 0, 256, 1}},
        {"an end that wraps", 0, 0, UINT32_MAX, UINT32_MAX, {0, UINT32_MAX, 1, UINT32_MAX}},
        {"a column that wraps", 0, 0, 256, 256, {UINT32_MAX, 0, 2, 1}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct export_copy copy = {.id = e.buffer.id,
                                   .generation = e.buffer.generation,
                                   .source = cases[i].source,
                                   .target = cases[i].target,
                                   .source_stride = cases[i].source_stride,
                                   .target_stride = cases[i].target_stride,
                                   .n_rects = 2,
                                   .rects = {{0, 0, 1, 1}, cases[i].rect}};
        memset(mirror, 0xee, 2 * PAGE);
        uint32_t status = peer_copy(&w->p, &copy);
        if (status != EXPORT_RANGE)
            fail_msg("%s: %s", cases[i].what, export_status_name(status));
        assert_int_equal(mirror[0], 0xee); /* all or nothing */
    }
    struct export_copy copy = {.id = e.buffer.id,
                               .generation = e.buffer.generation + 1,
                               .source_stride = 256,
                               .target_stride = 256,
                               .n_rects = 1,
                               .rects = {{0, 0, 1, 1}}};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_STALE);
    copy.generation--;
    copy.id++;
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_STALE);
    munmap(mirror, 2 * PAGE);
    close(fd);
}

static void test_mirrors_that_do_not_serve(void **state)
{
    struct world *w = *state;
    int ends[2];
    uint32_t id = export_two_pages(w).buffer.id;
    int unsealed = fd_memfd("mirror", 2 * PAGE), small = fd_memfd("mirror", 2 * PAGE - 1);
    fcntl(small, F_ADD_SEALS, F_SEAL_SHRINK);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(peer_mirror(&w->p, id, unsealed, 2 * PAGE), EXPORT_MEMORY);
    assert_int_equal(peer_mirror(&w->p, id, small, 2 * PAGE), EXPORT_MEMORY);
    assert_int_equal(peer_mirror(&w->p, id, ends[0], 2 * PAGE), EXPORT_MEMORY);
    assert_int_equal(peer_mirror(&w->p, id + 1, small, PAGE), EXPORT_STALE);
    assert_int_equal(peer_mirror(&w->p, id, small, PAGE), EXPORT_OK);
    close(unsealed);
    close(small);
    close(ends[0]);
    close(ends[1]);
}

static void test_requests_wait_for_the_guest(void **state)
{
    struct world *w = *state;
    struct export_exported e;
    introduce(w);
    uint32_t serial = ++w->p.serial;
    uint8_t packet[EXPORT_PACKET_MAX];
    peer_send_raw(
        &w->p, packet,
        export_export_encode(packet, serial, &(struct export_export){7, EXPORT_TIMEOUT_MAX_MS}),
        -1);
    turn_times(w->loop, 20);
    assert_false(peer_readable(&w->p));
    driver_create(&w->f, 7, 64, 32);
    turn_times(w->loop, 20);
    assert_false(peer_readable(&w->p)); /* no memory yet */
    const struct virtio_gpu_mem_entry page = {.addr = FIRST, .length = PAGE};
    driver_attach(&w->f, 7, &page, 1);
    turn_times(w->loop, 20);
    assert_false(peer_readable(&w->p)); /* not shared yet */
    driver_simple(&w->f, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 7);
    const uint8_t *payload = peer_answer(&w->p, EXPORT_EXPORTED);
    export_exported_decode(payload, w->p.header.size, &e);
    assert_int_equal(w->p.header.serial, serial);
    assert_int_equal(e.status, EXPORT_OK);

    /* Commands that lie in the ring without a kick are found. */
    struct virtio_gpu_resource_unref c = {.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_UNREF},
                                          .resource_id = 1000};
    frontend_put(&w->f, 0, &c, sizeof(c), 24);
    assert_int_equal(peer_export(&w->p, 1000).status, EXPORT_UNKNOWN);
    /* In vain. */
    assert_int_equal(peer_bind(&w->p, 1000, peer_nonce, 30), EXPORT_UNKNOWN);
    /* So many, not more. */
    for (unsigned i = 0; i < EXPORT_PENDING_MAX; i++) {
        peer_request(&w->p, -1, export_export_encode,
                     &(struct export_export){50 + i, EXPORT_TIMEOUT_MAX_MS});
        turn_times(w->loop, 2);
    }
    peer_request(&w->p, -1, export_export_encode,
                 &(struct export_export){500, EXPORT_TIMEOUT_MAX_MS});
    payload = peer_answer(&w->p, EXPORT_EXPORTED);
    export_exported_decode(payload, w->p.header.size, &e);
    assert_int_equal(w->p.header.serial, w->p.serial);
    assert_int_equal(e.status, EXPORT_LIMIT);
    /* A reset answers those that wait. */
    frontend_set(&w->f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
    peer_answer(&w->p, EXPORT_RESET);
    for (unsigned i = 0; i < EXPORT_PENDING_MAX; i++) {
        payload = peer_answer(&w->p, EXPORT_EXPORTED);
        export_exported_decode(payload, w->p.header.size, &e);
        assert_int_equal(e.status, EXPORT_UNBOUND);
    }
}

static void expect_end(struct world *w)
{
    turn_until(w->loop, peer_readable, &w->p);
    assert_null(peer_receive(&w->p));
    close(w->p.socket);
    turn_times(w->loop, 3);
    peer_connect(w, &w->p);
}

static void test_malformed_packets(void **state)
{
    struct world *w = *state;
    uint8_t packet[EXPORT_PACKET_MAX + 1] = {0};
    size_t n;
    /* Before HELLO nothing else. */
    peer_request(&w->p, -1, export_release_encode, 1);
    expect_end(w);
    n = export_hello_encode(packet, 1, &(struct export_hello){EXPORT_VERSION_MAX + 1, 9, 0});
    peer_send_raw(&w->p, packet, n, -1);
    expect_end(w);
    n = export_hello_encode(packet, 1, &(struct export_hello){1, EXPORT_VERSION_MIN - 1, 0});
    peer_send_raw(&w->p, packet, n, -1);
    expect_end(w);
    peer_hello(&w->p);
    n = export_hello_encode(packet, 1, &(struct export_hello){1, 2, 0}); /* twice */
    peer_send_raw(&w->p, packet, n, -1);
    expect_end(w);
    peer_hello(&w->p);
    peer_send_raw(&w->p, packet, 3, -1);
    expect_end(w);
    peer_hello(&w->p);
    peer_send_raw(&w->p, packet, sizeof(packet), -1); /* too long */
    expect_end(w);
    peer_hello(&w->p);
    peer_request(&w->p, w->f.ram_fd, export_release_encode,
                 1); /* a descriptor where there is none */
    expect_end(w);
    peer_hello(&w->p);
    peer_request(&w->p, -1, export_mirror_encode,
                 &(struct export_mirror){1, 1}); /* none where there is one */
    expect_end(w);
    peer_hello(&w->p);
    peer_request(&w->p, -1, export_release_encode, 1); /* never given */
    expect_end(w);
    peer_hello(&w->p);
    peer_request(&w->p, -1, export_status_encode, 0); /* ours */
    expect_end(w);
    /* The guest has noticed nothing. */
    assert_int_equal(driver_create(&w->f, 1, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
}

/* A client that does not read loses its connection, not our memory. */
static void test_client_that_does_not_read(void **state)
{
    struct world *w = *state;
    peer_hello(&w->p);
    uint8_t packet[EXPORT_PACKET_MAX];
    size_t n = export_export_encode(packet, 1, &(struct export_export){.resource = 1});
    unsigned sent = 0;
    for (unsigned i = 0; i < 4 * EXPORTS_QUEUE_MAX; i++) {
        if (send(w->p.socket, packet, n, MSG_NOSIGNAL) > 0)
            sent++;
        else if (errno == EAGAIN)
            turn_times(w->loop, 1);
        else
            break;
    }
    assert_true(sent < 2 * EXPORTS_QUEUE_MAX);
    assert_int_equal(driver_create(&w->f, 1, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PEER_TEST(test_hello),
        PEER_TEST(test_binding),
        PEER_TEST(test_export),
        PEER_TEST(test_pages_themselves),
        PEER_TEST(test_copy),
        PEER_TEST(test_copies_out_of_range),
        PEER_TEST(test_mirrors_that_do_not_serve),
        PEER_TEST(test_requests_wait_for_the_guest),
        PEER_TEST(test_malformed_packets),
        PEER_TEST(test_client_that_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
