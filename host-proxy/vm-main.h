/* SPDX-License-Identifier: MIT */
#pragma once
/* vm-main: the process of one VM. */
#include <stdint.h>

struct host_config;
struct log_subject;

/* Serves VM @number: takes connections from @channel (taken) until that is at its end, or a signal
 * asks for ours. @subject: whom lines are about; what it remembers of an earlier process stays. The
 * exit status. */
int vm_main(const struct host_config *config, uint32_t number, int channel,
            struct log_subject *subject);
