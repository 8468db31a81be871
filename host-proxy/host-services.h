/* SPDX-License-Identifier: MIT */
#pragma once
/* host-services: a VM's connections to the services that it may have. */
#include <stdint.h>

struct link;
struct session;
struct vm;

/* A program of the host's has connected (takes @fd) to that service of @vm's, which the guest is to
 * serve. */
void services_call(struct vm *vm, uint32_t service, int fd);

/* A connection that proved itself, and is to say next what it is for (@link is taken). @label: what
 * the guest calls the program. */
void service_begin(struct session *session, struct link *link, const char *label);
