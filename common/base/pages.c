/* SPDX-License-Identifier: MIT */
/* pages: owns the marks. Groups that are full, or empty, are passed over as a whole, so that a
 * range costs little however long it is. */
#include "common/base/pages.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUP_WORDS 64
#define GROUP ((uint64_t)GROUP_WORDS * 64)

uint64_t pages_size(void)
{
    static uint64_t size;
    if (!size)
        size = (uint64_t)sysconf(_SC_PAGESIZE);
    return size;
}

static size_t groups_for(uint64_t size)
{
    uint64_t n = size / pages_size() + 1;
    return (size_t)((n + GROUP - 1) / GROUP);
}

size_t pages_cost(const struct pages *p)
{
    return p->groups_n * (GROUP_WORDS * sizeof(*p->marks) + sizeof(*p->groups));
}

int pages_room(struct pages *p, uint64_t size)
{
    size_t n = groups_for(size), had = p->groups_n;
    if (n <= had)
        return 0;
    uint64_t *marks = realloc(p->marks, n * GROUP_WORDS * sizeof(*marks));
    if (!marks)
        return -ENOMEM;
    p->marks = marks;
    uint16_t *groups = realloc(p->groups, n * sizeof(*groups));
    if (!groups)
        return -ENOMEM;
    p->groups = groups;
    memset(marks + had * GROUP_WORDS, 0, (n - had) * GROUP_WORDS * sizeof(*marks));
    memset(groups + had, 0, (n - had) * sizeof(*groups));
    p->groups_n = n;
    return 0;
}

void pages_finish(struct pages *p)
{
    free(p->marks);
    free(p->groups);
    *p = (struct pages){0};
}

/* Bits @first up to @after of one group become @value; returns how many had another. */
static unsigned group_set(uint64_t *words, unsigned first, unsigned after, bool value)
{
    unsigned changed = 0;
    for (unsigned w = first / 64; w * 64 < after; w++) {
        unsigned from = first > w * 64 ? first - w * 64 : 0,
                 to = after - w * 64 < 64 ? after - w * 64 : 64;
        uint64_t mask = (to < 64 ? (UINT64_C(1) << to) - 1 : UINT64_MAX) & UINT64_MAX << from;
        uint64_t before = words[w];
        words[w] = value ? before | mask : before & ~mask;
        changed += (unsigned)__builtin_popcountll(before ^ words[w]);
    }
    return changed;
}

/* Returns how many pages changed. */
static uint64_t pages_set(struct pages *p, uint64_t first, uint64_t after, bool value)
{
    uint64_t changed = 0;
    for (uint64_t at = first; at < after;) {
        size_t group = (size_t)(at / GROUP);
        uint64_t base = group * GROUP, end = after - base < GROUP ? after - base : GROUP;
        if (group >= p->groups_n)
            break;
        if (p->groups[group] != (value ? GROUP : 0)) {
            unsigned n = group_set(p->marks + group * GROUP_WORDS, (unsigned)(at - base),
                                   (unsigned)end, value);
            p->groups[group] = (uint16_t)(value ? p->groups[group] + n : p->groups[group] - n);
            changed += n;
        }
        at = base + GROUP;
    }
    return changed;
}

void pages_mark(struct pages *p, uint64_t offset, uint64_t end)
{
    uint64_t size = pages_size();
    if (offset < end)
        p->marked += pages_set(p, offset / size, (end - 1) / size + 1, true);
}

uint64_t pages_clear(struct pages *p, uint64_t first, uint64_t after)
{
    uint64_t n = first < after ? pages_set(p, first, after, false) : 0;
    p->marked -= n;
    return n;
}
