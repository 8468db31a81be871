/* SPDX-License-Identifier: MIT */
#pragma once
/* guest-sandbox: what is left of the guest daemon's rights once it serves. */
#include <stdbool.h>
#include <sys/types.h>

struct display;
struct gpu;
struct services;

/* When everything is open, and the command has begun, which may be signalled (0: none). @control:
 * the path of the control socket, or NULL. @children: there are processes that are waited for. 0 or
 * -errno, with a line in the log. */
int guest_sandbox_enter(const struct display *display, const struct services *services,
                        const char *control, const struct gpu *gpu, pid_t command, bool children);
