/* SPDX-License-Identifier: MIT */
#pragma once
/* uplink: the control connection to the host: who we are, the session key, heartbeats, clocks.
 * Comes back by itself. */
#include <stdbool.h>
#include <stdint.h>

#include "common/transport/address.h"
#include "common/base/log.h"
#include "common/transport/token.h"
#include "guest-proxy/times.h"
#include "protocol/frames.h"

struct gpu;
struct link;
struct loop;

struct uplink_config {
    const struct address *address; /* borrowed for the uplink's life */
    const struct token *token;     /* NULL: none */
    bool no_auth;                  /* do not try to prove anything */
    bool trial;                    /* not to end the session of a daemon that is connected */
    bool services;                 /* some are wanted */
    struct gpu *gpu;               /* borrowed; NULL: none */
};

struct uplink_ops {
    void (*ready)(void *user); /* clients may connect */
    void (*lost)(void *user,
                 const char *reason); /* after ready: every client's connection is void */
    /* Somebody on the host connected to a service of ours; NULL: nobody may. */
    void (*incoming)(void *user, const struct link_incoming *incoming);
    void (*failed)(
        void *user,
        const char *reason); /* an attempt to connect failed; the next one is scheduled */
};

struct uplink;

/* Starts at once. NULL: errno. */
struct uplink *uplink_create(struct loop *loop, const struct uplink_config *config,
                             const struct uplink_ops *ops, void *user);
void uplink_destroy(struct uplink *uplink); /* accepts NULL */
bool uplink_ready(const struct uplink *uplink);
/* A trial that failed because the host has no place for another daemon: all else is there. */
bool uplink_busy(const struct uplink *uplink);
/* What the host is told that applications find us by (a path, borrowed; NULL: nothing), from the
 * next connection on. */
void uplink_set_display(struct uplink *uplink, const char *path);
/* Somebody waits: do not sit out the back-off. */
void uplink_hurry(struct uplink *uplink);
/* After ready: this host knows of services. */
bool uplink_has_services(const struct uplink *uplink);
/* The answer to an incoming(): nobody serves that, for this reason. */
void uplink_reject(struct uplink *uplink, uint64_t ticket, const char *why);
const struct times *uplink_times(const struct uplink *uplink);
/* What the host calls this VM; after ready. */
const char *uplink_vm_name(const struct uplink *uplink);
const struct address *uplink_address(const struct uplink *uplink);
/* NULL: none. */
struct gpu *uplink_gpu(const struct uplink *uplink);
/* Queues the HELLO of a client's or service's connection. @label: the client, for the host's log.
 */
void uplink_client_hello(const struct uplink *uplink, struct link *link, enum link_role role,
                         const char *label);
