/* SPDX-License-Identifier: MIT */
#pragma once
/* run-program: starts a program in a VM, and is it to whoever started this command: input, output,
 * signals, exit status. */
struct command_options;

/* The program's exit status, or 128 and the number of the signal that ended it, or
 * RUN_STATUS_REFUSED: it was not started, which is said on stderr. */
int run_program(const struct command_options *options);
