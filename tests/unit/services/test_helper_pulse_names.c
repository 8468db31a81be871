/* SPDX-License-Identifier: MIT */
/* What a VM's programs and streams are called on the host's sound server. */
#include "tests/unit/support.h"

#include <string.h>

#include "common/services/pulse-names.h"
#include "tests/unit/services/pulse_build.h"

static struct built b, expected;
static uint8_t out[70000];

static bool copy(const char *prefix, enum pulse_texts texts, bool unnamed, size_t room,
                 struct pulse_writer *ret)
{
    uint8_t *exact = malloc(b.n - 30 + 1);
    memcpy(exact, b.bytes + 30, b.n - 30);
    struct pulse_reader reader = {.at = exact, .end = exact + b.n - 30};
    *ret = (struct pulse_writer){.bytes = out, .room = room};
    bool good = pulse_names_copy(&reader, ret, prefix, texts, unnamed);
    free(exact);
    return good;
}

static void assert_becomes(const char *prefix, const char *const *from, const char *const *to,
                           bool unnamed)
{
    struct pulse_writer w;
    build_command(&b, 0, 0);
    build_properties(&b, from);
    build_command(&expected, 0, 0);
    build_properties(&expected, to);
    assert_true(copy(prefix, PULSE_TEXTS_KEPT, unnamed, sizeof(out), &w));
    assert_false(w.full);
    assert_int_equal(w.n, expected.n - 30);
    assert_memory_equal(out, expected.bytes + 30, w.n);
}

static void test_prefix(void **state)
{
    (void)state;
    assert_becomes("[work] ",
                   (const char *[]){"application.name", "mpv", "media.name", "song",
                                    "application.version", "1", NULL},
                   (const char *[]){"application.name", "[work] mpv", "media.name", "[work] song",
                                    "application.version", "1", NULL},
                   true);
    assert_becomes(NULL, (const char *[]){"application.name", "mpv", NULL},
                   (const char *[]){"application.name", "mpv", NULL}, true);
}

static void test_cleaned(void **state)
{
    (void)state;
    assert_becomes("",
                   (const char *[]){"media.name",
                                    "a\nb\x1b[2J\xe2\x80\xae"
                                    "c",
                                    NULL},
                   (const char *[]){"media.name", "a b [2Jc", NULL}, false);
    assert_becomes(NULL, (const char *[]){"application.icon_name", "../../secret", NULL},
                   (const char *[]){"application.icon_name", ".._.._secret", NULL}, false);
    char longest[600], cut[257];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    memset(cut, 'x', 256);
    cut[256] = 0;
    assert_becomes(NULL, (const char *[]){"media.title", longest, NULL},
                   (const char *[]){"media.title", cut, NULL}, false);
}

/* What a server does something with. */
static void test_others_go(void **state)
{
    (void)state;
    assert_becomes("x ",
                   (const char *[]){"node.force-quantum",
                                    "32",
                                    "stream.capture.sink",
                                    "true",
                                    "media.class",
                                    "Audio/Sink",
                                    "media.role",
                                    "phone",
                                    "module-stream-restore.id",
                                    "y",
                                    "application.id",
                                    "org.z",
                                    "application.process.id",
                                    "1",
                                    "pipewire.access",
                                    "unrestricted",
                                    "target.object",
                                    "4",
                                    "",
                                    "",
                                    "media.name",
                                    "a",
                                    NULL},
                   (const char *[]){"media.name", "x a", NULL}, false);
}

static void test_unnamed(void **state)
{
    (void)state;
    assert_becomes("[work] ", (const char *[]){NULL},
                   (const char *[]){"application.name", "[work] ", NULL}, true);
    assert_becomes("[work] ", (const char *[]){NULL}, (const char *[]){NULL}, false);
    assert_becomes(NULL, (const char *[]){NULL}, (const char *[]){NULL}, true);
}

/* Pictures, texts without an end or with two. */
static void test_no_texts(void **state)
{
    (void)state;
    struct pulse_writer w;
    static const struct {
        const char *bytes;
        size_t n;
    } odd[] = {{"", 0}, {"abc", 3}, {"a\0b", 4}, {"\0", 2}};
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        build_command(&b, 0, 0);
        build_raw(&b, "P", 1);
        build_string(&b, "media.name");
        build_u32(&b, (uint32_t)odd[i].n);
        build_bytes(&b, odd[i].bytes, odd[i].n);
        build_string(&b, NULL);
        assert_true(copy(NULL, PULSE_TEXTS_KEPT, false, sizeof(out), &w));
        assert_int_equal(w.n, 2);
    }
}

static void test_strings(void **state)
{
    (void)state;
    struct pulse_writer w;
    build_command(&b, 0, 0);
    build_u32(&b, 3);
    build_string(&b, "a\tb");
    assert_true(copy("[w] ", PULSE_TEXTS_KEPT, false, sizeof(out), &w));
    assert_int_equal(w.n, b.n - 30);
    assert_memory_equal(out, b.bytes + 30, w.n);
    assert_true(copy("[w] ", PULSE_TEXTS_NAMES, false, sizeof(out), &w));
    assert_string_equal((char *)out + 6, "[w] a b");
}

/* Everything that PulseAudio has; a format's own properties stay. */
static void test_all_types(void **state)
{
    (void)state;
    struct pulse_writer w;
    build_create_playback(&b, 1, (const char *[]){NULL});
    build_raw(&b, "R12345678", 9);
    build_raw(&b, "r12345678", 9);
    build_raw(&b, "T12345678", 9);
    build_raw(&b, "U12345678", 9);
    build_raw(&b, "V1234", 5);
    build_raw(&b, "m\0", 2);
    build_raw(&b, "v\0", 2);
    build_bytes(&b, "abc", 3);
    build_string(&b, NULL);
    assert_true(copy(NULL, PULSE_TEXTS_KEPT, false, sizeof(out), &w));
    assert_int_equal(w.n, b.n - 30);
    assert_memory_equal(out, b.bytes + 30, w.n);
    /* No room: said, and nothing is written beyond. */
    for (size_t room = 0; room < b.n - 30; room++) {
        assert_true(copy(NULL, PULSE_TEXTS_KEPT, false, room, &w));
        assert_true(w.full && w.n <= room);
    }
    /* Cut anywhere, it is malformed, or ends where a value does. */
    size_t n = b.n;
    unsigned good = 0;
    for (b.n = 31; b.n < n; b.n++)
        good += copy(NULL, PULSE_TEXTS_KEPT, false, sizeof(out), &w);
    assert_true(good > 30 && good < 60);
}

static void test_malformed(void **state)
{
    (void)state;
    struct pulse_writer w;
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        {"q", 1},
        {"\0", 1},
        {"t", 1},
        {"tabc", 4},
        {"L123", 4},
        {"x\0\0\0\5abcd", 9},
        {"x\xff\xff\xff\xff"
         "abcd",
         9},
        {"P", 1},
        {"Pta\0", 4},
        {"Pta\0L\0\0\0\1x\0\0\0\2ab", 16}, /* two sizes */
        {"Pta\0N", 5},
        {"f", 1},
        {"fL\0\0\0\0PN", 8},
        {"fB\1", 3},
        {"fB\1Pta\0", 7},
        {"m", 1},
        {"m\5abcd", 6},
        {"v\2abcdefg", 9},
        {"a12345", 6},
        {"B", 1},
        {"R1234567", 8},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        build_command(&b, 0, 0);
        build_raw(&b, bad[i].bytes, bad[i].n);
        assert_false(copy(NULL, PULSE_TEXTS_KEPT, false, sizeof(out), &w));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefix),    cmocka_unit_test(test_cleaned),
        cmocka_unit_test(test_others_go), cmocka_unit_test(test_unnamed),
        cmocka_unit_test(test_no_texts),  cmocka_unit_test(test_strings),
        cmocka_unit_test(test_all_types), cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
