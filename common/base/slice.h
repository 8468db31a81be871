/* SPDX-License-Identifier: MIT */
#pragma once
/* slice: how long one callback of the loop may go on with what one party sent, while others wait.
 * What is left waits for the loop's next turn (loop_next_turn()). */
#include <stdbool.h>
#include <stdint.h>

struct slice {
    int64_t start; /* ns of CLOCK_MONOTONIC; 0: the clock was not asked yet */
    unsigned steps;
};

/* What one step with a system call, or with as much work, counts: the clock is asked after so many
 * steps. */
#define SLICE_LARGE 32

/* @steps more were done, of which one costs no more than a check of some bytes. True: it is
 * somebody else's turn. */
bool slice_over(struct slice *slice, unsigned steps);
