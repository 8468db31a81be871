/* SPDX-License-Identifier: MIT */
#pragma once
/* vm-menus: which VMs' menus are on this host: a process for each, while the VM is there. */
#include <stddef.h>

struct host_config;
struct loop;
struct vm_menus;
struct vm_processes;

/* Before anything else: removes the menus of VMs that have none any more. */
void vm_menus_clear(const struct host_config *config);
/* All are borrowed. NULL: out of memory. */
struct vm_menus *vm_menus_create(struct loop *loop, const struct host_config *config,
                                 struct vm_processes *processes);
void vm_menus_destroy(struct vm_menus *menus); /* accepts NULL */
/* A daemon of VM @number has been let in: it may tell its menu. */
void vm_menus_came(struct vm_menus *menus, size_t number);
/* Somebody wants a program of it: it may have begun to tell. */
void vm_menus_run(struct vm_menus *menus, size_t number);
