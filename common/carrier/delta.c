/* SPDX-License-Identifier: MIT */
/* delta: owns the shadow of a memory: what both sides are known to have, and which of those bytes
 * the other side has yet to be told. Exact to the byte, since two sides may write beside each
 * other: the head of a ring and its tail are often in one line. A byte that did not change is never
 * sent, or it would undo what the other side has written there. */
#include "common/carrier/delta.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/frames.h"

#define BLOCK LINK_DELTA_BLOCK
#define HEAD 12u /* a block's number and mask */
#define WORDS (BLOCK / 8u)
#define TRIES 64 /* somebody else keeps writing to the same word */

static uint64_t blocks_of(uint64_t size)
{
    return (size + BLOCK - 1) / BLOCK;
}

uint64_t delta_shadow_cost(uint64_t size)
{
    return blocks_of(size) * (BLOCK + sizeof(uint64_t));
}

int delta_shadow_init(struct delta_shadow *s, uint64_t size)
{
    uint64_t blocks = blocks_of(size);
    *s = (struct delta_shadow){
        .size = size, .bytes = calloc(blocks, BLOCK), .untold = calloc(blocks, sizeof(uint64_t))};
    if (s->bytes && s->untold)
        return 0;
    delta_shadow_finish(s);
    return -ENOMEM;
}

void delta_shadow_finish(struct delta_shadow *s)
{
    free(s->bytes);
    free(s->untold);
    *s = (struct delta_shadow){0};
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

/* Which of a block's bytes are among those. */
static uint64_t bytes_among(const struct delta_ranges *only, uint64_t block)
{
    uint64_t mask = 0, begin = block * BLOCK;
    if (!only)
        return UINT64_MAX;
    for (unsigned i = 0; i < only->n; i++) {
        uint64_t from = only->at[i].from > begin ? only->at[i].from - begin : 0;
        uint64_t to = only->at[i].to > begin ? only->at[i].to - begin : 0;
        if (to > from && from < BLOCK)
            mask |= (to >= BLOCK ? UINT64_MAX : (1ull << to) - 1) & ~((1ull << from) - 1);
    }
    return mask;
}

/* Which bytes differ, of those that there are; the shadow has them afterwards. */
static uint64_t look_at_block(const uint8_t *map, uint8_t *shadow, uint64_t there)
{
    uint64_t mask = 0;
    for (unsigned w = 0; w < WORDS; w++) {
        uint64_t now = word_once(map + 8 * w);
        uint64_t bits = bytes_that_differ(now, word_of(shadow + 8 * w)) & (there >> (8 * w) & 0xff);
        for (unsigned i = 0; i < 8; i++)
            if (bits >> i & 1)
                shadow[8 * w + i] = (uint8_t)(htole64(now) >> (8 * i));
        mask |= bits << (8 * w);
    }
    return mask;
}

uint64_t delta_look(struct delta_shadow *s, const uint8_t *map)
{
    uint64_t blocks = blocks_of(s->size), end = 0;
    for (uint64_t block = 0; block < blocks; block++) {
        uint64_t at = block * BLOCK;
        if (block_differs(map + at, s->bytes + at))
            s->untold[block] |=
                look_at_block(map + at, s->bytes + at,
                              bytes_there(block, s->size) & bytes_among(s->sends, block));
        if (s->untold[block])
            end = block + 1;
    }
    return end;
}

static size_t size_of(uint64_t mask)
{
    return mask ? HEAD + (size_t)__builtin_popcountll(mask) : 0;
}

static uint8_t *put_block(uint8_t *out, uint64_t block, uint64_t mask, const uint8_t *bytes)
{
    uint32_t number = htole32((uint32_t)block);
    uint64_t wire = htole64(mask);
    memcpy(out, &number, 4);
    memcpy(out + 4, &wire, 8);
    out += HEAD;
    for (; mask; mask &= mask - 1)
        *out++ = bytes[__builtin_ctzll(mask)];
    return out;
}

size_t delta_tell(struct delta_shadow *s, uint64_t *end, uint8_t *out, size_t room)
{
    uint64_t from = *end;
    size_t n = 0;
    while (from && size_of(s->untold[from - 1]) <= room - n)
        n += size_of(s->untold[--from]);
    for (uint64_t block = from; block < *end; block++) {
        if (s->untold[block])
            out = put_block(out, block, s->untold[block], s->bytes + block * BLOCK);
        s->untold[block] = 0;
    }
    *end = from;
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
    uint64_t next = 0, blocks = blocks_of(size);
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

/* From its end to its beginning. What we had to tell of those bytes has been overtaken. */
static void apply_block(struct delta_shadow *s, uint8_t *map, const uint8_t *at)
{
    uint64_t mask, block = read_head(at, &mask), offset = block * BLOCK;
    uint64_t among = bytes_among(s->receives, block);
    const uint8_t *from = at + HEAD + __builtin_popcountll(mask);
    s->untold[block] &= ~(mask & among);
    for (unsigned w = WORDS; w-- > 0;) {
        uint64_t bytes = 0, bits = 0;
        for (unsigned i = 8; i-- > 0;) {
            if (!(mask >> (8 * w + i) & 1))
                continue;
            from--;
            if (!(among >> (8 * w + i) & 1))
                continue;
            s->bytes[offset + 8 * w + i] = *from;
            bytes |= (uint64_t)*from << (8 * i);
            bits |= 0xffull << (8 * i);
        }
        if (bits)
            put_word(map + offset + 8 * w, le64toh(bytes), le64toh(bits));
    }
}

void delta_apply(struct delta_shadow *s, uint8_t *map, const uint8_t *delta, size_t n)
{
    static uint32_t starts[LINK_DELTA_MAX / (HEAD + 1) + 1];
    unsigned blocks = 0;
    uint64_t mask;
    for (size_t at = 0; at < n; at += HEAD + (size_t)__builtin_popcountll(mask)) {
        starts[blocks++] = (uint32_t)at;
        read_head(delta + at, &mask);
    }
    while (blocks)
        apply_block(s, map, delta + starts[--blocks]);
}
