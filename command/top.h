/* SPDX-License-Identifier: MIT */
#pragma once
/* top: a status that is shown again and again. */

struct command_options;

/* Until somebody wants no more of it. The exit status. */
int top_run(const struct command_options *options);
