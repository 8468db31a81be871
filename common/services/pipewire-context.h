/* SPDX-License-Identifier: MIT */
#pragma once
/* pipewire-context: a connection to PipeWire that its session manager can tell from the user's own
 * programs: in a security context of the VM's (PipeWire 1.2 and later). */
#include <stddef.h>

/* Connects to the PipeWire at @path, for the VM called @vm. @listen: a path in a private folder,
 * which is not there afterwards either. Returns the connection (owned), and *ret_kept (owned),
 * which is closed when that ends, or -1: this PipeWire has no security contexts, and it is a
 * connection like any other. Or negative with a message. Waits, for some seconds at most. */
int pipewire_context_connect(const char *path, const char *vm, const char *listen, int *ret_kept,
                             char *error, size_t error_size);
