/* SPDX-License-Identifier: MIT */
/* A buffer that the guest's relay made by itself: it has a server's id for the application and a
 * client's for the compositor, and both go on making ids of their own. */
#include "tests/unit/wayland/session.h"

#include "common/wayland/inject.h"

#define FIRST 0xff000000u

/* Makes a buffer on the pool of start_pool(), as linux-dmabuf does. */
static struct wl_id_pair make_buffer(void)
{
    struct wl_id_pair id;
    const struct wl_iface *iface = wl_iface_find("wl_buffer", 9);
    assert_int_equal(wl_ids_add(&R.guest->ids, &R.guest->objects, iface, 1, &id), WL_IDS_OK);
    inject_host(R.guest, POOL, MSG_POOL_CREATE_BUFFER, id.application, 0u, 32u, 32u, 128u, 0u);
    link_flush(R.guest->carrier.ends.link);
    struct wl_message m = wire_expect(&R.compositor, wl_ids_host(&R.guest->ids, POOL),
                                      "wl_shm_pool", "create_buffer");
    assert_int_equal(m.args[0].u, id.host);
    return id;
}

/* The compositor offers data as its object @id, which the client knows as @application. */
static void expect_data_offer(uint32_t device, uint32_t id, uint32_t application)
{
    wire_send(&R.compositor, wl_ids_host(&R.guest->ids, device), DEVICE_DATA_OFFER, "u", id);
    assert_int_equal(wire_expect(&R.client, device, "wl_data_device", "data_offer").args[0].u,
                     application);
}

/* A surface @id, which the compositor knows as @host. */
static void make_surface(uint32_t id, uint32_t host)
{
    wire_send(&R.client, COMPOSITOR, COMPOSITOR_CREATE_SURFACE, "u", id);
    assert_int_equal(
        wire_expect(&R.compositor, COMPOSITOR, "wl_compositor", "create_surface").args[0].u, host);
}

static uint32_t host(uint32_t id)
{
    return wl_ids_host(&R.guest->ids, id);
}

static uint8_t *pool_map, *pool_view;
static int pool_fd;

/* A pool, a buffer, a surface and a data device of the client, an offer of the compositor's; then a
 * buffer of ours. */
static struct wl_id_pair start_pair(void)
{
    pool_view = start_pool(&pool_fd, &pool_map);
    wire_send(&R.client, DATA, MANAGER_GET_DEVICE, "uu", AFTER, SEAT);
    wire_expect(&R.compositor, DATA, "wl_data_device_manager", "get_data_device");
    expect_data_offer(AFTER, FIRST, FIRST);
    struct wl_id_pair id = make_buffer();
    assert_int_equal(id.application, FIRST + 1);
    assert_int_equal(id.host, AFTER + 1);
    return id;
}

static int stop(void **state)
{
    if (pool_map)
        munmap(pool_map, POOL_SIZE);
    if (pool_view)
        munmap(pool_view, POOL_SIZE);
    pool_fd = fd_close(pool_fd ? pool_fd : -1);
    pool_map = pool_view = NULL;
    return relays_stop(state);
}

static void test_the_client_uses_it(void **state)
{
    (void)state;
    struct wl_id_pair id = start_pair();
    wire_send(&R.client, SURFACE, SURFACE_ATTACH, "uuu", id.application, 0, 0);
    assert_int_equal(wire_expect(&R.compositor, SURFACE, "wl_surface", "attach").args[0].u,
                     id.host);
    wire_send(&R.compositor, id.host, BUFFER_RELEASE, "");
    wire_expect(&R.client, id.application, "wl_buffer", "release");
    wire_send(&R.client, id.application, BUFFER_DESTROY, "");
    wire_expect(&R.compositor, id.host, "wl_buffer", "destroy");
    wire_send(&R.compositor, id.host, BUFFER_RELEASE, ""); /* late */
    wire_expect(&R.client, id.application, "wl_buffer", "release");
    wire_send(&R.client, id.application, BUFFER_DESTROY, "");
    expect_error(1, WL_DISPLAY_INVALID_OBJECT, "destroyed");
}

static void test_new_objects_of_both_sides(void **state)
{
    (void)state;
    start_pair();
    make_surface(AFTER + 1, AFTER + 2);
    make_surface(AFTER + 2, AFTER + 3);
    expect_data_offer(AFTER, FIRST + 1, FIRST + 2);
    expect_data_offer(AFTER, FIRST + 2, FIRST + 3);
    /* as objects of messages and as arguments, in both directions */
    wire_send(&R.client, AFTER + 1, SURFACE_ATTACH, "uuu", BUFFER, 0, 0);
    assert_int_equal(wire_expect(&R.compositor, AFTER + 2, "wl_surface", "attach").args[0].u,
                     BUFFER);
    wire_send(&R.compositor, AFTER, DEVICE_SELECTION, "u", FIRST + 2);
    assert_int_equal(wire_expect(&R.client, AFTER, "wl_data_device", "selection").args[0].u,
                     FIRST + 3);
    wire_send(&R.compositor, AFTER, DEVICE_SELECTION, "u", 0);
    assert_int_equal(wire_expect(&R.client, AFTER, "wl_data_device", "selection").args[0].u, 0);
    wire_send(&R.compositor, FIRST + 1, OFFER_OFFER, "s", "text/plain");
    assert_string_equal(wire_expect(&R.client, FIRST + 2, "wl_data_offer", "offer").args[0].s.text,
                        "text/plain");
    wire_send(&R.client, FIRST + 3, OFFER_DESTROY, "");
    wire_expect(&R.compositor, FIRST + 2, "wl_data_offer", "destroy");
    expect_data_offer(AFTER, FIRST + 2, FIRST + 3); /* the compositor's id is used again */
    /* an id of the client's is free again */
    wire_send(&R.client, AFTER + 1, SURFACE_DESTROY, "");
    wire_expect(&R.compositor, AFTER + 2, "wl_surface", "destroy");
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", AFTER + 2);
    assert_int_equal(wire_expect(&R.client, 1, "wl_display", "delete_id").args[0].u, AFTER + 1);
    make_surface(AFTER + 1, AFTER + 2);
}

/* A message with a string before its new id, and the descriptors of others. */
static void test_binds_and_descriptors(void **state)
{
    (void)state;
    start_pair();
    offer(GLOBAL_SHM + 40, "wl_seat", 5);
    expect_offer(GLOBAL_SHM + 40, "wl_seat", 5);
    wire_send(&R.client, REGISTRY, REGISTRY_BIND, "uN", GLOBAL_SHM + 40, "wl_seat", 5, AFTER + 1);
    struct wl_message m = wire_expect(&R.compositor, REGISTRY, "wl_registry", "bind");
    assert_int_equal(m.args[1].n.id, AFTER + 2);
    assert_int_equal(m.args[1].n.version, 5);
    expect_data_offer(AFTER, FIRST + 1, FIRST + 2);
    int ends[2];
    make_pipe(ends);
    wire_send_fd(&R.client, ends[1], FIRST + 2, OFFER_RECEIVE, "s", "text/plain");
    wire_expect(&R.compositor, FIRST + 1, "wl_data_offer", "receive");
    int there = wire_fd(&R.compositor);
    assert_int_equal(write(there, "hello", 5), 5);
    fd_close(there);
    char text[8] = "";
    for (int tries = 0; tries < 1000 && read(ends[0], text, sizeof(text)) != 5; tries++)
        turn_times(R.loop, 1);
    assert_string_equal(text, "hello");
    fd_close(ends[0]);
}

static void test_many_in_a_row(void **state)
{
    (void)state;
    struct wl_id_pair first = start_pair(), id = first;
    uint32_t surface = AFTER + 1, offered = FIRST + 1;
    for (unsigned i = 0; i < 100; i++) {
        make_surface(surface, host(surface));
        surface++;
        expect_data_offer(AFTER, offered, wl_ids_application(&R.guest->ids, offered));
        offered++;
        wire_send(&R.client, SURFACE, SURFACE_ATTACH, "uuu", id.application, 0, 0);
        assert_int_equal(wire_expect(&R.compositor, SURFACE, "wl_surface", "attach").args[0].u,
                         id.host);
        struct wl_id_pair old = id;
        if (i % 3 == 0)
            id = make_buffer(); /* before the old one is gone */
        wire_send(&R.client, old.application, BUFFER_DESTROY, "");
        wire_expect(&R.compositor, old.host, "wl_buffer", "destroy");
        wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", old.host);
        wire_expect_nothing(&R.client); /* such ids are the server's */
        if (i % 3)
            id = make_buffer();
    }
    assert_int_equal(R.guest->ids.n, 2); /* the rest were used again */
}

/* Both are told which object it is by its own id. */
static void test_errors_name_the_object(void **state)
{
    (void)state;
    start_pair();
    make_surface(AFTER + 1, AFTER + 2);
    wire_send(&R.compositor, 1, DISPLAY_ERROR, "uus", AFTER + 2, 2, "a bad size");
    struct wl_message m = wire_expect(&R.client, 1, "wl_display", "error");
    assert_int_equal(m.args[0].u, AFTER + 1);
    assert_string_equal(m.args[2].s.text, "a bad size");
}

static void test_errors_of_the_hosts_proxy(void **state)
{
    (void)state;
    start_pair();
    make_surface(AFTER + 1, AFTER + 2);
    relay_fail(R.host, LINK_ERROR_LIMIT, AFTER + 2, 2, "too much of it");
    expect_error(AFTER + 1, 2, "too much of it");
}

/* A compositor, or a host, that is out of its mind ends the client, and nobody else. */
static void test_a_host_that_makes_up_ids(void **state)
{
    (void)state;
    struct wl_id_pair id = start_pair();
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", id.host); /* it is in use */
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", id.host);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", FIRST + 7);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", UINT32_MAX);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", 0);
    wire_expect_nothing(&R.compositor);
    turn_times(R.loop, 10);
    wire_send(&R.compositor, AFTER, DEVICE_DATA_OFFER, "u", FIRST + 2); /* 1 is next */
    expect_error(1, WL_DISPLAY_INVALID_OBJECT, "out of range");
}

static void test_a_server_id_for_the_clients_object(void **state)
{
    (void)state;
    struct wl_id_pair id = start_pair();
    wire_send(&R.compositor, AFTER, DEVICE_DATA_OFFER, "u", id.host);
    turn_until(R.loop, relays_over, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, session_setup, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_the_client_uses_it),       TEST(test_new_objects_of_both_sides),
        TEST(test_binds_and_descriptors),    TEST(test_many_in_a_row),
        TEST(test_errors_name_the_object),   TEST(test_errors_of_the_hosts_proxy),
        TEST(test_a_host_that_makes_up_ids), TEST(test_a_server_id_for_the_clients_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
