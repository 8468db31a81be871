/* SPDX-License-Identifier: MIT */
/* placeholders: nothing is kept here. */
#include "common/services/placeholders.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"

static int text_put(char *text, size_t size, size_t *n, const char *more)
{
    int wrote = snprintf(text + *n, size - *n, "%s", more);
    if (wrote < 0 || (size_t)wrote >= size - *n)
        return -ENAMETOOLONG;
    *n += (size_t)wrote;
    return 0;
}

/* Of the environment, where it is set. */
static const char *variable(const char *name, char *error, size_t error_size)
{
    const char *value = getenv(name);
    if (value && *value)
        return value;
    error_set(-ENOENT, error, error_size, "%s is not set", name);
    return NULL;
}

/* What "%@letter" stands for. NULL: nothing, with a message. */
static const char *meaning(char letter, const struct placeholders *known, char *error,
                           size_t error_size)
{
    switch (letter) {
    case 't':
        return variable("XDG_RUNTIME_DIR", error, error_size);
    case 'v':
        return known->vm;
    case '%':
        return "%";
    case 's':
        if (known->socket)
            return known->socket;
        /* fall through */
    default:
        error_set(-EINVAL, error, error_size,
                  "\"%%%c\" stands for nothing: there are %%t, %%v%s and %%%%", letter,
                  known->socket ? ", %s" : "");
        return NULL;
    }
}

bool placeholders_is_variable(const char *written)
{
    return *written == '$' && (isalpha((unsigned char)written[1]) || written[1] == '_');
}

int placeholders_fill(const char *written, const struct placeholders *known, char *text,
                      size_t size, char *error, size_t error_size)
{
    size_t n = 0;
    int r = 0;
    *text = '\0';
    if (placeholders_is_variable(written)) {
        const char *value = variable(written + 1, error, error_size);
        return value ? text_put(text, size, &n, value) : -ENOENT;
    }
    for (const char *c = written; *c && r == 0; c++) {
        const char *more = (char[]){*c, 0};
        if (*c == '%' && c[1]) {
            more = meaning(*++c, known, error, error_size);
            if (!more)
                return *c == 't' ? -ENOENT : -EINVAL;
        }
        r = text_put(text, size, &n, more);
    }
    return r;
}
