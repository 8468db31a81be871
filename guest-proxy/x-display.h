/* SPDX-License-Identifier: MIT */
#pragma once
/* x-display: wayvsock-x11, a process beside the daemon, which offers an X display on its Wayland
 * display. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/base/log.h"

struct x_display {
    pid_t pid;  /* 0: none */
    int number; /* its display's */
    int fd;     /* owned: when this is closed, it ends with the last X program */
};

/* Starts it, and waits until the display's sockets are there. It ends with the calling process, in
 * whatever way. 0, or -errno with a message. */
int x_display_start(struct x_display *display, const char *wayland, enum log_level log_level,
                    char *error, size_t error_size);
/* For a program that is started: DISPLAY. */
void x_display_export(const struct x_display *display);
/* No more programs are waited for: it ends with the last one that is there. */
void x_display_leave(struct x_display *display);
/* The line of --check. False: programs would not find it. */
bool x_display_check(void);
