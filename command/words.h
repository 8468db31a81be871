/* SPDX-License-Identifier: MIT */
#pragma once
/* words: numbers, times and texts as people read them. */
#include <stddef.h>
#include <stdint.h>

#define WORDS_SIZE 32 /* room for a number or an age */

/* Bytes: "0", "812 B", "4.2 MiB". Returns @buffer. */
const char *words_bytes(uint64_t n, char buffer[WORDS_SIZE]);
/* How long ago @when (RFC 3339, UTC) is at @now (ms since 1970): "3s", "5m", "2h10m", "4d". */
const char *words_age(const char *when, int64_t now, char buffer[WORDS_SIZE]);
/* RFC 3339 in UTC as ms since 1970, or -1: it is none. */
int64_t words_time(const char *when);
/* @text in @columns of a terminal at most, cleaned; an ellipsis stands for what is cut. */
const char *words_cut(const char *text, size_t columns, char *buffer, size_t size);
/* @text cleaned alone. */
const char *words_clean(const char *text, char *buffer, size_t size);
/* How many columns @text takes. */
size_t words_columns(const char *text);
