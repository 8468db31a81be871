/* SPDX-License-Identifier: MIT */
/* activation-record: owns nothing. The layout is that of PipeWire 0.3.65 to 1.6, whose version 1
 * (1.2 and later) uses what was padding before. */
#include "common/services/activation-record.h"

#include <string.h>

enum {
    AT_STATUS = 0,
    AT_FLAGS = 4, /* of transport: the node says that it is ready */
    AT_RESULT = 8,
    AT_REQUIRED = 12,
    AT_PENDING = 16,
    AT_NEXT = 20, /* another of those three, not in use */
    AT_SIGNALLED = 32,
    AT_AWAKE = 40,
    AT_FINISHED = 48,
    AT_PREVIOUS = 56,
    AT_CLIENT_VERSION = 540,
    AT_SERVER_VERSION = 544,
    AT_ACTIVE_DRIVER = 548,
    AT_DRIVER = 552,
    AT_OPTIONS = 556,
    AT_CLOCK = 632,      /* the driver's position, when this cycle was to begin, */
    AT_CLOCK_NEXT = 680, /* and the next */
};
#define OPTION_ASYNC 2u
#define FAR_FROM_ZERO 1000000u

const struct delta_ranges activation_of_node = {
    3, {{AT_FLAGS, AT_RESULT}, {AT_NEXT, AT_SIGNALLED}, {AT_PREVIOUS, ACTIVATION_SIZE}}};
const struct delta_ranges activation_from_guest = {4,
                                                   {{AT_FLAGS, AT_RESULT},
                                                    {AT_RESULT, AT_REQUIRED},
                                                    {AT_CLIENT_VERSION, AT_SERVER_VERSION},
                                                    {AT_ACTIVE_DRIVER, AT_DRIVER}}};
const struct delta_ranges activation_of_peer = {
    2, {{AT_FLAGS, AT_RESULT}, {AT_SIGNALLED, ACTIVATION_SIZE}}};

static uint32_t *word(const uint8_t *record, unsigned at)
{
    return (uint32_t *)(void *)(uintptr_t)(record + at);
}

static uint32_t get(const uint8_t *record, unsigned at)
{
    return __atomic_load_n(word(record, at), __ATOMIC_SEQ_CST);
}

static void put(uint8_t *record, unsigned at, uint32_t value)
{
    __atomic_store_n(word(record, at), value, __ATOMIC_SEQ_CST);
}

static void put_time(uint8_t *record, unsigned at, uint64_t ns)
{
    __atomic_store_n((uint64_t *)(void *)(record + at), ns, __ATOMIC_RELAXED);
}

static bool change(uint8_t *record, unsigned at, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(word(record, at), &from, to, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

uint32_t activation_status(const uint8_t *record)
{
    return get(record, AT_STATUS);
}

void activation_begin(uint8_t *record)
{
    put(record, AT_STATUS, ACTIVATION_INACTIVE);
    put(record, AT_REQUIRED, FAR_FROM_ZERO);
    put(record, AT_PENDING, FAR_FROM_ZERO);
}

bool activation_take_triggers(uint8_t *record)
{
    if (get(record, AT_PENDING) == FAR_FROM_ZERO)
        return false;
    put(record, AT_PENDING, FAR_FROM_ZERO);
    return true;
}

void activation_arm(uint8_t *record)
{
    put(record, AT_REQUIRED, 1);
    put(record, AT_STATUS, ACTIVATION_NOT_TRIGGERED);
    put(record, AT_PENDING, 1);
}

void activation_wake(uint8_t *record)
{
    uint32_t status = get(record, AT_STATUS);
    if (status != ACTIVATION_INACTIVE && !change(record, AT_STATUS, status, ACTIVATION_TRIGGERED) &&
        get(record, AT_STATUS) != ACTIVATION_INACTIVE)
        put(record, AT_STATUS, ACTIVATION_TRIGGERED);
}

void activation_set_times(uint8_t *record, const uint8_t *host, int64_t ahead)
{
    static const unsigned times[] = {AT_CLOCK, AT_CLOCK_NEXT};
    for (unsigned i = 0; i < sizeof(times) / sizeof(*times); i++) {
        uint64_t ns;
        memcpy(&ns, host + times[i], sizeof(ns));
        if (ns) /* unsigned: the host may say anything */
            put_time(record, times[i], ns - (uint64_t)ahead);
    }
}

void activation_set_awake(uint8_t *record, uint64_t ns)
{
    if (change(record, AT_STATUS, ACTIVATION_TRIGGERED, ACTIVATION_AWAKE))
        put_time(record, AT_AWAKE, ns);
}

bool activation_finish(uint8_t *record, uint64_t ns)
{
    if (!change(record, AT_STATUS, ACTIVATION_AWAKE, ACTIVATION_FINISHED) &&
        !change(record, AT_STATUS, ACTIVATION_TRIGGERED, ACTIVATION_FINISHED))
        return false;
    put_time(record, AT_FINISHED, ns);
    return true;
}

void activation_set_active(uint8_t *record, bool active)
{
    if (active)
        change(record, AT_STATUS, ACTIVATION_INACTIVE, ACTIVATION_FINISHED);
    else
        put(record, AT_STATUS, ACTIVATION_INACTIVE);
}

bool activation_is_async(const uint8_t *record)
{
    return get(record, AT_SERVER_VERSION) && get(record, AT_OPTIONS) & OPTION_ASYNC;
}

bool activation_trigger(uint8_t *record, uint64_t ns)
{
    if (__atomic_sub_fetch(word(record, AT_PENDING), 1, __ATOMIC_SEQ_CST) != 0)
        return false;
    if (!get(record, AT_SERVER_VERSION))
        put(record, AT_STATUS, ACTIVATION_TRIGGERED);
    else if (!change(record, AT_STATUS, ACTIVATION_NOT_TRIGGERED, ACTIVATION_TRIGGERED))
        return false;
    put_time(record, AT_SIGNALLED, ns);
    return true;
}
