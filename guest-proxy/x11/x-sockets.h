/* SPDX-License-Identifier: MIT */
#pragma once
/* x-sockets: where X programs find the display: its socket, the same in the abstract, and the lock
 * that keeps other servers from its number. */
#include <stdbool.h>
#include <stddef.h>

#define X_SOCKETS_MAX 2

struct x_sockets {
    int number;
    int fds[X_SOCKETS_MAX]; /* owned, listening */
    unsigned n;
    char path[64], lock[64]; /* ours to remove; "" */
};

/* The sockets that systemd handed over; else those of display @number, or with -1 of the first one
 * that is free. 0, or -errno with a message. */
int x_sockets_open(struct x_sockets *sockets, int number, char *error, size_t error_size);
void x_sockets_close(struct x_sockets *sockets); /* removes what it has made */
/* Turns away who waits there: there is no server for them. */
void x_sockets_turn_away(const struct x_sockets *sockets);
