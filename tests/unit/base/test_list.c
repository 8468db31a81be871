/* SPDX-License-Identifier: MIT */
/* Arrays grow to their cap and not beyond, and keep what they hold when they cannot; lists may lose
 * the entry that a walk is at. */
#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>

#include "common/base/list.h"

struct numbers {
    uint32_t *at;
    size_t n, room;
};

static void test_grows_to_its_cap(void **state)
{
    struct numbers a = {0};
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(array_room(&a.at, &a.room, a.n + 1, 1000), 0);
        assert_in_range(a.room, a.n + 1, 1000);
        a.at[a.n++] = i;
    }
    uint32_t *before = a.at;
    assert_int_equal(array_room(&a.at, &a.room, a.n + 1, 1000), -EOVERFLOW);
    assert_ptr_equal(a.at, before);
    assert_int_equal(a.room, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(a.at[i], i);
    free(a.at);
}

/* A million elements one by one move some twenty times, not a million. */
static void test_doubles(void **state)
{
    struct numbers a = {0};
    unsigned grown = 0;
    (void)state;
    while (a.n < 1000000) {
        size_t before = a.room;
        assert_int_equal(array_room(&a.at, &a.room, ++a.n, 1000000), 0);
        grown += a.room != before;
    }
    assert_in_range(grown, 1, 20);
    free(a.at);
}

static void test_many_at_once(void **state)
{
    struct numbers a = {0};
    (void)state;
    assert_int_equal(array_room(&a.at, &a.room, 0, 8), 0);
    assert_null(a.at);
    assert_int_equal(array_room(&a.at, &a.room, 77, 80), 0);
    assert_in_range(a.room, 77, 80);
    memset(a.at, 1, 77 * sizeof(*a.at)); /* ASan: they are there */
    uint32_t *before = a.at;
    assert_int_equal(array_room(&a.at, &a.room, 3, 80), 0); /* never less */
    assert_ptr_equal(a.at, before);
    assert_int_equal(array_room(&a.at, &a.room, 80, 80), 0);
    assert_int_equal(a.room, 80);
    free(a.at);
}

static void test_small_caps(void **state)
{
    (void)state;
    for (size_t max = 1; max < 6; max++) {
        struct numbers a = {0};
        assert_int_equal(array_room(&a.at, &a.room, 1, max), 0);
        assert_in_range(a.room, 1, max);
        assert_int_equal(array_room(&a.at, &a.room, max + 1, max), -EOVERFLOW);
        free(a.at);
    }
    struct numbers none = {0};
    assert_int_equal(array_room(&none.at, &none.room, 1, 0), -EOVERFLOW);
    assert_null(none.at);
}

/* Sizes that wrap, or that no machine has: the array is as it was. */
static void test_failures_change_nothing(void **state)
{
    struct numbers a = {0};
    (void)state;
    assert_int_equal(array_room(&a.at, &a.room, 3, 3), 0);
    a.at[2] = 7;
    uint32_t *before = a.at;
    static const size_t sizes[] = {SIZE_MAX,         SIZE_MAX / 2, SIZE_MAX / 4 + 1,
                                   SIZE_MAX / 4 + 2, SIZE_MAX / 4, PTRDIFF_MAX / 4 + (size_t)1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        assert_int_equal(array_room(&a.at, &a.room, sizes[i], SIZE_MAX), -ENOMEM);
        assert_ptr_equal(a.at, before);
        assert_int_equal(a.room, 3);
        assert_int_equal(a.at[2], 7);
    }
    size_t huge = SIZE_MAX / 2 + 1; /* twice that wraps */
    assert_int_equal(array_room(&a.at, &huge, huge + 1, SIZE_MAX), -ENOMEM);
    assert_ptr_equal(a.at, before);
    free(a.at);
}

struct entry {
    LIST_ENTRY(entry) in_list;
    TAILQ_ENTRY(entry) in_queue;
    int number;
};
LIST_HEAD(entry_list, entry);
TAILQ_HEAD(entry_queue, entry);

static void test_entries_leave_during_a_walk(void **state)
{
    struct entry_list list = LIST_HEAD_INITIALIZER(list);
    struct entry_queue queue = TAILQ_HEAD_INITIALIZER(queue);
    struct entry *at, *after;
    int sum = 0;
    (void)state;
    LIST_FOREACH_SAFE (at, &list, in_list, after)
        fail_msg("an empty list has an entry");
    for (int i = 1; i <= 5; i++) {
        at = calloc(1, sizeof(*at));
        assert_non_null(at);
        at->number = i;
        LIST_INSERT_HEAD(&list, at, in_list);
        TAILQ_INSERT_TAIL(&queue, at, in_queue);
    }
    LIST_FOREACH_SAFE (at, &list, in_list, after) {
        sum = 10 * sum + at->number;
        LIST_REMOVE(at, in_list);
    }
    assert_int_equal(sum, 54321);
    assert_true(LIST_EMPTY(&list));
    TAILQ_FOREACH_SAFE (at, &queue, in_queue, after) {
        sum = 10 * (sum % 10000) + at->number;
        TAILQ_REMOVE(&queue, at, in_queue);
        free(at);
    }
    assert_int_equal(sum % 100000, 12345);
    assert_true(TAILQ_EMPTY(&queue));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_to_its_cap),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_small_caps),
        cmocka_unit_test(test_failures_change_nothing),
        cmocka_unit_test(test_entries_leave_during_a_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
