/* SPDX-License-Identifier: MIT */
#pragma once
/* pulse_build: PulseAudio frames as a client and a server write them. */
#include <stddef.h>
#include <stdint.h>

#include "common/services/pulse-commands.h"
#include "common/services/pulse-values.h"

struct built {
    uint8_t bytes[70000];
    size_t n;
};

/* A command and its tag; values follow. */
void build_command(struct built *b, uint32_t command, uint32_t tag);
void build_raw(struct built *b, const void *bytes, size_t n);
void build_u32(struct built *b, uint32_t value);
void build_string(struct built *b, const char *text); /* NULL: none */
void build_bytes(struct built *b, const void *bytes, size_t n);
/* Keys and texts in pairs, then NULL. */
void build_properties(struct built *b, const char *const *pairs);
/* The client's first word: @version with what it knows of shared memory above it. */
void build_auth(struct built *b, uint32_t tag, uint32_t version, uint8_t cookie);
void build_create_playback(struct built *b, uint32_t tag, const char *const *pairs);
/* Sound for a stream, or with other flags. */
void build_sound(struct built *b, uint32_t channel, uint32_t flags, size_t n);
