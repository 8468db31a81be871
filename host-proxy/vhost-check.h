/* SPDX-License-Identifier: MIT */
#pragma once
/* vhost-check: whether VMs reach this kernel's vsock sockets, for --check. */
#include <stdbool.h>

struct host_config;

/* Prints its lines; false if the VMs that are named by CID could not come in by vsock. */
bool vhost_check(const struct host_config *config);
