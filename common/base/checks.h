/* SPDX-License-Identifier: MIT */
#pragma once
/* checks: the lines of --check, and what several programs look at. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "ok    WHAT", or "FAIL  WHAT: ADVICE" (@advice may be empty). */
void checks_line(bool good, const char *what, const char *advice);
__attribute__((format(printf, 1, 2))) void checks_note(const char *format, ...);

/* Opens a device node for reading and writing. Returns an owned fd, or -errno with what to do about
 * it: for -EACCES the group that this user lacks. */
int checks_open(const char *path, char *advice, size_t size);

/* Whether udmabufs of at most @list_limit pieces and @size_limit bytes (0: unknown) do for a screen
 * of 3840x2160. Writes a sentence: what they do for, and how to raise them where that is less. */
bool checks_udmabuf_limits(uint32_t list_limit, uint64_t size_limit, char *text, size_t size);
