/* SPDX-License-Identifier: MIT */
#pragma once
/* vm-askers: who asks about a VM, from when its process is handed the connection until it says that
 * it has it, or that the VM is not there: then it is asked again, or waits for the VM. */
#include <stddef.h>

#include "common/base/list.h"

struct vm_asker {
    STAILQ_ENTRY(vm_asker) entry;
    int fd; /* a copy of the connection, owned; -1: it is not kept */
    size_t n;
    char line[]; /* the request, less its end */
};

struct vm_askers {
    STAILQ_HEAD(, vm_asker) all; /* in the order in which the process hears of them */
    unsigned n;
};

void vm_askers_init(struct vm_askers *askers);
/* @fd is borrowed, and copied; -1: one that is not kept. 0 or -errno. */
int vm_askers_add(struct vm_askers *askers, const char *line, size_t n, int fd);
/* The oldest, owned; NULL: there is none. */
struct vm_asker *vm_askers_take(struct vm_askers *askers);
/* Accepts NULL. */
void vm_asker_free(struct vm_asker *asker);
void vm_askers_clear(struct vm_askers *askers);
