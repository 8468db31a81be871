/* SPDX-License-Identifier: MIT */
/* byte-ring: owns its memory. Nothing is moved but when it grows, to twice the size at least, so
 * that however small the pieces are in which it is filled and emptied, each byte costs the same. */
#include "host-proxy/vsock/byte-ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 4096u

void byte_ring_finish(struct byte_ring *ring)
{
    free(ring->bytes);
    *ring = (struct byte_ring){0};
}

unsigned byte_ring_pieces(const struct byte_ring *ring, size_t at, size_t n, struct iovec pieces[2])
{
    if (n == 0)
        return 0;
    size_t start = (ring->first + at) & (ring->room - 1);
    size_t straight = n < ring->room - start ? n : ring->room - start;
    pieces[0] = (struct iovec){ring->bytes + start, straight};
    pieces[1] = (struct iovec){ring->bytes, n - straight};
    return straight < n ? 2 : 1;
}

void byte_ring_set(struct byte_ring *ring, size_t at, const void *bytes, size_t n)
{
    struct iovec to[2];
    unsigned pieces = byte_ring_pieces(ring, at, n, to);
    for (unsigned i = 0; i < pieces; i++) {
        memcpy(to[i].iov_base, bytes, to[i].iov_len);
        bytes = (const uint8_t *)bytes + to[i].iov_len;
    }
}

void byte_ring_get(const struct byte_ring *ring, size_t at, void *bytes, size_t n)
{
    struct iovec from[2];
    unsigned pieces = byte_ring_pieces(ring, at, n, from);
    for (unsigned i = 0; i < pieces; i++) {
        memcpy(bytes, from[i].iov_base, from[i].iov_len);
        bytes = (uint8_t *)bytes + from[i].iov_len;
    }
}

int byte_ring_put(struct byte_ring *ring, const void *bytes, size_t n, size_t max)
{
    if (n > max || ring->n > max - n)
        return -EOVERFLOW;
    if (ring->n + n > ring->room) {
        struct byte_ring larger = {.room = ring->room ? ring->room : ROOM_MIN, .n = ring->n};
        while (larger.room < ring->n + n)
            larger.room *= 2;
        larger.bytes = malloc(larger.room);
        if (!larger.bytes)
            return -ENOMEM;
        byte_ring_get(ring, 0, larger.bytes, ring->n);
        free(ring->bytes);
        *ring = larger;
    }
    ring->n += n;
    if (bytes)
        byte_ring_set(ring, ring->n - n, bytes, n);
    return 0;
}

void byte_ring_drop(struct byte_ring *ring, size_t n)
{
    if (n == 0)
        return;
    ring->first = (ring->first + n) & (ring->room - 1);
    ring->n -= n;
    if (ring->n == 0)
        byte_ring_finish(ring);
}
