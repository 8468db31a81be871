/* SPDX-License-Identifier: MIT */
/* A function that fails for a reason that its caller shows writes the text here and returns the
 * result in one statement. Texts are cut, never an error of their own. */
#include "common/base/error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(int result, char *error, size_t error_size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, error_size, format, args);
    va_end(args);
    return result;
}
