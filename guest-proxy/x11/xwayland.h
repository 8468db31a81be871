/* SPDX-License-Identifier: MIT */
#pragma once
/* xwayland: the process of the X server. */
#include <stddef.h>
#include <sys/types.h>

struct x_sockets;

struct xwayland {
    pid_t pid;              /* 0: none */
    int wayland, wm, ready; /* our ends, owned: -1 once they are handed on; the last one is readable
                               when it serves */
};

/* Starts it for that display. 0, or -errno with a message. */
int xwayland_start(struct xwayland *server, const struct x_sockets *sockets, char *error,
                   size_t error_size);
/* Closes what is left of our ends; its process goes on. */
void xwayland_close(struct xwayland *server);
