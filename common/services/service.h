/* SPDX-License-Identifier: MIT */
#pragma once
/* service: a connection to a service on a carrier: bytes and descriptors of any protocol, both
 * ways.
 */
#include "common/carrier/carrier.h"
#include "common/services/inflow.h"
#include "common/services/service-messages.h"
#include "common/services/outflow.h"
#include "common/services/settings.h"

struct service;

struct service_ops {
    void (*ended)(struct service *service); /* everything is over: service_destroy() */
};

struct service {
    struct carrier carrier;
    struct messages messages;
    struct outflow out;
    struct inflow in;
    const struct service_settings *settings;
    const struct service_ops *ops;
    void *user;
};

/* Takes @local_fd and @link. @settings (borrowed) as the host's configuration has them; on the
 * guest's side only name, direction and type are looked at, and the host says the rest. NULL:
 * errno. */
struct service *service_create(struct loop *loop, enum carrier_side side, int local_fd,
                               struct link *link, const struct carrier_party *party,
                               const struct service_settings *settings,
                               const struct service_ops *ops, void *user,
                               struct log_subject *subject);
/* Reads what came already. On the host, says first what may be carried. */
void service_start(struct service *service);
void service_destroy(struct service *service); /* accepts NULL */
