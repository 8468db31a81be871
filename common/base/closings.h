/* SPDX-License-Identifier: MIT */
#pragma once
/* closings: tells when somebody has closed a file that was handed out: whether all have is the
 * asker's to find out. */
#include <stdbool.h>

struct loop;
struct closing;

/* There will be something to watch now and then, until it is released: in between, the kernel need
 * not take apart, which takes it some milliseconds, what it has for that. */
void closings_hold(void);
void closings_release(void);

/* Watches the file behind @fd (which may be closed then) for descriptors and mappings that go.
 * @closed is called from the loop, perhaps once for several; @reopened: somebody has opened it
 * anew. One watch for a file. NULL: errno; the kernel may have none left. */
struct closing *closing_watch(struct loop *loop, int fd, void (*closed)(void *user, bool reopened),
                              void *user);
void closing_destroy(struct closing *closing); /* accepts NULL; safe from its own callback */
