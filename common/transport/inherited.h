/* SPDX-License-Identifier: MIT */
#pragma once
/* inherited: the sockets that a service manager has made for us, each with its name. */
#include <stddef.h>

struct inherited_socket {
    int fd;           /* owned until somebody takes it; -1: somebody has */
    const char *name; /* FileDescriptorName=; "": none */
};

struct inherited {
    struct inherited_socket *at;
    int n;
    char *names; /* which those point into */
};

/* What address_inherited() gives, once. 0, or -errno with a message. */
int inherited_get(struct inherited *ret_inherited, char *error, size_t error_size);
/* The place of the next one that nobody has taken and that is called @name (NULL: any), or NULL. */
int *inherited_find(struct inherited *inherited, const char *name);
/* Closes what nobody has taken. */
void inherited_finish(struct inherited *inherited);

/* Where the Unix socket @fd of that type is bound to, and listens if that is a thing of its type.
 * 0, or -EINVAL: it is none. */
int inherited_path(int fd, int type, char *path, size_t size);
