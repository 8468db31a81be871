/* SPDX-License-Identifier: MIT */
/* What a person is shown of a text that somebody else wrote: nothing that takes no room, moves the
 * cursor, turns the order around or heaps marks on a character. */
#include "tests/unit/support.h"

#include <string.h>

#include "common/base/text.h"

static void expect(const char *text, const char *shown)
{
    char at[256];
    size_t n = text_clean(at, sizeof(at), text, 100);
    assert_int_equal(n, strlen(at));
    assert_string_equal(at, shown);
}

static void test_what_people_write_stays(void **state)
{
    static const char *const texts[] = {
        "",
        "Document 1 — LibreOffice",
        "Grüße, Ελλάδα, Привет, 日本語のタイトル, العربية, עברית, हिन्दी, ไทยที่นี่",
        "e\xcc\x81 Vie\xcc\xa3\xcc\x82t", /* decomposed */
        "\xf0\x9f\x98\x80 1 < 2 & \"three\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        expect(texts[i], texts[i]);
}

static void test_what_moves_the_cursor_is_a_space(void **state)
{
    (void)state;
    expect("a\nb\rc\td\x7f", "a b c d ");
    expect("\x1b[31mred\x1b]0;title\x07", " [31mred ]0;title ");
    expect("c1 \xc2\x9b!", "c1  !");
    expect("line\xe2\x80\xa8paragraph\xe2\x80\xa9.", "line paragraph .");
}

static void test_what_takes_no_room_is_left_out(void **state)
{
    static const char *const unseen[] = {
        "\xc2\xad",         "\xcd\x8f",     "\xd8\x9c",     "\xe1\x85\x9f", "\xe2\x80\x8b",
        "\xe2\x80\x8d",     "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xaa", "\xe2\x80\xae",
        "\xe2\x81\xa0",     "\xe2\x81\xa6", "\xe2\x81\xa9", "\xe2\x81\xaf", "\xe3\x85\xa4",
        "\xef\xb8\x8f",     "\xef\xbb\xbf", "\xef\xbf\xb9", "\xef\xbe\xa0", "\xf3\xa0\x80\x81",
        "\xf3\xa0\x81\xa1",
    };
    char text[64];
    (void)state;
    for (size_t i = 0; i < sizeof(unseen) / sizeof(*unseen); i++) {
        snprintf(text, sizeof(text), "%sa%sb%s", unseen[i], unseen[i], unseen[i]);
        expect(text, "ab");
    }
}

static void test_what_nobody_knows_is_replaced(void **state)
{
    static const char *const bad[] = {"\xee\x80\x80",
                                      "\xef\xa3\xbf",
                                      "\xf3\xb0\x80\x80",
                                      "\xf4\x8f\xbf\xbd",
                                      "\xef\xb7\x90",
                                      "\xef\xbf\xbf",
                                      "\x80",
                                      "\xff"};
    char text[64];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        snprintf(text, sizeof(text), "a%sb", bad[i]);
        expect(text, "a\xef\xbf\xbd"
                     "b");
    }
    expect("cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd");
    expect("\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");                 /* overlong */
    expect("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* a surrogate */
}

static void test_marks_are_counted(void **state)
{
    char text[256] = "a";
    (void)state;
    for (int i = 0; i < 50; i++)
        strcat(text, "\xcd\xa1");
    strcat(text, "b\xcc\x81");
    expect(text, "a\xcd\xa1\xcd\xa1\xcd\xa1\xcd\xa1"
                 "b\xcc\x81");
    /* Unseen ones between them do not help. */
    expect("a\xcd\xa1\xcd\xa1\xe2\x80\x8b\xcd\xa1\xcd\xa1\xe2\x80\x8d\xcd\xa1",
           "a\xcd\xa1\xcd\xa1\xcd\xa1\xcd\xa1");
    /* A mark is not for whatever was put before the text. */
    expect("\xcc\xb8\xcc\xb8 x", " x");
    expect("\n\xcc\xb8x", " x");
}

static void test_cut(void **state)
{
    char at[64];
    (void)state;
    assert_int_equal(text_clean(at, sizeof(at), "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 2), 6);
    assert_string_equal(at, "\xe2\x82\xac\xe2\x82\xac");
    assert_int_equal(text_clean(at, 6, "\xe2\x82\xac\xe2\x82\xac", 9), 3); /* no room for the NUL */
    assert_string_equal(at, "\xe2\x82\xac");
    assert_int_equal(text_clean(at, 7, "\xe2\x82\xac\xe2\x82\xac", 9), 6);
    assert_int_equal(text_clean(at, 1, "abc", 9), 0);
    assert_string_equal(at, "");
    assert_int_equal(text_clean(at, sizeof(at), "abc", 0), 0);
}

static void test_join(void **state)
{
    char *none[] = {NULL}, *words[] = {"a", "", "b c", NULL}, at[16];
    (void)state;
    text_join(at, sizeof(at), none);
    assert_string_equal(at, "");
    text_join(at, sizeof(at), words);
    assert_string_equal(at, "a  b c");
    text_join(at, 6, words);
    assert_string_equal(at, "a  b ");
    text_join(at, 2, words);
    assert_string_equal(at, "a");
    text_join(at, 1, words);
    assert_string_equal(at, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_people_write_stays),
        cmocka_unit_test(test_what_moves_the_cursor_is_a_space),
        cmocka_unit_test(test_what_takes_no_room_is_left_out),
        cmocka_unit_test(test_what_nobody_knows_is_replaced),
        cmocka_unit_test(test_marks_are_counted),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
