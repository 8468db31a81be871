/* SPDX-License-Identifier: MIT */
#pragma once
/* trials: whether a VM's compositor takes a dmabuf as a buffer, tried on a connection of our own:
 * there a refusal harms no client. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/export.h"

struct log_subject;
struct loop;
struct trials;

/* @connect: a new connection to the compositor, with the first question: owned, or negative with
 * *error. NULL: out of memory. */
struct trials *trials_create(struct loop *loop,
                             int (*connect)(void *user, char *error, size_t error_size), void *user,
                             struct log_subject *subject);
void trials_destroy(struct trials *trials); /* accepts NULL; not from an answer */

/* Whether the compositor makes a buffer of @picture (one plane), in its format and in the same one
 * with the other choice of alpha. @fd is borrowed. Answered from the loop, once, within a second or
 * so. 0, or negative: it is not asked, so the answer is no. */
int trials_ask(struct trials *trials, const struct export_buffer *picture, int fd,
               void (*answer)(void *user, bool takes), void *user);
/* The same from what was asked before. A layout that was not is asked about now, for the next time,
 * and the answer is no. */
bool trials_takes(struct trials *trials, const struct export_buffer *layout, int fd);
/* No answer for @user any more. */
void trials_forget(struct trials *trials, const void *user);
