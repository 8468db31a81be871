/* SPDX-License-Identifier: MIT */
#pragma once
/* socket-check: whether a socket could be made, for --check. */
#include <stdbool.h>

/* Prints a line that begins with @what. That somebody listens there is a note: @program, perhaps.
 * Leaves nothing behind. */
bool socket_check(const char *program, const char *what, const char *path, int type);
