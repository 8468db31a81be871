/* SPDX-License-Identifier: MIT */
/* Budgets, and the pages of a mirror that they pay for. */
#include "tests/unit/support.h"
#include "tests/support/allocated.h"
#include "tests/support/even.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

static uint64_t page, overhead;

static void test_a_limit(void **state)
{
    (void)state;
    struct budget *b = budget_create(NULL);
    assert_int_equal(budget_take(b, BUDGET_MEMORY, UINT64_MAX), 0); /* there is none yet */
    budget_give(b, BUDGET_MEMORY, UINT64_MAX);
    b->limit[BUDGET_MEMORY] = 100;
    b->limit[BUDGET_FDS] = 2;
    assert_int_equal(budget_take(b, BUDGET_MEMORY, 60), 0);
    assert_int_equal(budget_take(b, BUDGET_MEMORY, 41), -EDQUOT);
    assert_int_equal(budget_take(b, BUDGET_MEMORY, UINT64_MAX), -EDQUOT);
    assert_int_equal(budget_take(b, BUDGET_MEMORY, 40), 0);
    assert_int_equal(budget_take(b, BUDGET_FDS, 3), -EMFILE);
    assert_int_equal(budget_take(b, BUDGET_FDS, 2), 0);
    assert_false(budget_has(b, BUDGET_FDS, 1));
    budget_give(b, BUDGET_FDS, 2);
    budget_give(b, BUDGET_MEMORY, 100);
    assert_true(budget_is_even(b));
    assert_int_equal(budget_take(NULL, BUDGET_FDS, 1), 0);
    budget_give(NULL, BUDGET_FDS, 1);
}

/* Nobody gets more than four times what is left: one that takes all it can leaves a fifth. */
static void test_something_is_left_for_others(void **state)
{
    (void)state;
    struct budget *whole = budget_create(NULL);
    struct budget *greedy = budget_create(whole), *second = budget_create(whole),
                  *third = budget_create(whole);
    whole->limit[BUDGET_FDS] = 1250;
    unsigned n = 0;
    while (budget_take(greedy, BUDGET_FDS, 1) == 0)
        n++;
    assert_in_range(n, 1000, 1003);
    for (n = 0; budget_take(second, BUDGET_FDS, 1) == 0;)
        n++;
    assert_in_range(n, 190, 203);
    assert_int_equal(budget_take(greedy, BUDGET_FDS, 1), -EMFILE);
    for (n = 0; budget_take(third, BUDGET_FDS, 1) == 0;)
        n++;
    assert_in_range(n, 30, 43);
    budget_give(greedy, BUDGET_FDS, greedy->used[BUDGET_FDS]);
    assert_int_equal(budget_take(third, BUDGET_FDS, 700), 0);
    assert_int_equal(budget_take(greedy, BUDGET_MEMORY, 1 << 30),
                     0); /* which is not limited there */
    budget_give(greedy, BUDGET_MEMORY, 1 << 30);
    budget_give(second, BUDGET_FDS, second->used[BUDGET_FDS]);
    budget_give(third, BUDGET_FDS, third->used[BUDGET_FDS]);
    assert_true(budget_is_even(greedy) && budget_is_even(second) && budget_is_even(third));
    assert_true(budget_is_even(whole));
}

static uint64_t pages_of(const struct budget *b)
{
    return (b->used[BUDGET_MEMORY] - overhead) / page;
}

static void test_pages_are_paid_for_once(void **state)
{
    (void)state;
    struct budget *b = budget_create(NULL);
    struct memory *m = memory_create(100 * page, b);
    overhead = b->used[BUDGET_MEMORY];
    assert_int_equal(b->used[BUDGET_FDS], 1);
    assert_int_equal(memory_touch(m, 0, 1, 1, 1), 0);
    assert_int_equal(memory_touch(m, page - 1, 2, 1, 2), 0);
    assert_int_equal(pages_of(b), 2);
    /* One byte in each of ten pages costs ten pages. */
    assert_int_equal(memory_touch(m, 10 * page, 1, 10, (uint32_t)page * 2), 0);
    assert_int_equal(pages_of(b), 12);
    assert_int_equal(memory_touch(m, 10 * page, 1, 10, (uint32_t)page), 0);
    assert_int_equal(pages_of(b), 17);
    memory_punch(m, 10 * page, 10 * page + 1);
    assert_int_equal(pages_of(b), 7);
    memory_punch(m, 0, 100 * page);
    assert_int_equal(pages_of(b), 0);
    assert_int_equal(memory_touch(m, 0, (uint32_t)page * 100, 1, (uint32_t)page * 100), 0);
    assert_int_equal(pages_of(b), 100);
    memory_unref(m);
    assert_true(budget_is_even(b));
}

/* It takes no longer to say so than for a few. */
static void test_very_many_rows_cost_all_between(void **state)
{
    (void)state;
    struct budget *b = budget_create(NULL);
    struct memory *m = memory_create(100000 * page, b);
    overhead = b->used[BUDGET_MEMORY];
    assert_int_equal(memory_touch(m, 0, 1, 8192, (uint32_t)page * 4), 0);
    assert_int_equal(pages_of(b), 8192);
    assert_int_equal(memory_touch(m, 50000 * page, 1, 8193, (uint32_t)page * 4), 0);
    assert_int_equal(pages_of(b), 8192 + 8192 * 4 + 1);
    memory_unref(m);
    assert_true(budget_is_even(b));
}

/* What somebody may look at is paid for as long as he may, and then as long as it is there. */
static void test_what_is_reserved(void **state)
{
    (void)state;
    struct budget *b = budget_create(NULL);
    struct memory *m = memory_create(100 * page, b);
    overhead = b->used[BUDGET_MEMORY];
    assert_int_equal(memory_reserve(m, 1, 10 * page), 0);
    assert_int_equal(pages_of(b), 11);
    memory_punch(m, 0, 100 * page);
    assert_int_equal(pages_of(b), 11);
    assert_int_equal(memory_reserve(m, 0, 95 * page), 0);
    assert_int_equal(pages_of(b), 100); /* all there are */
    memory_unreserve(m, 0, 95 * page);
    assert_int_equal(pages_of(b), 100);
    memory_unreserve(m, 1, 10 * page);
    assert_int_equal(pages_of(b), 95);
    assert_int_equal(b->used[BUDGET_MEMORY] - overhead, 95 * page);
    m->map[3 * page] = 1; /* as a compositor's look would */
    memory_punch(m, 0, 100 * page);
    assert_int_equal(pages_of(b), 0);
    assert_int_equal(memory_allocated(m), 0);
    b->limit[BUDGET_MEMORY] = b->used[BUDGET_MEMORY] + 5 * page;
    assert_int_equal(memory_reserve(m, 0, 6 * page), -EDQUOT);
    assert_int_equal(memory_reserve(m, 0, 5 * page), 0);
    assert_int_equal(memory_touch(m, 50 * page, 1, 1, 1), -EDQUOT);
    memory_unref(m);
    assert_true(budget_is_even(b));
}

static void test_memory_that_cannot_be_paid(void **state)
{
    (void)state;
    struct budget *b = budget_create(NULL);
    b->limit[BUDGET_FDS] = 0;
    int before = count_fds();
    assert_null(memory_create(page, b));
    assert_int_equal(errno, EMFILE);
    b->limit[BUDGET_FDS] = 1;
    b->limit[BUDGET_MEMORY] = 10;
    assert_null(memory_create(page, b));
    assert_int_equal(errno, EDQUOT);
    b->limit[BUDGET_MEMORY] = 10000;
    struct memory *m = memory_create(page, b);
    assert_non_null(m);
    assert_int_equal(memory_grow(m, UINT64_C(1) << 31), -EDQUOT); /* the table of its pages */
    memory_unref(m);
    assert_int_equal(count_fds(), before);
    assert_true(budget_is_even(b));
}

int main(void)
{
    page = pages_size();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_limit),
        cmocka_unit_test(test_something_is_left_for_others),
        cmocka_unit_test(test_pages_are_paid_for_once),
        cmocka_unit_test(test_very_many_rows_cost_all_between),
        cmocka_unit_test(test_what_is_reserved),
        cmocka_unit_test(test_memory_that_cannot_be_paid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
