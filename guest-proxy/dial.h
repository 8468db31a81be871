/* SPDX-License-Identifier: MIT */
#pragma once
/* dial: connecting to the host without waiting for it, the hybrid socket's greeting included. */
#include <stdbool.h>
#include <stddef.h>

#include "common/transport/address.h"

struct dial;
struct loop;

/* @done is called once, perhaps before this returns: @fd (the callback's to own) with @n bytes that
 * were read behind the greeting, or -errno and a text. Returns NULL if it was called already.
 * @privileged: see address_connect(). */
struct dial *dial_start(struct loop *loop, const struct address *address, bool privileged,
                        void (*done)(void *user, int fd, const void *bytes, size_t n,
                                     const char *error),
                        void *user);
void dial_cancel(struct dial *dial); /* accepts NULL; done is not called */
