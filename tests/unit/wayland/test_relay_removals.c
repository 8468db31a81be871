/* SPDX-License-Identifier: MIT */
/* The end of a global that one of the relays hides is acknowledged by that one. */
#include "tests/unit/wayland/session.h"

enum { FIXES_NAME = 10, HIDDEN_NAME, FIXES = REGISTRY + 1 };

static uint32_t hide(struct relay *r, const struct wl_iface *iface, uint32_t version)
{
    (void)r;
    return strcmp(iface->name, "wl_output") == 0 ? 0 : version;
}

static void removal_is_acknowledged(void)
{
    const struct wl_iface *iface = wl_iface_find("wl_fixes", strlen("wl_fixes"));
    if (!iface || iface->version < 2)
        skip(); /* this build's XML is older */
    get_registry();
    bind_global(FIXES_NAME, "wl_fixes", 2, FIXES);
    for (int i = 0; i < 2; i++) {
        offer(HIDDEN_NAME, "wl_output", 4);
        wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL_REMOVE, "u", HIDDEN_NAME);
        struct wl_message m = wire_expect(&R.compositor, FIXES, "wl_fixes", "ack_global_remove");
        assert_int_equal(m.args[0].u, REGISTRY);
        assert_int_equal(m.args[1].u, HIDDEN_NAME);
    }
    wire_expect_nothing(&R.client);
    wire_expect_nothing(&R.compositor);
}

static void test_the_host_hides_it(void **state)
{
    (void)state;
    R.hidden = "wl_output";
    removal_is_acknowledged();
}

static void test_the_guest_hides_it(void **state)
{
    (void)state;
    static const struct relay_ops ops = {.global = hide, .ended = relays_ended};
    relays_use(R.guest, &ops);
    removal_is_acknowledged();
}

/* Whoever is told acknowledges, and the relays add nothing. */
static void test_nobody_hides_it(void **state)
{
    (void)state;
    const struct wl_iface *iface = wl_iface_find("wl_fixes", strlen("wl_fixes"));
    if (!iface || iface->version < 2)
        skip();
    get_registry();
    bind_global(FIXES_NAME, "wl_fixes", 2, FIXES);
    offer(HIDDEN_NAME, "wl_output", 4);
    expect_offer(HIDDEN_NAME, "wl_output", 4);
    wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL_REMOVE, "u", HIDDEN_NAME);
    assert_int_equal(wire_expect(&R.client, REGISTRY, "wl_registry", "global_remove").args[0].u,
                     HIDDEN_NAME);
    wire_expect_nothing(&R.compositor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(test_the_host_hides_it),
        SESSION_TEST(test_the_guest_hides_it),
        SESSION_TEST(test_nobody_hides_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
