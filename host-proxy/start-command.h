/* SPDX-License-Identifier: MIT */
#pragma once
/* start-command: what starts a VM (start = COMMAND), in a process of the spawner's for each. */

/* Runs @command by a shell, waits for it, and returns its exit status (128 and the signal's number,
 * if one ended it). If @channel (taken) ends before, because the daemon stops, the command goes on:
 * it may be the VM itself. */
int start_command_run(const char *command, int channel);
