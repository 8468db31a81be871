/* SPDX-License-Identifier: MIT */
#pragma once
/* number: numbers that people write. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The decimal number in the @n bytes at @text, which are digits and nothing else. False if they are
 * not, or if it is above @max. */
bool number_parse(const char *text, size_t n, uint64_t max, uint64_t *ret_number);
/* The same for all of @text, which may end with K, M or G (or k, m, g): 2¹⁰, 2²⁰, 2³⁰. */
bool number_parse_size(const char *text, uint64_t max, uint64_t *ret_number);
