/* SPDX-License-Identifier: MIT */
#pragma once
/* host-sandbox: what is left of the host daemon's rights once it listens. */

struct host_config;

/* When everything listens. 0 or -errno, with a line in the log. */
int host_sandbox_enter(const struct host_config *config);
