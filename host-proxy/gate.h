/* SPDX-License-Identifier: MIT */
#pragma once
/* gate: the listening sockets, and what happens to a connection until it is known who it is. */
#include <stddef.h>

struct gate;
struct vms;

/* Listens on the sockets that systemd handed over, or on every configured address. NULL with a
 * message in @error. */
struct gate *gate_create(struct vms *vms, char *error, size_t error_size);
void gate_destroy(struct gate *gate); /* accepts NULL */
