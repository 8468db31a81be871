/* SPDX-License-Identifier: MIT */
#pragma once
/* program-keeper: the process that starts a service's command for one connection, and ends it. */
#include <stddef.h>

struct service_settings;

#define PROGRAM_ANSWER_MAX 512

/* Starts the command of @service for the VM called @vm, and says on @asker (taken; SEQPACKET) once,
 * in one packet, what became of it: a descriptor, connected to it, beside a byte; or a text of at
 * most PROGRAM_ANSWER_MAX bytes that says why there is none. When the other end of @asker is
 * closed, the command's process group is ended; then it returns, with an exit status. For an
 * assistant of the spawner's. */
int program_keep(const struct service_settings *service, const char *vm, int asker);
