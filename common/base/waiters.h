/* SPDX-License-Identifier: MIT */
#pragma once
/* waiters: threads that wait in place of the loop, for files of a disk, a server or another program
 * (FUSE), and how many of them one application may have. */
#include <sys/types.h>

struct waiters;

/* Those of process @pid, together with whoever else asked for the same; 0: of nobody else. NULL:
 * out of memory. */
struct waiters *waiters_of(pid_t pid);
void waiters_unref(struct waiters *waiters); /* accepts NULL; its threads go on */

/* Runs @run(@user) in a thread. 0, -EMFILE if there are as many as may be, or -errno. */
int waiters_start(struct waiters *waiters, void (*run)(void *user), void *user);
