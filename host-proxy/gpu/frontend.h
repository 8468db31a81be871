/* SPDX-License-Identifier: MIT */
#pragma once
/* frontend: where the hypervisor comes from: a socket that it connects to, again after a restart,
 * or a connection that is there already. */
#include <stddef.h>

struct device;
struct frontend;
struct loop;

/* Listens on @path, or serves @fd (taken; a connection or a listening socket) when @path is NULL.
 * Over a connection that is all: @ended is called when it is gone. NULL: errno, with a message. */
struct frontend *frontend_create(struct loop *loop, struct device *device, const char *path, int fd,
                                 void (*ended)(void *user), void *user, char *error,
                                 size_t error_size);
void frontend_destroy(struct frontend *frontend); /* accepts NULL */
