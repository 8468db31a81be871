/* SPDX-License-Identifier: MIT */
/* The export socket, and how long a client may hold what the guest gives up: unrefs that wait,
 * memory that is detached, resets. */
#include "tests/unit/gpu/gpu_peer.h"

/* Puts an UNREF without waiting for its answer. */
static unsigned put_unref(struct world *w, uint32_t id)
{
    struct virtio_gpu_resource_unref c = {.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
                                                  .flags = VIRTIO_GPU_FLAG_FENCE,
                                                  .fence_id = id},
                                          .resource_id = id};
    unsigned slot = frontend_put(&w->f, 0, &c, sizeof(c), 24);
    frontend_kick(&w->f, 0);
    return slot;
}

static void test_unref_waits_for_release(void **state)
{
    struct world *w = *state;
    uint32_t written;
    uint8_t *mirror;
    int fd = make_mirror(2 * PAGE, &mirror);
    struct export_exported one = export_two_pages(w), two = peer_export(&w->p, 7);
    peer_mirror(&w->p, one.buffer.id, fd, 2 * PAGE);
    unsigned slot = put_unref(w, 7);
    peer_answer(&w->p, EXPORT_GONE);
    peer_answer(&w->p, EXPORT_GONE);
    /* The answer waits, and the resource cannot be had any more. */
    assert_int_equal(peer_export(&w->p, 7).status, EXPORT_UNKNOWN);
    struct export_copy copy = {.id = one.buffer.id,
                               .generation = one.buffer.generation,
                               .source_stride = 256,
                               .target_stride = 256,
                               .n_rects = 1,
                               .rects = {{0, 0, 1, 1}}};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_STALE);
    assert_false(frontend_answered(&w->f.q[0]));
    /* Others do not wait for it. */
    assert_int_equal(driver_create(&w->f, 8, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
    peer_request(&w->p, -1, export_release_encode, one.buffer.id);
    turn_times(w->loop, 20);
    assert_false(frontend_answered(&w->f.q[0]));
    peer_request(&w->p, -1, export_release_encode, two.buffer.id);
    assert_int_equal(frontend_take(&w->f, 0, &written), slot);
    assert_int_equal(written, 24);
    assert_int_equal(driver_answer(&w->f, 0, slot).type, VIRTIO_GPU_RESP_OK_NODATA);
    assert_int_equal(driver_answer(&w->f, 0, slot).fence_id, 7);
    munmap(mirror, 2 * PAGE);
    close(fd);
}

static void test_unref_waits_not_forever(void **state)
{
    struct world *w = *state;
    uint32_t written;
    uint32_t id = export_two_pages(w).buffer.id;
    unsigned slot = put_unref(w, 7);
    peer_gone(&w->p, id);
    assert_int_equal(frontend_take(&w->f, 0, &written), slot); /* nobody released it */
    /* The same id again is another resource. */
    driver_make(&w->f, 7, FIRST, SECOND);
    struct export_exported again = peer_export(&w->p, 7);
    assert_int_equal(again.status, EXPORT_OK);
    assert_int_not_equal(again.buffer.id, id);
    peer_request(&w->p, -1, export_release_encode, id); /* late, and still right */
    assert_int_equal(peer_export(&w->p, 7).status, EXPORT_OK);
}

static void test_client_that_goes_away(void **state)
{
    struct world *w = *state;
    uint32_t written;
    uint32_t id = export_two_pages(w).buffer.id;
    unsigned slot = put_unref(w, 7);
    peer_gone(&w->p, id);
    turn_times(w->loop, 5);
    assert_false(frontend_answered(&w->f.q[0]));
    w->p.socket = fd_close(w->p.socket);
    assert_int_equal(frontend_take(&w->f, 0, &written), slot);
}

static void test_so_many_unrefs_wait(void **state)
{
    struct world *w = *state;
    uint32_t written;
    introduce(w);
    for (uint32_t i = 0; i < DEVICE_UNREF_MAX + 1; i++) {
        driver_make(&w->f, i + 1, RAM_HIGH_GPA + 0x10000 + i * PAGE,
                    RAM_HIGH_GPA + 0x80000 + i * PAGE);
        assert_int_equal(peer_export(&w->p, i + 1).status, EXPORT_OK);
    }
    unsigned slots[DEVICE_UNREF_MAX + 1];
    for (uint32_t i = 0; i < DEVICE_UNREF_MAX; i++)
        slots[i] = put_unref(w, i + 1);
    turn_times(w->loop, 5);
    assert_false(frontend_answered(&w->f.q[0]));
    slots[DEVICE_UNREF_MAX] =
        put_unref(w, DEVICE_UNREF_MAX + 1); /* one too many: answered at once */
    assert_int_equal(frontend_take(&w->f, 0, &written), slots[DEVICE_UNREF_MAX]);
    turn_times(w->loop, 5);
    assert_false(frontend_answered(&w->f.q[0]));
    /* Stopping the queue answers all. */
    struct vhost_user_state s = {0, 0};
    frontend_send(&w->f, VHOST_USER_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0);
    for (uint32_t i = 0; i < DEVICE_UNREF_MAX; i++)
        frontend_take(&w->f, 0, &written);
    frontend_receive(&w->f, VHOST_USER_GET_VRING_BASE, &s, sizeof(s));
}

static void test_detached_memory_is_gone(void **state)
{
    struct world *w = *state;
    uint8_t *mirror;
    int fd = make_mirror(2 * PAGE, &mirror);
    struct export_exported e = export_two_pages(w);
    peer_mirror(&w->p, e.buffer.id, fd, 2 * PAGE);
    assert_int_equal(driver_simple(&w->f, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 7),
                     VIRTIO_GPU_RESP_OK_NODATA);
    peer_gone(&w->p, e.buffer.id);
    struct export_copy copy = {.id = e.buffer.id,
                               .generation = e.buffer.generation,
                               .source_stride = 256,
                               .target_stride = 256,
                               .n_rects = 1,
                               .rects = {{0, 0, 1, 1}}};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_STALE);
    const struct virtio_gpu_mem_entry page = {.addr = RAM_LOW_GPA + 0x90000, .length = PAGE};
    driver_attach(&w->f, 7, &page, 1);
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_STALE); /* other pages now */
    copy.generation = device_find(w->device, 7)->generation;
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_STALE);
    assert_int_equal(peer_export(&w->p, 7).status, EXPORT_OK);
    munmap(mirror, 2 * PAGE);
    close(fd);
}

static void test_reset(void **state)
{
    struct world *w = *state;
    struct export_reset reset;
    struct export_exported e = export_two_pages(w);
    uint64_t epoch = device_epoch(w->device);
    frontend_set(&w->f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
    const uint8_t *payload = peer_answer(&w->p, EXPORT_RESET);
    export_reset_decode(payload, w->p.header.size, &reset);
    assert_int_equal(reset.epoch, epoch + 1);
    assert_int_equal(reset.driver, 0);
    assert_int_equal(peer_export(&w->p, 7).status, EXPORT_UNBOUND);
    frontend_start(&w->f); /* whoever heard of the end hears of this, too */
    payload = peer_answer(&w->p, EXPORT_RESET);
    export_reset_decode(payload, w->p.header.size, &reset);
    assert_int_equal(reset.epoch, epoch + 1);
    assert_int_equal(reset.driver, 1);
    driver_make(&w->f, 7, FIRST, SECOND);
    assert_int_equal(peer_export(&w->p, 7).status, EXPORT_UNBOUND); /* may be another guest */
    memcpy(gpa(&w->f, FIRST), peer_nonce, EXPORT_NONCE_SIZE);
    assert_int_equal(peer_bind(&w->p, 7, peer_nonce, 0), EXPORT_OK);
    struct export_exported again = peer_export(&w->p, 7);
    assert_true(again.buffer.generation > e.buffer.generation);
    peer_request(&w->p, -1, export_release_encode, e.buffer.id);
    peer_request(&w->p, -1, export_release_encode, again.buffer.id);
    /* The hypervisor dies. */
    w->f.socket = fd_close(w->f.socket);
    payload = peer_answer(&w->p, EXPORT_RESET);
    export_reset_decode(payload, w->p.header.size, &reset);
    assert_int_equal(reset.driver, 0);
    assert_int_equal(peer_export(&w->p, 7).status, EXPORT_UNBOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PEER_TEST(test_unref_waits_for_release),
        cmocka_unit_test_setup_teardown(test_unref_waits_not_forever, peer_setup_impatient,
                                        peer_teardown),
        PEER_TEST(test_client_that_goes_away),
        PEER_TEST(test_so_many_unrefs_wait),
        PEER_TEST(test_detached_memory_is_gone),
        PEER_TEST(test_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
