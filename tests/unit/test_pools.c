/* SPDX-License-Identifier: MIT */
/* Pools that are made anew at the host: what the link says. */
#include "tests/unit/attacker.h"

#include "guest-proxy/pools.h"

static bool next(struct link_header *ret, const uint8_t **ret_payload, enum link_type type)
{
    while (next_frame(ret, ret_payload))
        if (ret->type == type)
            return true;
    return false;
}

/* Else the compositor could free the pool's id before the host knows that it is in use again, and
 * the application would hear that its pool is gone. */
static void test_a_pool_goes_and_comes_in_one_frame(void **state)
{
    (void)state;
    relays_start(true, false);
    ready();
    wire_send(&R.client, 1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    turn_times(R.loop, 3);
    MESSAGE(REGISTRY, REGISTRY_GLOBAL, "usu", 1, "wl_shm", 1);
    deliver();
    wire_expect(&R.client, REGISTRY, "wl_registry", "global");
    wire_send(&R.client, REGISTRY, REGISTRY_BIND, "uN", 1, "wl_shm", 1, SHM);
    const uint32_t pool = DATA;
    wire_send_fd(&R.client, fd_memfd("pool", 4096), SHM, SHM_CREATE_POOL, "uu", pool, 4096);
    turn_times(R.loop, 5);
    struct link_header header;
    const uint8_t *payload = NULL;
    while (next_frame(&header, &payload))
        ;
    pools_swap(R.guest, SHM, pool, R.guest->memories, 4096);
    link_flush(R.guest->link);
    assert_true(next(&header, &payload, LINK_VFD));
    assert_true(next(&header, &payload, LINK_WAYLAND));
    struct wl_message m;
    assert_int_equal(wl_message_header(payload, header.size, &m), WL_MESSAGE_OK);
    assert_true(m.object == pool && m.opcode == POOL_DESTROY);
    assert_int_equal(wl_message_header(payload + m.size, header.size - m.size, &m), WL_MESSAGE_OK);
    assert_true(m.object == SHM && m.opcode == SHM_CREATE_POOL);
    assert_false(next(&header, &payload, LINK_WAYLAND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_pool_goes_and_comes_in_one_frame, relays_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
