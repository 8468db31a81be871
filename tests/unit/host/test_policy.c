/* SPDX-License-Identifier: MIT */
/* Every request of every interface that is carried, with strings that lie: what the compositor gets
 * of them. */
#include "tests/unit/wayland/attacker.h"

#include "host-proxy/policy.h"

#define LIE                                                                                        \
    "a\n\xe2\x80\xae\x1b[31mb/\xe2\x80\x8b"                                                        \
    "c\xff"
#define SHOWN "a  [31mb/c\xef\xbf\xbd"
#define NAME "a  [31mb_c\xef\xbf\xbd"

enum { OBJECT = 2, NEW };

static struct vm_config vm;

static enum relay_verdict text_hook(struct relay *r, struct wl_message *m)
{
    return policy_text(&vm, r, m);
}

static enum relay_verdict new_toplevel_hook(struct relay *r, struct wl_message *m)
{
    return policy_new_toplevel(&vm, r, m);
}

static relay_hook *const hooks[_WL_HOOK_N] = {
    [WL_HOOK_TEXT] = text_hook,
    [WL_HOOK_NEW_TOPLEVEL] = new_toplevel_hook,
};

static const struct relay_ops ops = {
    .hooks = hooks, .global = relays_global, .ended = relays_ended};

static int setup(void **state)
{
    (void)state;
    vm = (struct vm_config){.name = "test"};
    return 0;
}

static void with_prefixes(void)
{
    vm.title_prefix = "[vm] ";
    vm.app_id_prefix = "vm.";
}

/* A client that has an object of @iface. */
static void begin(const struct wl_iface *iface)
{
    relays_start(false, true);
    relays_use(R.host, &ops);
    attack_ready();
    assert_int_equal(wl_objects_add(&R.host->objects, false, OBJECT, iface, iface->version),
                     WL_OBJECTS_OK);
}

static const struct wl_iface *iface_of(const char *name)
{
    const struct wl_iface *iface = wl_iface_find(name, strlen(name));
    if (!iface)
        skip();
    return iface;
}

static uint16_t opcode_of(const struct wl_iface *iface, const char *name)
{
    for (uint16_t i = 0; i < iface->n_requests; i++)
        if (strcmp(iface->requests[i].name, name) == 0)
            return i;
    fail_msg("no %s", name);
    return 0;
}

/* The message with @text for every string. */
static size_t build(uint8_t *bytes, uint16_t opcode, const struct wl_msg_info *info,
                    const char *text)
{
    size_t n = WL_HEADER_SIZE;
    for (const char *s = info->signature; *s; s++) {
        if (*s == 's' || *s == 'S') {
            uint8_t one[4200];
            size_t size = wl_build(one, 0, 0, "s", text) - WL_HEADER_SIZE;
            memcpy(bytes + n, one + WL_HEADER_SIZE, size);
            n += size;
            continue;
        }
        uint32_t word = *s == 'n' ? NEW : *s == 'a' || *s == 'O' ? 0 : 1;
        memcpy(bytes + n, &word, 4);
        n += 4;
    }
    uint32_t head[2] = {OBJECT, (uint32_t)n << 16 | opcode};
    memcpy(bytes, head, sizeof(head));
    return n;
}

static void send_request(uint16_t opcode, const struct wl_msg_info *info, const char *text)
{
    uint8_t bytes[8192];
    attack_wayland(build(bytes, opcode, info, text), bytes);
    attack_deliver();
}

/* What a message of @text becomes, NULL if it does not come at all. */
static const char *expected(enum wl_text text)
{
    static char joined[128];
    const char *prefix = text == WL_TEXT_TITLE    ? vm.title_prefix
                         : text == WL_TEXT_APP_ID ? vm.app_id_prefix
                                                  : NULL;
    if (text == WL_TEXT_HIDDEN)
        return NULL;
    if (text == WL_TEXT_PASSES)
        return LIE;
    snprintf(joined, sizeof(joined), "%s%s", prefix ? prefix : "",
             text == WL_TEXT_APP_ID ? NAME : SHOWN);
    return joined;
}

static unsigned check_requests(const struct wl_iface *iface)
{
    unsigned n = 0;
    for (uint16_t i = 0; i < iface->n_requests; i++) {
        const struct wl_msg_info *info = &iface->requests[i];
        if (!strpbrk(info->signature, "sS") || info->n_fds)
            continue;
        const char *shown = expected(info->text);
        begin(iface);
        send_request(i, info, LIE);
        if (shown) {
            struct wl_message m = wire_expect(&R.compositor, OBJECT, iface->name, info->name);
            for (uint8_t a = 0; a < info->n_args; a++)
                if ((info->signature[a] | 0x20) == 's')
                    assert_string_equal(m.args[a].s.text, shown);
                else if (info->signature[a] == 'n')
                    assert_int_equal(m.args[a].u, NEW);
        }
        wire_expect_nothing(&R.compositor);
        assert_int_equal(R.ended, 0);
        relays_stop(NULL);
        n++;
    }
    return n;
}

static unsigned check_all(void)
{
    unsigned n = 0;
    for (size_t i = 0; i < wl_ifaces_n; i++)
        if (wl_ifaces[i]->carried)
            n += check_requests(wl_ifaces[i]);
    return n;
}

static void test_no_string_lies(void **state)
{
    (void)state;
    assert_true(check_all() >= 4); /* of wayland.xml alone */
}

static void test_no_string_lies_behind_a_prefix(void **state)
{
    (void)state;
    with_prefixes();
    assert_true(check_all() >= 4);
}

/* The strings that the README and the manual speak of by name. */
static void test_which_have_a_prefix(void **state)
{
    static const struct {
        const char *iface, *request;
        enum wl_text text;
    } known[] = {
        {"wl_shell_surface", "set_title", WL_TEXT_TITLE},
        {"wl_shell_surface", "set_class", WL_TEXT_APP_ID},
        {"xdg_toplevel", "set_title", WL_TEXT_TITLE},
        {"xdg_toplevel", "set_app_id", WL_TEXT_APP_ID},
        {"xdg_activation_token_v1", "set_app_id", WL_TEXT_APP_ID},
        {"xdg_toplevel_tag_manager_v1", "set_toplevel_tag", WL_TEXT_APP_ID},
        {"xdg_toplevel_tag_manager_v1", "set_toplevel_description", WL_TEXT_TITLE},
        {"xdg_toplevel_icon_v1", "set_name", WL_TEXT_APP_ID},
        {"zwp_tablet_pad_v2", "set_feedback", WL_TEXT_TITLE},
        {"zwp_tablet_pad_ring_v2", "set_feedback", WL_TEXT_TITLE},
        {"zwlr_layer_shell_v1", "get_layer_surface", WL_TEXT_APP_ID},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        const struct wl_iface *iface = wl_iface_find(known[i].iface, strlen(known[i].iface));
        if (iface)
            assert_int_equal(iface->requests[opcode_of(iface, known[i].request)].text,
                             known[i].text);
    }
}

static void test_long_strings_are_cut(void **state)
{
    static char text[4000];
    const struct wl_iface *iface = iface_of("xdg_toplevel");
    uint16_t opcode = opcode_of(iface, "set_title");
    (void)state;
    with_prefixes();
    for (size_t i = 0; i + 3 < sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    begin(iface);
    send_request(opcode, &iface->requests[opcode], text);
    struct wl_message m = wire_expect(&R.compositor, OBJECT, "xdg_toplevel", "set_title");
    assert_int_equal(m.args[0].s.length, strlen(vm.title_prefix) + 256 * 3);
    assert_memory_equal(m.args[0].s.text, "[vm] \xe2\x82\xac", 8);
    relays_stop(NULL);
}

/* What the VM is told of the screens, on their way from the compositor. */
static void check_events(const char *name, bool real)
{
    const struct wl_iface *iface = iface_of(name);
    for (uint16_t i = 0; i < iface->n_events; i++) {
        const struct wl_msg_info *info = &iface->events[i];
        struct link_header header;
        struct wl_message m;
        const uint8_t *payload;
        uint8_t bytes[512];
        if (!strpbrk(info->signature, "sS"))
            continue;
        begin(iface);
        wire_send_fds(&R.compositor, bytes, build(bytes, i, info, "Maker"), NULL, 0);
        turn_times(R.loop, 10);
        assert_int_equal(attack_next_frame(&header, &payload), info->text != WL_TEXT_HIDDEN);
        if (info->text != WL_TEXT_HIDDEN) {
            assert_int_equal(header.type, LINK_WAYLAND);
            assert_int_equal(wl_message_header(payload, header.size, &m), WL_MESSAGE_OK);
            assert_int_equal(m.opcode, i);
            assert_int_equal(wl_message_arguments(&m, info), WL_MESSAGE_OK);
            for (uint8_t a = 0; a < info->n_args; a++)
                if (info->signature[a] == 's')
                    assert_string_equal(m.args[a].s.text,
                                        real || info->text == WL_TEXT_PASSES ? "Maker" : "screen");
                else
                    assert_int_equal(m.args[a].u, 1);
        }
        relays_stop(NULL);
    }
}

static void test_screens(void **state)
{
    (void)state;
    for (int real = 0; real < 2; real++) {
        vm.output_names = real;
        check_events("wl_output", real);
        if (wl_iface_find("zwlr_output_head_v1", 19))
            check_events("zwlr_output_head_v1", real);
        if (wl_iface_find("zxdg_output_v1", 14))
            check_events("zxdg_output_v1", real);
        if (wl_iface_find("zwp_tablet_v2", 13))
            check_events("zwp_tablet_v2", real);
    }
}

/* Also where it never says anything. */
static void check_new(const char *parent, const char *request, const char *child)
{
    const struct wl_iface *iface = iface_of(parent);
    uint16_t opcode = opcode_of(iface, request);
    begin(iface);
    send_request(opcode, &iface->requests[opcode], "");
    wire_expect(&R.compositor, OBJECT, parent, request);
    bool shell = strcmp(parent, "wl_shell") == 0;
    for (int i = 0; i < 2; i++) {
        struct wl_message m = wire_expect(&R.compositor, NEW, child,
                                          i == 0  ? "set_title"
                                          : shell ? "set_class"
                                                  : "set_app_id");
        assert_string_equal(m.args[0].s.text, i == 0 ? "[vm] " : "vm.");
    }
    wire_expect_nothing(&R.compositor);
    relays_stop(NULL);
}

static void test_windows_are_marked_from_the_start(void **state)
{
    (void)state;
    with_prefixes();
    check_new("wl_shell", "get_shell_surface", "wl_shell_surface");
    check_new("xdg_surface", "get_toplevel", "xdg_toplevel");
    check_new("zxdg_surface_v6", "get_toplevel", "zxdg_toplevel_v6");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_no_string_lies, setup),
        cmocka_unit_test_setup(test_no_string_lies_behind_a_prefix, setup),
        cmocka_unit_test_setup(test_which_have_a_prefix, setup),
        cmocka_unit_test_setup(test_long_strings_are_cut, setup),
        cmocka_unit_test_setup(test_screens, setup),
        cmocka_unit_test_setup(test_windows_are_marked_from_the_start, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
