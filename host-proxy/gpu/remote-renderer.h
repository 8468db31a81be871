/* SPDX-License-Identifier: MIT */
#pragma once
/* remote-renderer: the renderer in a process of its own: started, watched, ended where it hangs,
 * and started anew when it is gone. */
#include <stddef.h>
#include <stdint.h>

#include "host-proxy/gpu/renderer.h"

struct loop;
struct renderer_spawner;

/* Who starts and ends the process. */
struct remote_source {
    /* Ends what there is, and starts one whose device is behind @connection (taken). 0 or -errno.
     */
    int (*renew)(void *user, int connection);
    void (*stop)(void *user);
    /* Milliseconds of processor time that it has used, or -1: not known. */
    int64_t (*used_ms)(void *user);
    void *user;
};

struct remote_times {
    unsigned stuck_ms;   /* without any answer, if it has done nothing, or worked for as long */
    unsigned silent_ms;  /* without any answer */
    unsigned steady_ms;  /* who lived for so long is started anew at once */
    unsigned backoff_ms; /* who did not, after that; twice of it each time, up to 64 times */
};

extern const struct remote_times remote_times_default;

/* Waits in @loop until there is a renderer that can draw. @source (its user borrowed) and @times
 * are copied. The renderer is given back by ops->destroy(). NULL: errno, with a text. */
struct renderer *remote_renderer_create(struct loop *loop, const struct remote_source *source,
                                        const struct remote_times *times, char *error,
                                        size_t error_size);

/* The same of a spawner (borrowed). */
struct renderer *remote_renderer_spawn(struct loop *loop, struct renderer_spawner *spawner,
                                       char *error, size_t error_size);
