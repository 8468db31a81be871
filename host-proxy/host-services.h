/* SPDX-License-Identifier: MIT */
#pragma once
/* host-services: a VM's connections to the services that it may have. */
#include <stdint.h>

struct ends_flow;
struct link;
struct session;
struct vm;
struct vm_service;

/* A program of the host's has connected (takes @fd) to that service of @vm's, which the guest is to
 * serve. */
void services_call(struct vm *vm, uint32_t service, int fd);

/* Somebody on the host wants a program started in the VM: the guest's daemons are asked, one after
 * the other, who takes @fd (taken). Nobody: what is said there is why (protocol/run.h). 0, or
 * -ENOENT with @fd as it was: there is none. */
int services_run(struct vm *vm, int fd);

/* What crossed on all connections of that service so far. */
struct ends_flow services_flow(const struct vm_service *of);

/* A connection that proved itself, and is to say next what it is for (@link is taken). @label: what
 * the guest calls the program. */
void service_begin(struct session *session, struct link *link, const char *label);
