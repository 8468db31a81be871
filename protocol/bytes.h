/* SPDX-License-Identifier: MIT */
#pragma once
/* bytes: bounded little-endian cursors over byte buffers. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Reads never pass the end: a short read returns zeros and marks the cursor failed for good. */
struct bytes_reader {
    const uint8_t *at, *end;
    bool failed;
};

static inline struct bytes_reader bytes_reader(const void *data, size_t size)
{
    return (struct bytes_reader){data, (const uint8_t *)data + size, false};
}

static inline size_t bytes_left(const struct bytes_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* The next @n bytes, or NULL. */
static inline const uint8_t *bytes_take(struct bytes_reader *r, size_t n)
{
    if (r->failed || bytes_left(r) < n) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += n;
    return at;
}

static inline uint64_t bytes_get(struct bytes_reader *r, unsigned width)
{
    const uint8_t *at = bytes_take(r, width);
    uint64_t value = 0;
    for (unsigned i = 0; at && i < width; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static inline uint16_t bytes_get16(struct bytes_reader *r)
{
    return (uint16_t)bytes_get(r, 2);
}

static inline uint32_t bytes_get32(struct bytes_reader *r)
{
    return (uint32_t)bytes_get(r, 4);
}

static inline uint64_t bytes_get64(struct bytes_reader *r)
{
    return bytes_get(r, 8);
}

/* True when everything was there and nothing is left over. */
static inline bool bytes_done(const struct bytes_reader *r)
{
    return !r->failed && r->at == r->end;
}

/* Writes into a buffer that the caller made large enough; passing the end marks the cursor failed.
 */
struct bytes_writer {
    uint8_t *at, *end;
    bool failed;
};

static inline struct bytes_writer bytes_writer(void *data, size_t size)
{
    return (struct bytes_writer){data, (uint8_t *)data + size, false};
}

static inline void bytes_put(struct bytes_writer *w, uint64_t value, unsigned width)
{
    if (w->failed || (size_t)(w->end - w->at) < width) {
        w->failed = true;
        return;
    }
    for (unsigned i = 0; i < width; i++)
        *w->at++ = (uint8_t)(value >> (8 * i));
}

static inline void bytes_put_data(struct bytes_writer *w, const void *data, size_t n)
{
    if (w->failed || (size_t)(w->end - w->at) < n) {
        w->failed = true;
        return;
    }
    if (n)
        memcpy(w->at, data, n);
    w->at += n;
}
