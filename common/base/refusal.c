/* SPDX-License-Identifier: MIT */
/* refusal: a text that does not fit is cut. */
#include "common/base/refusal.h"

#include <stdio.h>

int refusal_setv(struct refusal *ret, int rule, const char *format, va_list args)
{
    ret->rule = rule;
    vsnprintf(ret->text, sizeof(ret->text), format, args);
    return rule;
}

int refusal_set(struct refusal *ret, int rule, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    refusal_setv(ret, rule, format, args);
    va_end(args);
    return rule;
}
