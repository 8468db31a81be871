/* SPDX-License-Identifier: MIT */
#pragma once
/* guest-services-check: what --check says of --forward and --serve. */
#include <stdbool.h>

struct approaches;
struct guest_options;
struct loop;

/* A line for each: whether its socket can be made here, or is served. False: one of them cannot
 * work as it is. */
bool guest_services_check(const struct guest_options *options);
/* A line for each of --forward, when the host is connected: whether it has that. The same. */
bool guest_services_check_host(const struct guest_options *options, struct loop *loop,
                               struct approaches *approaches);
