/* SPDX-License-Identifier: MIT */
#pragma once
/* guest-runs: programs that the host may start here (--allow-run), each by a process that the
 * spawner starts for it. */
#include <stdbool.h>
#include <stddef.h>

#include "common/base/spawner.h"

#define GUEST_RUNS_MAX 256 /* at a time */

struct loop;
struct packets;

struct guest_runs {
    struct spawner spawner;
    struct packets *packets; /* to it; NULL: nothing may be started */
    bool busy[GUEST_RUNS_MAX];
};

/* Forks the spawner, from which the programs have their environment: @prepare is called there,
 * first of all. In the daemon it returns SPAWNER_PARENT, and SPAWNER_OVER with *ret_status in the
 * other processes when they are to end; or -errno. */
int guest_runs_fork(struct guest_runs *runs, void (*prepare)(void *user), void *user,
                    int *ret_status);
/* In the daemon, once it has its loop. 0 or -errno. */
int guest_runs_begin(struct guest_runs *runs, struct loop *loop);
/* One more: the local end (owned) of the connection that asks for it, or negative with a message.
 */
int guest_runs_start(struct guest_runs *runs, char *error, size_t error_size);
/* After all connections have ended: the programs have a few seconds to end, too. */
void guest_runs_finish(struct guest_runs *runs);
