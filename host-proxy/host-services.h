/* SPDX-License-Identifier: MIT */
#pragma once
/* host-services: a VM's connections to the services that it may have. */
struct link;
struct session;
struct vm;

/* Listens for the host's programs, where @vm serves them; the log says where that cannot be. */
void services_listen(struct vm *vm);

/* A connection that proved itself, and is to say next what it is for (@link is taken). @label: what
 * the guest calls the program. */
void service_begin(struct session *session, struct link *link, const char *label);
