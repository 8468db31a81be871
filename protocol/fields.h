/* SPDX-License-Identifier: MIT */
#pragma once
/* fields: how a payload lies in a struct: one table for each frame, from which follow what is
 * written, what is read and what is refused. */
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Fields follow each other without gaps. Numbers have 2, 4 or 8 bytes and are little-endian; what
 * has another width is copied as it is. */
struct field {
    uint16_t at;       /* in the struct, unless @fixed */
    uint16_t width;    /* bytes, there and on the wire */
    bool fixed;        /* not in the struct: always the number @min */
    uint64_t min, max; /* of a number that is accepted; what is written is its caller's affair */
};

#define FIELD_IN(type, member, min, max)                                                           \
    {                                                                                              \
        offsetof(type, member), sizeof(((type *)NULL)->member), false, min, max                    \
    }
#define FIELD(type, member) FIELD_IN(type, member, 0, UINT64_MAX)
#define FIELD_X4(type, member)                                                                     \
    FIELD(type, member[0]), FIELD(type, member[1]), FIELD(type, member[2]), FIELD(type, member[3])
#define FIELD_FIXED(width, number)                                                                 \
    {                                                                                              \
        0, width, true, number, number                                                             \
    }
#define FIELD_ZERO(width) FIELD_FIXED(width, 0) /* reserved */

/* A kind of frame (or packet). */
struct frame {
    const char *name;  /* NULL: there is no such kind */
    uint32_t min, max; /* bytes of payload */
    uint32_t head;     /* bytes that @fields describe: all, or what comes before the data */
    uint32_t held;     /* bytes of the struct that they fill */
    uint32_t n;
    const struct field *fields;
    bool (*rule)(const void *value); /* what the fields have to do with each other; or NULL */
};

#define FRAME_FIELDS(...)                                                                          \
    .n = sizeof((const struct field[]){__VA_ARGS__}) / sizeof(struct field),                       \
    .fields = (const struct field[])                                                               \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
/* Always @size bytes: these fields of a @type. */
#define FRAME(label, size, type, check, ...)                                                       \
    {                                                                                              \
        .name = (label), .min = (size), .max = (size), .head = (size), .held = sizeof(type),       \
        .rule = (check), FRAME_FIELDS(__VA_ARGS__)                                                 \
    }
/* The same, and then @least to @most bytes of data. */
#define FRAME_DATA(label, size, least, most, type, check, ...)                                     \
    {                                                                                              \
        .name = (label), .min = (size) + (least), .max = (size) + (most), .head = (size),          \
        .held = sizeof(type), .rule = (check), FRAME_FIELDS(__VA_ARGS__)                           \
    }

enum { FRAME_OK, FRAME_E_TYPE, FRAME_E_SIZE, FRAME_E_RESERVED, FRAME_E_VALUE };

/* Inlined where the table is a constant, the loops are unrolled, and nothing is left of it. */
#define FIELD_INLINE static inline __attribute__((always_inline))

FIELD_INLINE uint64_t field_load(const void *at, unsigned width)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    if (width == 2)
        return memcpy(&two, at, 2), two;
    if (width == 4)
        return memcpy(&four, at, 4), four;
    return memcpy(&eight, at, 8), eight;
}

FIELD_INLINE void field_store(void *at, unsigned width, uint64_t number)
{
    uint16_t two = (uint16_t)number;
    uint32_t four = (uint32_t)number;
    if (width == 2)
        memcpy(at, &two, 2);
    else if (width == 4)
        memcpy(at, &four, 4);
    else
        memcpy(at, &number, 8);
}

/* From the machine's order of bytes to the wire's, or back. */
FIELD_INLINE uint64_t field_order(uint64_t number, unsigned width)
{
    return width == 2   ? htole16((uint16_t)number)
           : width == 4 ? htole32((uint32_t)number)
                        : htole64(number);
}

/* Reads all of @fields into the struct @value, whose other members stay as they are. FRAME_OK,
 * FRAME_E_RESERVED or FRAME_E_VALUE. */
FIELD_INLINE int fields_read(const struct field *fields, unsigned n, const uint8_t *from,
                             void *value)
{
    bool zero = true, valid = true;
#pragma GCC unroll 32
    for (unsigned i = 0; i < n; from += fields[i++].width) {
        const struct field *f = &fields[i];
        uint8_t *to = (uint8_t *)value + f->at;
        if (f->width > 8) {
            memcpy(to, from, f->width);
            continue;
        }
        uint64_t number = field_order(field_load(from, f->width), f->width);
        if (!f->fixed)
            field_store(to, f->width, number);
        if (f->fixed && f->min == 0)
            zero = zero && number == 0;
        else
            valid = valid && number >= f->min && number <= f->max;
    }
    return !zero ? FRAME_E_RESERVED : valid ? FRAME_OK : FRAME_E_VALUE;
}

/* Writes them and returns where they end. */
FIELD_INLINE uint8_t *fields_write(const struct field *fields, unsigned n, const void *value,
                                   uint8_t *to)
{
#pragma GCC unroll 32
    for (unsigned i = 0; i < n; to += fields[i++].width) {
        const struct field *f = &fields[i];
        const uint8_t *from = (const uint8_t *)value + f->at;
        if (f->width > 8) {
            memcpy(to, from, f->width);
            continue;
        }
        uint64_t number = f->fixed ? f->min : field_load(from, f->width);
        field_store(to, f->width, field_order(number, f->width));
    }
    return to;
}

/* Reads what @frame describes of a payload that is long enough. FRAME_*. */
FIELD_INLINE int frame_read(const struct frame *frame, const uint8_t *payload, void *value)
{
    int e = fields_read(frame->fields, frame->n, payload, value);
    return e == FRAME_OK && frame->rule && !frame->rule(value) ? FRAME_E_VALUE : e;
}

/* Reads a whole payload of fields and nothing else. @value: room for any struct; *ret is written
 * only when it is FRAME_OK. */
FIELD_INLINE int frame_decode(const struct frame *frame, const void *payload, size_t size,
                              void *value, void *ret)
{
    if (size != frame->head)
        return FRAME_E_SIZE;
    int e = frame_read(frame, payload, value);
    if (e == FRAME_OK)
        memcpy(ret, value, frame->held);
    return e;
}
