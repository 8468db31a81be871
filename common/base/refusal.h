/* SPDX-License-Identifier: MIT */
#pragma once
/* refusal: why something is refused: the rule that it breaks, and words for people. */
#include <stdarg.h>

struct refusal {
    int rule; /* of whoever refuses; 0: none */
    char text[320];
};

/* Fills *ret. Returns @rule. */
int refusal_set(struct refusal *ret, int rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int refusal_setv(struct refusal *ret, int rule, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
