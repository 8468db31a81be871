/* SPDX-License-Identifier: MIT */
#pragma once
/* frontend: where the hypervisor of a device comes from: a socket that it connects to, again after
 * a restart, or a connection that is there already. */
#include <stdbool.h>
#include <stddef.h>

struct frontend;
struct log_subject;
struct loop;

struct frontend_ops {
    /* Serves a hypervisor over @fd (taken), and calls @closed when it is gone (0 or -errno). 0;
     * -EBUSY: the device has one already; or -errno. */
    int (*connect)(void *user, int fd, void (*closed)(void *closed_user, int reason),
                   void *closed_user);
    /* The only connection that there was is gone. */
    void (*ended)(void *user);
};

/* Listens on @path, or serves @fd (taken; a connection or a listening socket) when @path is NULL.
 * @subject (borrowed, may be NULL): whom a line is about. NULL: errno, with a message. */
struct frontend *frontend_create(struct loop *loop, const char *path, int fd,
                                 struct log_subject *subject, const struct frontend_ops *ops,
                                 void *user, char *error, size_t error_size);
/* Whether @fd is a listening socket, and not a connection. */
bool frontend_is_listener(int fd);
/* Of a connection that goes on, the device must not tell us any more. Accepts NULL. */
void frontend_destroy(struct frontend *frontend);
