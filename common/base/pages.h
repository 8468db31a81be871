/* SPDX-License-Identifier: MIT */
#pragma once
/* pages: which pages of a file somebody has made use of, and how many. */
#include <stddef.h>
#include <stdint.h>

struct pages {
    uint64_t *marks;  /* a bit per page, in groups; NULL: none yet */
    uint16_t *groups; /* marked pages of each */
    size_t groups_n;
    uint64_t marked;
};

/* Bytes that the marks themselves take. */
size_t pages_cost(const struct pages *pages);
/* Room for a file of @size bytes; it does not shrink. 0 or -ENOMEM. */
int pages_room(struct pages *pages, uint64_t size);
void pages_finish(struct pages *pages);

/* Bytes from @offset up to @end, for which there is room, are used: their pages are marked. */
void pages_mark(struct pages *pages, uint64_t offset, uint64_t end);
/* The pages from @first up to @after are free again; returns how many of them were marked. */
uint64_t pages_clear(struct pages *pages, uint64_t first, uint64_t after);
/* Bytes in a page. */
uint64_t pages_size(void);
