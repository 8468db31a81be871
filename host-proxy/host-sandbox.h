/* SPDX-License-Identifier: MIT */
#pragma once
/* host-sandbox: what is left of the rights of the host daemon's processes once they serve. */

struct host_config;
struct vm_config;

/* The descriptor that WAYLAND_SOCKET names, or -1. */
int host_sandbox_wayland_socket(void);
/* The gate's, when everything listens. 0 or -errno, with a line in the log. */
int host_sandbox_gate(const struct host_config *config);
/* Those of a VM's process, before it reads anything. The same. */
int host_sandbox_vm(const struct vm_config *vm);
