/* SPDX-License-Identifier: MIT */
#pragma once
/* error: what went wrong, told to a person by whoever has asked. */
#include <stddef.h>

/* Writes the message into @error. Returns @result. */
int error_set(int result, char *error, size_t error_size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
