/* SPDX-License-Identifier: MIT */
/* delta: nothing of its own. Exact to the byte, since two sides may write beside each other: the
 * head of a ring and its tail are often in one line. A byte that did not change is never sent, or
 * it would undo what the other side has written there. */
#include "common/carrier/delta.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "protocol/frames.h"

#define BLOCK LINK_DELTA_BLOCK
#define HEAD 12u /* a block's number and mask */
#define WORDS (BLOCK / 8u)
#define TRIES 64 /* somebody else keeps writing to the same word */

uint64_t delta_shadow_size(uint64_t size)
{
    return (size + BLOCK - 1) / BLOCK * BLOCK;
}

static uint64_t word_of(const void *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

/* Once, whoever writes to it meanwhile. */
static uint64_t word_once(const uint8_t *at)
{
    return __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_ACQUIRE);
}

/* A bit for each byte that differs; the lowest bit is the first byte's. */
static unsigned bytes_that_differ(uint64_t a, uint64_t b)
{
    uint64_t x = htole64(a ^ b);
    unsigned mask = 0;
    for (unsigned i = 0; i < 8; i++)
        mask |= (unsigned)((x >> (8 * i) & 0xff) != 0) << i;
    return mask;
}

static bool block_differs(const uint8_t *map, const uint8_t *shadow)
{
    uint64_t differs = 0;
    for (unsigned i = 0; i < WORDS; i++)
        differs |= word_once(map + 8 * i) ^ word_of(shadow + 8 * i);
    return differs != 0;
}

/* Which of a block's bytes there are. */
static uint64_t bytes_there(uint64_t block, uint64_t size)
{
    uint64_t left = size - block * BLOCK;
    return left < BLOCK ? (1ull << left) - 1 : UINT64_MAX;
}

static size_t put_block(const uint8_t *map, uint8_t *shadow, uint64_t block, uint64_t there,
                        uint8_t *out)
{
    uint64_t mask = 0;
    uint8_t *at = out + HEAD;
    for (unsigned w = 0; w < WORDS; w++) {
        uint64_t now = word_once(map + 8 * w);
        uint64_t bits = bytes_that_differ(now, word_of(shadow + 8 * w)) & (there >> (8 * w) & 0xff);
        for (unsigned i = 0; i < 8; i++) {
            if (!(bits >> i & 1))
                continue;
            uint8_t byte = (uint8_t)(htole64(now) >> (8 * i));
            shadow[8 * w + i] = byte;
            *at++ = byte;
        }
        mask |= bits << (8 * w);
    }
    if (!mask)
        return 0;
    uint32_t number = htole32((uint32_t)block);
    mask = htole64(mask);
    memcpy(out, &number, 4);
    memcpy(out + 4, &mask, 8);
    return (size_t)(at - out);
}

size_t delta_compare(const uint8_t *map, uint8_t *shadow, uint64_t size, uint64_t *at, uint8_t *out,
                     size_t room)
{
    uint64_t blocks = delta_shadow_size(size) / BLOCK, block = *at;
    size_t n = 0;
    for (; block < blocks && room - n >= DELTA_ROOM_MIN; block++) {
        uint64_t offset = block * BLOCK;
        if (block_differs(map + offset, shadow + offset))
            n += put_block(map + offset, shadow + offset, block, bytes_there(block, size), out + n);
    }
    *at = block;
    return n;
}

/* The head of the block at @at; its bytes are behind. */
static uint64_t read_head(const uint8_t *at, uint64_t *ret_mask)
{
    uint32_t number;
    memcpy(&number, at, 4);
    *ret_mask = le64toh(word_of(at + 4));
    return le32toh(number);
}

int delta_check(const uint8_t *delta, size_t n, uint64_t size)
{
    uint64_t next = 0, blocks = delta_shadow_size(size) / BLOCK;
    if (n > LINK_DELTA_MAX)
        return -EINVAL;
    while (n) {
        uint64_t mask, block;
        if (n < HEAD)
            return -EINVAL;
        block = read_head(delta, &mask);
        size_t bytes = (size_t)__builtin_popcountll(mask);
        if (block < next || block >= blocks || !mask || mask & ~bytes_there(block, size) ||
            bytes > n - HEAD)
            return -EINVAL;
        next = block + 1;
        delta += HEAD + bytes;
        n -= HEAD + bytes;
    }
    return 0;
}

static void put_word(uint8_t *at, uint64_t bytes, uint64_t mask)
{
    uint64_t *word = (uint64_t *)(void *)at;
    uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED);
    if (mask == UINT64_MAX) {
        __atomic_store_n(word, bytes, __ATOMIC_RELEASE);
        return;
    }
    for (int i = 0; i < TRIES; i++)
        if (__atomic_compare_exchange_n(word, &old, (old & ~mask) | bytes, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED))
            return;
    for (unsigned i = 0; i < 8; i++) /* byte by byte, then */
        if (htole64(mask) >> (8 * i) & 1)
            __atomic_store_n(at + i, (uint8_t)(htole64(bytes) >> (8 * i)), __ATOMIC_RELEASE);
}

/* From its end to its beginning. */
static void apply_block(uint8_t *map, uint8_t *shadow, const uint8_t *at)
{
    uint64_t mask, offset = read_head(at, &mask) * BLOCK;
    const uint8_t *from = at + HEAD + __builtin_popcountll(mask);
    for (unsigned w = WORDS; w-- > 0;) {
        uint64_t bytes = 0, bits = 0;
        for (unsigned i = 8; i-- > 0;) {
            if (!(mask >> (8 * w + i) & 1))
                continue;
            shadow[offset + 8 * w + i] = *--from;
            bytes |= (uint64_t)*from << (8 * i);
            bits |= 0xffull << (8 * i);
        }
        if (bits)
            put_word(map + offset + 8 * w, le64toh(bytes), le64toh(bits));
    }
}

void delta_apply(uint8_t *map, uint8_t *shadow, const uint8_t *delta, size_t n)
{
    static uint32_t starts[LINK_DELTA_MAX / (HEAD + 1) + 1];
    unsigned blocks = 0;
    uint64_t mask;
    for (size_t at = 0; at < n; at += HEAD + (size_t)__builtin_popcountll(mask)) {
        starts[blocks++] = (uint32_t)at;
        read_head(delta + at, &mask);
    }
    while (blocks)
        apply_block(map, shadow, delta + starts[--blocks]);
}
