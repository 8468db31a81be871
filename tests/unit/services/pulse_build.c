/* SPDX-License-Identifier: MIT */
/* pulse_build: every value adds itself to the length in the frame's head. */
#include "tests/unit/services/pulse_build.h"

#include <string.h>

#define HEAD 20

void build_raw(struct built *b, const void *bytes, size_t n)
{
    memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
    pulse_put_be32(b->bytes, (uint32_t)(b->n - HEAD));
}

void build_command(struct built *b, uint32_t command, uint32_t tag)
{
    memset(b->bytes, 0, HEAD);
    pulse_put_be32(b->bytes + 4, UINT32_MAX);
    b->n = HEAD;
    build_u32(b, command);
    build_u32(b, tag);
}

void build_u32(struct built *b, uint32_t value)
{
    uint8_t bytes[5] = {'L'};
    pulse_put_be32(bytes + 1, value);
    build_raw(b, bytes, sizeof(bytes));
}

void build_string(struct built *b, const char *text)
{
    build_raw(b, text ? "t" : "N", 1);
    if (text)
        build_raw(b, text, strlen(text) + 1);
}

void build_bytes(struct built *b, const void *bytes, size_t n)
{
    uint8_t head[5] = {'x'};
    pulse_put_be32(head + 1, (uint32_t)n);
    build_raw(b, head, sizeof(head));
    build_raw(b, bytes, n);
}

void build_properties(struct built *b, const char *const *pairs)
{
    build_raw(b, "P", 1);
    for (size_t i = 0; pairs[i]; i += 2) {
        build_string(b, pairs[i]);
        build_u32(b, (uint32_t)strlen(pairs[i + 1]) + 1);
        build_bytes(b, pairs[i + 1], strlen(pairs[i + 1]) + 1);
    }
    build_string(b, NULL);
}

void build_auth(struct built *b, uint32_t tag, uint32_t version, uint8_t cookie)
{
    uint8_t bytes[256];
    memset(bytes, cookie, sizeof(bytes));
    build_command(b, PULSE_AUTH, tag);
    build_u32(b, version);
    build_bytes(b, bytes, sizeof(bytes));
}

void build_create_playback(struct built *b, uint32_t tag, const char *const *pairs)
{
    build_command(b, PULSE_CREATE_PLAYBACK_STREAM, tag);
    build_raw(b, "a\3\2\0\0\xbb\x80", 7);
    build_raw(b, "m\2\1\2", 4);
    build_u32(b, UINT32_MAX);
    build_string(b, "@DEFAULT_SINK@");
    build_u32(b, UINT32_MAX);
    build_raw(b, "0", 1);
    for (int i = 0; i < 4; i++)
        build_u32(b, UINT32_MAX);
    build_raw(b, "v\2\0\1\0\0\0\1\0\0", 10);
    build_raw(b, "0000000", 7);
    build_raw(b, "00", 2);
    build_properties(b, pairs);
    build_raw(b, "101000", 6);
    build_raw(b, "B\1f", 3);
    build_raw(b, "B\1", 2);
    build_properties(b, (const char *[]){"format.rate", "48000", NULL});
}

void build_sound(struct built *b, uint32_t channel, uint32_t flags, size_t n)
{
    memset(b->bytes, 0x55, HEAD + n);
    memset(b->bytes, 0, HEAD);
    pulse_put_be32(b->bytes, (uint32_t)n);
    pulse_put_be32(b->bytes + 4, channel);
    pulse_put_be32(b->bytes + 16, flags);
    b->n = HEAD + n;
}
