/* SPDX-License-Identifier: MIT */
#pragma once
/* host-check: tells line by line whether applications of VMs would work, and what to do where not.
 */
#include "host-proxy/config.h"

/* Prints to stdout. 0: they would; 1: not. */
int check_run(const struct host_config *config);
