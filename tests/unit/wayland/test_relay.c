/* SPDX-License-Identifier: MIT */
/* Both relays in one process, an application at one end and a compositor at the other: the
 * registry, the objects and the bytes of their messages. */
#include "tests/unit/wayland/session.h"

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

static void test_an_event_of_a_later_version(void **state)
{
    (void)state;
    get_registry();
    bind_global(GLOBAL_SEAT, "wl_seat", 1, 3);
    wire_send(&R.client, 3, SEAT_GET_KEYBOARD, "u", 4);
    wire_expect(&R.compositor, 3, "wl_seat", "get_keyboard");
    wire_send(&R.compositor, 4, KEYBOARD_REPEAT_INFO, "uu", 25, 600); /* it came with 4 */
    assert_int_equal(wire_expect(&R.client, 4, "wl_keyboard", "repeat_info").args[1].i, 600);
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
    wire_send(&R.compositor, SEAT, 7, "u", 1);
    expect_error(SEAT, WL_DISPLAY_INVALID_METHOD, "the compositor sent wl_seat#5.message 7");
}

/* libwayland's client library does not mind either. */
static void test_an_event_of_an_object_that_never_was(void **state)
{
    (void)state;
    bind_all();
    wire_send(&R.compositor, 99, 0, "u", 1);
    sync_with(NEXT);
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
        n += wl_build(bytes + n, 1, DISPLAY_SYNC, "u", 2 + i);
    for (size_t i = 0; i < n; i++) {
        wire_send_fds(&R.client, bytes + i, 1, NULL, 0);
        turn_times(R.loop, 1);
    }
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(wire_expect(&R.compositor, 1, "wl_display", "sync").args[0].u, 2 + i);
    n = 0;
    for (uint32_t i = 0; i < 8; i++)
        n += wl_build(bytes + n, 2 + i, CALLBACK_DONE, "u", i);
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
        n += wl_build(bytes + n, source, SOURCE_OFFER, "s", mime);
    }
    wire_send_fds(&R.client, bytes, n, NULL, 0);
    for (uint32_t i = 0; i < 40; i++)
        assert_int_equal(
            wire_expect(&R.compositor, source, "wl_data_source", "offer").args[0].s.length,
            60000 - i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(test_globals_that_are_offered),
        SESSION_TEST(test_version_cap_of_the_policy),
        SESSION_TEST(test_two_registries),
        SESSION_TEST(test_bind_after_removal_is_the_compositors),
        SESSION_TEST(test_bind_of_a_hidden_name),
        SESSION_TEST(test_bind_of_a_guessed_name),
        SESSION_TEST(test_bind_as_another_interface),
        SESSION_TEST(test_bind_of_a_higher_version),
        SESSION_TEST(test_bind_of_version_0),
        SESSION_TEST(test_ids_come_back),
        SESSION_TEST(test_an_id_in_use),
        SESSION_TEST(test_an_id_that_leaves_a_gap),
        SESSION_TEST(test_an_id_of_the_servers),
        SESSION_TEST(test_an_unknown_object),
        SESSION_TEST(test_a_destroyed_object),
        SESSION_TEST(test_an_unknown_opcode),
        SESSION_TEST(test_a_message_of_a_later_version),
        SESSION_TEST(test_an_event_of_a_later_version),
        SESSION_TEST(test_malformed_messages_are_named),
        SESSION_TEST(test_impossible_size),
        SESSION_TEST(test_events_to_objects_that_are_destroyed),
        SESSION_TEST(test_ids_of_the_server),
        SESSION_TEST(test_a_compositor_that_breaks_the_rules),
        SESSION_TEST(test_an_event_of_an_object_that_never_was),
        SESSION_TEST(test_the_compositors_own_error),
        SESSION_TEST(test_byte_by_byte),
        SESSION_TEST(test_large_batches),
    };
    return cmocka_run_group_tests(tests, session_fill_cache, NULL);
}
