/* SPDX-License-Identifier: MIT */
#pragma once
/* vsock-check: what --check of wayvsock-vsock prints. */

struct vsock_options;

/* The program's exit status. */
int vsock_check_run(const struct vsock_options *options);
