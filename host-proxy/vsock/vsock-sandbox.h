/* SPDX-License-Identifier: MIT */
#pragma once
/* vsock-sandbox: what wayvsock-vsock takes from itself. */

struct vsock_options;

/* When it serves: it connects to sockets, reads and writes them and the VM's memory, and removes
 * its own sockets at the end. 0 or -errno, with a line in the log. */
int vsock_sandbox_enter(const struct vsock_options *options);
