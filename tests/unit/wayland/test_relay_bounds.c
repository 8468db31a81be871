/* SPDX-License-Identifier: MIT */
/* What a relay keeps for a proxy that asks and does not read, and for an application that sends
 * more than the link takes. */
#include "tests/unit/wayland/attacker.h"

#include <sys/mman.h>

#define FILE_SIZE (2u << 20)
#define FILES 24

static bool has_ended(void *user)
{
    const struct relay *const *r = user;
    return !*r || carrier_is_over(&(*r)->carrier);
}

/* Streams that no message takes, one after the other: each is answered with a VFD_CLOSE. */
static void ask_without_reading(struct relay **r, uint32_t bit, size_t limit)
{
    uint8_t m[16];
    size_t n = wl_build(m, 1, DISPLAY_SYNC, "u", NEXT + 10);
    for (uint32_t id = 1; id < 60000 && !has_ended(r); id++) {
        attack_source(bit | id);
        attack_wayland(n, m);
        attack_deliver();
        turn_times(R.loop, 2);
        assert_true(!*r || sendq_held(&(*r)->carrier.ends.link->out) < limit + 4096);
    }
    assert_true(has_ended(r));
}

static void test_answers_that_the_guest_does_not_read(void **state)
{
    (void)state;
    attack_start_host();
    R.host_party.queue = 64 << 10;
    wire_finish(&R.compositor); /* nothing but streams is left */
    turn_times(R.loop, 5);
    assert_false(ends_has_local(&R.host->carrier.ends));
    ask_without_reading(&R.host, 0, R.host_party.queue);
}

static void test_answers_that_the_host_does_not_read(void **state)
{
    (void)state;
    relays_start(true, false);
    attack_ready();
    R.guest_party.queue = 64 << 10;
    wire_finish(&R.client);
    turn_times(R.loop, 5);
    assert_false(ends_has_local(&R.guest->carrier.ends));
    /* As much as a file that is on its way may take is let pass. */
    assert_non_null(sendq_reserve(&R.guest->carrier.ends.link->out, LINK_FILE_MAX));
    ask_without_reading(&R.guest, LINK_HOST_ID, R.guest_party.queue + LINK_FILE_MAX);
}

/* --- files --- */

static bool all_came(void *user)
{
    size_t *bytes_n = user;
    wire_receive(&R.link);
    *bytes_n += R.link.n;
    R.link.first = R.link.n = 0;
    return *bytes_n >= (size_t)FILES * FILE_SIZE;
}

static void test_files_wait_for_the_link(void **state)
{
    (void)state;
    static const char name[] = "zwp_virtual_keyboard_manager_v1";
    relays_start(true, false);
    if (!wl_iface_find(name, strlen(name)))
        skip();
    attack_ready();
    wire_send(&R.client, 1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    turn_times(R.loop, 3);
    ATTACK_MESSAGE(REGISTRY, REGISTRY_GLOBAL, "usu", 1, "wl_seat", 1);
    ATTACK_MESSAGE(REGISTRY, REGISTRY_GLOBAL, "usu", 2, name, 1);
    attack_deliver();
    wire_expect(&R.client, REGISTRY, "wl_registry", "global");
    wire_expect(&R.client, REGISTRY, "wl_registry", "global");
    wire_send(&R.client, REGISTRY, REGISTRY_BIND, "uN", 1, "wl_seat", 1, SHM);
    wire_send(&R.client, REGISTRY, REGISTRY_BIND, "uN", 2, name, 1, DATA);
    wire_send(&R.client, DATA, 0, "uu", SHM, SEAT);
    uint8_t batch[FILES * 16];
    int fds[FILES];
    size_t n = 0;
    for (int i = 0; i < FILES; i++) {
        fds[i] = fd_memfd("keymap", FILE_SIZE);
        assert_true(fds[i] >= 0);
        n += wl_build(batch + n, SEAT, 0, "uu", 1, FILE_SIZE);
    }
    wire_send_fds(&R.client, batch, n, fds, FILES);
    turn_times(R.loop, 20);
    assert_true(sendq_held(&R.guest->carrier.ends.link->out) > 0);
    assert_true(sendq_held(&R.guest->carrier.ends.link->out) < FILE_SIZE + (2u << 20));
    size_t bytes_n = 0;
    turn_until(R.loop, all_came, &bytes_n);
    turn_times(R.loop, 10);
    all_came(&bytes_n);
    assert_int_equal(sendq_size(&R.guest->carrier.ends.link->out), 0);
    assert_false(carrier_is_over(&R.guest->carrier));
    wire_send(&R.client, 1, DISPLAY_SYNC, "u", NEXT); /* and it goes on */
    turn_times(R.loop, 10);
    struct link_header header;
    const uint8_t *payload;
    assert_true(attack_next_frame(&header, &payload));
    assert_int_equal(header.type, LINK_WAYLAND);
}

static bool guest_is_over(void *user)
{
    (void)user;
    return !R.guest;
}

/* The other proxy takes nothing any more, and does not say so by leaving. */
static void test_a_link_that_is_closed_in_one_direction(void **state)
{
    (void)state;
    relays_start(true, false);
    shutdown(R.link.fd, SHUT_RD);
    wire_send(&R.client, 1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    turn_until(R.loop, guest_is_over, NULL);
    turn_until(R.loop, wire_at_end, &R.client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_answers_that_the_guest_does_not_read, relays_stop),
        cmocka_unit_test_teardown(test_answers_that_the_host_does_not_read, relays_stop),
        cmocka_unit_test_teardown(test_files_wait_for_the_link, relays_stop),
        cmocka_unit_test_teardown(test_a_link_that_is_closed_in_one_direction, relays_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
