/* SPDX-License-Identifier: MIT */
#pragma once
/* send_fds: bytes with descriptors, for tests that are one end of a socket. */
#include <stddef.h>
#include <sys/types.h>

#define SEND_FDS_MAX 253 /* as the kernel has it */

/* One sendmsg(), which neither waits nor raises SIGPIPE. The descriptors stay the caller's. */
ssize_t send_fds(int to, const void *bytes, size_t n, const int *fds, size_t n_fds);
