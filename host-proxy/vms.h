/* SPDX-License-Identifier: MIT */
#pragma once
/* vms: the virtual machines that we know, who of them is there, and what they may have. */
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/carrier/deliveries.h"
#include "common/carrier/ends.h"
#include "common/transport/token.h"
#include "host-proxy/compositor.h"
#include "host-proxy/config.h"
#include "protocol/frames.h"

struct handles;
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
};

struct vm {
    struct vms *vms;
    const struct vm_config *config;
    struct log_subject subject;
    char label[80];
    struct token token;
    bool has_token;
    struct link *control;       /* its guest daemon; NULL: not there */
    uint8_t key[LINK_KEY_SIZE]; /* the session's */
    uint32_t version;           /* of the link protocol, as agreed */
    struct loop_timer *tick;
    unsigned missed; /* ticks without a word */
    bool heard, silent;
    unsigned silent_max; /* ticks after which it is dropped */
    struct carrier_party party;
    struct deliveries deliveries;
    LIST_HEAD(, vm_client) clients;
    unsigned clients_n;
    unsigned long serial;
    unsigned waiting; /* connections that have not proven anything */
    struct compositor_context context;
    struct handles *handles; /* its GPU device; NULL: none is configured */
    struct trials *trials;   /* then: what the compositor takes as a dmabuf; NULL: nobody asks */
};

struct vms {
    struct loop *loop;
    const struct host_config *config;
    struct budget *whole; /* what all of them share */
    struct vm *at;
    size_t n;
};

/* One struct vm per configured VM; tokens are read. 0 or -errno, said in the log. */
int vms_init(struct vms *vms, struct loop *loop, const struct host_config *config);
void vms_finish(struct vms *vms);
struct vm *vms_find(struct vms *vms, const struct vm_config *config);

/* A control connection that proved itself (@link is taken): the session before it ends. @features:
 * the guest's. @label: what the guest calls itself. */
void vm_begin(struct vm *vm, struct link *link, uint32_t version, uint32_t features,
              const char *label);
/* @client has its ops, and leaves before it goes. */
void vm_join(struct vm *vm, struct vm_client *client);
void vm_leave(struct vm *vm, struct vm_client *client);
