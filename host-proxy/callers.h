/* SPDX-License-Identifier: MIT */
#pragma once
/* callers: the sockets by which the host's programs come to what VMs serve. */
#include <stddef.h>
#include <stdint.h>

struct callers;
struct host_config;
struct log_subject;
struct loop;
struct vm_config;

/* @called: somebody came (takes @fd) for the service of @vm with that number among those that it
 * may have. NULL: errno. */
struct callers *callers_create(struct loop *loop, const struct host_config *config,
                               void (*called)(void *vm, uint32_t service, int fd));
void callers_destroy(struct callers *callers); /* removes its sockets; accepts NULL */
/* Those of @config. @subject and @vm are borrowed. 0 or -ENOMEM. */
int callers_add(struct callers *callers, const struct vm_config *config,
                struct log_subject *subject, void *vm);
/* A socket that a service manager made. 1: it is that of a service, by its path, or by its @name if
 * one VM has such a service, and is taken; 0: it is none; or -errno with a message. */
int callers_inherit(struct callers *callers, int fd, const char *name, char *error,
                    size_t error_size);
/* Listens for all others. The log says where that cannot be. */
void callers_listen(struct callers *callers);
