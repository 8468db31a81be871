/* SPDX-License-Identifier: MIT */
/* The clock is asked seldom, and never where a callback has little to do. A busy machine makes the
 * slices smaller, nothing else. */
#include "common/base/slice.h"

#include <time.h>

#define SLICE_NS 1000000 /* about what a full read of harmless frames takes */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

bool slice_over(struct slice *s, unsigned steps)
{
    s->steps += steps;
    if (s->steps < SLICE_LARGE)
        return false;
    s->steps = 0;
    int64_t now = now_ns();
    if (!s->start)
        s->start = now;
    return now - s->start > SLICE_NS;
}
