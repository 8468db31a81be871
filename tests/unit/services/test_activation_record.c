/* SPDX-License-Identifier: MIT */
/* A node's record: each step, by both versions of PipeWire's servers. */
#include "tests/unit/support.h"

#include <string.h>

#include "common/services/activation-record.h"

enum {
    STATUS = 0,
    REQUIRED = 12,
    PENDING = 16,
    SIGNALLED = 32,
    FINISHED_AT = 48,
    SERVER_VERSION = 544,
    FLAGS = 556
};

static _Alignas(64) uint8_t record[ACTIVATION_SIZE];

static void set(unsigned at, uint32_t value)
{
    memcpy(record + at, &value, sizeof(value));
}

static uint32_t get(unsigned at)
{
    uint32_t value;
    memcpy(&value, record + at, sizeof(value));
    return value;
}

static void test_guest(void **state)
{
    (void)state;
    activation_begin(record);
    assert_int_equal(activation_status(record), ACTIVATION_INACTIVE);
    activation_wake(record); /* one that is inactive stays so */
    assert_int_equal(activation_status(record), ACTIVATION_INACTIVE);
    set(STATUS, ACTIVATION_FINISHED);
    activation_wake(record);
    assert_int_equal(activation_status(record), ACTIVATION_TRIGGERED);
    activation_arm(record);
    assert_int_equal(activation_status(record), ACTIVATION_NOT_TRIGGERED);
    assert_int_equal(get(REQUIRED), 1);
    assert_int_equal(get(PENDING), 1);
}

static void test_finish(void **state)
{
    (void)state;
    for (uint32_t status = 0; status <= ACTIVATION_INACTIVE + 1; status++) {
        bool awake = status == ACTIVATION_TRIGGERED || status == ACTIVATION_AWAKE;
        memset(record, 0, sizeof(record));
        set(STATUS, status);
        assert_int_equal(activation_finish(record, 5), awake);
        assert_int_equal(get(STATUS), awake ? ACTIVATION_FINISHED : status);
        assert_int_equal(get(FINISHED_AT), awake ? 5 : 0);
    }
    set(STATUS, ACTIVATION_TRIGGERED);
    activation_set_awake(record, 3);
    assert_int_equal(get(STATUS), ACTIVATION_AWAKE);
    set(STATUS, ACTIVATION_NOT_TRIGGERED);
    activation_set_awake(record, 3);
    assert_int_equal(get(STATUS), ACTIVATION_NOT_TRIGGERED);
}

static void test_trigger(void **state)
{
    (void)state;
    for (uint32_t version = 0; version < 2; version++) {
        memset(record, 0, sizeof(record));
        set(SERVER_VERSION, version);
        set(PENDING, 2);
        assert_false(activation_trigger(record, 7));
        assert_int_equal(get(STATUS), ACTIVATION_NOT_TRIGGERED);
        assert_true(activation_trigger(record, 7));
        assert_int_equal(get(STATUS), ACTIVATION_TRIGGERED);
        assert_int_equal(get(SIGNALLED), 7);
        assert_false(activation_trigger(record, 7)); /* once too often */
        set(PENDING, 1);
        set(STATUS, ACTIVATION_INACTIVE); /* it stopped: only 1.2 and later know that */
        assert_int_equal(activation_trigger(record, 8), version == 0);
    }
}

static void test_active(void **state)
{
    (void)state;
    set(STATUS, ACTIVATION_INACTIVE);
    activation_set_active(record, true);
    assert_int_equal(get(STATUS), ACTIVATION_FINISHED);
    set(STATUS, ACTIVATION_TRIGGERED);
    activation_set_active(record, true);
    assert_int_equal(get(STATUS), ACTIVATION_TRIGGERED);
    activation_set_active(record, false);
    assert_int_equal(get(STATUS), ACTIVATION_INACTIVE);
}

static void test_async(void **state)
{
    (void)state;
    memset(record, 0, sizeof(record));
    set(FLAGS, 2);
    assert_false(activation_is_async(record)); /* before 1.2 something else is there */
    set(SERVER_VERSION, 1);
    assert_true(activation_is_async(record));
    set(FLAGS, 1);
    assert_false(activation_is_async(record));
}

static void test_times(void **state)
{
    static _Alignas(64) uint8_t host[ACTIVATION_SIZE];
    uint64_t now = 5000, next;
    (void)state;
    memset(record, 0, sizeof(record));
    memcpy(host + 632, &now, sizeof(now));
    activation_set_times(record, host, 2000);
    activation_set_times(record, host, 3000); /* not from what it was made before */
    memcpy(&now, record + 632, sizeof(now));
    memcpy(&next, record + 680, sizeof(next));
    assert_int_equal(now, 2000);
    assert_int_equal(next, 0);
    activation_set_times(record, host, -3000);
    memcpy(&now, record + 632, sizeof(now));
    assert_int_equal(now, 8000);
}

/* What others count in, and who may be waited for, is nobody's on the other side. */
static void test_ranges(void **state)
{
    static const unsigned own[] = {STATUS, REQUIRED, PENDING};
    const struct delta_ranges *all[] = {&activation_of_node, &activation_from_guest,
                                        &activation_of_peer};
    (void)state;
    for (unsigned r = 0; r < 3; r++)
        for (unsigned i = 0; i < all[r]->n; i++)
            for (unsigned k = 0; k < sizeof(own) / sizeof(*own); k++)
                assert_true(all[r]->at[i].to <= own[k] || all[r]->at[i].from > own[k]);
    for (unsigned i = 0; i < activation_from_guest.n; i++)
        assert_true(activation_from_guest.at[i].to <= FLAGS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guest),   cmocka_unit_test(test_finish),
        cmocka_unit_test(test_trigger), cmocka_unit_test(test_active),
        cmocka_unit_test(test_async),   cmocka_unit_test(test_times),
        cmocka_unit_test(test_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
