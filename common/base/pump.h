/* SPDX-License-Identifier: MIT */
#pragma once
/* pump: bytes from one descriptor to another, for a program that polls. */
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUMP_ROOM 4096 /* what a pipe that says it has room takes without waiting */

struct pump {
    int from, to; /* owned; -1: it has ended */
    size_t at, n;
    uint8_t bytes[PUMP_ROOM];
};

/* Takes both. */
void pump_init(struct pump *pump, int from, int to);
void pump_finish(struct pump *pump);
bool pump_has_ended(const struct pump *pump);
/* What is to be polled. */
void pump_poll(const struct pump *pump, struct pollfd polls[2]);
/* Moves what may be moved. When nothing more comes, or nobody takes it, both are closed: the other
 * side of each finds that out. */
void pump_move(struct pump *pump, const struct pollfd polls[2]);
