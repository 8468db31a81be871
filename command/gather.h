/* SPDX-License-Identifier: MIT */
#pragma once
/* gather: finds the daemons here, and makes one status of what each of them, and each VM, says. */
#include "common/control/json.h"

struct command_options;

/* The host's control socket. */
int gather_host(const struct command_options *options, char *path, size_t size);

/* One question (@request is given up) to who listens at @path, and its answer, or NULL: none came.
 */
json_t *gather_one(const char *path, json_t *request);

/* The status of all that is here, as docs/control.md has it, or NULL: nobody is. */
json_t *gather_status(const struct command_options *options);
/* Says so on stderr. */
void gather_complain(const struct command_options *options);
