/* SPDX-License-Identifier: MIT */
/* menu-png: one block of stored bytes, which all rows fit in: each with a byte before it that says
 * it is not filtered. */
#include "host-proxy/menu/menu-png.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

static_assert(RUN_ICON_MAX + RUN_ICON_EDGE_MAX <= UINT16_MAX, "one stored block");

static uint32_t crc_of(const uint8_t *bytes, size_t n)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static uint8_t *put32(uint8_t *at, uint32_t number)
{
    number = htobe32(number);
    memcpy(at, &number, 4);
    return at + 4;
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t n)
{
    memcpy(at, bytes, n);
    return at + n;
}

/* What goes before a chunk's data of @n bytes. */
static uint8_t *begin(uint8_t *at, const char kind[4], uint32_t n)
{
    return put_bytes(put32(at, n), kind, 4);
}

/* What goes behind it. */
static uint8_t *finish(uint8_t *at, uint32_t n)
{
    return put32(at, crc_of(at - n - 4, n + 4));
}

/* The rows, and their checksum (Adler-32). */
static uint8_t *put_rows(uint8_t *at, const uint8_t *pixels, uint32_t width, uint32_t height)
{
    uint32_t a = 1, b = 0;
    const uint8_t *first = at;
    for (uint32_t y = 0; y < height; y++) {
        *at++ = 0;
        at = put_bytes(at, pixels + (size_t)y * width * 4, (size_t)width * 4);
    }
    for (const uint8_t *p = first; p < at; p++) {
        a = (a + *p) % 65521;
        b = (b + a) % 65521;
    }
    return put32(at, b << 16 | a);
}

size_t menu_png_write(const uint8_t *pixels, uint32_t width, uint32_t height,
                      uint8_t png[MENU_PNG_MAX])
{
    const uint32_t size = height * (1 + 4 * width), zlib = 2 + 5 + size + 4;
    const uint16_t sizes[] = {htole16((uint16_t)size), htole16((uint16_t)~size)};
    uint8_t *at = put_bytes(png, "\x89PNG\r\n\x1a\n", 8);
    at = begin(at, "IHDR", 13);
    at = put32(put32(at, width), height);
    at = put_bytes(at, "\x08\x06\0\0\0", 5); /* 8 bits of red, green, blue, alpha */
    at = finish(at, 13);
    at = begin(at, "IDAT", zlib);
    at = put_bytes(at, "\x78\x01\x01", 3); /* the last block, stored */
    at = put_bytes(at, sizes, 4);
    at = put_rows(at, pixels, width, height);
    at = finish(at, zlib);
    at = begin(at, "IEND", 0);
    at = finish(at, 0);
    return (size_t)(at - png);
}
