/* SPDX-License-Identifier: MIT */
#pragma once
/* service: a connection to a service on a carrier: bytes and descriptors of any protocol, both
 * ways.
 */
#include "common/carrier/carrier.h"
#include "common/carrier/tree.h"
#include "common/carrier/vfd-event.h"
#include "common/carrier/vfd-mirror.h"
#include "common/carrier/vfd-shared.h"
#include "common/carrier/vfd-socket.h"
#include "common/services/activations.h"
#include "common/services/inflow.h"
#include "common/services/service-messages.h"
#include "common/services/outflow.h"
#include "common/services/settings.h"

struct service;
struct service_spec;

struct service_ops {
    void (*ended)(struct service *service); /* everything is over: service_destroy() */
    /* A new ticket, as vfd_sockets.ticket. */
    uint64_t (*ticket)(struct service *service);
    /* guest: as activations.ahead; NULL: the clocks are the same. */
    int64_t (*ahead)(struct service *service);
    /* A socket was passed: @fd (taken) is the local side of a connection of its own, which @spec
     * (taken; its settings outlive it) describes. 0, or negative after ends_fail() of this one. */
    int (*socket)(struct service *service, uint64_t ticket, int fd,
                  const struct service_spec *spec);
    /* Memory that can be shared; NULL: none can. */
    const struct vfd_sharing_ops *sharing;
};

/* One connection of a service. */
struct service_spec {
    const struct service_settings *settings;
    enum link_socket_type type;
    const struct service_helper_ops
        *helper;       /* host: of what is spoken there; NULL: nothing is known */
    unsigned depth;    /* how many sockets deep one may go from here */
    bool shares;       /* host: the other side understands SHARING */
    struct tree *tree; /* of the tree that it is in (a reference); NULL: it begins one */
    uint64_t ticket;   /* of the socket that it is; 0: none */
};
/* The connection to the service itself. */
struct service_spec service_spec_of(const struct service_settings *settings);
/* Whoever has one of a passed socket, when that is over or does not come about. */
void service_spec_finish(struct service_spec *spec);

struct service {
    struct carrier carrier;
    struct messages messages;
    struct outflow out;
    struct inflow in;
    struct service_spec spec;
    struct vfd_sockets sockets;
    struct branch branch;
    struct vfd_mirrors mirrors;
    struct vfd_events events;
    struct vfd_sharing sharing;
    struct activations activations;
    const struct service_ops *ops;
    void *user;
};

/* Takes @local_fd and @link. On the guest's side, of the settings only name and direction are
 * looked at, and the host says the rest. NULL: errno. */
struct service *service_create(struct loop *loop, enum carrier_side side, int local_fd,
                               struct link *link, const struct carrier_party *party,
                               const struct service_spec *spec, const struct service_ops *ops,
                               void *user, struct log_subject *subject);
/* Reads what came already. On the host, says first what may be carried. */
void service_start(struct service *service);
void service_destroy(struct service *service); /* accepts NULL */
