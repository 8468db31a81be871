/* SPDX-License-Identifier: MIT */
#pragma once
/* activation-record: what PipeWire keeps of a node in memory that its server and its clients share:
 * how far the node is in the graph's cycle, and for how many others it still waits. All of them
 * change it at once, so each change here is one atomic step. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/carrier/delta.h"

/* Bytes that a record has at least. */
#define ACTIVATION_SIZE 2312u

enum activation_status {
    ACTIVATION_NOT_TRIGGERED, /* the cycle has begun */
    ACTIVATION_TRIGGERED,     /* its eventfd was written to */
    ACTIVATION_AWAKE,
    ACTIVATION_FINISHED,
    ACTIVATION_INACTIVE, /* it is not woken */
};

/* What crosses of a record. Its status, its counters and its times are each side's own. */
extern const struct delta_ranges activation_of_node;    /* to the guest, whose node it is */
extern const struct delta_ranges activation_from_guest; /* from there */
extern const struct delta_ranges activation_of_peer;    /* to the guest, of others' nodes */

uint32_t activation_status(const uint8_t *record);

/* The guest's copies. */
/* A new node's: it is inactive, and what others of the same program count down does not wake it. */
void activation_begin(uint8_t *record);
/* A peer's: the first who is done is told to signal its eventfd. */
void activation_arm(uint8_t *record);
/* The driver's times in a peer's record, which has those of @host, whose clock is @ahead
 * nanoseconds ahead of ours. */
void activation_set_times(uint8_t *record, const uint8_t *host, int64_t ahead);
/* Whether somebody has counted down in a node's since it was asked last. */
bool activation_take_triggers(uint8_t *record);
/* The node is about to be woken. */
void activation_wake(uint8_t *record);

/* The real ones. @ns: now, CLOCK_MONOTONIC. */
void activation_set_awake(uint8_t *record, uint64_t ns);
/* True: it was awake, and is finished now; false: nobody waits for it any more. */
bool activation_finish(uint8_t *record, uint64_t ns);
void activation_set_active(uint8_t *record, bool active);
/* Whether others go on without waiting for it. */
bool activation_is_async(const uint8_t *record);
/* One of those that the node waits for is done. True: it was the last; signal its eventfd. */
bool activation_trigger(uint8_t *record, uint64_t ns);
