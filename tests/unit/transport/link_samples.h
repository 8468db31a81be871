/* SPDX-License-Identifier: MIT */
#pragma once
/* link_samples: one frame of each type, and what decodes it. */
#include "tests/unit/support.h"

#include <string.h>

#include "protocol/frames.h"

extern const uint8_t key[LINK_KEY_SIZE];

size_t encode_hello(uint8_t *buffer);
size_t encode_welcome(uint8_t *buffer);
size_t encode_error(uint8_t *buffer);
size_t encode_ping(uint8_t *buffer);
size_t encode_pong(uint8_t *buffer);
size_t encode_vfd(uint8_t *buffer);
size_t encode_mem_write(uint8_t *buffer);
size_t encode_mem_size(uint8_t *buffer);
size_t encode_mem_punch(uint8_t *buffer);
size_t encode_close(uint8_t *buffer);
size_t encode_credit(uint8_t *buffer);
size_t encode_probe(uint8_t *buffer);
size_t encode_probed(uint8_t *buffer);
size_t encode_bound(uint8_t *buffer);
size_t encode_import(uint8_t *buffer);
size_t encode_copy(uint8_t *buffer);

#define CODECS_N 34
extern const struct codec {
    enum link_type type;
    size_t (*encode)(uint8_t *buffer);
    int (*decode)(const void *payload, size_t size);
} codecs[CODECS_N];

const struct codec *codec_of(enum link_type type);

/* Decodes the first @size bytes of @payload (zeros beyond @have) in memory of exactly that size. */
int decode_exact(const struct codec *codec, const uint8_t *payload, size_t have, size_t size);
