/* SPDX-License-Identifier: MIT */
#pragma once
/* client: one application of a VM, as the compositor's client. */
#include <stdint.h>

struct link;
struct vm;

/* A connection with the session's key (takes @link, from one of its callbacks): connects to the
 * compositor. */
void client_begin(struct vm *vm, struct link *link, const char *label);
/* The VM is gone: so are its clients. */
void clients_disconnect(struct vm *vm, const char *reason);
void clients_finish(struct vm *vm);
/* Bytes that the mirrors of all the VM's clients have allocated, or may make the compositor
 * allocate. */
uint64_t clients_memory(const struct vm *vm);
