/* SPDX-License-Identifier: MIT */
#pragma once
/* sandbox: what a program takes from itself once it has started. A kernel that lacks something
 * costs a line in the log; anything else that fails is an error, and the program must not go on. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/sandbox/filter.h"
#include "common/sandbox/landlock.h"

/* Neither core dumps nor a look through /proc or ptrace() from now on, but by root. Programs that
 * are started have both as usual. */
void sandbox_hide(void);

/* Closes what was inherited and not taken over: every descriptor from 3 on that would survive an
 * exec, but @keep (-1: none). Our own would not survive one. 0 or -errno. */
int sandbox_close_inherited(int keep);

/* What the environment asks for: LANDLOCK_KEEP_ABSTRACT for the service manager's socket. */
unsigned sandbox_wishes(void);

/* No new privileges, core dumps of no size, and the files of @paths (taken) only, for this thread
 * and those that it starts. 0 or -errno, with a line in the log. */
int sandbox_enter(struct landlock *paths);
/* Then, for all threads: see filter_load(). 0 or -errno, with a line in the log. */
int sandbox_filter(const struct filter_rule *const *tables, pid_t may_signal);

/* No more than @bytes of memory that only this process writes (RLIMIT_DATA). 0 or -errno. */
int sandbox_limit_memory(uint64_t bytes);

/* The lines of --check. */
void sandbox_check(void);
