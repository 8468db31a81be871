/* SPDX-License-Identifier: MIT */
#pragma once
/* host-services-check: what --check says of the services that a VM may have. */
#include <stdbool.h>

struct host_config;
struct vm_config;

/* A line for each: whether the other end is there. False: one of them cannot work as it is
 * configured. */
bool host_services_check(const struct host_config *config, const struct vm_config *vm);
