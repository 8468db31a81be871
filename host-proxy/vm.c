/* SPDX-License-Identifier: MIT */
/* vm: owns what the VM's sessions share: what they may take from the host, the data that is still
 * on its way to a reader, and what the compositor was asked for the VM. */
#include "host-proxy/vm.h"

#include <errno.h>

#include "common/base/budget.h"
#include "common/base/fd.h"
#include "host-proxy/pixels/trials.h"

#define OWN_FDS 64         /* for what is no application's: questions to compositors, for one */
#define FDS_OF_A_SESSION 3 /* its link, its GPU device, a question to another device */

static int connect_trial(void *user, char *error, size_t error_size)
{
    struct vm *vm = user;
    return compositor_connect(&vm->context, error, error_size);
}

int vm_init(struct vm *vm, struct loop *loop, const struct host_config *config,
            const struct vm_config *vm_config, struct log_subject *subject,
            const struct vm_ops *ops, void *user)
{
    uint64_t ticks = (uint64_t)config->peer_timeout_s * 1000 / LINK_TICK_MS;
    *vm = (struct vm){.loop = loop,
                      .config = vm_config,
                      .subject = subject,
                      .ops = ops,
                      .user = user,
                      .silent_max = ticks < 1 ? 1 : (unsigned)ticks};
    deliveries_init(&vm->deliveries, ops->changed, user);
    compositor_context_init(&vm->context, config->compositor, vm_config, subject);
    vm->party = (struct carrier_party){.deliveries = &vm->deliveries,
                                       .budget = budget_create(NULL),
                                       .queue = vm_config->limits.queue};
    if (!vm->party.budget)
        return -ENOMEM;
    uint64_t fds = fd_raise_limit(), own = OWN_FDS + FDS_OF_A_SESSION * vm_config->limits.daemons;
    fds = fds > own ? fds - own : 0;
    vm->party.budget->limit[BUDGET_MEMORY] = vm_config->limits.memory;
    vm->party.budget->limit[BUDGET_FDS] = vm_config->limits.fds < fds ? vm_config->limits.fds : fds;
    if (vm_config->gpu && vm_config->dmabuf != DMABUF_NO &&
        !(vm->trials = trials_create(loop, connect_trial, vm, subject)))
        return -ENOMEM;
    return vm_services_init(&vm->services, config, vm_config, vm);
}

void vm_finish(struct vm *vm)
{
    vm_services_finish(&vm->services);
    deliveries_finish(&vm->deliveries);
    budget_unref(vm->party.budget);
    trials_destroy(vm->trials);
    compositor_context_finish(&vm->context);
}
