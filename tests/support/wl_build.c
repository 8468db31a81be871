/* SPDX-License-Identifier: MIT */
/* Apart from the proxies' own code, so that a mistake of theirs is not made on both sides. */
#include "tests/support/wl_build.h"

#include <stdarg.h>
#include <string.h>

size_t wl_build(uint8_t *at, uint32_t object, uint16_t opcode, const char *signature, ...)
{
    size_t n = 8;
    va_list args;
    va_start(args, signature);
    for (const char *s = signature; *s; s++) {
        if (*s == 's' || *s == 'N') {
            const char *text = va_arg(args, const char *);
            uint32_t length = (uint32_t)strlen(text) + 1;
            memcpy(at + n, &length, 4);
            memset(at + n + 4, 0, (length + 3) & ~3u);
            memcpy(at + n + 4, text, length);
            n += 4 + ((length + 3) & ~3u);
        }
        for (int words = *s == 'N' ? 2 : *s == 'u'; words > 0; words--) {
            uint32_t word = va_arg(args, uint32_t);
            memcpy(at + n, &word, 4);
            n += 4;
        }
    }
    va_end(args);
    uint32_t head[2] = {object, (uint32_t)n << 16 | opcode};
    memcpy(at, head, 8);
    return n;
}
