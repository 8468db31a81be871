/* SPDX-License-Identifier: MIT */
#pragma once
/* session: one guest daemon of a VM, from its HELLO until it is gone: its control connection, the
 * key that its clients show, and its way to the VM's GPU. */
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/control/json.h"
#include "host-proxy/vm-tickets.h"
#include "protocol/frames.h"

struct handles;
struct link;
struct loop_timer;
struct vm;

/* One application's connection, as its session sees it; embedded first in who has it. */
struct session_client {
    const struct session_client_ops {
        void (*disconnect)(struct session_client *client, const char *reason); /* it is over */
        void (*destroy)(struct session_client *client);
    } * ops;
    LIST_ENTRY(session_client) in_session;
    bool uncounted;       /* no application's */
    unsigned long number; /* of the VM's connections; 0: it has none yet */
    int64_t since;        /* ms since 1970 */
};

struct session {
    struct vm *vm;
    LIST_ENTRY(session) in_vm;
    unsigned refs;               /* its connection's, and each client's */
    struct log_subject *subject; /* the VM's, or where there are several: */
    struct log_subject own;
    char name[32];
    char host_name[LINK_LABEL_MAX + 1];   /* as it says */
    char display[LINK_DISPLAY_MAX + 1];   /* as it says; empty: it does not */
    int64_t since;                        /* ms since 1970 */
    struct link *control;                 /* NULL: it is over */
    uint8_t key[LINK_KEY_SIZE];           /* what its clients show */
    uint8_t instance[LINK_INSTANCE_SIZE]; /* zeros: a daemon of a former version */
    uint32_t version;                     /* of the link protocol, as agreed */
    uint32_t features;                    /* of the daemon */
    struct loop_timer *tick;
    unsigned missed; /* ticks without a word */
    bool heard, silent;
    struct handles *handles; /* the VM's GPU device, as this daemon has it; NULL: it has none */
    struct vm_tickets tickets;
    LIST_HEAD(, session_client) clients;
    unsigned clients_n;
};

/* A control connection that proved itself (@link is taken, from one of its callbacks) and has a
 * place: welcomes it, and joins the VM. @name: whether the log has to tell it from others. */
void session_begin(struct vm *vm, struct link *link, const struct link_hello *hello, bool name);
/* It is over, its clients with it: they are told, and may refer to it until they leave. */
void session_end(struct session *session, const char *reason);
/* From now on the log tells it from others of the VM. */
void session_tell_apart(struct session *session);
/* What people are told of it. */
json_t *session_describe(const struct session *session);
/* At once, with its clients. */
void session_destroy(struct session *session);

/* @client has its ops, and leaves as the last thing that it does. */
void session_join(struct session *session, struct session_client *client);
void session_leave(struct session *session, struct session_client *client);
