/* SPDX-License-Identifier: MIT */
/* words: owns nothing. A terminal does as it is told by what it is sent, so that whatever a VM may
 * have said is cleaned once more here, where it is known what is shown. */
#include "command/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "common/base/text.h"

const char *words_bytes(uint64_t n, char buffer[WORDS_SIZE])
{
    static const char units[] = "KMGTPE";
    double size = (double)n / 1024;
    int unit = 0;
    if (n < 1024) {
        snprintf(buffer, WORDS_SIZE, n ? "%" PRIu64 " B" : "0", n);
        return buffer;
    }
    for (; size >= 1023.5 && units[unit + 1]; unit++)
        size /= 1024;
    snprintf(buffer, WORDS_SIZE, size < 9.95 ? "%.1f %ciB" : "%.0f %ciB", size, units[unit]);
    return buffer;
}

int64_t words_time(const char *when)
{
    struct tm tm = {0};
    const char *rest = strptime(when, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return -1;
    return (int64_t)timegm(&tm) * 1000 + (int64_t)(*rest == '.' ? strtod(rest, NULL) * 1000 : 0);
}

const char *words_age(const char *when, int64_t now, char buffer[WORDS_SIZE])
{
    int64_t then = words_time(when), s = then < 0 || then > now ? 0 : (now - then) / 1000;
    if (s < 60)
        snprintf(buffer, WORDS_SIZE, "%ds", (int)s);
    else if (s < 3600)
        snprintf(buffer, WORDS_SIZE, "%dm", (int)(s / 60));
    else if (s < 86400)
        snprintf(buffer, WORDS_SIZE, "%dh%02dm", (int)(s / 3600), (int)(s / 60 % 60));
    else
        snprintf(buffer, WORDS_SIZE, "%" PRId64 "d%02dh", s / 86400, (int)(s / 3600 % 24));
    return buffer;
}

/* Of the character at @s, of @n bytes. */
static size_t columns_of(const char *s, size_t n)
{
    wchar_t c;
    mbstate_t state = {0};
    int width = mbrtowc(&c, s, n, &state) <= n ? wcwidth(c) : 1;
    return width < 0 ? 1 : (size_t)width;
}

size_t words_columns(const char *text)
{
    struct text_reader reader = {.at = text};
    size_t columns = 0, n;
    for (const char *at = text; text_next(&reader, &n) != TEXT_END; at = reader.at)
        columns += columns_of(at, n);
    return columns;
}

const char *words_clean(const char *text, char *buffer, size_t size)
{
    text_clean(buffer, size, text, size); /* as much as fits */
    return buffer;
}

const char *words_cut(const char *text, size_t columns, char *buffer, size_t size)
{
    static const char ellipsis[] = "…";
    text_clean(buffer, size, text, size); /* as much as fits */
    if (words_columns(buffer) <= columns)
        return buffer;
    struct text_reader reader = {.at = buffer};
    size_t used = 0, n;
    const char *at = buffer;
    while (text_next(&reader, &n) != TEXT_END && used + columns_of(at, n) < columns) {
        used += columns_of(at, n);
        at = reader.at;
    }
    size_t end = (size_t)(at - buffer);
    if (end + sizeof(ellipsis) > size)
        end = size - sizeof(ellipsis);
    memcpy(buffer + end, columns ? ellipsis : "", columns ? sizeof(ellipsis) : 1);
    return buffer;
}
