/* SPDX-License-Identifier: MIT */
/* Wayland messages against their tables: sizes, strings, arrays, ids, and messages of our own. */
#include "tests/unit/support.h"

#include <string.h>

#include "common/wayland/wl-message.h"

/* A message being put together, in memory of exactly its size when it is checked. */
static uint8_t bytes[WL_MESSAGE_MAX + 64];
static size_t n_bytes;

static void start(void)
{
    memset(bytes, 0, WL_HEADER_SIZE);
    n_bytes = WL_HEADER_SIZE;
}

static void put(uint32_t word)
{
    memcpy(bytes + n_bytes, &word, 4);
    n_bytes += 4;
}

static void put_bytes(const void *data, size_t n)
{
    memset(bytes + n_bytes, 0, n + 4);
    memcpy(bytes + n_bytes, data, n);
    n_bytes += (n + 3) & ~(size_t)3;
}

static void put_string(const char *text)
{
    put((uint32_t)strlen(text) + 1);
    put_bytes(text, strlen(text) + 1);
}

static struct wl_message message;
static uint8_t *exact;

static int check(const struct wl_msg_info *info)
{
    uint32_t head[2] = {3, (uint32_t)n_bytes << 16 | 1};
    memcpy(bytes, head, 8);
    free(exact);
    exact = malloc(n_bytes);
    memcpy(exact, bytes, n_bytes);
    memset(&message, 0xa5, sizeof(message));
    assert_int_equal(wl_message_header(exact, n_bytes, &message), WL_MESSAGE_OK);
    return wl_message_arguments(&message, info);
}

static int forget(void **state)
{
    (void)state;
    free(exact);
    exact = NULL;
    return 0;
}

static const struct wl_msg_info uints = {.signature = "ui", .n_args = 2, .min_size = 16};
static const struct wl_msg_info string = {
    .signature = "s", .n_args = 1, .variable = true, .min_size = 12};
static const struct wl_msg_info nullable = {
    .signature = "S", .n_args = 1, .variable = true, .min_size = 12};
static const struct wl_msg_info array = {
    .signature = "a", .n_args = 1, .variable = true, .min_size = 12};
static const struct wl_msg_info objects = {
    .signature = "oOn", .n_args = 3, .creates = true, .min_size = 20};
static const struct wl_msg_info mixed = {
    .signature = "uhsaS", .n_args = 5, .n_fds = 1, .variable = true, .min_size = 24};
static const struct wl_msg_info bind = {
    .signature = "uN", .n_args = 2, .variable = true, .creates = true, .min_size = 24};

static int header(uint32_t object, uint32_t size, uint32_t opcode, size_t have)
{
    uint32_t head[2] = {object, size << 16 | opcode};
    uint8_t *buffer = malloc(have ? have : 1);
    memset(buffer, 0, have);
    memcpy(buffer, head, have < 8 ? have : 8);
    int result = wl_message_header(buffer, have, &message);
    free(buffer);
    return result;
}

static void test_header(void **state)
{
    (void)state;
    assert_int_equal(header(0xff000001u, 8, 0xffff, 8), WL_MESSAGE_OK);
    assert_int_equal(message.object, 0xff000001u);
    assert_int_equal(message.opcode, 0xffff);
    assert_int_equal(message.size, 8);
    assert_int_equal(header(1, 65532, 0, 65532), WL_MESSAGE_OK);
    assert_int_equal(message.size, 65532);
    assert_int_equal(header(1, 12, 0, 4096), WL_MESSAGE_OK); /* others follow */
    for (size_t have = 0; have < 8; have++)
        assert_int_equal(header(1, 8, 0, have), WL_MESSAGE_E_PARTIAL);
    assert_int_equal(header(1, 12, 0, 8), WL_MESSAGE_E_PARTIAL);
    assert_int_equal(header(1, 12, 0, 11), WL_MESSAGE_E_PARTIAL);
}

static void test_header_sizes_that_cannot_be(void **state)
{
    (void)state;
    /* Known from the header alone: nobody waits for more of it. */
    for (uint32_t size = 0; size < 64; size++) {
        int expected = size < 8 || size % 4 ? WL_MESSAGE_E_SIZE
                       : size > 8           ? WL_MESSAGE_E_PARTIAL
                                            : WL_MESSAGE_OK;
        assert_int_equal(header(1, size, 0, 8), expected);
    }
    assert_int_equal(header(1, 65535, 0, 65535), WL_MESSAGE_E_SIZE);
}

static void test_fixed_size(void **state)
{
    (void)state;
    start();
    put(7);
    put((uint32_t)-8);
    assert_int_equal(check(&uints), WL_MESSAGE_OK);
    assert_int_equal(message.args[0].u, 7);
    assert_int_equal(message.args[1].i, -8);
    put(0);
    assert_int_equal(check(&uints), WL_MESSAGE_E_SIZE); /* too long */
    start();
    put(7);
    assert_int_equal(check(&uints), WL_MESSAGE_E_SIZE); /* too short */
    start();
    assert_int_equal(check(&uints), WL_MESSAGE_E_SIZE);
}

static void test_strings(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "a", "ab", "abc", "abcd", "abcdefg", "\x01\xff\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        start();
        put_string(texts[i]);
        assert_int_equal(check(&string), WL_MESSAGE_OK);
        assert_string_equal(message.args[0].s.text, texts[i]);
        assert_int_equal(message.args[0].s.length, strlen(texts[i]));
        assert_int_equal(check(&nullable), WL_MESSAGE_OK);
        put(0); /* a surplus word */
        assert_int_equal(check(&string), WL_MESSAGE_E_SIZE);
    }
}

static void test_null_strings(void **state)
{
    (void)state;
    start();
    put(0);
    assert_int_equal(check(&nullable), WL_MESSAGE_OK);
    assert_null(message.args[0].s.text);
    assert_int_equal(message.args[0].s.length, 0);
    assert_int_equal(check(&string), WL_MESSAGE_E_STRING);
}

static void test_string_without_nul(void **state)
{
    (void)state;
    start();
    put(4);
    put_bytes("abcd", 4);
    assert_int_equal(check(&string), WL_MESSAGE_E_STRING);
    start();
    put(3); /* the NUL is in the padding only */
    put_bytes("abc", 3);
    assert_int_equal(check(&string), WL_MESSAGE_E_STRING);
    assert_int_equal(check(&nullable), WL_MESSAGE_E_STRING);
}

static void test_string_with_nul_inside(void **state)
{
    (void)state;
    start();
    put(6);
    put_bytes("ab\0cd", 6);
    assert_int_equal(check(&string), WL_MESSAGE_E_STRING);
    start();
    put(2);
    put_bytes("\0", 2);
    assert_int_equal(check(&string), WL_MESSAGE_E_STRING);
}

static void test_string_longer_than_the_message(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {5,           9,           0x10000,     0x7fffffff,
                                       0x80000000u, 0xfffffffcu, 0xfffffffdu, 0xffffffffu};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        start();
        put(lengths[i]);
        put_bytes("abc", 4);
        assert_int_equal(check(&string), WL_MESSAGE_E_STRING);
    }
}

static void test_arrays(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 9; n++) {
        start();
        put(n);
        put_bytes("01234567", n);
        assert_int_equal(check(&array), WL_MESSAGE_OK);
        assert_int_equal(message.args[0].a.size, n);
        assert_memory_equal(message.args[0].a.bytes, "01234567", n);
        put(0);
        assert_int_equal(check(&array), WL_MESSAGE_E_SIZE);
    }
    static const uint32_t sizes[] = {5, 0x7fffffff, 0xfffffffcu, 0xfffffffdu, 0xffffffffu};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        start();
        put(sizes[i]);
        put(0);
        assert_int_equal(check(&array), WL_MESSAGE_E_ARRAY);
    }
}

static void test_objects_and_ids(void **state)
{
    (void)state;
    start();
    put(1);
    put(0);
    put(5);
    assert_int_equal(check(&objects), WL_MESSAGE_OK);
    assert_int_equal(message.args[0].u, 1);
    assert_int_equal(message.args[1].u, 0);
    assert_int_equal(message.args[2].u, 5);
    start();
    put(0);
    put(2);
    put(5);
    assert_int_equal(check(&objects), WL_MESSAGE_E_OBJECT);
    start();
    put(1);
    put(2);
    put(0);
    assert_int_equal(check(&objects), WL_MESSAGE_E_OBJECT);
}

static void test_mixed_arguments(void **state)
{
    (void)state;
    start();
    put(42);
    put_string("text/plain"); /* the descriptor before it takes no bytes */
    put(3);
    put_bytes("\1\2\3", 3);
    put(0);
    size_t whole = n_bytes;
    assert_int_equal(check(&mixed), WL_MESSAGE_OK);
    assert_int_equal(message.args[0].u, 42);
    assert_string_equal(message.args[2].s.text, "text/plain");
    assert_int_equal(message.args[3].a.size, 3);
    assert_memory_equal(message.args[3].a.bytes, "\1\2\3", 3);
    assert_null(message.args[4].s.text);
    /* Cut at any word, something is missing. */
    for (n_bytes = WL_HEADER_SIZE; n_bytes < whole; n_bytes += 4)
        assert_int_not_equal(check(&mixed), WL_MESSAGE_OK);
}

static void test_new_id_of_any_interface(void **state)
{
    (void)state;
    start();
    put(9);
    put_string("wl_compositor");
    put(6);
    put(3);
    size_t whole = n_bytes;
    assert_int_equal(check(&bind), WL_MESSAGE_OK);
    assert_int_equal(message.args[0].u, 9);
    assert_string_equal(message.args[1].n.interface, "wl_compositor");
    assert_int_equal(message.args[1].n.length, 13);
    assert_int_equal(message.args[1].n.version, 6);
    assert_int_equal(message.args[1].n.id, 3);
    for (n_bytes = WL_HEADER_SIZE; n_bytes < whole; n_bytes += 4)
        assert_int_not_equal(check(&bind), WL_MESSAGE_OK);
    n_bytes = whole;
    put(0);
    assert_int_equal(check(&bind), WL_MESSAGE_E_SIZE);
    start();
    put(9);
    put_string("wl_seat");
    put(6);
    put(0);
    assert_int_equal(check(&bind), WL_MESSAGE_E_OBJECT);
    start();
    put(9);
    put(0); /* null interface */
    put(6);
    put(3);
    assert_int_equal(check(&bind), WL_MESSAGE_E_STRING);
}

static void test_tables_agree(void **state)
{
    (void)state;
    /* The real table's wl_registry.bind and wl_display.error read what the builders write. */
    const struct wl_iface *display = wl_iface_find("wl_display", 10);
    uint8_t built[256];
    size_t n = wl_message_display_error(built, sizeof(built), 7, 2, "no such thing");
    assert_int_equal(wl_message_header(built, n, &message), WL_MESSAGE_OK);
    assert_int_equal(message.size, n);
    assert_int_equal(message.object, 1);
    assert_string_equal(display->events[message.opcode].name, "error");
    assert_int_equal(wl_message_arguments(&message, &display->events[message.opcode]),
                     WL_MESSAGE_OK);
    assert_int_equal(message.args[0].u, 7);
    assert_int_equal(message.args[1].u, 2);
    assert_string_equal(message.args[2].s.text, "no such thing");
}

static void test_display_error_is_cut_to_the_room(void **state)
{
    (void)state;
    for (size_t length = 0; length < 64; length++) {
        char text[64] = "";
        memset(text, 'e', length);
        for (size_t room = 0; room < 96; room++) {
            uint8_t *at = malloc(room ? room : 1); /* ASan sees a byte too many */
            size_t n = wl_message_display_error(at, room, 1, 0, text);
            if (room < 24) {
                assert_int_equal(n, 0);
            } else {
                assert_true(n <= room);
                assert_int_equal(wl_message_header(at, n, &message), WL_MESSAGE_OK);
                assert_int_equal(message.size, n);
                assert_int_equal(
                    wl_message_arguments(&message, &wl_iface_find("wl_display", 10)->events[0]),
                    WL_MESSAGE_OK);
                uint32_t kept = message.args[2].s.length;
                assert_true(kept <= length && strncmp(message.args[2].s.text, text, kept) == 0);
                if (length + 24 <= room)
                    assert_int_equal(kept, length);
            }
            free(at);
        }
    }
}

static void test_display_error_longer_than_any_message(void **state)
{
    (void)state;
    static uint8_t at[2 * WL_MESSAGE_MAX];
    static char text[2 * WL_MESSAGE_MAX];
    memset(text, 'x', sizeof(text) - 1);
    size_t n = wl_message_display_error(at, sizeof(at), 1, 0, text);
    assert_in_range(n, 24, WL_MESSAGE_MAX);
    assert_int_equal(wl_message_header(at, n, &message), WL_MESSAGE_OK);
    assert_int_equal(wl_message_arguments(&message, &wl_iface_find("wl_display", 10)->events[0]),
                     WL_MESSAGE_OK);
}

static void test_building_strings(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "a", "abc", "abcd"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        size_t need = 12 + (strlen(texts[i]) / 4 + 1) * 4;
        uint8_t *at = malloc(need);
        assert_int_equal(wl_message_string(at, need - 1, 5, 3, texts[i]), 0);
        assert_int_equal(wl_message_string(at, need, 5, 3, texts[i]), need);
        assert_int_equal(wl_message_header(at, need, &message), WL_MESSAGE_OK);
        assert_int_equal(message.object, 5);
        assert_int_equal(message.opcode, 3);
        assert_int_equal(wl_message_arguments(&message, &string), WL_MESSAGE_OK);
        assert_string_equal(message.args[0].s.text, texts[i]);
        free(at);
    }
    static char text[WL_MESSAGE_MAX];
    static uint8_t room[2 * WL_MESSAGE_MAX];
    memset(text, 'x', sizeof(text) - 1);
    assert_int_equal(wl_message_string(room, sizeof(room), 5, 3, text),
                     0); /* no message is that long */
    text[WL_MESSAGE_MAX - 12 - 1] = 0;
    assert_int_equal(wl_message_string(room, sizeof(room), 5, 3, text), WL_MESSAGE_MAX);
}

static void test_building_empty(void **state)
{
    (void)state;
    uint8_t at[8];
    assert_int_equal(wl_message_empty(at, 7, 4, 1), 0);
    assert_int_equal(wl_message_empty(at, 8, 4, 1), 8);
    assert_int_equal(wl_message_header(at, 8, &message), WL_MESSAGE_OK);
    assert_true(message.object == 4 && message.opcode == 1 && message.size == 8);
}

static uint32_t plus(void *user, uint32_t id)
{
    return id ? id + *(uint32_t *)user : 0;
}

/* Objects and new ids, wherever they are, and nothing else. */
static void test_ids_are_changed(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "a", "abc", "abcd", "abcdefg"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        const struct wl_msg_info info = {
            .signature = "uosnhaSSOONni", .n_args = 13, .variable = true, .min_size = 8};
        uint32_t by = 1000;
        for (int changed = 0; changed < 2; changed++) {
            uint32_t add = changed ? by : 0;
            start();
            put(1);
            put(2 + add);
            put_string(texts[i]);
            put(3 + add);
            put((uint32_t)strlen(texts[i])); /* array */
            put_bytes(texts[i], strlen(texts[i]));
            put(0); /* null string */
            put_string(texts[i]);
            put(0); /* null object */
            put(4 + add);
            put_string(texts[i]);
            put(5);
            put(6 + add);
            put(7 + add);
            put(8);
            if (!changed) {
                assert_int_equal(check(&info), WL_MESSAGE_OK);
                wl_message_map_ids(&message, plus, &by);
            }
        }
        memcpy(bytes, exact, WL_HEADER_SIZE);
        assert_int_equal(message.size, n_bytes);
        assert_memory_equal(exact, bytes, n_bytes);
        assert_int_equal(message.args[1].u, 1002);
        assert_int_equal(message.args[9].u, 1004);
        assert_int_equal(message.args[10].n.id, 1006);
        assert_int_equal(message.args[11].u, 1007);
    }
}

static void test_error_names(void **state)
{
    (void)state;
    for (int error = WL_MESSAGE_OK; error <= WL_MESSAGE_E_PARTIAL; error++)
        assert_string_not_equal(wl_message_error_name(error), "unknown error");
    assert_string_equal(wl_message_error_name(WL_MESSAGE_E_PARTIAL + 1), "unknown error");
    assert_string_equal(wl_message_error_name(-1), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_header_sizes_that_cannot_be),
        cmocka_unit_test(test_fixed_size),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_null_strings),
        cmocka_unit_test(test_string_without_nul),
        cmocka_unit_test(test_string_with_nul_inside),
        cmocka_unit_test(test_string_longer_than_the_message),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_objects_and_ids),
        cmocka_unit_test(test_mixed_arguments),
        cmocka_unit_test(test_new_id_of_any_interface),
        cmocka_unit_test(test_tables_agree),
        cmocka_unit_test(test_display_error_is_cut_to_the_room),
        cmocka_unit_test(test_display_error_longer_than_any_message),
        cmocka_unit_test(test_building_strings),
        cmocka_unit_test(test_building_empty),
        cmocka_unit_test(test_ids_are_changed),
        cmocka_unit_test(test_error_names),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
