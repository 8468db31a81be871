/* SPDX-License-Identifier: MIT */
#pragma once
/* vm-starts: requests for a VM that is not there yet, which wait for what starts it (start =
 * COMMAND), and then for the VM. */
#include <stddef.h>
#include <stdint.h>

struct host_config;
struct loop;
struct vm_processes;
struct vm_starts;

/* All are borrowed. NULL: out of memory. */
struct vm_starts *vm_starts_create(struct loop *loop, const struct host_config *config,
                                   struct vm_processes *processes);
void vm_starts_destroy(struct vm_starts *starts); /* accepts NULL */
/* A request (@n bytes) about VM @number, to which nobody answers yet: takes @fd, where it is told
 * if that comes to nothing. */
void vm_starts_wait(struct vm_starts *starts, size_t number, const char *line, size_t n, int fd);
/* A daemon of that VM has been let in. */
void vm_starts_came(struct vm_starts *starts, size_t number);
