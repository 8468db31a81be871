/* SPDX-License-Identifier: MIT */
#pragma once
/* even: at the end of a test, all that was taken from a budget is back. */
#include <stdbool.h>
#include <stdio.h>

#include "common/base/budget.h"

/* Unreferences @budget (NULL: there is none), which nobody else refers to any more. False, having
 * said so: something was not given back. */
static inline bool budget_is_even(struct budget *budget)
{
    if (!budget)
        return true;
    bool even = budget->refs == 1 && !budget->used[BUDGET_MEMORY] && !budget->used[BUDGET_FDS];
    if (!even)
        fprintf(stderr, "not given back: %llu bytes, %llu descriptors; %u references\n",
                (unsigned long long)budget->used[BUDGET_MEMORY],
                (unsigned long long)budget->used[BUDGET_FDS], budget->refs);
    budget_unref(budget);
    return even;
}
