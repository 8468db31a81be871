/* SPDX-License-Identifier: MIT */
/* The difference between the host's clocks and ours, and times converted by it. */
#include "tests/unit/support.h"

#include <string.h>
#include <time.h>

#include "common/transport/link.h"
#include "guest-proxy/times.h"

#define S 1000000000ll

/* A measurement that took @round_trip, with the host's clock @ahead of ours. */
static void measure(struct times *times, uint64_t serial, int64_t round_trip,
                    const int64_t ahead[_LINK_CLOCK_N])
{
    int64_t now[_LINK_CLOCK_N];
    struct link_pong pong = {.serial = serial};
    times_ping(times, serial);
    link_clocks(now);
    for (int i = 0; i < _LINK_CLOCK_N; i++) { /* sent so long ago, answered half-way */
        times->sent[i] = now[i] - round_trip;
        pong.ns[i] = now[i] - round_trip / 2 + ahead[i];
    }
    times_pong(times, &pong);
}

static void assert_offset(const struct times *times, const int64_t expected[_LINK_CLOCK_N])
{
    for (int i = 0; i < _LINK_CLOCK_N; i++) {
        int64_t error = times->offset[i] - expected[i];
        /* Half of what passed between the two readings of the clock; the machine may be busy. */
        assert_true(error < 5 * S && error > -5 * S);
    }
}

static const int64_t far[_LINK_CLOCK_N] = {1000 * S, -2000 * S, 3000 * S, -4000 * S};
static const int64_t other[_LINK_CLOCK_N] = {100 * S, 200 * S, 300 * S, 400 * S};

static void test_first_measurement_counts(void **state)
{
    (void)state;
    struct times times = {0};
    assert_false(times.known);
    measure(&times, 1, 100 * S, far);
    assert_true(times.known);
    assert_offset(&times, far);
}

static void test_an_answer_to_another_ping_does_not(void **state)
{
    (void)state;
    struct times times = {0};
    struct link_pong pong = {.serial = 7, .ns = {1, 2, 3, 4}};
    times_ping(&times, 8);
    times_pong(&times, &pong);
    assert_false(times.known);
}

static void test_the_quickest_counts(void **state)
{
    (void)state;
    struct times times = {0};
    measure(&times, 1, 50 * S, far);
    measure(&times, 2, 100 * S, other); /* slower: a worse measurement */
    assert_offset(&times, far);
    measure(&times, 3, 25 * S, other);
    assert_offset(&times, other);
}

static void test_an_old_one_is_replaced(void **state)
{
    (void)state;
    struct times times = {0};
    measure(&times, 1, 1 * S, far);
    times.measured_ms -= 31000;
    measure(&times, 2, 200 * S, other);
    assert_offset(&times, other);
}

static void test_absurd_clocks(void **state)
{
    (void)state;
    static const int64_t extremes[] = {INT64_MIN, 0, -1, 0, INT64_MAX, 0};
    for (size_t i = 0; i < sizeof(extremes) / sizeof(*extremes);
         i++) { /* UBSan: nothing overflows */
        struct times times = {0};
        struct link_pong pong = {.serial = 1,
                                 .ns = {extremes[i], extremes[i], extremes[i], extremes[i]}};
        times_ping(&times, 1);
        if (i % 2) /* as far from our clock as can be */
            for (int c = 0; c < _LINK_CLOCK_N; c++)
                pong.ns[c] = (int64_t)((uint64_t)times.sent[c] + (uint64_t)INT64_MIN);
        times_pong(&times, &pong);
        assert_true(times.known);
        for (int direction = 0; direction < 2; direction++) {
            uint32_t words[5] = {3, 20 << 16, 0, 5, 6};
            struct wl_message m = {.bytes = (const uint8_t *)words, .size = 20};
            m.args[1].u = 5;
            m.args[2].u = 6;
            times_convert(&times, &m, CLOCK_MONOTONIC, direction);
            assert_true(words[4] < S);
        }
    }
}

/* --- messages --- */

/* Converts (hi, lo, nsec) of a message; the result is in @words[2…4]. */
static void convert(const struct times *times, enum times_direction direction, uint32_t clock,
                    uint32_t words[8], uint32_t hi, uint32_t lo, uint32_t nsec)
{
    uint32_t message[8] = {9, 32 << 16, hi, lo, nsec, 0x11111111, 0x22222222, 0x33333333};
    memcpy(words, message, sizeof(message));
    struct wl_message m = {.object = 9, .size = 32, .bytes = (const uint8_t *)words};
    for (int i = 0; i < 6; i++)
        m.args[i].u = message[2 + i];
    times_convert(times, &m, clock, direction);
    assert_memory_equal(words, message, 8);
    assert_memory_equal(words + 5, message + 5, 12); /* the rest stays */
}

static void test_directions_and_clocks(void **state)
{
    (void)state;
    /* Host − guest. */
    const struct times times = {.known = true,
                                .offset = {[LINK_CLOCK_REALTIME] = 10 * S,
                                           [LINK_CLOCK_MONOTONIC] = 100 * S + 1,
                                           [LINK_CLOCK_MONOTONIC_RAW] = 1000 * S,
                                           [LINK_CLOCK_BOOTTIME] = -10000 * S}};
    uint32_t w[8];
    convert(&times, TIMES_TO_GUEST, CLOCK_MONOTONIC, w, 0, 5000,
            0); /* the host's time becomes ours */
    assert_true(w[2] == 0 && w[3] == 4899 && w[4] == 999999999);
    convert(&times, TIMES_TO_HOST, CLOCK_MONOTONIC, w, 0, 5000,
            999999999); /* ours becomes the host's */
    assert_true(w[2] == 0 && w[3] == 5101 && w[4] == 0);
    convert(&times, TIMES_TO_GUEST, CLOCK_MONOTONIC, w, 0, 5000, 2);
    assert_true(w[3] == 4900 && w[4] == 1);
    convert(&times, TIMES_TO_GUEST, CLOCK_REALTIME, w, 0, 5000, 3);
    assert_true(w[3] == 4990 && w[4] == 3);
    convert(&times, TIMES_TO_GUEST, CLOCK_MONOTONIC_RAW, w, 0, 5000, 3);
    assert_true(w[3] == 4000 && w[4] == 3);
    convert(&times, TIMES_TO_GUEST, CLOCK_BOOTTIME, w, 0, 5000, 3);
    assert_true(w[3] == 15000 && w[4] == 3);
    convert(&times, TIMES_TO_GUEST, CLOCK_REALTIME_COARSE, w, 0, 5000, 3);
    assert_true(w[3] == 4990);
    convert(&times, TIMES_TO_HOST, CLOCK_MONOTONIC_COARSE, w, 0, 5000, 0);
    assert_true(w[3] == 5100 && w[4] == 1);
}

static void test_beyond_32_bits_of_seconds(void **state)
{
    (void)state;
    const struct times times = {.known = true, .offset = {[LINK_CLOCK_REALTIME] = 2 * S}};
    uint32_t w[8];
    convert(&times, TIMES_TO_HOST, CLOCK_REALTIME, w, 0, UINT32_MAX, 0);
    assert_true(w[2] == 1 && w[3] == 1 && w[4] == 0);
    convert(&times, TIMES_TO_GUEST, CLOCK_REALTIME, w, 1, 1, 0);
    assert_true(w[2] == 0 && w[3] == UINT32_MAX && w[4] == 0);
}

static void test_what_cannot_be_converted_stays(void **state)
{
    (void)state;
    const struct times times = {.known = true, .offset = {[LINK_CLOCK_MONOTONIC] = 100 * S}};
    const struct times unknown = {.offset = {[LINK_CLOCK_MONOTONIC] = 100 * S}};
    uint32_t w[8];
    convert(&times, TIMES_TO_HOST, CLOCK_MONOTONIC, w, 0, 5,
            1000000000); /* no number of nanoseconds */
    assert_true(w[3] == 5 && w[4] == 1000000000);
    convert(&times, TIMES_TO_HOST, CLOCK_MONOTONIC, w, UINT32_MAX, UINT32_MAX, 0);
    assert_true(w[2] == UINT32_MAX && w[3] == UINT32_MAX);
    convert(&times, TIMES_TO_GUEST, CLOCK_MONOTONIC, w, 0, 99, 0); /* before the clock began */
    assert_true(w[3] == 99);
    convert(&unknown, TIMES_TO_GUEST, CLOCK_MONOTONIC, w, 0, 500, 0);
    assert_true(w[3] == 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_measurement_counts),
        cmocka_unit_test(test_an_answer_to_another_ping_does_not),
        cmocka_unit_test(test_the_quickest_counts),
        cmocka_unit_test(test_an_old_one_is_replaced),
        cmocka_unit_test(test_absurd_clocks),
        cmocka_unit_test(test_directions_and_clocks),
        cmocka_unit_test(test_beyond_32_bits_of_seconds),
        cmocka_unit_test(test_what_cannot_be_converted_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
