/* SPDX-License-Identifier: MIT */
#pragma once
/* vm: what one virtual machine has and may have, over all of its guest daemons. A process has one.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/carrier/deliveries.h"
#include "common/carrier/ends.h"
#include "host-proxy/compositor.h"
#include "host-proxy/config.h"
#include "host-proxy/pixels/handles.h"
#include "host-proxy/vm-services.h"

struct loop;
struct session;
struct session_client;
struct trials;
struct wl_message;

struct vm_ops {
    void (*changed)(void *user); /* sessions_are_over() may have another answer; from anywhere */
    /* As handles_ops has them. */
    void (*had)(void *user, const uint8_t device[HANDLES_DEVICE_SIZE]);
    bool (*anothers)(void *user, const uint8_t device[HANDLES_DEVICE_SIZE]);
    /* Has the command of the VM's service with that number started. Takes @fd, as program_keep().
     */
    void (*start_program)(void *user, uint32_t service, int fd);
};

/* Who looks on while messages pass. */
struct vm_watcher {
    bool all; /* at every application, also those to come */
    void (*message)(void *user, const struct session_client *client,
                    const struct wl_message *message, bool event);
    void *user;
};

struct vm {
    struct loop *loop;
    const struct vm_config *config;
    struct log_subject *subject; /* borrowed */
    const struct vm_ops *ops;
    void *user;
    unsigned silent_max; /* ticks after which a daemon is dropped */
    struct carrier_party party;
    struct deliveries deliveries;
    LIST_HEAD(, session) sessions; /* also those that ended and have clients that do not know yet */
    unsigned sessions_n;           /* that are connected */
    unsigned clients_n;
    struct vm_services services;
    unsigned long serial; /* of connections */
    struct compositor_context context;
    const struct vm_watcher *watcher; /* borrowed; NULL: there is none */
    struct trials *trials;            /* what the compositor takes as a dmabuf; NULL: nobody asks */
};

/* 0 or -errno; then only vm_finish() is allowed. */
int vm_init(struct vm *vm, struct loop *loop, const struct host_config *config,
            const struct vm_config *vm_config, struct log_subject *subject,
            const struct vm_ops *ops, void *user);
/* After sessions_finish(). */
void vm_finish(struct vm *vm);
