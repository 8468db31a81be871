/* SPDX-License-Identifier: MIT */
/* The host's relay when the guest proxy breaks no rule, but is late, slow or gone. */
#include "tests/unit/wayland/attacker.h"

static void late_close(void)
{
    attack_source(1);
    attack_with_id(LINK_STREAM_END, 1);
    attack_sink(2);
    attack_with_id(LINK_VFD_CLOSE, 2);
    attack_with_id(LINK_VFD_CLOSE, 2);
}
static void late_credit(void)
{
    attack_sink(1);
    attack_with_id(LINK_VFD_CLOSE, 1);
    attack_credit(1, 100);
}
static void late_data(void)
{
    attack_source(1);
    attack_with_id(LINK_STREAM_END, 1);
    attack_data(1, 100);
    attack_with_id(LINK_STREAM_END, 1);
}
static void late_write(void)
{
    attack_memory(1, 4096);
    attack_with_id(LINK_VFD_CLOSE, 1);
    attack_mem_write(1, 0, 100, 1, 100);
    attack_mem_write(1, 1 << 20, 9, 1, 9);
}
static void close_twice(void)
{
    attack_memory(1, 4096);
    attack_with_id(LINK_VFD_CLOSE, 1);
    attack_with_id(LINK_VFD_CLOSE, 1);
}
static void close_before_the_pool(void)
{
    attack_memory(1, 4096);
    attack_with_id(LINK_VFD_CLOSE, 1);
    attack_create_pool(4096);
    ATTACK_MESSAGE(NEXT, POOL_DESTROY, "");
}
static void smaller_size(void)
{
    attack_memory(1, 8192);
    attack_mem_size(1, 4096);
    attack_mem_write(1, 8191, 1, 1, 1);
}
static void memory_again(void)
{
    attack_memory(1, 4096);
    attack_memory(1, 8192);
    attack_create_pool(8192);
}

static void test_what_comes_late_is_harmless(void **state)
{
    static const struct {
        const char *name;
        void (*build)(void);
    } cases[] = {
        {"close twice", late_close},
        {"credit after the close", late_credit},
        {"data after the end", late_data},
        {"write after the close", late_write},
        {"memory closed twice", close_twice},
        {"closed before its pool is made", close_before_the_pool},
        {"a size below what it has", smaller_size},
        {"the same memory for another pool", memory_again},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        attack_start_host();
        cases[i].build();
        uint32_t id = wl_objects_get(&R.host->objects, NEXT) ? NEXT + 1 : NEXT;
        attack_deliver();
        turn_times(R.loop, 5);
        id = wl_objects_get(&R.host->objects, NEXT) ? NEXT + 1 : id;
        ATTACK_MESSAGE(1, DISPLAY_SYNC, "u", id);
        attack_deliver();
        struct wl_message m;
        do {
            turn_until(R.loop, wire_has_message, &R.compositor);
            if (R.compositor.eof)
                fail_msg("%s: %s", cases[i].name, attack_error_came(NULL) ? attack_reason : "?");
            assert_int_equal(
                wl_message_header(R.compositor.in + R.compositor.first, R.compositor.n, &m),
                WL_MESSAGE_OK);
            R.compositor.first += m.size;
            R.compositor.n -= m.size;
        } while (m.object != 1);
        if (relays_stop(state) != 0)
            fail_msg("%s: leaks a descriptor", cases[i].name);
    }
}

static void test_the_others_error(void **state)
{
    (void)state;
    attack_start_host();
    attack_n += link_error_encode(attack_bytes, LINK_ERROR_WAYLAND, 3, 1, "it broke");
    attack_deliver();
    turn_until(R.loop, wire_at_end, &R.compositor);
    turn_until(R.loop, relays_over, NULL);
}

static void test_the_link_ends_amid_pixels(void **state)
{
    (void)state;
    attack_start_host();
    attack_memory(1, 1 << 20);
    attack_mem_write(1, 0, 1 << 20, 1, 1 << 20);
    attack_n -= 1000;
    attack_deliver();
    R.link.fd = fd_close(R.link.fd);
    turn_until(R.loop, wire_at_end, &R.compositor);
    turn_until(R.loop, relays_over, NULL);
}

static void test_a_guest_that_does_not_read(void **state)
{
    (void)state;
    static uint8_t events[64 << 10];
    size_t n = 0;
    attack_start_host();
    R.host_party.queue = 1 << 20;
    while (n + 16 < sizeof(events))
        n += wl_build(events + n, SEAT, 0, "u", 3);
    for (int i = 0; i < 500 && R.host && !carrier_is_over(&R.host->carrier); i++) {
        wire_send_fds(&R.compositor, events, n, NULL, 0);
        turn_times(R.loop, 2);
    }
    turn_until(R.loop, attack_error_came, NULL);
    assert_non_null(strstr(attack_reason, "queue limit: the guest does not read"));
    turn_until(R.loop, relays_over, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_comes_late_is_harmless),
        cmocka_unit_test_teardown(test_the_others_error, relays_stop),
        cmocka_unit_test_teardown(test_the_link_ends_amid_pixels, relays_stop),
        cmocka_unit_test_teardown(test_a_guest_that_does_not_read, relays_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
