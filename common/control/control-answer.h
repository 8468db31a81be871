/* SPDX-License-Identifier: MIT */
#pragma once
/* control-answer: what goes back over a control connection: lines of JSON, then its end. */
#include <stdbool.h>
#include <stddef.h>

#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/control/json.h"

#define ANSWERS_MAX 64              /* at a time, of a process */
#define ANSWER_QUEUE_MAX (1u << 20) /* bytes that wait for one reader before lines are left out */

struct answer;

/* All of a process. */
struct answers {
    struct loop *loop;
    LIST_HEAD(, answer) all;
    unsigned n;
};

void answers_init(struct answers *answers, struct loop *loop);
/* At once; nobody is told. */
void answers_finish(struct answers *answers);

/* Begins one on @fd (taken, non-blocking). NULL: there are too many, or out of memory; the other
 * end was told. @left (NULL: nobody wants to know): the other end is gone, from the loop, before
 * answer_end(); the answer is freed after it has returned. */
struct answer *answer_create(struct answers *answers, int fd, void (*left)(void *user), void *user);
/* A line; @value is given up. False: too much waits, or no memory is left; nothing was said. */
bool answer_say(struct answer *answer, json_t *value);
/* Whether the next one would be taken, for who makes many. */
bool answer_has_room(const struct answer *answer);
/* The same for a reader that has to have all: so much may wait as it is. */
void answer_say_all(struct answer *answer, json_t *value);
/* That is all: it goes out, and the answer frees itself. */
void answer_end(struct answer *answer);

/* {"error": …}, of printable text, and the end. */
void answer_refuse(struct answer *answer, const char *text);
/* The same where there is no answer yet: as much as @fd (taken) takes at once. */
void control_refuse(int fd, const char *text);
