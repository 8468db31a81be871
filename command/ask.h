/* SPDX-License-Identifier: MIT */
#pragma once
/* ask: questions to daemons over their control sockets. */
#include <stdbool.h>
#include <stddef.h>

#include "common/control/json.h"

#define ASK_MS 2000 /* for a daemon, or a VM's process, to answer: more is as good as never */

/* One connection. */
struct ask {
    int fd;     /* owned; -1: it is over, or not there yet: */
    char *line; /* what is still to be asked; NULL: it was, or cannot be */
    size_t line_size;
    const char *path; /* borrowed */
    bool late;        /* nothing came in time */
    char *bytes;
    size_t n, room, begin; /* what came; where the next line begins */
};

/* Connects to @path and asks; @request is given up. 0 or -errno. */
int ask_begin(struct ask *ask, const char *path, json_t *request);
/* The same for asks_wait(), without waiting; @path stays until then. -EAGAIN: many ask already, and
 * it will be tried again. */
int ask_prepare(struct ask *ask, const char *path, json_t *request);
/* Reads what is there. 1: a line may have come, 0: no, or -errno: the end, after which lines may
 * still be there. */
int ask_read(struct ask *ask);
/* The next line that came as an object (json_decref()), or NULL: none is complete. */
json_t *ask_line(struct ask *ask);
void ask_end(struct ask *ask);

/* Waits until each of @n has a line in @answers (NULL: none came in time, or it ended before), all
 * at a time. Their connections are over then. */
void asks_wait(struct ask *asks, size_t n, json_t **answers);
