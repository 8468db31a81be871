/* SPDX-License-Identifier: MIT */
#pragma once
/* pulse-values: the typed values that a PulseAudio command consists of: read, checked, written. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values begin with one of these. */
enum pulse_type {
    PULSE_STRING = 't',
    PULSE_NO_STRING = 'N',
    PULSE_U32 = 'L',
    PULSE_BYTES = 'x',
    PULSE_PROPERTIES = 'P',
    PULSE_FORMAT = 'f',
};

/* What is left to read, of somebody else's. */
struct pulse_reader {
    const uint8_t *at, *end;
};

struct pulse_property {
    const char *key; /* terminated */
    const uint8_t *value;
    uint32_t size;
};

/* They move on and return true, or there is no such value and nothing is written. */
bool pulse_read_u32(struct pulse_reader *reader, uint32_t *ret);
bool pulse_read_string(struct pulse_reader *reader, const char **ret); /* NULL: none */
bool pulse_read_bytes(struct pulse_reader *reader, const uint8_t **ret, uint32_t *ret_size);
/* Any one value, whole: a list of properties or a format, too. */
bool pulse_read_any(struct pulse_reader *reader);
/* Behind PULSE_PROPERTIES. 1; 0: that was the last one; -EPROTO: it is none. */
int pulse_read_property(struct pulse_reader *reader, struct pulse_property *ret);

/* Bytes being put together. Zero-initialise but for the first two. */
struct pulse_writer {
    uint8_t *bytes;
    size_t room, n;
    bool full; /* something did not fit: nothing was written since */
};

void pulse_write(struct pulse_writer *writer, const void *bytes, size_t n);
void pulse_write_u32(struct pulse_writer *writer, uint32_t value);
void pulse_write_string(struct pulse_writer *writer, const char *text);
/* With its terminating zero, as all properties that are texts have it. */
void pulse_write_property(struct pulse_writer *writer, const char *key, const char *text);

uint32_t pulse_get_be32(const uint8_t *bytes);
void pulse_put_be32(uint8_t *bytes, uint32_t value);
