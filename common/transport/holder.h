/* SPDX-License-Identifier: MIT */
#pragma once
/* holder: who has an address that we cannot have, for --check. */
#include <stdbool.h>
#include <stddef.h>

struct address;

/* Whether this user's (of @user_manager) or the system's systemd listens at @address for @unit, a
 * name of letters, digits and @-.: what follows an @ may be anybody's name. Starts nothing. */
bool holder_is_unit(bool user_manager, const char *unit, const struct address *address);

/* Whether @program, of this user, has @address; writes who has it, for people ("wayvsock-host,
 * process 42"). @type: of a Unix socket. */
bool holder_is_program(const char *program, const struct address *address, int type, char *who,
                       size_t size);
