/* SPDX-License-Identifier: MIT */
/* pulse-values: owns nothing. Numbers are big-endian; strings end with a zero, which has to be
 * there; a list of properties ends with the string that is none. */
#include "common/services/pulse-values.h"

#include <errno.h>
#include <string.h>

uint32_t pulse_get_be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void pulse_put_be32(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

static size_t left(const struct pulse_reader *r)
{
    return (size_t)(r->end - r->at);
}

static bool pulse_skip(struct pulse_reader *r, uint64_t n)
{
    if (left(r) < n)
        return false;
    r->at += n;
    return true;
}

static bool pulse_is(const struct pulse_reader *r, enum pulse_type type)
{
    return left(r) > 0 && *r->at == type;
}

bool pulse_read_u32(struct pulse_reader *r, uint32_t *ret)
{
    if (left(r) < 5 || !pulse_is(r, PULSE_U32))
        return false;
    *ret = pulse_get_be32(r->at + 1);
    r->at += 5;
    return true;
}

bool pulse_read_string(struct pulse_reader *r, const char **ret)
{
    if (pulse_is(r, PULSE_NO_STRING)) {
        r->at++;
        *ret = NULL;
        return true;
    }
    if (!pulse_is(r, PULSE_STRING))
        return false;
    const uint8_t *end = memchr(r->at + 1, 0, left(r) - 1);
    if (!end)
        return false;
    *ret = (const char *)r->at + 1;
    r->at = end + 1;
    return true;
}

bool pulse_read_bytes(struct pulse_reader *r, const uint8_t **ret, uint32_t *ret_size)
{
    if (left(r) < 5 || !pulse_is(r, PULSE_BYTES))
        return false;
    uint32_t size = pulse_get_be32(r->at + 1);
    if (left(r) - 5 < size)
        return false;
    *ret = r->at + 5;
    *ret_size = size;
    r->at += 5 + (size_t)size;
    return true;
}

int pulse_read_property(struct pulse_reader *r, struct pulse_property *ret)
{
    struct pulse_property property;
    uint32_t size;
    if (!pulse_read_string(r, &property.key))
        return -EPROTO;
    if (!property.key)
        return 0;
    if (!pulse_read_u32(r, &size) || !pulse_read_bytes(r, &property.value, &property.size) ||
        property.size != size)
        return -EPROTO;
    *ret = property;
    return 1;
}

static bool pulse_read_properties(struct pulse_reader *r)
{
    struct pulse_property property;
    int result;
    if (!pulse_is(r, PULSE_PROPERTIES))
        return false;
    r->at++;
    while ((result = pulse_read_property(r, &property)) > 0)
        ;
    return result == 0;
}

bool pulse_read_any(struct pulse_reader *r)
{
    const char *text;
    const uint8_t *bytes;
    uint32_t size;
    if (!left(r))
        return false;
    switch (*r->at) {
    case PULSE_STRING:
    case PULSE_NO_STRING:
        return pulse_read_string(r, &text);
    case PULSE_BYTES:
        return pulse_read_bytes(r, &bytes, &size);
    case PULSE_PROPERTIES:
        return pulse_read_properties(r);
    case PULSE_FORMAT: /* an encoding, and what is said of it */
        return pulse_skip(r, 1) && left(r) > 0 && *r->at == 'B' && pulse_skip(r, 2) &&
               pulse_read_properties(r);
    case '0': /* no */
    case '1': /* yes */
        return pulse_skip(r, 1);
    case 'B': /* a byte */
        return pulse_skip(r, 2);
    case PULSE_U32:
    case 'V': /* a volume */
        return pulse_skip(r, 5);
    case 'a': /* a sample's format, channels, rate */
        return pulse_skip(r, 7);
    case 'R': /* 64 bits */
    case 'r':
    case 'T': /* times */
    case 'U':
        return pulse_skip(r, 9);
    case 'm': /* channels, and where each is */
        return left(r) > 1 && pulse_skip(r, 2 + (uint64_t)r->at[1]);
    case 'v': /* their volumes */
        return left(r) > 1 && pulse_skip(r, 2 + 4 * (uint64_t)r->at[1]);
    default:
        return false;
    }
}

void pulse_write(struct pulse_writer *w, const void *bytes, size_t n)
{
    if (w->full || n > w->room - w->n) {
        w->full = true;
        return;
    }
    memcpy(w->bytes + w->n, bytes, n);
    w->n += n;
}

static void pulse_write_type(struct pulse_writer *w, enum pulse_type type)
{
    uint8_t byte = (uint8_t)type;
    pulse_write(w, &byte, 1);
}

void pulse_write_u32(struct pulse_writer *w, uint32_t value)
{
    uint8_t bytes[5] = {PULSE_U32};
    pulse_put_be32(bytes + 1, value);
    pulse_write(w, bytes, sizeof(bytes));
}

void pulse_write_string(struct pulse_writer *w, const char *text)
{
    pulse_write_type(w, PULSE_STRING);
    pulse_write(w, text, strlen(text) + 1);
}

void pulse_write_property(struct pulse_writer *w, const char *key, const char *text)
{
    uint8_t size[4];
    size_t n = strlen(text) + 1;
    pulse_put_be32(size, (uint32_t)n);
    pulse_write_string(w, key);
    pulse_write_u32(w, (uint32_t)n);
    pulse_write_type(w, PULSE_BYTES);
    pulse_write(w, size, sizeof(size));
    pulse_write(w, text, n);
}
