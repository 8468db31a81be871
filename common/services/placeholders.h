/* SPDX-License-Identifier: MIT */
#pragma once
/* placeholders: what stands for something else in a setting that a person wrote. */
#include <stdbool.h>
#include <stddef.h>

struct placeholders {
    const char *vm;     /* %v */
    const char *socket; /* %s; NULL: it stands for nothing here */
};

/* Whether it is $NAME. */
bool placeholders_is_variable(const char *written);
/* Writes @written to @text: %t is XDG_RUNTIME_DIR, %v and %s as above, %% a percent sign, and $NAME
 * as a whole what the environment has. 0, or -errno with a message (-ENAMETOOLONG without). */
int placeholders_fill(const char *written, const struct placeholders *known, char *text,
                      size_t size, char *error, size_t error_size);
