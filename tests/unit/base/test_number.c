/* SPDX-License-Identifier: MIT */
/* Digits and nothing else, up to a limit. */
#include "tests/unit/support.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/number.h"

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t max, number;
    } cases[] = {
        {"0", 0, 0},
        {"0", 7, 0},
        {"7", 7, 7},
        {"0000000000000000000000000000007", 7, 7},
        {"4294967295", UINT32_MAX, UINT32_MAX},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX},
        {"10", UINT64_MAX, 10},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint64_t number = 99;
        if (!number_parse(cases[i].text, strlen(cases[i].text), cases[i].max, &number))
            fail_msg("%s is refused", cases[i].text);
        assert_int_equal(number, cases[i].number);
    }
}

static void test_what_is_none(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
    } cases[] = {
        {"", UINT64_MAX},
        {" 1", UINT64_MAX},
        {"1 ", UINT64_MAX},
        {"+1", UINT64_MAX},
        {"-1", UINT64_MAX},
        {"0x1", UINT64_MAX},
        {"1e3", UINT64_MAX},
        {"1.0", UINT64_MAX},
        {"1", 0},
        {"8", 7},
        {"10", 9},
        {"4294967296", UINT32_MAX},
        {"18446744073709551616", UINT64_MAX},
        {"99999999999999999999999999", UINT64_MAX},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint64_t number = 99;
        if (number_parse(cases[i].text, strlen(cases[i].text), cases[i].max, &number))
            fail_msg("\"%s\" is taken for %llu", cases[i].text, (unsigned long long)number);
        assert_int_equal(number, 99);
    }
}

/* Only the bytes that are named are looked at. */
static void test_part_of_a_text(void **state)
{
    uint64_t number = 0;
    (void)state;
    assert_true(number_parse("12:34", 2, UINT64_MAX, &number));
    assert_int_equal(number, 12);
    assert_false(number_parse("12", 0, UINT64_MAX, &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_part_of_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
