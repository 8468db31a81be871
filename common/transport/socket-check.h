/* SPDX-License-Identifier: MIT */
#pragma once
/* socket-check: whether a socket could be made, for --check. */
#include <stdbool.h>

struct address;

/* Who else may have an address, so that all is well. */
struct socket_owner {
    const char *program;
    const char *unit; /* systemd's socket unit, or NULL; as for holder_is_unit() */
    bool user_manager;
};

/* Prints a line that begins with @what: whether @address can be listened on. That a running program
 * of ours has it, or its socket unit, is a note, and true; that anything else has it is a failure.
 * Leaves nothing behind. */
bool socket_check_address(const struct socket_owner *owner, const char *what,
                          const struct address *address);
/* The same for the Unix socket of a device, of any type; the unit is told from the path. */
bool socket_check(const char *program, const char *what, const char *path, int type);
