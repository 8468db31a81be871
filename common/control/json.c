/* SPDX-License-Identifier: MIT */
/* json: owns nothing. A value that could not be made is NULL, which jansson takes for a failure
 * where it is put into another, so that what is missing is noticed once, where the line is made. */
#include "common/control/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/base/text.h"

#define WORDS_MAX 256 /* characters */

void json_begin(void)
{
    uint32_t seed = 0;
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) || !seed)
        seed = 1; /* 0 would have jansson look for a file */
    json_object_seed(seed);
}

json_t *json_read(const char *bytes, size_t n)
{
    json_error_t error;
    json_t *value = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}

char *json_line(const json_t *value, size_t *ret_size)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    size_t n = text ? strlen(text) : 0;
    char *line = text ? realloc(text, n + 2) : NULL;
    if (!line) {
        free(text);
        return NULL;
    }
    memcpy(line + n, "\n", 2);
    *ret_size = n + 1;
    return line;
}

json_t *json_words(const char *text)
{
    char words[WORDS_MAX * 4 + 1];
    if (!text)
        return json_null();
    text_clean(words, sizeof(words), text, WORDS_MAX);
    return json_string(words);
}

json_t *json_count(uint64_t n)
{
    return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

json_t *json_time(int64_t ms)
{
    char text[64];
    struct tm tm;
    time_t seconds = (time_t)(ms / 1000);
    if (!gmtime_r(&seconds, &tm))
        return json_null();
    size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(ms % 1000));
    return json_string(text);
}

const char *json_text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

uint64_t json_count_of(const json_t *object, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(object, name));
    return n > 0 ? (uint64_t)n : 0;
}

bool json_true_of(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

int64_t json_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
