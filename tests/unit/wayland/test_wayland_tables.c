/* SPDX-License-Identifier: MIT */
/* The tables made from protocol XML: what the proxies take for granted about every entry, and the
 * facts about a few interfaces on which the safety of the whole rests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/wayland/wl-tables.h"

static const struct wl_iface *find(const char *name)
{
    return wl_iface_find(name, strlen(name));
}

/* An interface of wayland.xml, so one that every build has. */
static const struct wl_iface *core(const char *name)
{
    const struct wl_iface *iface = find(name);

    if (iface == NULL)
        fail_msg("%s is unknown", name);
    return iface;
}

static const struct wl_msg_info *in(const struct wl_msg_info *messages, uint16_t n,
                                    const char *name)
{
    for (uint16_t i = 0; i < n; i++) {
        if (strcmp(messages[i].name, name) == 0)
            return &messages[i];
    }
    fail_msg("no message %s", name);
    return NULL;
}

static const struct wl_msg_info *request(const char *iface, const char *name)
{
    return in(core(iface)->requests, core(iface)->n_requests, name);
}

static const struct wl_msg_info *event(const char *iface, const char *name)
{
    return in(core(iface)->events, core(iface)->n_events, name);
}

typedef void check(const struct wl_iface *iface, const struct wl_msg_info *message);

static void for_each_message(check *check)
{
    for (size_t i = 0; i < wl_ifaces_n; i++) {
        for (uint16_t j = 0; j < wl_ifaces[i]->n_requests; j++)
            check(wl_ifaces[i], &wl_ifaces[i]->requests[j]);
        for (uint16_t j = 0; j < wl_ifaces[i]->n_events; j++)
            check(wl_ifaces[i], &wl_ifaces[i]->events[j]);
    }
}

static void names_are_sorted_and_unique(void **state)
{
    (void)state;
    assert_true(wl_ifaces_n >= 20);
    for (size_t i = 1; i < wl_ifaces_n; i++)
        assert_true(strcmp(wl_ifaces[i - 1]->name, wl_ifaces[i]->name) < 0);
}

static void every_interface_is_found_by_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < wl_ifaces_n; i++)
        assert_ptr_equal(find(wl_ifaces[i]->name), wl_ifaces[i]);
}

static void only_the_exact_name_is_found(void **state)
{
    (void)state;
    assert_null(wl_iface_find(NULL, 0));
    assert_null(wl_iface_find("", 0));
    assert_null(wl_iface_find("wl_shm", 5));                           /* a prefix */
    assert_ptr_equal(wl_iface_find("wl_shm_pool", 6), core("wl_shm")); /* no terminator needed */
    assert_null(wl_iface_find("wl_shm_pool", 7));
    assert_null(wl_iface_find("wl_shm", 7)); /* with its NUL */
    assert_null(wl_iface_find("wl_shm\0evil", 11));
    assert_null(wl_iface_find("WL_SHM", 6));
    assert_null(wl_iface_find("\xff\xff", 2));
    assert_null(wl_iface_find("a", 1));
}

static uint32_t fewest_bytes(char letter)
{
    switch (letter) {
    case 'h':
        return 0;
    case 's':
        return 8; /* length, and a NUL with its padding */
    case 'N':
        return 16; /* string, version, id */
    default:
        return 4;
    }
}

static void fields_agree_with_signature(const struct wl_iface *iface,
                                        const struct wl_msg_info *message)
{
    const size_t n = strlen(message->signature);
    uint32_t size = WL_HEADER_SIZE;
    unsigned fds = 0;
    bool variable = false, creates = false;

    assert_int_equal(strspn(message->signature, "iufsSoOnNah"), n);
    assert_true(n <= WL_ARGS_MAX);
    assert_int_equal(message->n_args, n);
    assert_non_null(message->types);
    for (size_t i = 0; i < n; i++) {
        const char letter = message->signature[i];

        size += fewest_bytes(letter);
        fds += letter == 'h';
        variable |= strchr("sSaN", letter) != NULL;
        creates |= letter == 'n' || letter == 'N';
        if (letter == 'n')
            assert_non_null(message->types[i]);
        else if (letter != 'o' && letter != 'O')
            assert_null(message->types[i]);
        if (message->types[i] != NULL)
            assert_ptr_equal(find(message->types[i]->name), message->types[i]);
    }
    assert_int_equal(message->min_size, size);
    assert_int_equal(message->n_fds, fds);
    assert_int_equal(message->variable, variable);
    assert_int_equal(message->creates, creates);
    assert_true(message->since >= 1 && message->since <= iface->version);
    assert_true(message->fd_rule < _WL_FD_N);
    assert_true(message->hook < _WL_HOOK_N);
    assert_int_equal(message->fd_rule == WL_FD_NONE, fds == 0);
}

/* A new protocol's strings: somebody has to think of who reads them. */
static void strings_are_classified(const struct wl_iface *iface, const struct wl_msg_info *message)
{
    const bool has = strpbrk(message->signature, "sS") != NULL;

    assert_true(message->text < _WL_TEXT_N);
    assert_int_equal(message->text == WL_TEXT_NONE, !has);
    if (message->text == WL_TEXT_UNKNOWN)
        fail_msg("who reads the strings of %s.%s? common/wayland/messages.rules does not say",
                 iface->name, message->name);
    if (message->text > WL_TEXT_PASSES && iface->carried)
        assert_int_equal(message->hook, WL_HOOK_TEXT);
}

static void every_string_is_classified(void **state)
{
    (void)state;
    for_each_message(strings_are_classified);
}

static void every_message_is_consistent(void **state)
{
    (void)state;
    for_each_message(fields_agree_with_signature);
}

static void carried_means_carried(const struct wl_iface *iface, const struct wl_msg_info *message)
{
    if (!iface->carried)
        return;
    if (message->fd_rule == WL_FD_REFUSED)
        fail_msg("%s.%s has a descriptor without a rule", iface->name, message->name);
    for (uint8_t i = 0; i < message->n_args; i++) {
        if (message->signature[i] == 'n' && !message->types[i]->carried)
            fail_msg("%s.%s leads to %s", iface->name, message->name, message->types[i]->name);
    }
}

static void what_is_carried_leads_to_no_refused_descriptor(void **state)
{
    (void)state;
    for_each_message(carried_means_carried);
}

static void core_messages(void **state)
{
    const struct wl_msg_info *message;

    (void)state;
    message = request("wl_registry", "bind");
    assert_string_equal(message->signature, "uN");
    assert_int_equal(message->min_size, 28);
    assert_int_equal(message->hook, WL_HOOK_REGISTRY_BIND);
    assert_null(message->types[1]);

    message = request("wl_shm", "create_pool");
    assert_ptr_equal(message, &core("wl_shm")->requests[0]); /* opcode 0 */
    assert_string_equal(message->signature, "nhi");
    assert_int_equal(message->min_size, 16);
    assert_int_equal(message->n_fds, 1);
    assert_int_equal(message->fd_rule, WL_FD_POOL);
    assert_int_equal(message->hook, WL_HOOK_SHM_CREATE_POOL);
    assert_ptr_equal(message->types[0], core("wl_shm_pool"));

    message = event("wl_keyboard", "keymap");
    assert_string_equal(message->signature, "uhu");
    assert_int_equal(message->fd_rule, WL_FD_FILE);

    message = request("wl_data_offer", "receive");
    assert_string_equal(message->signature, "sh");
    assert_int_equal(message->min_size, 16);
    assert_true(message->variable);
    assert_int_equal(message->fd_rule, WL_FD_STREAM);

    message = request("wl_surface", "attach");
    assert_string_equal(message->signature, "Oii");
    assert_ptr_equal(message->types[0], core("wl_buffer"));
    assert_int_equal(message->since, 1);
    assert_int_equal(request("wl_surface", "damage_buffer")->since, 4);
    assert_int_equal(request("wl_surface", "offset")->since, 5);

    message = event("wl_registry", "global");
    assert_string_equal(message->signature, "usu");
    assert_int_equal(message->min_size, 24);
}

static void destructors(void **state)
{
    (void)state;
    assert_true(request("wl_buffer", "destroy")->destructor);
    assert_true(request("wl_surface", "destroy")->destructor);
    assert_true(request("wl_keyboard", "release")->destructor);
    assert_false(request("wl_surface", "commit")->destructor);
    assert_false(request("wl_surface", "attach")->destructor);
}

static void globals_with_foreign_descriptors_are_not_carried(void **state)
{
    static const char *const names[] = {
        "wp_drm_lease_device_v1",
        "wp_linux_drm_syncobj_manager_v1",
        "wp_security_context_manager_v1",
        "zwlr_export_dmabuf_manager_v1",
        "zwp_linux_buffer_params_v1",
        "zwp_linux_dmabuf_v1",
        "zwp_linux_explicit_synchronization_v1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (find(names[i]) != NULL && find(names[i])->carried)
            fail_msg("%s is carried", names[i]);
    }
}

static void everyday_globals_are_carried(void **state)
{
    static const char *const names[] = {
        "ext_data_control_manager_v1",
        "ext_image_copy_capture_manager_v1",
        "gtk_primary_selection_device_manager",
        "wp_color_manager_v1",
        "wp_presentation",
        "wp_viewporter",
        "xdg_toplevel_icon_manager_v1",
        "xdg_wm_base",
        "zwlr_gamma_control_manager_v1",
        "zwlr_layer_shell_v1",
        "zwlr_screencopy_manager_v1",
        "zwp_input_method_manager_v2",
        "zwp_primary_selection_device_manager_v1",
        "zwp_virtual_keyboard_manager_v1",
    };

    (void)state;
    for (size_t i = 0; i < wl_ifaces_n; i++) { /* all of wayland.xml */
        if (strncmp(wl_ifaces[i]->name, "wl_", 3) == 0 && !wl_ifaces[i]->carried)
            fail_msg("%s is not carried", wl_ifaces[i]->name);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (find(names[i]) != NULL && !find(names[i])->carried)
            fail_msg("%s is not carried", names[i]);
    }
}

static void the_old_xdg_shell_does_not_replace_the_stable_one(void **state)
{
    (void)state;
    assert_null(find("xdg_shell")); /* only unstable v5 has it */
    if (find("xdg_wm_base") == NULL)
        skip();
    assert_ptr_equal(request("xdg_wm_base", "get_xdg_surface")->types[0], find("xdg_surface"));
    assert_ptr_equal(request("xdg_surface", "get_toplevel")->types[0], find("xdg_toplevel"));
    assert_int_equal(request("xdg_surface", "get_toplevel")->hook, WL_HOOK_NEW_TOPLEVEL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_sorted_and_unique),
        cmocka_unit_test(every_interface_is_found_by_its_name),
        cmocka_unit_test(only_the_exact_name_is_found),
        cmocka_unit_test(every_message_is_consistent),
        cmocka_unit_test(every_string_is_classified),
        cmocka_unit_test(what_is_carried_leads_to_no_refused_descriptor),
        cmocka_unit_test(core_messages),
        cmocka_unit_test(destructors),
        cmocka_unit_test(globals_with_foreign_descriptors_are_not_carried),
        cmocka_unit_test(everyday_globals_are_carried),
        cmocka_unit_test(the_old_xdg_shell_does_not_replace_the_stable_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
