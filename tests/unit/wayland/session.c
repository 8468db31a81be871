/* SPDX-License-Identifier: MIT */
/* Each helper fails the test where one of the relays does not do its part. */
#include "tests/unit/wayland/session.h"

#include "common/carrier/file-reader.h"

int session_setup(void **state)
{
    (void)state;
    return relays_start(true, true);
}

int session_fill_cache(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 32; i++) {
        struct memory *m = memory_create(16, NULL);
        fill_pattern(m->map, 16, 1000 + i);
        fd_close(file_share(m));
        memory_unref(m);
    }
    return 0;
}

void offer(uint32_t name, const char *interface, uint32_t version)
{
    wire_send(&R.compositor, 2, REGISTRY_GLOBAL, "usu", name, interface, version);
}

void expect_offer(uint32_t name, const char *interface, uint32_t version)
{
    struct wl_message m = wire_expect(&R.client, REGISTRY, "wl_registry", "global");
    assert_int_equal(m.args[0].u, name);
    assert_string_equal(m.args[1].s.text, interface);
    assert_int_equal(m.args[2].u, version);
}

void get_registry(void)
{
    wire_send(&R.client, 1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    assert_int_equal(wire_expect(&R.compositor, 1, "wl_display", "get_registry").args[0].u,
                     REGISTRY);
}

void bind_global(uint32_t name, const char *interface, uint32_t version, uint32_t id)
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

void bind_all(void)
{
    get_registry();
    bind_global(GLOBAL_COMPOSITOR, "wl_compositor", 4, COMPOSITOR);
    bind_global(GLOBAL_SHM, "wl_shm", 1, SHM);
    bind_global(GLOBAL_SEAT, "wl_seat", 5, SEAT);
    bind_global(GLOBAL_DATA, "wl_data_device_manager", 3, DATA);
}

void expect_error(uint32_t object, uint32_t code, const char *text)
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

void sync_with(uint32_t id)
{
    wire_send(&R.client, 1, DISPLAY_SYNC, "u", id);
    assert_int_equal(wire_expect(&R.compositor, 1, "wl_display", "sync").args[0].u, id);
    wire_send(&R.compositor, id, CALLBACK_DONE, "u", 77);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", id);
    assert_int_equal(wire_expect(&R.client, id, "wl_callback", "done").args[0].u, 77);
    assert_int_equal(wire_expect(&R.client, 1, "wl_display", "delete_id").args[0].u, id);
}

/* --- a pool --- */

static int pool_file(uint8_t **ret_map)
{
    int fd = fd_memfd("pool", POOL_SIZE);
    assert_true(fd >= 0);
    *ret_map = mmap(NULL, POOL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(*ret_map, MAP_FAILED);
    fill_pattern(*ret_map, POOL_SIZE, 12);
    return fd;
}

uint8_t *start_pool(int *ret_file, uint8_t **ret_map)
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

void end_pool(int file, uint8_t *map, uint8_t *view)
{
    munmap(map, POOL_SIZE);
    munmap(view, POOL_SIZE);
    fd_close(file);
}

void commit(uint32_t buffer, uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
    uint8_t bytes[200];
    size_t n = wl_build(bytes, SURFACE, SURFACE_ATTACH, "uuu", buffer, 0, 0);
    n += wl_build(bytes + n, SURFACE, SURFACE_DAMAGE, "uuuu", x, y, width, height);
    n += wl_build(bytes + n, SURFACE, SURFACE_COMMIT, "");
    wire_send_fds(&R.client, bytes, n, NULL, 0);
}

void expect_commit(void)
{
    wire_expect(&R.compositor, SURFACE, "wl_surface", "attach");
    wire_expect(&R.compositor, SURFACE, "wl_surface", "damage");
    wire_expect(&R.compositor, SURFACE, "wl_surface", "commit");
}

/* --- an offer --- */

void make_pipe(int ends[2])
{
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
}

uint32_t start_offer(void)
{
    const uint32_t id = 0xff000000u;
    bind_all();
    wire_send(&R.client, DATA, MANAGER_GET_DEVICE, "uu", NEXT, SEAT);
    wire_expect(&R.compositor, DATA, "wl_data_device_manager", "get_data_device");
    wire_send(&R.compositor, NEXT, DEVICE_DATA_OFFER, "u", id);
    wire_expect(&R.client, NEXT, "wl_data_device", "data_offer");
    return id;
}
