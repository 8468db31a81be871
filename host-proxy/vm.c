/* SPDX-License-Identifier: MIT */
/* vm: owns the session. A guest daemon that is silent may be suspended, so its clients' windows
 * stay, within its quotas, until it speaks again, or a reset, the end of the connection, a new
 * control connection of the same VM, or --peer-timeout says that it will not. */
#include "host-proxy/vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/budget.h"
#include "common/base/fd.h"
#include "common/transport/link.h"
#include "common/base/loop.h"
#include "host-proxy/pixels/trials.h"
#include "host-proxy/refuse.h"

#define OWN_FDS                                                                                    \
    128 /* for what is no application's: the session, its GPU, questions to compositors */
#define SILENT_TICKS 3 /* when to say so: one more than a heartbeat may be late */

static void vm_drop_control(struct vm *vm)
{
    if (!vm->control)
        return;
    link_stop(vm->control);
    link_flush(vm->control);
    link_destroy_later(vm->control);
    vm->control = NULL;
}

/* The session ends, its clients with it. */
static void vm_end(struct vm *vm, const char *reason)
{
    if (!vm->control)
        return;
    log_info(vm->subject, "gone: %s (%u clients)", reason, vm->clients_n);
    vm_drop_control(vm);
    explicit_bzero(vm->key, sizeof(vm->key));
    loop_timer_disarm(vm->tick);
    struct vm_client *c, *after;
    LIST_FOREACH_SAFE (c, &vm->clients, in_vm, after) {
        c->ops->disconnect(c, reason);
    }
    vm_tickets_clear(&vm->tickets);
    if (vm->handles)
        handles_end(vm->handles);
    vm->ops->changed(vm->user);
}

static void gpu_probe(void *user, const uint8_t nonce[LINK_NONCE_SIZE])
{
    struct vm *vm = user;
    if (!vm->control)
        return;
    link_queue(vm->control, link_probe_encode, nonce);
    link_flush(vm->control);
}

static void gpu_bound(void *user, bool bound, const char *why)
{
    struct vm *vm = user;
    if (!vm->control)
        return;
    link_queue(vm->control, link_bound_encode, bound, why);
    link_flush(vm->control);
}

static void gpu_had(void *user, const uint8_t device[HANDLES_DEVICE_SIZE])
{
    const struct vm *vm = user;
    vm->ops->had(vm->user, device);
}

static bool gpu_anothers(void *user, const uint8_t device[HANDLES_DEVICE_SIZE])
{
    const struct vm *vm = user;
    return vm->ops->anothers(vm->user, device);
}

static const struct handles_ops handles_ops = {
    .probe = gpu_probe, .bound = gpu_bound, .had = gpu_had, .anothers = gpu_anothers};

static int vm_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    struct vm *vm = user;
    uint64_t serial;
    uint32_t resource;
    struct link_error_frame error;
    char reason[LINK_TEXT_MAX + 32];
    vm->heard = true;
    if (vm->silent) {
        log_info(vm->subject, "is back after %u missed heartbeats", vm->missed);
        vm->silent = false;
    }
    if (type == LINK_PING && link_ping_decode(payload, size, &serial) == LINK_OK) {
        link_answer_ping(vm->control, serial);
        if (sendq_size(&vm->control->out) > vm->config->limits.queue) {
            vm_end(vm, "it does not read what it asks for");
            return -EPROTO;
        }
        return 0;
    }
    if (type == LINK_PROBED && vm->handles &&
        link_probed_decode(payload, size, &resource) == LINK_OK &&
        handles_probed(vm->handles, resource) == 0)
        return 0;
    struct link_rejected rejected;
    if (type == LINK_REJECTED && link_rejected_decode(payload, size, &rejected) == LINK_OK) {
        vm_tickets_reject(&vm->tickets, &rejected);
        return 0;
    }
    if (type == LINK_ERROR && link_error_decode(payload, size, &error) == LINK_OK)
        snprintf(reason, sizeof(reason), "it said: %.*s", (int)error.text_size, error.text);
    else
        snprintf(reason, sizeof(reason), "it sent an unexpected or malformed %s frame",
                 link_type_name(type));
    vm_end(vm, reason);
    return -EPROTO;
}

static void vm_closed(void *user, int reason, unsigned type)
{
    char text[128];
    if (reason > 0)
        snprintf(text, sizeof(text), "it sent a malformed %s frame: %s", link_type_name(type),
                 link_decode_error_name(reason));
    else
        snprintf(text, sizeof(text), "%s", reason ? strerror(-reason) : "it closed the connection");
    vm_end(user, text);
}

static const struct link_ops link_ops = {.frame = vm_frame, .closed = vm_closed};

static void vm_ticked(void *user)
{
    struct vm *vm = user;
    vm->missed = vm->heard ? 0 : vm->missed + 1;
    vm->heard = false;
    if (vm->missed == SILENT_TICKS) {
        vm->silent = true;
        log_warn(vm->subject, "is silent; its windows stay for %u s",
                 vm->silent_max * LINK_TICK_MS / 1000);
    }
    if (vm->missed >= vm->silent_max) {
        vm_end(vm, "it was silent for too long (--peer-timeout)");
        return;
    }
    loop_timer_arm(vm->tick, LINK_TICK_MS);
}

void vm_begin(struct vm *vm, struct link *link, const struct link_hello *hello)
{
    if (hello->features & LINK_FEATURE_TRIAL && vm->control) {
        refuse(link, vm->subject, LINK_ERROR_BUSY, "a daemon of this VM is connected", NULL);
        return;
    }
    vm_end(vm, "its guest daemon connected anew");
    link_adopt(link, &link_ops, vm);
    vm->control = link;
    vm->version = hello->version_max < LINK_VERSION_MAX ? hello->version_max : LINK_VERSION_MAX;
    vm->features = hello->features;
    vm->missed = 0;
    vm->heard = true;
    vm->silent = false;
    if (getrandom(vm->key, sizeof(vm->key), 0) != sizeof(vm->key)) {
        vm_end(vm, "no random numbers for a session key");
        return;
    }
    struct link_welcome welcome = {.version = (uint16_t)vm->version,
                                   .name = vm->config->name,
                                   .name_size = (uint16_t)strlen(vm->config->name)};
    memcpy(welcome.key, vm->key, sizeof(vm->key));
    welcome.features = hello->features & LINK_FEATURE_SERVICES;
    if (vm->handles && hello->features & LINK_FEATURE_HANDLES)
        welcome.features |= handles_begin(vm->handles) ? LINK_FEATURE_HANDLES : 0;
    else if (vm->handles)
        log_info(vm->subject, "its daemon has no virtio-gpu to offer: pixels go over the link");
    link_queue(link, link_welcome_encode, &welcome);
    explicit_bzero(&welcome, sizeof(welcome));
    loop_timer_arm(vm->tick, LINK_TICK_MS);
    if (hello->label_size)
        log_info(vm->subject, "connected (its host name: %.*s)", (int)hello->label_size,
                 hello->label);
    else
        log_info(vm->subject, "connected (its host name: none)");
    link_flush(link);
}

static bool same_key(const uint8_t *a, const uint8_t *b)
{
    uint8_t different = 0;
    for (size_t i = 0; i < LINK_KEY_SIZE; i++)
        different |= a[i] ^ b[i];
    return !different;
}

const char *vm_refuses_client(const struct vm *vm, const struct link_hello *hello)
{
    if (!vm->control)
        return "a client's connection without a session";
    if (hello->proof_kind != LINK_PROOF_KEY || !same_key(hello->proof, vm->key))
        return "a client's connection without the session's key";
    return NULL;
}

bool vm_is_idle(const struct vm *vm)
{
    return !vm->control && LIST_EMPTY(&vm->clients) && deliveries_are_done(&vm->deliveries);
}

void vm_join(struct vm *vm, struct vm_client *c)
{
    LIST_INSERT_HEAD(&vm->clients, c, in_vm);
    vm->clients_n += !c->uncounted;
}

void vm_leave(struct vm *vm, struct vm_client *c)
{
    LIST_REMOVE(c, in_vm);
    vm->clients_n -= !c->uncounted;
    vm->ops->changed(vm->user);
}

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
    vm->tick = loop_timer_create(loop, vm_ticked, vm);
    if (!vm->party.budget || !vm->tick)
        return -ENOMEM;
    uint64_t fds = fd_raise_limit();
    fds = fds > OWN_FDS ? fds - OWN_FDS : 0;
    vm->party.budget->limit[BUDGET_MEMORY] = vm_config->limits.memory;
    vm->party.budget->limit[BUDGET_FDS] = vm_config->limits.fds < fds ? vm_config->limits.fds : fds;
    if (vm_config->gpu &&
        !(vm->handles = handles_create(loop, vm_config->gpu, subject, &handles_ops, vm)))
        return -ENOMEM;
    if (vm->handles && vm_config->dmabuf != DMABUF_NO &&
        !(vm->trials = trials_create(loop, connect_trial, vm, subject)))
        return -ENOMEM;
    vm->tickets = (struct vm_tickets){.loop = loop, .subject = subject};
    int e = vm_services_init(&vm->services, config, vm_config, vm);
    if (e < 0)
        return e;
    return 0;
}

void vm_finish(struct vm *vm)
{
    if (vm->control)
        link_destroy(vm->control);
    while (!LIST_EMPTY(&vm->clients))
        LIST_FIRST(&vm->clients)->ops->destroy(LIST_FIRST(&vm->clients));
    vm_tickets_clear(&vm->tickets);
    vm_services_finish(&vm->services);
    deliveries_finish(&vm->deliveries);
    budget_unref(vm->party.budget);
    trials_destroy(vm->trials);
    handles_destroy(vm->handles);
    loop_timer_destroy(vm->tick);
    compositor_context_finish(&vm->context);
    explicit_bzero(vm->key, sizeof(vm->key));
}
