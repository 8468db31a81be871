/* SPDX-License-Identifier: MIT */
#pragma once
/* limited: a process of its own in which something is tried, as no limit is ever lifted. */

/* What became of it. */
struct limited {
    int signal;     /* that ended it, or 0 */
    int status;     /* of its end, if it ended by itself */
    char line[512]; /* what it wrote to its log */
};

/* Runs @enter(), then @act() in a new process, whose status is what @act() returns. */
struct limited limited_run(void (*enter)(void), int (*act)(void));
