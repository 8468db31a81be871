/* SPDX-License-Identifier: MIT */
#pragma once
/* json: what control sockets speak; the only one that includes jansson. What is written may be
 * somebody else's text, what is read may be anybody's. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* Once, before anything else here: no file is opened for it later. */
void json_begin(void);

/* The one object that the @n bytes are, or NULL: anything else, a name twice, no UTF-8. To be given
 * up with json_decref(). */
json_t *json_read(const char *bytes, size_t n);
/* The value on one line with a newline behind it; free() it. NULL: out of memory. */
char *json_line(const json_t *value, size_t *ret_size);

/* A string, NULL: null. Somebody else's is cleaned, as text_clean() has it, and cut at 256
 * characters. */
json_t *json_words(const char *text);
/* A number of bytes and the like. */
json_t *json_count(uint64_t n);
/* A time (ms since 1970) as RFC 3339 has it, in UTC. */
json_t *json_time(int64_t ms);

/* What is found in @object under @name, or what stands for nothing: "", 0, false. */
const char *json_text_of(const json_t *object, const char *name);
uint64_t json_count_of(const json_t *object, const char *name);
bool json_true_of(const json_t *object, const char *name);

/* Milliseconds since 1970. */
int64_t json_now(void);
