/* SPDX-License-Identifier: MIT */
/* Each hook that messages.rules may name is served by somebody: by both sides' relay, or by one of
 * the daemons. */
#include "tests/unit/support.h"

#include "common/wayland/dispatch.h"
#include "guest-proxy/guest-client.h"
#include "host-proxy/host-client.h"

static const char *const names[_WL_HOOK_N] = {
    "NONE",
#define WL_HOOK(name) #name,
#include "common/wayland/hooks.def"
#undef WL_HOOK
};

static void test_each_hook_is_served(void **state)
{
    (void)state;
    for (int hook = WL_HOOK_NONE + 1; hook < _WL_HOOK_N; hook++)
        if (!relay_hooks[hook] && !guest_hooks[hook] && !host_hooks[hook])
            fail_msg("nobody serves the hook %s", names[hook]);
    assert_true(!relay_hooks[WL_HOOK_NONE] && !guest_hooks[WL_HOOK_NONE] &&
                !host_hooks[WL_HOOK_NONE]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_hook_is_served)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
