/* SPDX-License-Identifier: MIT */
#pragma once
/* counter: eventfds of others: what can be learnt of one, and reading and adding to it without
 * having to wait and without changing its flags. */
#include <stdbool.h>
#include <stdint.h>

struct counter_info {
    uint64_t id; /* the same for all descriptors of it; never used again */
    uint64_t value;
    bool semaphore; /* false as well where the kernel does not say it (Linux < 6.5) */
};

/* 0, -ENOTTY: @fd is no eventfd, or -errno. */
int counter_inspect(int fd, struct counter_info *ret);
/* Takes all that it has, at once, in at most COUNTER_READS readings: a semaphore may have more. 0,
 * -EAGAIN: it has nothing, or -errno. */
int counter_take(int fd, uint64_t *ret);
/* Adds @value, as far as there is room. */
void counter_add(int fd, uint64_t value);

#define COUNTER_READS 256
