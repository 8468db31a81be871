/* SPDX-License-Identifier: MIT */
#pragma once
/* guest-check: tells line by line whether applications would work, and what to do where not. */
#include "guest-proxy/guest-options.h"
#include "guest-proxy/uplink.h"

/* Prints to stdout. 0: they would; 1: not. */
int check_run(const struct guest_options *options, const struct uplink_config *config);
