/* SPDX-License-Identifier: MIT */
/* budget: owns the counters. A party that takes all it can get leaves a fifth of the whole, two of
 * them a ninth: that needs no settings, and no reserve that lies idle. */
#include "common/base/budget.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define SHARE 4 /* times what is left: so much one party may have of the whole */

struct budget *budget_create(struct budget *whole)
{
    struct budget *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->refs = 1;
    b->whole = whole ? budget_ref(whole) : NULL;
    for (int kind = 0; kind < _BUDGET_N; kind++)
        b->limit[kind] = UINT64_MAX;
    return b;
}

struct budget *budget_create_part(struct budget *whole)
{
    struct budget *b = budget_create(whole);
    if (b)
        b->part = true;
    return b;
}

const struct budget *budget_limiting(const struct budget *b)
{
    return b && b->part ? b->whole : b;
}

struct budget *budget_ref(struct budget *b)
{
    b->refs++;
    return b;
}

void budget_unref(struct budget *b)
{
    if (!b || --b->refs)
        return;
    budget_unref(b->whole);
    free(b);
}

bool budget_has(const struct budget *b, enum budget_kind kind, uint64_t amount)
{
    b = budget_limiting(b);
    if (!b)
        return true;
    if (amount > b->limit[kind] || b->used[kind] > b->limit[kind] - amount)
        return false;
    if (!b->whole || b->whole->limit[kind] == UINT64_MAX)
        return true;
    uint64_t limit = b->whole->limit[kind], used = b->whole->used[kind];
    return used <= limit && amount <= limit - used &&
           (b->used[kind] + amount) / SHARE <= limit - used - amount;
}

int budget_take(struct budget *b, enum budget_kind kind, uint64_t amount)
{
    if (!budget_has(b, kind, amount))
        return kind == BUDGET_FDS ? -EMFILE : -EDQUOT;
    if (!b)
        return 0;
    b->used[kind] += amount;
    if (b->whole)
        b->whole->used[kind] += amount;
    return 0;
}

void budget_give(struct budget *b, enum budget_kind kind, uint64_t amount)
{
    if (!b)
        return;
    assert(amount <= b->used[kind]);
    b->used[kind] -= amount;
    if (b->whole)
        b->whole->used[kind] -= amount;
}
