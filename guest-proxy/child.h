/* SPDX-License-Identifier: MIT */
#pragma once
/* child: processes that the daemon starts, before it limits itself. */
#include <sys/types.h>

/* As fork(); but in the new process signals do what they do by default, and none is blocked. -1:
 * errno. */
pid_t child_fork(void);
