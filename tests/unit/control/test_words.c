/* SPDX-License-Identifier: MIT */
/* Numbers, ages and texts, as people read them. */
#include "tests/unit/support.h"

#include <locale.h>
#include <string.h>

#include "command/words.h"

static void bytes(uint64_t n, const char *expected)
{
    char text[WORDS_SIZE];
    assert_string_equal(words_bytes(n, text), expected);
}

static void test_bytes(void **state)
{
    (void)state;
    bytes(0, "0");
    bytes(1023, "1023 B");
    bytes(1024, "1.0 KiB");
    bytes(10239, "10 KiB");
    bytes(1048575, "1.0 MiB");
    bytes(5u << 20, "5.0 MiB");
    bytes(UINT64_MAX, "16 EiB");
}

static void test_ages(void **state)
{
    (void)state;
    char text[WORDS_SIZE];
    int64_t then = words_time("2026-11-30T02:03:02.842Z");
    assert_int_equal(then % 1000, 842);
    assert_int_equal(words_time("1970-01-01T00:00:01Z"), 1000);
    assert_int_equal(words_time("yesterday"), -1);
    assert_string_equal(words_age("2026-11-30T02:03:02.842Z", then + 59999, text), "59s");
    assert_string_equal(words_age("2026-11-30T02:03:02.842Z", then + 60000, text), "1m");
    assert_string_equal(words_age("2026-11-30T02:03:02.842Z", then + 3720000, text), "1h02m");
    assert_string_equal(words_age("2026-11-30T02:03:02.842Z", then + 90000000, text), "1d01h");
    assert_string_equal(words_age("2026-11-30T02:03:02.842Z", then - 5000, text), "0s");
}

static void cut(const char *said, size_t columns, const char *expected)
{
    char text[64];
    assert_string_equal(words_cut(said, columns, text, sizeof(text)), expected);
    assert_true(words_columns(text) <= columns);
}

static void test_cuts(void **state)
{
    (void)state;
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip();
    cut("", 5, "");
    cut("short", 5, "short");
    cut("longer", 5, "long…");
    cut("\xe7\xaa\x97\xe7\xaa\x97\xe7\xaa\x97", 6,
        "\xe7\xaa\x97\xe7\xaa\x97\xe7\xaa\x97"); /* two columns each */
    cut("\xe7\xaa\x97\xe7\xaa\x97\xe7\xaa\x97", 5, "\xe7\xaa\x97\xe7\xaa\x97…");
    cut("a\033[31mb", 20, "a [31mb");
    cut("anything", 0, "");
    cut("anything", 1, "…");
    char text[8];
    words_cut("longer than there is room", 20, text,
              sizeof(text)); /* and nothing is written beyond */
    assert_true(strlen(text) < sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_ages),
        cmocka_unit_test(test_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
