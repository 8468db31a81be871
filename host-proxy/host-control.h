/* SPDX-License-Identifier: MIT */
#pragma once
/* host-control: the host's control socket, in the gate: what it knows itself it answers, who asks
 * about one VM is handed to that VM's process. */

#include <stdbool.h>
#include <stddef.h>

struct host_config;
struct host_control;
struct loop;
struct refused;
struct vm_processes;

/* All are borrowed; @refused: to those who are no VM's. @inherited (taken): the socket, where a
 * service manager made it, or -1. NULL, with a line in the log: there is none, and the daemon goes
 * on without. */
struct host_control *host_control_create(struct loop *loop, const struct host_config *config,
                                         struct vm_processes *processes,
                                         const struct refused *refused, int inherited);
/* Of who asked for a program in VM @number, its process says that no daemon is there; @again: one
 * has come since. Takes @fd. Accepts NULL. */
void host_control_absent(struct host_control *control, size_t number, bool again, const char *line,
                         size_t n, int fd);
/* A daemon of VM @number has been let in: who waits for it goes on. Accepts NULL. */
void host_control_came(struct host_control *control, size_t number);
void host_control_destroy(struct host_control *control); /* accepts NULL */
