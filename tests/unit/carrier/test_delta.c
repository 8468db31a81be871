/* SPDX-License-Identifier: MIT */
/* What changed in memory, byte for byte: found, checked, and put in its place. */
#include "tests/unit/support.h"

#include <pthread.h>
#include <string.h>

#include "common/carrier/delta.h"
#include "protocol/frames.h"

#define SIZE 1000u /* ends within a block */
#define ROOM 1024u

static struct side {
    _Alignas(64) uint8_t map[1024];
    uint8_t shadow[1024];
} a, b;

/* All that changed at @from, in pieces of @room. */
static void cross(struct side *from, struct side *to, size_t room)
{
    for (uint64_t at = 0; at * LINK_DELTA_BLOCK < SIZE;) {
        uint8_t *delta = malloc(room); /* so that it is seen if too much is written */
        size_t n = delta_compare(from->map, from->shadow, SIZE, &at, delta, room);
        uint8_t *exact = malloc(n + 1);
        memcpy(exact, delta, n);
        assert_int_equal(delta_check(exact, n, SIZE), 0);
        delta_apply(to->map, to->shadow, exact, n);
        free(exact);
        free(delta);
    }
}

static void test_both_write(void **state)
{
    (void)state;
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    srand(1);
    for (unsigned round = 0; round < 500; round++) {
        for (unsigned n = (unsigned)rand() % 200; n; n--) {
            unsigned at = (unsigned)rand() % SIZE;
            *(at % 3 ? &a.map[at] : &b.map[at]) = (uint8_t)rand();
        }
        cross(&a, &b, round % 2 ? ROOM : DELTA_ROOM_MIN);
        cross(&b, &a, ROOM);
        assert_memory_equal(a.map, b.map, SIZE);
        assert_memory_equal(a.map, a.shadow, SIZE);
        assert_memory_equal(b.map, b.shadow, SIZE);
    }
}

static void test_only_what_differs(void **state)
{
    uint8_t delta[ROOM];
    uint64_t at = 0;
    (void)state;
    memset(&a, 0, sizeof(a));
    a.map[64 * 3 + 5] = 1;
    a.map[64 * 3 + 63] = 2;
    a.map[SIZE] = 3; /* is not there */
    size_t n = delta_compare(a.map, a.shadow, SIZE, &at, delta, sizeof(delta));
    static const uint8_t expected[] = {3, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0x80, 1, 2};
    assert_int_equal(n, sizeof(expected));
    assert_memory_equal(delta, expected, n);
    at = 0;
    assert_int_equal(delta_compare(a.map, a.shadow, SIZE, &at, delta, sizeof(delta)), 0);
}

static void test_refused(void **state)
{
    static const struct {
        uint8_t bytes[40];
        size_t n;
        int good;
    } cases[] = {
        {{0, 0, 0, 0, 1, [12] = 9}, 13, 0},
        {{0, 0, 0, 0, 1}, 12, -1},                           /* its byte is not there */
        {{0, 0, 0, 0, 1, [12] = 9}, 11, -1},                 /* half a head */
        {{0, 0, 0, 0, 0}, 12, -1},                           /* nothing */
        {{0, 0, 0, 0, 1, [12] = 9, 9}, 14, -1},              /* a byte too many */
        {{15, 0, 0, 0, 1, [12] = 9}, 13, 0},                 /* the last block */
        {{15, 0, 0, 0, 0, 0, 0, 0, 0x80, [12] = 9}, 13, 0},  /* its last byte: 960 + 39 */
        {{15, 0, 0, 0, 0, 0, 0, 0, 0, 1, [12] = 9}, 13, -1}, /* behind the end */
        {{16, 0, 0, 0, 1, [12] = 9}, 13, -1},                /* another one */
        {{0xff, 0xff, 0xff, 0xff, 1, [12] = 9}, 13, -1},
        {{1, 0, 0, 0, 1, [12] = 9, 1, 0, 0, 0, 1, [25] = 9}, 26, -1}, /* twice */
        {{1, 0, 0, 0, 1, [12] = 9, 0, 0, 0, 0, 1, [25] = 9}, 26, -1}, /* back */
        {{1, 0, 0, 0, 1, [12] = 9, 2, 0, 0, 0, 1, [25] = 9}, 26, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t *exact = malloc(cases[i].n);
        memcpy(exact, cases[i].bytes, cases[i].n);
        if ((delta_check(exact, cases[i].n, SIZE) == 0) != (cases[i].good == 0))
            fail_msg("case %zu", i);
        free(exact);
    }
}

/* A counter and behind it what it counts, as in a ring: whoever looks all the time sees nothing
 * that is not there yet. */
static _Atomic bool over;
static uint32_t seen_too_early;

static void *looks(void *user)
{
    (void)user;
    while (!over) {
        uint32_t head = __atomic_load_n((uint32_t *)(void *)b.map, __ATOMIC_ACQUIRE);
        for (unsigned at = 512; at < 960; at += 4)
            seen_too_early +=
                (int32_t)(__atomic_load_n((uint32_t *)(void *)(b.map + at), __ATOMIC_ACQUIRE) -
                          head) < 0;
    }
    return NULL;
}

static void test_a_counter_comes_after_what_it_counts(void **state)
{
    pthread_t reader;
    (void)state;
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    assert_int_equal(pthread_create(&reader, NULL, looks, NULL), 0);
    for (uint32_t round = 1; round < 100000; round++) {
        for (unsigned at = 512; at < 960; at += 4)
            memcpy(a.map + at, &round, 4);
        memcpy(a.map, &round, 4);
        cross(&a, &b, ROOM);
    }
    over = true;
    pthread_join(reader, NULL);
    assert_int_equal(seen_too_early, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_write),
        cmocka_unit_test(test_only_what_differs),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_a_counter_comes_after_what_it_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
