/* SPDX-License-Identifier: MIT */
#pragma once
/* delta: what has changed in memory that others write to, byte for byte, and putting such changes
 * into other memory: the blocks of MEM_DELTA. */
#include <stddef.h>
#include <stdint.h>

/* Some of a memory's bytes: from @from on to before @to, ascending. */
struct delta_range {
    uint32_t from, to;
};
struct delta_ranges {
    unsigned n; /* 0: no byte */
    struct delta_range at[8];
};

struct delta_shadow {
    uint64_t size;
    const struct delta_ranges *sends, *receives; /* others are left out; NULL: all cross */
    uint8_t *bytes;   /* that both sides have, as far as is known; whole blocks (owned) */
    uint64_t *untold; /* of each block, which bytes the other side is yet to be told (owned) */
};

/* Bytes that the shadow of memory of @size bytes takes. */
uint64_t delta_shadow_cost(uint64_t size);
/* All zero, like new memory. 0, or -ENOMEM. */
int delta_shadow_init(struct delta_shadow *shadow, uint64_t size);
void delta_shadow_finish(struct delta_shadow *shadow);
/* Compares @map, which has as many bytes, with @shadow, which has the same ones afterwards, and
 * notes what differs. From the first byte on, so that what is behind a byte is at least as new.
 * Returns where the last note ends, in blocks; 0: there is none. @map may be written to by others;
 * for guard_read() where it may shrink. */
uint64_t delta_look(struct delta_shadow *shadow, const uint8_t *map);
/* Writes the last of what is noted before block *end to @out, as much as there is @room for (at
 * least DELTA_ROOM_MIN), and returns its size. *end: what is left; 0: nothing. So what is behind
 * goes first. */
size_t delta_tell(struct delta_shadow *shadow, uint64_t *end, uint8_t *out, size_t room);
#define DELTA_ROOM_MIN (12u + 64u)
/* Whether @delta is blocks as they have to be, for memory of @size bytes. */
int delta_check(const uint8_t *delta, size_t n, uint64_t size);
/* Puts those bytes into @map and @shadow. Each aligned word of 8 bytes changes at once, and bytes
 * beside those are not touched, whoever writes to them meanwhile. The last ones come first: they
 * were read last, so a counter in front of what it counts never says too much. */
void delta_apply(struct delta_shadow *shadow, uint8_t *map, const uint8_t *delta, size_t n);
