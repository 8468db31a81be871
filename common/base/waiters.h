/* SPDX-License-Identifier: MIT */
#pragma once
/* waiters: threads that wait in place of the loop, for files of a disk, a server or another program
 * (FUSE), and how many of them one application may have. */
#include <stddef.h>
#include <sys/types.h>

struct waiters;

/* Those of process @pid, together with whoever else asked for the same; 0: of nobody else. NULL:
 * out of memory. */
struct waiters *waiters_of(pid_t pid);
void waiters_unref(struct waiters *waiters); /* accepts NULL; its threads go on */

/* Runs @run(@user) in a thread. 0, -EMFILE if there are as many as may be, or -errno. */
int waiters_start(struct waiters *waiters, void (*run)(void *user), void *user);

/* Closes @fd, which somebody else has sent: here where that cannot wait, else in a thread of
 * @waiters; where it has as many as may be, when one of them ends. @waiters NULL: here. */
void waiters_close(struct waiters *waiters, int fd);
/* How many descriptors of process @pid wait to be closed. */
size_t waiters_closing(pid_t pid);
