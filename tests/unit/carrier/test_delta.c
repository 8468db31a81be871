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
    struct delta_shadow shadow;
} a, b;

static void begin(void)
{
    struct side *sides[] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        delta_shadow_finish(&sides[i]->shadow);
        memset(sides[i]->map, 0, sizeof(sides[i]->map));
        assert_int_equal(delta_shadow_init(&sides[i]->shadow, SIZE), 0);
    }
}

static int end(void **state)
{
    (void)state;
    delta_shadow_finish(&a.shadow);
    delta_shadow_finish(&b.shadow);
    return 0;
}

/* One piece of what is noted at @from before @left. */
static void tell(struct side *from, struct side *to, uint64_t *left, size_t room)
{
    uint8_t *delta = malloc(room); /* so that it is seen if too much is written */
    size_t n = delta_tell(&from->shadow, left, delta, room);
    uint8_t *exact = malloc(n + 1);
    memcpy(exact, delta, n);
    assert_int_equal(delta_check(exact, n, SIZE), 0);
    delta_apply(&to->shadow, to->map, exact, n);
    free(exact);
    free(delta);
}

/* All that changed at @from, in pieces of @room. */
static void cross(struct side *from, struct side *to, size_t room)
{
    uint64_t left = delta_look(&from->shadow, from->map);
    while (left)
        tell(from, to, &left, room);
}

static void test_both_write(void **state)
{
    (void)state;
    begin();
    srand(1);
    for (unsigned round = 0; round < 500; round++) {
        for (unsigned n = (unsigned)rand() % 200; n; n--) {
            unsigned at = (unsigned)rand() % SIZE;
            *(at % 3 ? &a.map[at] : &b.map[at]) = (uint8_t)rand();
        }
        cross(&a, &b, round % 2 ? ROOM : DELTA_ROOM_MIN);
        cross(&b, &a, ROOM);
        assert_memory_equal(a.map, b.map, SIZE);
        assert_memory_equal(a.map, a.shadow.bytes, SIZE);
        assert_memory_equal(b.map, b.shadow.bytes, SIZE);
    }
}

static void test_only_what_differs(void **state)
{
    uint8_t delta[ROOM];
    (void)state;
    begin();
    a.map[64 * 3 + 5] = 1;
    a.map[64 * 3 + 63] = 2;
    a.map[SIZE] = 3; /* is not there */
    uint64_t left = delta_look(&a.shadow, a.map);
    assert_int_equal(left, 4);
    size_t n = delta_tell(&a.shadow, &left, delta, sizeof(delta));
    static const uint8_t expected[] = {3, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0x80, 1, 2};
    assert_int_equal(n, sizeof(expected));
    assert_memory_equal(delta, expected, n);
    assert_int_equal(left, 0);
    assert_int_equal(delta_look(&a.shadow, a.map), 0);
}

/* In pieces, the last ones first; what is not told yet is told later, as it is then. */
static void test_pieces(void **state)
{
    uint64_t left;
    (void)state;
    begin();
    for (unsigned at = 0; at < SIZE; at++)
        a.map[at] = 1;
    left = delta_look(&a.shadow, a.map);
    assert_int_equal(left, 16);
    for (uint64_t before = left; left; before = left) {
        tell(&a, &b, &left, 200); /* two blocks; the last one is not whole */
        assert_int_equal(before - left, 2);
        for (unsigned at = 0; at < SIZE; at++)
            assert_int_equal(b.map[at], at >= left * 64);
    }
    a.map[0] = 2;
    memset(a.map + 448, 2, 64);
    left = delta_look(&a.shadow, a.map);
    tell(&a, &b, &left, DELTA_ROOM_MIN);
    a.map[1] = 3; /* who asked for that leaves, and somebody else asks */
    assert_int_equal(b.map[0], 1);
    assert_int_equal(b.map[500], 2);
    assert_int_equal(delta_look(&a.shadow, a.map), 1);
    cross(&a, &b, ROOM);
    assert_memory_equal(a.map, b.map, SIZE);
}

/* What the other side says meanwhile is not said back to it. */
static void test_overtaken(void **state)
{
    uint64_t left;
    (void)state;
    begin();
    a.map[0] = 1;
    a.map[1] = 1;
    left = delta_look(&a.shadow, a.map);
    b.map[0] = 2;
    cross(&b, &a, ROOM);
    b.map[0] = 3;
    while (left)
        tell(&a, &b, &left, ROOM);
    assert_int_equal(b.map[0], 3);
    assert_int_equal(b.map[1], 1);
    cross(&b, &a, ROOM);
    assert_memory_equal(a.map, b.map, SIZE);
}

/* Ranges within blocks, over their borders, and beyond the end: only those bytes cross, and only
 * those are taken. */
static void test_ranges(void **state)
{
    static const struct delta_ranges only = {4, {{0, 4}, {60, 130}, {192, 256}, {999, 2000}}};
    static const struct delta_ranges none = {0};
    uint8_t sent[SIZE] = {0};
    (void)state;
    for (unsigned i = 0; i < SIZE; i++)
        for (unsigned r = 0; r < only.n; r++)
            sent[i] |= i >= only.at[r].from && i < only.at[r].to;
    for (int way = 0; way < 4; way++) {
        begin();
        memset(a.map, 1, SIZE);
        a.shadow.sends = way == 0 ? &only : way == 3 ? &none : NULL;
        b.shadow.receives = way == 1 ? &only : way == 2 ? &none : NULL;
        cross(&a, &b, ROOM);
        for (unsigned i = 0; i < SIZE; i++) {
            assert_int_equal(b.map[i], way < 2 ? sent[i] : 0);
            assert_int_equal(b.shadow.bytes[i], b.map[i]);
        }
    }
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
    begin();
    assert_int_equal(pthread_create(&reader, NULL, looks, NULL), 0);
    for (uint32_t round = 1; round < 100000; round++) {
        for (unsigned at = 512; at < 960; at += 4)
            memcpy(a.map + at, &round, 4);
        memcpy(a.map, &round, 4);
        cross(&a, &b, round % 2 ? ROOM : 200);
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
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_overtaken),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_a_counter_comes_after_what_it_counts),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
