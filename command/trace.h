/* SPDX-License-Identifier: MIT */
#pragma once
/* trace: shows messages as they pass. */

struct command_options;

/* Until there is nothing more to see. The exit status. */
int trace_run(const struct command_options *options);
