/* SPDX-License-Identifier: MIT */
#pragma once
/* byte-ring: bytes that wait, first in, first out; grows as needed. */
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct byte_ring {
    uint8_t *bytes; /* NULL while nothing waits */
    size_t room;    /* a power of two */
    size_t first, n;
};

void byte_ring_finish(struct byte_ring *ring); /* leaves it empty, without memory */
/* Appends @n bytes at @bytes (NULL: whatever is there), a room of @max at most. 0, -EOVERFLOW or
 * -ENOMEM. */
int byte_ring_put(struct byte_ring *ring, const void *bytes, size_t n, size_t max);
/* Writes over what is there, @at bytes after the first. */
void byte_ring_set(struct byte_ring *ring, size_t at, const void *bytes, size_t n);
/* Copies from there. */
void byte_ring_get(const struct byte_ring *ring, size_t at, void *bytes, size_t n);
/* Where the @n bytes from @at on are; the number of pieces, 0 to 2. */
unsigned byte_ring_pieces(const struct byte_ring *ring, size_t at, size_t n,
                          struct iovec pieces[2]);
/* Forgets the first @n; the last ones take the memory with them. */
void byte_ring_drop(struct byte_ring *ring, size_t n);
