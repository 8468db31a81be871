/* SPDX-License-Identifier: MIT */
#pragma once
/* budget: how much one party has of what runs out, and how much it may have. Whoever makes
 * something that costs takes it from there, and gives it back when that is gone. */
#include <stdbool.h>
#include <stdint.h>

enum budget_kind {
    BUDGET_MEMORY, /* bytes */
    BUDGET_FDS,    /* open descriptors, of this process */
    _BUDGET_N,
};

struct budget {
    unsigned refs;
    bool part;            /* only counts: the limits are the whole's */
    struct budget *whole; /* what parties share; a reference. NULL: nothing */
    uint64_t used[_BUDGET_N], limit[_BUDGET_N];
};

/* Without limits. @whole (referenced; may be NULL) is shared with others: of what has a limit
 * there, nobody gets more than four times what is left then, so that something always is. NULL: out
 * of memory. */
struct budget *budget_create(struct budget *whole);
/* What one of @whole (referenced) has of it, for whoever wants to know. NULL: out of memory. */
struct budget *budget_create_part(struct budget *whole);
/* Whose limits hold: @budget's own, or of which it is a part. */
const struct budget *budget_limiting(const struct budget *budget);
struct budget *budget_ref(struct budget *budget);
void budget_unref(struct budget *budget); /* accepts NULL */

/* 0, or with nothing taken -EDQUOT: too much memory, or -EMFILE: too many descriptors. A budget
 * that is NULL has no limits. */
int budget_take(struct budget *budget, enum budget_kind kind, uint64_t amount);
bool budget_has(const struct budget *budget, enum budget_kind kind, uint64_t amount);
void budget_give(struct budget *budget, enum budget_kind kind, uint64_t amount);
