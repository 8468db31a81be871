/* SPDX-License-Identifier: MIT */
#pragma once
/* vm-control: answers people who ask about the VM, in its process. */
#include <stddef.h>

#include "common/control/control-answer.h"
#include "host-proxy/vm-trace.h"

struct vm_control {
    struct vm *vm;
    struct answers answers;
    struct vm_traces traces;
};

void vm_control_init(struct vm_control *control, struct vm *vm);
void vm_control_finish(struct vm_control *control);
/* Applications may have left. */
void vm_control_changed(struct vm_control *control);
/* A request, of @n bytes (docs/control.md); takes @fd, where the answer goes. 0, or -ENOENT with
 * @fd as it was: a program is wanted, and no daemon is there. */
int vm_control_ask(struct vm_control *control, const char *line, size_t n, int fd);
