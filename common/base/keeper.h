/* SPDX-License-Identifier: MIT */
#pragma once
/* keeper: descriptors that outlive the process that they are of: the service manager has them
 * (its descriptor store), or where there is none, a parent of our own that starts us anew. */
#include <stdbool.h>
#include <stddef.h>

#define KEEPER_MAX 80
#define KEEPER_NAME_MAX 16 /* of the bytes of a name, with its end */

struct kept {
    char name[KEEPER_NAME_MAX];
    int fd; /* owned; -1: taken */
};

/* What was kept for this process. */
struct keeper {
    struct kept kept[KEEPER_MAX];
    size_t n;
};

/* What the service manager kept, close-on-exec from now on; what else it handed over stays as it
 * is. Before anything else is opened. */
void keeper_inherit(struct keeper *ret_keeper);
/* Then. Where no service manager is (NOTIFY_SOCKET), this process becomes
 * the parent, and returns only in its children: whenever one is killed, there is another with all
 * that was kept. It ends when they end by themselves. 0, or -errno: nothing will be kept. */
int keeper_start(struct keeper *keeper);
/* The descriptor of this name, which is the caller's from now on, or -1. */
int keeper_take(struct keeper *keeper, const char *name);
/* Closes what nobody took. */
void keeper_finish(struct keeper *keeper);

/* Keeps a copy of @fd, until the name is forgotten. 0 or -errno (-ENOTCONN: there is nobody). */
int keeper_keep(const char *name, int fd);
void keeper_forget(const char *name);
