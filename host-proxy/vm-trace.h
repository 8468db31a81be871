/* SPDX-License-Identifier: MIT */
#pragma once
/* vm-trace: people who look on while messages pass. */
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "host-proxy/vm.h"

struct answers;

struct vm_traces {
    struct vm *vm;
    struct vm_watcher watcher;
    struct answers *answers;
    LIST_HEAD(, tracer) all;
};

void vm_traces_init(struct vm_traces *traces, struct vm *vm, struct answers *answers);
/* Everybody who looks is gone. */
void vm_traces_finish(struct vm_traces *traces);
/* Somebody looks from now on (takes @fd, where a line goes for each message): at all applications,
 * or at the one of that number (not 0), which is there. */
void vm_traces_begin(struct vm_traces *traces, int fd, uint64_t client, bool contents);
/* Applications may have left. */
void vm_traces_changed(struct vm_traces *traces);
