/* SPDX-License-Identifier: MIT */
/* Both relays in one process, an application at one end and a compositor at the other. */
#include "tests/unit/relays.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include "common/vfd-file.h"

static int setup(void **state)
{
    (void)state;
    return relays_start(true, true);
}

/* What the compositor of these tests offers, by name. */
enum {
    GLOBAL_COMPOSITOR = 1,
    GLOBAL_SHM,
    GLOBAL_SEAT,
    GLOBAL_DATA,
    GLOBAL_UNKNOWN,
    GLOBAL_CAPTURE
};
/* The objects that the client makes of it. */
enum { REGISTRY = 2, COMPOSITOR, SHM, SEAT, DATA, NEXT };

static void offer(uint32_t name, const char *interface, uint32_t version)
{
    wire_send(&R.compositor, 2, REGISTRY_GLOBAL, "usu", name, interface, version);
}

static void expect_offer(uint32_t name, const char *interface, uint32_t version)
{
    struct wl_message m = wire_expect(&R.client, REGISTRY, "wl_registry", "global");
    assert_int_equal(m.args[0].u, name);
    assert_string_equal(m.args[1].s.text, interface);
    assert_int_equal(m.args[2].u, version);
}

static void get_registry(void)
{
    wire_send(&R.client, 1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    assert_int_equal(wire_expect(&R.compositor, 1, "wl_display", "get_registry").args[0].u,
                     REGISTRY);
}

/* @interface at @version becomes object @id. */
static void bind_global(uint32_t name, const char *interface, uint32_t version, uint32_t id)
{
    offer(name, interface, version);
    expect_offer(name, interface, version);
    wire_send(&R.client, REGISTRY, REGISTRY_BIND, "uN", name, interface, version, id);
    struct wl_message m = wire_expect(&R.compositor, REGISTRY, "wl_registry", "bind");
    assert_int_equal(m.args[0].u, name);
    assert_string_equal(m.args[1].n.interface, interface);
    assert_int_equal(m.args[1].n.version, version);
    assert_int_equal(m.args[1].n.id, id);
}

static void bind_all(void)
{
    get_registry();
    bind_global(GLOBAL_COMPOSITOR, "wl_compositor", 4, COMPOSITOR);
    bind_global(GLOBAL_SHM, "wl_shm", 1, SHM);
    bind_global(GLOBAL_SEAT, "wl_seat", 5, SEAT);
    bind_global(GLOBAL_DATA, "wl_data_device_manager", 3, DATA);
}

/* The client is told why, the compositor only that it is gone, and both relays end. */
static void expect_error(uint32_t object, uint32_t code, const char *text)
{
    struct wl_message m;
    do { /* events may have come before it */
        turn_until(R.loop, wire_has_message, &R.client);
        if (wl_message_header(R.client.in + R.client.first, R.client.n, &m) != WL_MESSAGE_OK)
            fail_msg("disconnected without an error");
        if (m.object == 1 && m.opcode == DISPLAY_ERROR)
            break;
        R.client.first += m.size;
        R.client.n -= m.size;
    } while (true);
    m = wire_expect(&R.client, 1, "wl_display", "error");
    if (!strstr(m.args[2].s.text, text))
        fail_msg("\"%s\" says nothing of \"%s\"", m.args[2].s.text, text);
    if (m.args[0].u != object || m.args[1].u != code)
        fail_msg("object %u, code %u: %s", m.args[0].u, m.args[1].u, m.args[2].s.text);
    turn_until(R.loop, wire_at_end, &R.client);
    turn_until(R.loop, wire_at_end, &R.compositor);
    turn_until(R.loop, relays_over, NULL);
    assert_int_equal(R.ended, 2);
}

/* A round trip: everything sent before has arrived. */
static void sync_with(uint32_t id)
{
    wire_send(&R.client, 1, DISPLAY_SYNC, "u", id);
    assert_int_equal(wire_expect(&R.compositor, 1, "wl_display", "sync").args[0].u, id);
    wire_send(&R.compositor, id, CALLBACK_DONE, "u", 77);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", id);
    assert_int_equal(wire_expect(&R.client, id, "wl_callback", "done").args[0].u, 77);
    assert_int_equal(wire_expect(&R.client, 1, "wl_display", "delete_id").args[0].u, id);
}

/* --- the registry --- */

static void test_globals_that_are_offered(void **state)
{
    (void)state;
    R.hidden = "wl_seat";
    get_registry();
    offer(1, "wl_compositor", 1000);
    offer(2, "no_such_interface_v1", 1);
    offer(3, "wl_seat", 5);
    offer(4, "", 1);
    offer(5, "wl_shm", 0);
    offer(6, "wl_shm", 1);
    uint32_t known = wl_iface_find("wl_compositor", 13)->version;
    expect_offer(1, "wl_compositor", known); /* as far as the tables know it */
    expect_offer(6, "wl_shm", 1);
    wire_send(&R.compositor, 2, REGISTRY_GLOBAL_REMOVE, "u", 3); /* never was, for the client */
    wire_send(&R.compositor, 2, REGISTRY_GLOBAL_REMOVE, "u", 2);
    wire_send(&R.compositor, 2, REGISTRY_GLOBAL_REMOVE, "u", 6);
    assert_int_equal(wire_expect(&R.client, REGISTRY, "wl_registry", "global_remove").args[0].u, 6);
    wire_expect_nothing(&R.client);
}

static void test_version_cap_of_the_policy(void **state)
{
    (void)state;
    R.cap = 2;
    get_registry();
    offer(1, "wl_seat", 5);
    expect_offer(1, "wl_seat", 2);
    wire_send(&R.client, REGISTRY, REGISTRY_BIND, "uN", 1, "wl_seat", 3, 3);
    expect_error(REGISTRY, WL_DISPLAY_INVALID_OBJECT,
                 "wl_registry.bind: wl_seat is offered up to version 2, not 3");
}

static void test_two_registries(void **state)
{
    (void)state;
    get_registry();
    offer(1, "wl_shm", 1);
    expect_offer(1, "wl_shm", 1);
    wire_send(&R.client, 1, DISPLAY_GET_REGISTRY, "u", 3);
    wire_expect(&R.compositor, 1, "wl_display", "get_registry");
    wire_send(&R.compositor, 3, REGISTRY_GLOBAL, "usu", 1, "wl_shm", 1);
    wire_expect(&R.client, 3, "wl_registry", "global");
    wire_send(&R.client, 3, REGISTRY_BIND, "uN", 1, "wl_shm", 1, 4);
    wire_expect(&R.compositor, 3, "wl_registry", "bind");
}

static void test_bind_after_removal_is_the_compositors(void **state)
{
    (void)state;
    get_registry();
    offer(1, "wl_shm", 1);
    expect_offer(1, "wl_shm", 1);
    wire_send(&R.compositor, 2, REGISTRY_GLOBAL_REMOVE, "u", 1);
    wire_send(&R.client, REGISTRY, REGISTRY_BIND, "uN", 1, "wl_shm", 1, 3); /* they crossed */
    wire_expect(&R.compositor, REGISTRY, "wl_registry", "bind");
}

static void bad_bind(uint32_t name, const char *interface, uint32_t version, const char *text)
{
    R.hidden = "wl_seat";
    get_registry();
    offer(1, "wl_shm", 1);
    offer(3, "wl_seat", 5);
    expect_offer(1, "wl_shm", 1);
    wire_send(&R.client, REGISTRY, REGISTRY_BIND, "uN", name, interface, version, 3);
    expect_error(REGISTRY, WL_DISPLAY_INVALID_OBJECT, text);
    assert_int_equal(R.compositor.n, 0); /* never heard of it */
}

static void test_bind_of_a_hidden_name(void **state)
{
    (void)state;
    bad_bind(3, "wl_seat", 1, "wl_registry.bind: there is no global 3");
}

static void test_bind_of_a_guessed_name(void **state)
{
    (void)state;
    bad_bind(99, "wl_shm", 1, "wl_registry.bind: there is no global 99");
}

static void test_bind_as_another_interface(void **state)
{
    (void)state;
    bad_bind(1, "wl_seat", 1, "wl_registry.bind: global 1 is a wl_shm, not a wl_seat");
}

static void test_bind_of_a_higher_version(void **state)
{
    (void)state;
    bad_bind(1, "wl_shm", 2, "wl_registry.bind: wl_shm is offered up to version 1, not 2");
}

static void test_bind_of_version_0(void **state)
{
    (void)state;
    bad_bind(1, "wl_shm", 0, "wl_registry.bind");
}

/* --- objects --- */

static void test_ids_come_back(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        sync_with(2);
    sync_with(3 - 1);
}

static void test_an_id_in_use(void **state)
{
    (void)state;
    wire_send(&R.client, 1, DISPLAY_SYNC, "u", 2);
    wire_send(&R.client, 1, DISPLAY_SYNC, "u", 2);
    expect_error(1, WL_DISPLAY_INVALID_OBJECT, "wl_display#1.sync, message 0: id already in use");
}

static void test_an_id_that_leaves_a_gap(void **state)
{
    (void)state;
    wire_send(&R.client, 1, DISPLAY_SYNC, "u", 3);
    expect_error(1, WL_DISPLAY_INVALID_OBJECT, "wl_display#1.sync, message 0: id out of range");
}

static void test_an_id_of_the_servers(void **state)
{
    (void)state;
    wire_send(&R.client, 1, DISPLAY_SYNC, "u", 0xff000000u);
    expect_error(1, WL_DISPLAY_INVALID_OBJECT, "id out of range");
}

static void test_an_unknown_object(void **state)
{
    (void)state;
    wire_send(&R.client, 9, 0, "u", 3);
    expect_error(1, WL_DISPLAY_INVALID_OBJECT, "object 9: there is no such object");
}

static void test_a_destroyed_object(void **state)
{
    (void)state;
    bind_all();
    wire_send(&R.client, COMPOSITOR, COMPOSITOR_CREATE_SURFACE, "u", NEXT);
    wire_send(&R.client, NEXT, SURFACE_DESTROY, "");
    wire_send(&R.client, NEXT, SURFACE_COMMIT, "");
    expect_error(1, WL_DISPLAY_INVALID_OBJECT, "it is destroyed");
}

static void test_an_unknown_opcode(void **state)
{
    (void)state;
    wire_send(&R.client, 1, 2, "u", 3);
    expect_error(1, WL_DISPLAY_INVALID_METHOD, "wl_display#1.message 2: unknown opcode");
}

static void test_a_message_of_a_later_version(void **state)
{
    (void)state;
    get_registry();
    bind_global(GLOBAL_COMPOSITOR, "wl_compositor", 3, 3);
    wire_send(&R.client, 3, COMPOSITOR_CREATE_SURFACE, "u", 4);
    wire_send(&R.client, 4, 9, "uuuu", 0, 0, 1, 1); /* damage_buffer came with 4 */
    expect_error(4, WL_DISPLAY_INVALID_METHOD, "not in the bound version");
}

static void test_malformed_messages_are_named(void **state)
{
    (void)state;
    bind_all();
    wire_send(&R.client, COMPOSITOR, COMPOSITOR_CREATE_SURFACE, "u", NEXT);
    wire_send(&R.client, NEXT, SURFACE_ATTACH, "uu", 0, 0); /* lacks y */
    expect_error(NEXT, WL_DISPLAY_INVALID_METHOD,
                 "the client sent wl_surface#7.attach, message 1: wrong size");
}

static void test_impossible_size(void **state)
{
    (void)state;
    uint32_t message[3] = {1, 6 << 16, 0};
    wire_send_fds(&R.client, message, 12, NULL, 0);
    expect_error(1, WL_DISPLAY_INVALID_METHOD, "size 6");
}

static void test_events_to_objects_that_are_destroyed(void **state)
{
    (void)state;
    bind_all();
    wire_send(&R.client, SEAT, SEAT_GET_KEYBOARD, "u", NEXT);
    wire_expect(&R.compositor, SEAT, "wl_seat", "get_keyboard");
    wire_send(&R.client, NEXT, 0, ""); /* release */
    wire_expect(&R.compositor, NEXT, "wl_keyboard", "release");
    /* What the compositor sent before it knew: with a descriptor, which must not be taken for that
     * of another message. */
    wire_send(&R.compositor, NEXT, KEYBOARD_REPEAT_INFO, "uu", 25, 600);
    wire_send_fd(&R.compositor, fd_memfd("keymap", 10), NEXT, KEYBOARD_KEYMAP, "uu", 1, 10);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", NEXT);
    wire_expect(&R.client, NEXT, "wl_keyboard", "repeat_info");
    wire_expect(&R.client, NEXT, "wl_keyboard", "keymap");
    assert_int_equal(R.client.fds_n, 1);
    wire_expect(&R.client, 1, "wl_display", "delete_id");
    wire_send(&R.client, COMPOSITOR, COMPOSITOR_CREATE_SURFACE, "u",
              NEXT); /* the id is another's now */
    wire_expect(&R.compositor, COMPOSITOR, "wl_compositor", "create_surface");
    wire_send(&R.client, NEXT, SURFACE_COMMIT, "");
    wire_expect(&R.compositor, NEXT, "wl_surface", "commit");
}

static void test_ids_of_the_server(void **state)
{
    (void)state;
    const uint32_t offer_id = 0xff000000u;
    bind_all();
    wire_send(&R.client, DATA, MANAGER_GET_DEVICE, "uu", NEXT, SEAT);
    wire_expect(&R.compositor, DATA, "wl_data_device_manager", "get_data_device");
    for (int round = 0; round < 3; round++) { /* no delete_id in between */
        wire_send(&R.compositor, NEXT, DEVICE_DATA_OFFER, "u", offer_id);
        wire_send(&R.compositor, offer_id, OFFER_OFFER, "s", "text/plain");
        wire_send(&R.compositor, NEXT, DEVICE_SELECTION, "u", offer_id);
        assert_int_equal(wire_expect(&R.client, NEXT, "wl_data_device", "data_offer").args[0].u,
                         offer_id);
        assert_string_equal(
            wire_expect(&R.client, offer_id, "wl_data_offer", "offer").args[0].s.text,
            "text/plain");
        wire_expect(&R.client, NEXT, "wl_data_device", "selection");
        wire_send(&R.client, offer_id, OFFER_DESTROY, "");
        wire_expect(&R.compositor, offer_id, "wl_data_offer", "destroy");
    }
}

static void test_a_compositor_that_breaks_the_rules(void **state)
{
    (void)state;
    bind_all();
    wire_send(&R.compositor, 99, 0, "u", 1);
    expect_error(1, WL_DISPLAY_INVALID_OBJECT, "the compositor used object 99");
}

static void test_the_compositors_own_error(void **state)
{
    (void)state;
    wire_send(&R.compositor, 1, DISPLAY_ERROR, "uus", 1, 3, "no room");
    fd_close(R.compositor.fd);
    R.compositor.fd = -1;
    struct wl_message m = wire_expect(&R.client, 1, "wl_display", "error");
    assert_int_equal(m.args[1].u, 3);
    assert_string_equal(m.args[2].s.text, "no room");
    turn_until(R.loop, wire_at_end, &R.client);
}

/* --- bytes --- */

static void test_byte_by_byte(void **state)
{
    (void)state;
    uint8_t bytes[4096];
    size_t n = 0;
    for (uint32_t i = 0; i < 8; i++)
        n += put_message(bytes + n, 1, DISPLAY_SYNC, "u", 2 + i);
    for (size_t i = 0; i < n; i++) {
        wire_send_fds(&R.client, bytes + i, 1, NULL, 0);
        turn_times(R.loop, 1);
    }
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(wire_expect(&R.compositor, 1, "wl_display", "sync").args[0].u, 2 + i);
    n = 0;
    for (uint32_t i = 0; i < 8; i++)
        n += put_message(bytes + n, 2 + i, CALLBACK_DONE, "u", i);
    for (size_t i = 0; i < n; i++) {
        wire_send_fds(&R.compositor, bytes + i, 1, NULL, 0);
        turn_times(R.loop, 1);
    }
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(wire_expect(&R.client, 2 + i, "wl_callback", "done").args[0].u, i);
}

static void test_large_batches(void **state)
{
    (void)state;
    bind_all();
    uint32_t source = NEXT;
    wire_send(&R.client, DATA, MANAGER_CREATE_SOURCE, "u", source);
    wire_expect(&R.compositor, DATA, "wl_data_device_manager", "create_data_source");
    static char mime[60001];
    static uint8_t bytes[4 << 20];
    size_t n = 0;
    memset(mime, 'm', sizeof(mime) - 1);
    for (int i = 0; i < 40; i++) { /* messages as large as libwayland may send now, more than a
                                      frame and a socket hold */
        mime[60000 - i] = 0;
        n += put_message(bytes + n, source, SOURCE_OFFER, "s", mime);
    }
    wire_send_fds(&R.client, bytes, n, NULL, 0);
    for (uint32_t i = 0; i < 40; i++)
        assert_int_equal(
            wire_expect(&R.compositor, source, "wl_data_source", "offer").args[0].s.length,
            60000 - i);
}

/* --- shared memory --- */

#define POOL_SIZE 65536

static int pool_file(uint8_t **ret_map)
{
    int fd = fd_memfd("pool", POOL_SIZE);
    assert_true(fd >= 0);
    *ret_map = mmap(NULL, POOL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(*ret_map, MAP_FAILED);
    fill_pattern(*ret_map, POOL_SIZE, 12);
    return fd;
}

enum { POOL = NEXT, BUFFER, SURFACE, AFTER };

/* A pool, a 64 × 64 buffer at offset 4096, and a surface. Returns the compositor's view of the
 * pool. */
static uint8_t *start_pool(int *ret_file, uint8_t **ret_map)
{
    bind_all();
    int fd = *ret_file = pool_file(ret_map);
    wire_send_fd(&R.client, fcntl(fd, F_DUPFD_CLOEXEC, 0), SHM, SHM_CREATE_POOL, "uu", POOL,
                 POOL_SIZE);
    assert_int_equal(wire_expect(&R.compositor, SHM, "wl_shm", "create_pool").args[2].i, POOL_SIZE);
    int mirror = wire_fd(&R.compositor);
    struct stat st;
    assert_int_equal(fstat(mirror, &st), 0);
    assert_true(st.st_size >= POOL_SIZE);
    assert_int_equal(fcntl(mirror, F_GET_SEALS) & F_SEAL_SHRINK,
                     F_SEAL_SHRINK); /* the compositor is safe from SIGBUS */
    uint8_t *view = mmap(NULL, POOL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mirror, 0);
    assert_ptr_not_equal(view, MAP_FAILED);
    fd_close(mirror);
    wire_send(&R.client, POOL, POOL_CREATE_BUFFER, "uuuuuu", BUFFER, 4096, 64, 64, 256, 0);
    struct wl_message m = wire_expect(&R.compositor, POOL, "wl_shm_pool", "create_buffer");
    assert_true(m.args[1].i == 4096 && m.args[2].i == 64 && m.args[4].i == 256);
    wire_send(&R.client, COMPOSITOR, COMPOSITOR_CREATE_SURFACE, "u", SURFACE);
    wire_expect(&R.compositor, COMPOSITOR, "wl_compositor", "create_surface");
    return view;
}

static void commit(uint32_t buffer, uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
    uint8_t bytes[200];
    size_t n = put_message(bytes, SURFACE, SURFACE_ATTACH, "uuu", buffer, 0, 0);
    n += put_message(bytes + n, SURFACE, SURFACE_DAMAGE, "uuuu", x, y, width, height);
    n += put_message(bytes + n, SURFACE, SURFACE_COMMIT, "");
    wire_send_fds(&R.client, bytes, n, NULL, 0);
}

static void expect_commit(void)
{
    wire_expect(&R.compositor, SURFACE, "wl_surface", "attach");
    wire_expect(&R.compositor, SURFACE, "wl_surface", "damage");
    wire_expect(&R.compositor, SURFACE, "wl_surface", "commit");
}

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
    munmap(map, POOL_SIZE);
    munmap(view, POOL_SIZE);
    fd_close(file);
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
    turn_times(R.loop, 5);
    assert_int_equal(memory_allocated(R.host->memories), 0);
    assert_int_equal(view[4096], 0);
    assert_int_equal(view[4096 + 16383], 0);
    munmap(map, POOL_SIZE);
    munmap(view, POOL_SIZE);
    fd_close(file);
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
    assert_int_equal(fstat(R.host->memories->fd, &first), 0);
    assert_int_equal(fstat(R.compositor.fds[R.compositor.fds_first], &second), 0);
    assert_int_equal(first.st_ino, second.st_ino); /* one mirror */
    assert_int_equal(second.st_size, 2 * POOL_SIZE);
    assert_int_equal(R.guest->memories_n, 1);
    wire_send(&R.client, AFTER, POOL_DESTROY, "");
    wire_send(&R.client, POOL, POOL_DESTROY, "");
    wire_expect(&R.compositor, AFTER, "wl_shm_pool", "destroy");
    wire_expect(&R.compositor, POOL, "wl_shm_pool", "destroy");
    assert_int_equal(R.guest->memories_n, 1); /* the buffer is left */
    commit(BUFFER, 0, 0, 64, 64);
    expect_commit();
    assert_memory_equal(view + 4096, map + 4096, 16384);
    commit(0, 0, 0, 64, 64);
    expect_commit();
    wire_send(&R.client, BUFFER, BUFFER_DESTROY, "");
    wire_expect(&R.compositor, BUFFER, "wl_buffer", "destroy");
    turn_times(R.loop, 5);
    assert_int_equal(R.guest->memories_n, 0);
    assert_int_equal(R.host->memories_n, 0);
    munmap(map, POOL_SIZE);
    munmap(view, POOL_SIZE);
    fd_close(file);
}

static void test_a_resize_beyond_the_file(void **state)
{
    (void)state;
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    wire_send(&R.client, POOL, POOL_RESIZE, "u", 2 * POOL_SIZE);
    munmap(map, POOL_SIZE);
    munmap(view, POOL_SIZE);
    fd_close(file);
    expect_error(POOL, WL_SHM_INVALID_FD, "wl_shm_pool#7.resize");
}

static void test_a_file_that_shrinks(void **state)
{
    (void)state;
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    assert_int_equal(ftruncate(file, 8192), 0);
    commit(BUFFER, 0, 0, 64, 64);
    munmap(map, POOL_SIZE);
    munmap(view, POOL_SIZE);
    fd_close(file);
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

static void test_a_pool_larger_than_its_file(void **state)
{
    (void)state;
    bad_pool(fd_memfd("pool", 4096), 4097,
             "wl_shm#4.create_pool: invalid size 4097 of a file of 4096 bytes");
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
    R.quota = 16384;
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    commit(BUFFER, 0, 0, 64, 64);
    munmap(map, POOL_SIZE);
    munmap(view, POOL_SIZE);
    fd_close(file);
    expect_error(1, WL_DISPLAY_NO_MEMORY, "max-memory");
}

static void test_the_limit_of_descriptors(void **state)
{
    (void)state;
    R.host->limits.vfds = 3;
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
    munmap(map, POOL_SIZE);
    munmap(view, POOL_SIZE);
    fd_close(file);
}

static void test_the_compositor_frees_a_live_buffer(void **state)
{
    (void)state;
    int file;
    uint8_t *map, *view = start_pool(&file, &map);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", BUFFER);
    wire_expect(&R.client, 1, "wl_display", "delete_id");
    munmap(map, POOL_SIZE);
    munmap(view, POOL_SIZE);
    fd_close(file); /* LeakSanitizer: what was to be punched is forgotten with the relay */
}

/* --- files --- */

static void keymap(int fd, size_t size)
{
    bind_all();
    wire_send(&R.client, SEAT, SEAT_GET_KEYBOARD, "u", NEXT);
    wire_expect(&R.compositor, SEAT, "wl_seat", "get_keyboard");
    wire_send_fd(&R.compositor, fd, NEXT, KEYBOARD_KEYMAP, "uu", 1, (uint32_t)size);
    wire_send(&R.compositor, NEXT, KEYBOARD_REPEAT_INFO, "uu", 25, 600);
    assert_int_equal(wire_expect(&R.client, NEXT, "wl_keyboard", "keymap").args[2].u, size);
    int got = wire_fd(&R.client);
    uint8_t *expected = malloc(size + 1), *back = malloc(size + 1);
    fill_pattern(expected, size, 5);
    assert_int_equal(pread(got, back, size + 1, 0), size);
    assert_memory_equal(back, expected, size);
    fd_close(got);
    free(expected);
    free(back);
    wire_expect(&R.client, NEXT, "wl_keyboard", "repeat_info"); /* life goes on */
    wire_send(&R.compositor, NEXT, KEYBOARD_REPEAT_INFO, "uu", 25, 601);
    wire_expect(&R.client, NEXT, "wl_keyboard", "repeat_info");
    sync_with(NEXT + 1);
}

static int content_file(int fd, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    fill_pattern(bytes, size, 5);
    assert_int_equal(write(fd, bytes, size), size);
    free(bytes);
    return fd;
}

static void test_a_keymap(void **state)
{
    (void)state;
    keymap(content_file(fd_memfd("keymap", 0), 50000), 50000);
}

static void test_a_keymap_on_disk(void **state)
{
    (void)state;
    struct fd_info info;
    char path[] = "./wayvsock-test-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(fd_inspect(fd, &info), 0);
    if (info.kind != FD_KIND_FILE)
        skip();
    keymap(content_file(fd, 50000), 50000);
}

static void test_no_keymap(void **state)
{
    (void)state;
    keymap(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
}

static void test_a_keymap_of_a_socket(void **state)
{
    (void)state;
    int ends[2];
    bind_all();
    wire_send(&R.client, SEAT, SEAT_GET_KEYBOARD, "u", NEXT);
    wire_expect(&R.compositor, SEAT, "wl_seat", "get_keyboard");
    make_sockets(ends, 0);
    fd_close(ends[1]);
    wire_send_fd(&R.compositor, ends[0], NEXT, KEYBOARD_KEYMAP, "uu", 1, 10);
    expect_error(NEXT, WL_DISPLAY_IMPLEMENTATION,
                 "wl_keyboard#7.keymap: a readable file is needed, not socket");
}

/* --- streams --- */

static void make_pipe(int ends[2])
{
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
}

/* The client's device and an offer of the compositor's. */
static uint32_t start_offer(void)
{
    const uint32_t id = 0xff000000u;
    bind_all();
    wire_send(&R.client, DATA, MANAGER_GET_DEVICE, "uu", NEXT, SEAT);
    wire_expect(&R.compositor, DATA, "wl_data_device_manager", "get_data_device");
    wire_send(&R.compositor, NEXT, DEVICE_DATA_OFFER, "u", id);
    wire_expect(&R.client, NEXT, "wl_data_device", "data_offer");
    return id;
}

static bool readable(void *user)
{
    char byte;
    int fd = *(int *)user;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && errno == ENOTSOCK) {
        int waiting = 0;
        return ioctl(fd, FIONREAD, &waiting) == 0 && waiting > 0;
    }
    return n >= 0;
}

static void test_descriptors_keep_their_order(void **state)
{
    (void)state;
    enum { N = 100 };
    uint32_t id = start_offer();
    int mine[N];
    static uint8_t bytes[N * 64];
    size_t n = 0;
    int fds[28], n_fds = 0;
    for (int i = 0; i < N;
         i++) { /* in one go, the descriptors ahead of their messages as libwayland sends them */
        int ends[2];
        char mime[32];
        make_pipe(ends);
        mine[i] = ends[0];
        fds[n_fds++] = ends[1];
        snprintf(mime, sizeof(mime), "type/%d", i);
        n += put_message(bytes + n, id, OFFER_RECEIVE, "s", mime);
        if (n_fds == 28 || i == N - 1) {
            wire_send_fds(&R.client, bytes, n, fds, (size_t)n_fds);
            n = 0;
            n_fds = 0;
        }
    }
    for (int i = 0; i < N; i++) {
        char mime[32];
        snprintf(mime, sizeof(mime), "type/%d", i);
        assert_string_equal(
            wire_expect(&R.compositor, id, "wl_data_offer", "receive").args[0].s.text, mime);
        int theirs = wire_fd(&R.compositor);
        assert_int_equal(write(theirs, &i, sizeof(i)), sizeof(i));
        fd_close(theirs);
    }
    for (int i = 0; i < N; i++) {
        int got = -1;
        turn_until(R.loop, readable, &mine[i]);
        assert_int_equal(read(mine[i], &got, sizeof(got)), sizeof(got));
        assert_int_equal(got, i);
        fd_close(mine[i]);
    }
}

struct flow {
    int write, read;
    size_t left, got;
    bool ended;
};

static bool flow_step(void *user)
{
    static uint8_t bytes[30000];
    struct flow *f = user;
    if (f->write >= 0) {
        ssize_t n = write(f->write, bytes, f->left < sizeof(bytes) ? f->left : sizeof(bytes));
        f->left -= n > 0 ? (size_t)n : 0;
        if (!f->left)
            f->write = fd_close(f->write);
    }
    ssize_t n = read(f->read, bytes, sizeof(bytes));
    f->got += n > 0 ? (size_t)n : 0;
    f->ended = n == 0;
    return f->ended;
}

static void test_paste_outlives_the_compositors_end(void **state)
{
    (void)state;
    int ends[2];
    uint32_t id = start_offer();
    make_pipe(ends);
    wire_send_fd(&R.client, ends[1], id, OFFER_RECEIVE, "s", "a/b");
    wire_expect(&R.compositor, id, "wl_data_offer", "receive");
    int theirs = wire_fd(&R.compositor);
    fd_set_nonblock(theirs);
    R.compositor.fd = fd_close(R.compositor.fd);
    turn_until(R.loop, wire_at_end, &R.client);
    assert_int_equal(R.ended, 0);
    struct flow f = {theirs, ends[0], 2000000, 0, false};
    turn_until(R.loop, flow_step, &f);
    assert_int_equal(f.got, 2000000);
    fd_close(ends[0]);
    turn_until(R.loop, relays_over, NULL);
}

static void test_copy_outlives_the_application(void **state)
{
    (void)state;
    int ends[2];
    bind_all();
    wire_send(&R.client, DATA, MANAGER_CREATE_SOURCE, "u", NEXT);
    wire_expect(&R.compositor, DATA, "wl_data_device_manager", "create_data_source");
    make_pipe(ends);
    wire_send_fd(&R.compositor, ends[1], NEXT, SOURCE_SEND, "s", "a/b");
    wire_expect(&R.client, NEXT, "wl_data_source", "send");
    int mine = wire_fd(&R.client); /* as a child of the application might keep it */
    fd_set_nonblock(mine);
    R.client.fd = fd_close(R.client.fd);
    turn_until(R.loop, wire_at_end, &R.compositor);
    assert_int_equal(R.ended, 0);
    struct flow f = {mine, ends[0], 2000000, 0, false};
    turn_until(R.loop, flow_step, &f);
    assert_int_equal(f.got, 2000000);
    fd_close(ends[0]);
    turn_until(R.loop, relays_over, NULL);
}

static void test_a_stream_of_a_directory(void **state)
{
    (void)state;
    uint32_t id = start_offer();
    wire_send_fd(&R.client, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), id, OFFER_RECEIVE, "s",
                 "a/b");
    expect_error(id, WL_DISPLAY_IMPLEMENTATION,
                 "wl_data_offer#4278190080.receive: a pipe, socket or file is needed");
}

static void test_surplus_descriptors(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 60 && !R.ended; i++) {
        int fds[20];
        uint8_t bytes[64];
        for (int f = 0; f < 20; f++)
            fds[f] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        wire_send_fds(&R.client, bytes, put_message(bytes, 1, DISPLAY_SYNC, "u", 2 + i), fds, 20);
        turn_times(R.loop, 2);
    }
    expect_error(1, WL_DISPLAY_NO_MEMORY, "too many descriptors");
}

/* --- ends --- */

static void test_the_application_leaves(void **state)
{
    (void)state;
    bind_all();
    wire_send(&R.client, COMPOSITOR, COMPOSITOR_CREATE_SURFACE, "u",
              NEXT); /* its last words count */
    R.client.fd = fd_close(R.client.fd);
    wire_expect(&R.compositor, COMPOSITOR, "wl_compositor", "create_surface");
    turn_until(R.loop, wire_at_end, &R.compositor);
    turn_until(R.loop, relays_over, NULL);
}

static void test_the_compositor_leaves(void **state)
{
    (void)state;
    bind_all();
    wire_send(&R.compositor, SEAT, 0, "u", 3); /* capabilities */
    R.compositor.fd = fd_close(R.compositor.fd);
    wire_expect(&R.client, SEAT, "wl_seat", "capabilities");
    turn_until(R.loop, wire_at_end, &R.client);
    turn_until(R.loop, relays_over, NULL);
}

static void test_the_link_is_lost(void **state)
{
    (void)state;
    bind_all();
    shutdown(R.host->link->fd, SHUT_RDWR);
    struct wl_message m = wire_expect(&R.client, 1, "wl_display", "error");
    assert_non_null(strstr(m.args[2].s.text, "the connection to the host was lost"));
    turn_until(R.loop, wire_at_end, &R.client);
    turn_until(R.loop, wire_at_end, &R.compositor);
    turn_until(R.loop, relays_over, NULL);
}

/* A paste is asked for when the compositor is gone already: nobody will ever write. */
static void test_a_descriptor_for_a_compositor_that_left(void **state)
{
    (void)state;
    int ends[2];
    uint32_t id = start_offer();
    make_pipe(ends);
    R.compositor.fd = fd_close(R.compositor.fd);
    wire_send_fd(&R.client, ends[1], id, OFFER_RECEIVE, "s",
                 "a/b"); /* read before the other end is noticed */
    struct flow f = {-1, ends[0], 0, 0, false};
    turn_until(R.loop, flow_step, &f);
    fd_close(ends[0]);
    turn_until(R.loop, relays_over, NULL);
}

static void test_a_client_that_does_not_read(void **state)
{
    (void)state;
    static uint8_t bytes[64 << 10];
    R.guest->limits.queue = 1 << 20;
    bind_all();
    size_t n = 0;
    while (n + 16 < sizeof(bytes))
        n += put_message(bytes + n, SEAT, 0, "u", 3);
    for (int i = 0; i < 200 && R.guest && !R.guest->ending; i++) {
        wire_send_fds(&R.compositor, bytes, n, NULL, 0);
        turn_times(R.loop, 3);
    }
    /* It may never read, so the error may never reach it; nobody waits for that. */
    turn_until(R.loop, wire_at_end, &R.compositor);
    turn_until(R.loop, relays_over, NULL);
}

static bool both_paused(void *user)
{
    (void)user;
    static uint8_t bytes[64 << 10];
    static size_t n;
    if (!n)
        while (n + 24 < sizeof(bytes))
            n += put_message(bytes + n, NEXT, SURFACE_ATTACH, "uuu", 0, 0, 0);
    if (send(R.client.fd, bytes, n - n % 20, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        return false;
    return R.host->link->paused && R.guest->local.paused;
}

static void test_a_compositor_that_does_not_read_and_leaves(void **state)
{
    (void)state;
    bind_all();
    wire_send(&R.client, COMPOSITOR, COMPOSITOR_CREATE_SURFACE, "u", NEXT);
    wire_expect(&R.compositor, COMPOSITOR, "wl_compositor", "create_surface");
    turn_until(R.loop, both_paused, NULL); /* the client waits, nothing else grows */
    assert_true(sendq_size(&R.host->local.out) < 2 * LINK_HIGH_WATER);
    R.compositor.fd = fd_close(R.compositor.fd);
    turn_until(R.loop, wire_at_end, &R.client);
    turn_until(R.loop, relays_over, NULL);
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
    munmap(map, POOL_SIZE);
    munmap(view, POOL_SIZE);
    fd_close(file); /* the teardown destroys both relays with all they have */
}

/* The cache of keymaps keeps descriptors: it is full before anybody counts. */
static int fill_cache(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 32; i++) {
        struct memory *m = memory_create(16);
        fill_pattern(m->map, 16, 1000 + i);
        fd_close(vfd_file_share(m));
        memory_unref(m);
    }
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, relays_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_globals_that_are_offered),
        TEST(test_version_cap_of_the_policy),
        TEST(test_two_registries),
        TEST(test_bind_after_removal_is_the_compositors),
        TEST(test_bind_of_a_hidden_name),
        TEST(test_bind_of_a_guessed_name),
        TEST(test_bind_as_another_interface),
        TEST(test_bind_of_a_higher_version),
        TEST(test_bind_of_version_0),
        TEST(test_ids_come_back),
        TEST(test_an_id_in_use),
        TEST(test_an_id_that_leaves_a_gap),
        TEST(test_an_id_of_the_servers),
        TEST(test_an_unknown_object),
        TEST(test_a_destroyed_object),
        TEST(test_an_unknown_opcode),
        TEST(test_a_message_of_a_later_version),
        TEST(test_malformed_messages_are_named),
        TEST(test_impossible_size),
        TEST(test_events_to_objects_that_are_destroyed),
        TEST(test_ids_of_the_server),
        TEST(test_a_compositor_that_breaks_the_rules),
        TEST(test_the_compositors_own_error),
        TEST(test_byte_by_byte),
        TEST(test_large_batches),
        TEST(test_pixels_are_there_before_the_commit),
        TEST(test_pages_that_no_buffer_covers_are_given_back),
        TEST(test_pools_on_one_file_and_resize),
        TEST(test_a_resize_beyond_the_file),
        TEST(test_a_file_that_shrinks),
        TEST(test_a_pool_of_a_pipe),
        TEST(test_a_pool_larger_than_its_file),
        TEST(test_a_pool_of_no_size),
        TEST(test_a_pool_of_negative_size),
        TEST(test_a_pool_without_descriptor),
        TEST(test_the_quota_of_memory),
        TEST(test_the_limit_of_descriptors),
        TEST(test_a_screen_copy),
        TEST(test_the_compositor_frees_a_live_buffer),
        TEST(test_a_keymap),
        TEST(test_a_keymap_on_disk),
        TEST(test_no_keymap),
        TEST(test_a_keymap_of_a_socket),
        TEST(test_descriptors_keep_their_order),
        TEST(test_paste_outlives_the_compositors_end),
        TEST(test_copy_outlives_the_application),
        TEST(test_a_stream_of_a_directory),
        TEST(test_surplus_descriptors),
        TEST(test_the_application_leaves),
        TEST(test_the_compositor_leaves),
        TEST(test_the_link_is_lost),
        TEST(test_a_descriptor_for_a_compositor_that_left),
        TEST(test_a_client_that_does_not_read),
        TEST(test_a_compositor_that_does_not_read_and_leaves),
        TEST(test_destroyed_in_the_middle),
    };
    return cmocka_run_group_tests(tests, fill_cache, NULL);
}
