/* SPDX-License-Identifier: MIT */
#pragma once
/* repeats: which bytes of a picture that calls all of itself damaged are still those that the host
 * holds. Looking is left off where it does not pay. */
#include <stdbool.h>
#include <stdint.h>

#include "guest-proxy/pixels/damage-layout.h"

struct memory;

/* What is known of one picture (a layout of a file): nothing of its size, at first. */
struct repeats;

struct repeats_ops {
    /* These very bytes (valid for the call) are what the host holds at @offset from now on. */
    void (*bytes)(void *user, uint64_t offset, const uint8_t *bytes, uint32_t size);
    /* Whatever is in these rows when they are sent. */
    void (*rows)(void *user, const struct damage_rect *rect);
    /* Whether more may be handed to bytes(): it takes memory until it is sent. */
    bool (*has_room)(void *user);
};

/* NULL: out of memory, or no random numbers, or a machine without the arithmetic for it. */
struct repeats *repeats_create(void);
void repeats_destroy(struct repeats *repeats); /* accepts NULL */
/* Before any of the picture's bytes are sent, by whatever way: what was known is void unless the
 * last such turn was repeats_send(). */
void repeats_turn(struct repeats *repeats);
/* The turn's picture is @rect (always the same) of @memory, a client's file that may shrink and be
 * written to meanwhile: hands what the host may lack to @ops, by ascending offset. 0, or -EFAULT:
 * the file is shorter; not all was handed over. */
int repeats_send(struct repeats *repeats, const struct memory *memory,
                 const struct damage_rect *rect, const struct repeats_ops *ops, void *user);
