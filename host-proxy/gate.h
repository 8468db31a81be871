/* SPDX-License-Identifier: MIT */
#pragma once
/* gate: the listening sockets, and what happens to a connection until it is known who it is. */
#include <stdbool.h>
#include <stddef.h>

struct gate;
struct host_config;
struct loop;
struct spawner;

/* Reads the VMs' tokens, and listens on the sockets that systemd handed over, or on every
 * configured address. NULL with a message in @error. */
struct gate *gate_create(struct loop *loop, const struct host_config *config,
                         const struct spawner *spawner, char *error, size_t error_size);
/* Also closes the channels of the VMs' processes, which end then. Accepts NULL. */
void gate_destroy(struct gate *gate);
/* No process can be started any more, so the loop was stopped. */
bool gate_has_failed(const struct gate *gate);
