/* SPDX-License-Identifier: MIT */
/* Shared memory between an application and a compositor, through both relays: pixels, pools that
 * grow, are too large or no memory at all, and screen copies. */
#include "tests/unit/wayland/session.h"
#include "tests/support/allocated.h"

static void test_pixels_are_there_before_the_commit(void **state)
{
    (void)state;
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    assert_int_equal(view[4096], 0); /* nothing was shown yet, nothing was sent */
    commit(BUFFER, 0, 0, 64, 64);
    expect_commit();
    assert_memory_equal(view + 4096, map + 4096, 16384);
    assert_int_equal(view[0], 0); /* not what no buffer covers */
    assert_int_equal(view[4096 + 16384], 0);
    /* Damage only, the second time. */
    uint8_t expected[16384];
    memcpy(expected, map + 4096, sizeof(expected));
    memset(map + 4096, 0x11, sizeof(expected));
    for (int y = 2; y < 5; y++)
        memset(expected + y * 256 + 32, 0x11, 16);
    commit(BUFFER, 8, 2, 4, 3);
    expect_commit();
    assert_memory_equal(view + 4096, expected, sizeof(expected));
    end_pool(file, map, view);
}

static void test_pages_that_no_buffer_covers_are_given_back(void **state)
{
    (void)state;
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    commit(BUFFER, 0, 0, 64, 64);
    expect_commit();
    wire_send(&R.client, BUFFER, BUFFER_DESTROY, "");
    wire_expect(&R.compositor, BUFFER, "wl_buffer", "destroy");
    assert_memory_equal(view + 4096, map + 4096, 16384); /* it is still shown */
    commit(0, 0, 0, 64, 64);
    expect_commit();
    sync_with(AFTER);
    turn_times(R.loop, 5);
    assert_int_equal(memory_allocated(relays_memory(R.host)), 0);
    assert_int_equal(view[4096], 0);
    assert_int_equal(view[4096 + 16383], 0);
    end_pool(file, map, view);
}

/* A compositor that repaints before it reads what came shows what it has. */
static void test_pages_stay_until_the_compositor_has_read(void **state)
{
    (void)state;
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    commit(BUFFER, 0, 0, 64, 64);
    expect_commit();
    sync_with(AFTER);
    commit(0, 0, 0, 64, 64);
    wire_send(&R.client, BUFFER, BUFFER_DESTROY, "");
    turn_times(R.loop, 10); /* it lies in the compositor's socket */
    assert_memory_equal(view + 4096, map + 4096, 16384);
    expect_commit();
    wire_expect(&R.compositor, BUFFER, "wl_buffer", "destroy");
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", BUFFER);
    turn_times(R.loop, 10);
    assert_int_equal(memory_allocated(relays_memory(R.host)), 0);
    end_pool(file, map, view);
}

static void test_pages_that_a_newer_buffer_covers_stay(void **state)
{
    (void)state;
    enum { NEWER = AFTER, SYNC };
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    commit(BUFFER, 0, 0, 64, 64);
    expect_commit();
    /* Another one at its place, which is shown when the compositor says that it read of the first.
     */
    wire_send(&R.client, BUFFER, BUFFER_DESTROY, "");
    wire_send(&R.client, POOL, POOL_CREATE_BUFFER, "uuuuuu", NEWER, 4096, 64, 64, 256, 0);
    fill_pattern(map + 4096, 16384, 7);
    commit(NEWER, 0, 0, 64, 64);
    wire_send(&R.client, NEWER, BUFFER_DESTROY, "");
    commit(0, 0, 0, 64, 64);
    turn_times(R.loop, 10);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", BUFFER);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", NEWER);
    wire_expect(&R.client, 1, "wl_display", "delete_id");
    wire_expect(&R.client, 1, "wl_display", "delete_id");
    turn_times(R.loop, 10);
    assert_memory_equal(view + 4096, map + 4096, 16384);
    wire_expect(&R.compositor, BUFFER, "wl_buffer", "destroy");
    wire_expect(&R.compositor, POOL, "wl_shm_pool", "create_buffer");
    expect_commit();
    wire_expect(&R.compositor, NEWER, "wl_buffer", "destroy");
    expect_commit();
    sync_with(SYNC);
    turn_times(R.loop, 5);
    assert_int_equal(memory_allocated(relays_memory(R.host)), 0);
    end_pool(file, map, view);
}

/* What waits for the compositor's answer holds no file open. */
static void test_pages_of_closed_memory_are_forgotten(void **state)
{
    (void)state;
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    wire_send(&R.client, BUFFER, BUFFER_DESTROY, "");
    wire_expect(&R.compositor, BUFFER, "wl_buffer", "destroy");
    assert_non_null(R.guest->uncovered);
    wire_send(&R.client, POOL, POOL_DESTROY, "");
    wire_expect(&R.compositor, POOL, "wl_shm_pool", "destroy");
    assert_null(R.guest->uncovered);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", BUFFER);
    wire_expect(&R.client, 1, "wl_display", "delete_id");
    assert_int_equal(R.host_party.budget->used[BUDGET_FDS], 2);
    end_pool(file, map, view);
}

static void test_pools_on_one_file_and_resize(void **state)
{
    (void)state;
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    assert_int_equal(ftruncate(file, 2 * POOL_SIZE), 0);
    wire_send(&R.client, POOL, POOL_RESIZE, "u", 2 * POOL_SIZE);
    wire_expect(&R.compositor, POOL, "wl_shm_pool", "resize");
    wire_send_fd(&R.client, fcntl(file, F_DUPFD_CLOEXEC, 0), SHM, SHM_CREATE_POOL, "uu", AFTER,
                 POOL_SIZE / 2);
    wire_expect(&R.compositor, SHM, "wl_shm", "create_pool");
    struct stat first, second;
    assert_int_equal(fstat(relays_memory(R.host)->fd, &first), 0);
    assert_int_equal(fstat(R.compositor.fds[R.compositor.fds_first], &second), 0);
    assert_int_equal(first.st_ino, second.st_ino); /* one mirror */
    assert_int_equal(second.st_size, 2 * POOL_SIZE);
    assert_int_equal(R.guest_party.budget->used[BUDGET_FDS], 3);
    wire_send(&R.client, AFTER, POOL_DESTROY, "");
    wire_send(&R.client, POOL, POOL_DESTROY, "");
    wire_expect(&R.compositor, AFTER, "wl_shm_pool", "destroy");
    wire_expect(&R.compositor, POOL, "wl_shm_pool", "destroy");
    assert_int_equal(R.guest_party.budget->used[BUDGET_FDS], 3); /* the buffer is left */
    commit(BUFFER, 0, 0, 64, 64);
    expect_commit();
    assert_memory_equal(view + 4096, map + 4096, 16384);
    commit(0, 0, 0, 64, 64);
    expect_commit();
    wire_send(&R.client, BUFFER, BUFFER_DESTROY, "");
    wire_expect(&R.compositor, BUFFER, "wl_buffer", "destroy");
    turn_times(R.loop, 5);
    assert_int_equal(R.guest_party.budget->used[BUDGET_FDS], 2);
    assert_int_equal(R.host_party.budget->used[BUDGET_FDS], 2);
    end_pool(file, map, view);
}

/* As for libwayland, it is an error when somebody reads there, and the buffer's. */
static void test_a_resize_beyond_the_file(void **state)
{
    (void)state;
    enum { SECOND = AFTER };
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    wire_send(&R.client, POOL, POOL_RESIZE, "u", 2 * POOL_SIZE);
    wire_expect(&R.compositor, POOL, "wl_shm_pool", "resize");
    wire_send(&R.client, POOL, POOL_CREATE_BUFFER, "uuuuuu", SECOND, POOL_SIZE, 64, 64, 256, 0);
    wire_expect(&R.compositor, POOL, "wl_shm_pool", "create_buffer");
    commit(BUFFER, 0, 0, 64, 64);
    expect_commit();
    commit(SECOND, 0, 0, 64, 64);
    end_pool(file, map, view);
    expect_error(SECOND, WL_SHM_INVALID_FD, "error accessing SHM buffer");
}

static void test_a_file_that_shrinks(void **state)
{
    (void)state;
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    assert_int_equal(ftruncate(file, 8192), 0);
    commit(BUFFER, 0, 0, 64, 64);
    end_pool(file, map, view);
    expect_error(BUFFER, WL_SHM_INVALID_FD, "error accessing SHM buffer");
}

static void bad_pool(int fd, int32_t size, const char *text)
{
    bind_all();
    if (fd >= 0)
        wire_send_fd(&R.client, fd, SHM, SHM_CREATE_POOL, "uu", POOL, size);
    else
        wire_send(&R.client, SHM, SHM_CREATE_POOL, "uu", POOL, size);
    expect_error(SHM, fd >= 0 ? WL_SHM_INVALID_FD : WL_DISPLAY_INVALID_METHOD, text);
}

static void test_a_pool_of_a_pipe(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fd_close(ends[1]);
    bad_pool(ends[0], 4096,
             "wl_shm#4.create_pool: a pool must be readable shared memory, not pipe");
}

static void test_a_pool_before_its_file_has_its_size(void **state)
{
    (void)state;
    bind_all();
    int fd = fd_memfd("pool", 0);
    wire_send_fd(&R.client, fcntl(fd, F_DUPFD_CLOEXEC, 0), SHM, SHM_CREATE_POOL, "uu", POOL,
                 POOL_SIZE);
    wire_expect(&R.compositor, SHM, "wl_shm", "create_pool");
    struct stat st;
    assert_int_equal(fstat(R.compositor.fds[R.compositor.fds_first], &st), 0);
    assert_int_equal(st.st_size, POOL_SIZE);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 0); /* it is the client's */
    fd_close(fd);
    sync_with(BUFFER);
}

/* /proc stands for what is no disk of this machine. */
static void test_a_pool_in_a_file_of_another_kind(void **state)
{
    (void)state;
    bad_pool(open("/proc/self/maps", O_RDONLY | O_CLOEXEC), 4096,
             "wl_shm#4.create_pool: a pool must be shared memory or a file on a local file system, "
             "not on proc");
}

static void test_a_pool_of_no_size(void **state)
{
    (void)state;
    bad_pool(fd_memfd("pool", 4096), 0, "wl_shm#4.create_pool: invalid size 0");
}

static void test_a_pool_of_negative_size(void **state)
{
    (void)state;
    bad_pool(fd_memfd("pool", 4096), -4096, "wl_shm#4.create_pool: invalid size -4096");
}

static void test_a_pool_without_descriptor(void **state)
{
    (void)state;
    bad_pool(-1, 4096, "wl_shm#4.create_pool: its descriptor is missing");
}

static void test_the_quota_of_memory(void **state)
{
    (void)state;
    R.host_party.budget->limit[BUDGET_MEMORY] = CARRIER_MEMORY + 24000;
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    wire_send(&R.client, POOL, POOL_CREATE_BUFFER, "uuuuuu", AFTER, 32768, 64, 64, 256, 0);
    end_pool(file, map, view);
    expect_error(1, WL_DISPLAY_NO_MEMORY, "max-memory");
}

static void test_the_limit_of_descriptors(void **state)
{
    (void)state;
    R.host_party.budget->limit[BUDGET_FDS] = 5; /* two are the sockets */
    bind_all();
    for (uint32_t i = 0; i < 4; i++)
        wire_send_fd(&R.client, fd_memfd("pool", 4096), SHM, SHM_CREATE_POOL, "uu", POOL + i, 4096);
    expect_error(1, WL_DISPLAY_NO_MEMORY, "max-fds");
}

static void test_a_screen_copy(void **state)
{
    (void)state;
    enum { MANAGER = AFTER, OUTPUT, FRAME };
    if (!wl_iface_find("zwlr_screencopy_manager_v1", strlen("zwlr_screencopy_manager_v1")))
        skip();
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    bind_global(GLOBAL_CAPTURE, "zwlr_screencopy_manager_v1", 1, MANAGER);
    bind_global(GLOBAL_CAPTURE + 1, "wl_output", 1, OUTPUT);
    wire_send(&R.client, MANAGER, 0, "uuu", FRAME, 0, OUTPUT);
    wire_send(&R.client, FRAME, 0, "u", BUFFER);
    wire_expect(&R.compositor, MANAGER, "zwlr_screencopy_manager_v1", "capture_output");
    wire_expect(&R.compositor, FRAME, "zwlr_screencopy_frame_v1", "copy");
    fill_pattern(view + 4096, 16384, 99);
    wire_send(&R.compositor, FRAME, 2, "uuu", 0, 1, 2);
    wire_expect(&R.client, FRAME, "zwlr_screencopy_frame_v1", "ready");
    assert_memory_equal(map + 4096, view + 4096, 16384); /* there before the client hears of it */
    uint8_t untouched[4096];
    fill_pattern(untouched, 4096, 12);
    assert_memory_equal(map, untouched, 4096);
    end_pool(file, map, view);
}

static void test_the_compositor_frees_a_live_buffer(void **state)
{
    (void)state;
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", BUFFER);
    wire_expect(&R.client, 1, "wl_display", "delete_id");
    end_pool(file, map,
             view); /* LeakSanitizer: what was to be punched is forgotten with the relay */
}

static void test_destroyed_in_the_middle(void **state)
{
    (void)state;
    int file, ends[2];
    uint8_t *map, *view = start_pool(&file, &map);
    commit(BUFFER, 0, 0, 64, 64);
    wire_send(&R.client, DATA, MANAGER_CREATE_SOURCE, "u", AFTER);
    turn_times(R.loop, 3);
    make_pipe(ends);
    wire_send_fd(&R.compositor, ends[1], AFTER, SOURCE_SEND, "s", "a/b");
    turn_times(R.loop, 1);
    fd_close(ends[0]);
    end_pool(file, map, view); /* the teardown destroys both relays with all they have */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(test_pixels_are_there_before_the_commit),
        SESSION_TEST(test_pages_that_no_buffer_covers_are_given_back),
        SESSION_TEST(test_pages_stay_until_the_compositor_has_read),
        SESSION_TEST(test_pages_that_a_newer_buffer_covers_stay),
        SESSION_TEST(test_pages_of_closed_memory_are_forgotten),
        SESSION_TEST(test_pools_on_one_file_and_resize),
        SESSION_TEST(test_a_resize_beyond_the_file),
        SESSION_TEST(test_a_file_that_shrinks),
        SESSION_TEST(test_a_pool_of_a_pipe),
        SESSION_TEST(test_a_pool_before_its_file_has_its_size),
        SESSION_TEST(test_a_pool_in_a_file_of_another_kind),
        SESSION_TEST(test_a_pool_of_no_size),
        SESSION_TEST(test_a_pool_of_negative_size),
        SESSION_TEST(test_a_pool_without_descriptor),
        SESSION_TEST(test_the_quota_of_memory),
        SESSION_TEST(test_the_limit_of_descriptors),
        SESSION_TEST(test_a_screen_copy),
        SESSION_TEST(test_the_compositor_frees_a_live_buffer),
        SESSION_TEST(test_destroyed_in_the_middle),
    };
    return cmocka_run_group_tests(tests, session_fill_cache, NULL);
}
