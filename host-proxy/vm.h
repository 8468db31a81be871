/* SPDX-License-Identifier: MIT */
#pragma once
/* vm: one virtual machine, whether it is there, and what it may have. A process has one. */
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
#include "host-proxy/vm-tickets.h"
#include "protocol/frames.h"

struct link;
struct loop;
struct loop_timer;
struct trials;

/* One application's connection, as its VM sees it; embedded first in who has it. */
struct vm_client {
    const struct vm_client_ops {
        void (*disconnect)(struct vm_client *client, const char *reason); /* the VM is gone */
        void (*destroy)(struct vm_client *client);
    } * ops;
    LIST_ENTRY(vm_client) in_vm;
    bool uncounted; /* no application's */
};

struct vm_ops {
    void (*changed)(void *user); /* vm_is_idle() may have another answer; called from anywhere */
    /* As handles_ops has them. */
    void (*had)(void *user, const uint8_t device[HANDLES_DEVICE_SIZE]);
    bool (*anothers)(void *user, const uint8_t device[HANDLES_DEVICE_SIZE]);
};

struct vm {
    struct loop *loop;
    const struct vm_config *config;
    struct log_subject *subject; /* borrowed */
    const struct vm_ops *ops;
    void *user;
    struct link *control;       /* its guest daemon; NULL: not there */
    uint8_t key[LINK_KEY_SIZE]; /* the session's */
    uint32_t version;           /* of the link protocol, as agreed */
    uint32_t features;          /* of its guest daemon */
    struct loop_timer *tick;
    unsigned missed; /* ticks without a word */
    bool heard, silent;
    unsigned silent_max; /* ticks after which it is dropped */
    struct carrier_party party;
    struct deliveries deliveries;
    LIST_HEAD(, vm_client) clients;
    unsigned clients_n;
    struct vm_services services;
    struct vm_tickets tickets;
    unsigned long serial;
    struct compositor_context context;
    struct handles *handles; /* its GPU device; NULL: none is configured */
    struct trials *trials;   /* then: what the compositor takes as a dmabuf; NULL: nobody asks */
};

/* 0 or -errno; then only vm_finish() is allowed. */
int vm_init(struct vm *vm, struct loop *loop, const struct host_config *config,
            const struct vm_config *vm_config, struct log_subject *subject,
            const struct vm_ops *ops, void *user);
void vm_finish(struct vm *vm);

/* A control connection that proved itself (@link is taken): the session before it ends, unless
 * this one says that it is a trial. */
void vm_begin(struct vm *vm, struct link *link, const struct link_hello *hello);
/* Whether this HELLO is that of a client of the session. NULL: it is, or what is wrong. */
const char *vm_refuses_client(const struct vm *vm, const struct link_hello *hello);
/* No session, and nothing of an earlier one that has to be delivered. */
bool vm_is_idle(const struct vm *vm);
/* @client has its ops, and leaves before it goes. */
void vm_join(struct vm *vm, struct vm_client *client);
void vm_leave(struct vm *vm, struct vm_client *client);
