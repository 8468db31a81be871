/* SPDX-License-Identifier: MIT */
#pragma once
/* delta: what has changed in memory that others write to, byte for byte, and putting such changes
 * into other memory: the blocks of MEM_DELTA. */
#include <stddef.h>
#include <stdint.h>

/* Bytes that a shadow of @size bytes has: whole blocks. */
uint64_t delta_shadow_size(uint64_t size);
/* Compares @map with @shadow, which has the same bytes afterwards as far as it was compared, from
 * block *at on (then: where to go on; beyond the last one: all was compared). Writes blocks to
 * @out, which has @room (at least DELTA_ROOM_MIN), and returns their size. @map may be written to
 * by others; for guard_read() where it may shrink. */
size_t delta_compare(const uint8_t *map, uint8_t *shadow, uint64_t size, uint64_t *at, uint8_t *out,
                     size_t room);
#define DELTA_ROOM_MIN (12u + 64u)
/* Whether @delta is blocks as they have to be, for memory of @size bytes. */
int delta_check(const uint8_t *delta, size_t n, uint64_t size);
/* Puts those bytes into @map and @shadow. Each aligned word of 8 bytes changes at once, and bytes
 * beside those are not touched, whoever writes to them meanwhile. The last ones come first: they
 * were read last, so a counter in front of what it counts never says too much. */
void delta_apply(uint8_t *map, uint8_t *shadow, const uint8_t *delta, size_t n);
