/* SPDX-License-Identifier: MIT */
#pragma once
/* exports: the socket on which wayvsock-host asks for the guest's buffers: protocol/export.h. */
#include <stddef.h>
#include <sys/types.h>

struct device;
struct exports;
struct loop;

#define EXPORTS_CLIENTS_MAX 64

/* Serves @device (borrowed) on @listener (taken: SOCK_SEQPACKET) to processes of our user and of
 * @users (borrowed). NULL: errno. */
struct exports *exports_create(struct loop *loop, struct device *device, int listener,
                               const uid_t *users, size_t n_users);
void exports_destroy(struct exports *exports); /* accepts NULL; before the device */
/* Serves one connection (taken) of a client that has been let in. 0 or -errno. */
int exports_serve(struct exports *exports, int fd);
