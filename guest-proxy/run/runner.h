/* SPDX-License-Identifier: MIT */
#pragma once
/* runner: serves one connection of wayvsock.run: a program that the host starts here, or the list
 * of what there is in the menu. It is not limited, as what it starts is not. */
#include <stdint.h>

/* Serves @connection (taken) in this process, which has its own for each, and which @number tells
 * apart in the log. Returns when it is over: the process's exit status. */
int runner_serve(uint32_t number, int connection);
/* What programs that are started here must not find in the environment: it is the daemon's. */
void runner_clean_environment(void);
