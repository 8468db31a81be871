/* SPDX-License-Identifier: MIT */
#pragma once
/* renderer-spawner: a small process that starts renderers, as the device may start nothing once it
 * serves.
 */
#include <stdint.h>
#include <sys/types.h>

#include "common/base/log.h"

struct renderer_spawner {
    int fd;         /* of the process; -1: there is none */
    pid_t renderer; /* the last one, or 0: not known (yet) */
};

/* Forks it, so call it before there is anything of a VM, or a thread. Renderers draw on
 * @render_node (NULL: in software). 0 or -errno. */
int renderer_spawner_start(struct renderer_spawner *ret, const char *render_node,
                           enum log_level level);
void renderer_spawner_finish(struct renderer_spawner *spawner); /* and its renderer */

/* Kills the renderer that there is, if any, and starts another one, whose device is behind
 * @connection (taken). 0 or -errno. */
int renderer_spawner_renew(struct renderer_spawner *spawner, int connection);
/* Only kills it. */
void renderer_spawner_stop(struct renderer_spawner *spawner);
/* Milliseconds of processor time that the renderer has used, or -1: not known. */
int64_t renderer_spawner_used_ms(struct renderer_spawner *spawner);
