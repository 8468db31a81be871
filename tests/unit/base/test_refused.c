/* SPDX-License-Identifier: MIT */
/* What was refused lately is kept, each refusal once, and no more of it than there is room for. */
#include "tests/unit/support.h"

#include <stdio.h>
#include <string.h>

#include "common/base/refused.h"

static struct refused refused;
static struct log_subject vm = {.name = "vm", .refused = &refused};
static struct log_subject client = {.name = "client 7", .parent = &vm};

static int setup(void **state)
{
    (void)state;
    memset(&refused, 0, sizeof(refused));
    return 0;
}

static void test_rules(void **state)
{
    (void)state;
    refused_note(&client, "wayland", "it sent nonsense");
    refused_note(&vm, "limit", "client limit: 2 are there (max-clients)");
    refused_note(&vm, "limit", "it is over (max-this-is-longer-than-any-rule-may-be)");
    refused_note(&vm, "limit", "it is over (max-clients");
    refused_note(&vm, "limit", "(max-clients) is not at the end (of it)");
    assert_int_equal(refused.n, 5);
    assert_string_equal(refused.at[0].rule, "wayland");
    assert_string_equal(refused.at[0].who, "client 7");
    assert_string_equal(refused.at[0].text, "it sent nonsense");
    assert_true(refused.at[0].when > 0);
    assert_string_equal(refused.at[1].rule, "max-clients");
    assert_string_equal(refused.at[1].who, "");
    for (int i = 2; i < 5; i++)
        assert_string_equal(refused.at[i].rule, "limit");
}

static void test_the_same_again(void **state)
{
    (void)state;
    char text[64];
    refused_note(&vm, "limit", "one that matters");
    for (int i = 0; i < 1000; i++)
        refused_note(&client, "wayland", "all the time");
    assert_int_equal(refused.n, 2);
    assert_int_equal(refused.at[1].times, 1000);
    refused_note(&vm, "limit", "one that matters");
    assert_string_equal(refused.at[1].text, "one that matters");
    assert_int_equal(refused.at[1].times, 2);
    for (int i = 0; i < REFUSED_MAX + 5; i++) {
        snprintf(text, sizeof(text), "no. %d", i);
        refused_note(&vm, "limit", text);
    }
    assert_int_equal(refused.n, REFUSED_MAX);
    assert_string_equal(refused.at[0].text, "no. 5");
    assert_string_equal(refused.at[REFUSED_MAX - 1].text, text);
}

static void test_nobody_keeps_it(void **state)
{
    (void)state;
    struct log_subject other = {.name = "other"};
    refused_note(&other, "limit", "text");
    refused_note(NULL, "limit", "text");
    assert_int_equal(refused.n, 0);
}

/* Whatever another process left there. */
static void test_memory_that_is_shared(void **state)
{
    (void)state;
    memset(&refused, 'x', sizeof(refused));
    refused_take_over(&refused);
    assert_int_equal(refused.n, 0);
    refused.n = REFUSED_MAX;
    refused_take_over(&refused);
    refused_note(&vm, "limit", "text");
    assert_int_equal(refused.n, REFUSED_MAX);
    assert_string_equal(refused.at[REFUSED_MAX - 1].text, "text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_rules, setup),
        cmocka_unit_test_setup(test_the_same_again, setup),
        cmocka_unit_test_setup(test_nobody_keeps_it, setup),
        cmocka_unit_test_setup(test_memory_that_is_shared, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
