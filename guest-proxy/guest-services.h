/* SPDX-License-Identifier: MIT */
#pragma once
/* guest-services: the sockets in the VM that lead to services of the host, and the connections to
 * them. */
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/carrier/deliveries.h"
#include "common/carrier/ends.h"
#include "common/control/json.h"
#include "common/services/settings.h"

struct approaches;
struct budget;
struct datagrams;
struct guest_runs;
struct inherited;
struct loop;
struct services;

#define GUEST_SERVICES_MAX 32

/* One that is offered here (--forward), or that the host's programs may reach (--serve). */
struct guest_service {
    struct services *owner;
    struct service_settings settings;
    struct listener *listener;   /* NULL: none */
    struct datagrams *datagrams; /* instead, of such a type */
    char path[108];              /* of its socket */
    struct ends_flow over;       /* what crossed on its connections that are over */
    bool ours; /* we made it, and remove it; no: (to-guest) somebody serves it there */
};

struct services {
    struct loop *loop;
    struct approaches *approaches;
    struct budget *whole; /* what all programs of the VM share; a reference */
    struct deliveries deliveries;
    struct guest_service at[GUEST_SERVICES_MAX];
    unsigned n;
    LIST_HEAD(, service_connection) all;
    unsigned connections;
    unsigned long serial;
    uint64_t ticket;             /* the last that we made */
    struct service_settings run; /* of what @runs serves */
    bool told;                   /* the log says that this host has no services */
    struct guest_runs *runs;     /* borrowed; NULL: the host may start nothing by way of us */
    struct log_subject subject;
    void (*changed)(void *user); /* one connection more or less, or a delivery less */
    void *user;
};

void services_init(struct services *services, struct loop *loop, struct approaches *approaches,
                   struct budget *whole, void (*changed)(void *user), void *user);
/* Offers "NAME[:TYPE][=PATH]"; where a socket of that name was handed over, there (takes it). 0 or
 * -errno with a message. */
int services_forward(struct services *services, const char *text, struct inherited *inherited,
                     char *error, size_t error_size);
/* Lets the host's programs reach "NAME[:TYPE]=PATH". 0 or -errno with a message. */
int services_serve(struct services *services, const char *text, char *error, size_t error_size);
/* Somebody there wants one of them. */
void services_incoming(struct services *services, const struct link_incoming *incoming);
/* Sets the variables by which programs find the services, for a command. */
void services_export(const struct services *services);
/* What people are told of each. */
json_t *services_describe(const struct services *services);
bool services_are_done(const struct services *services);
/* Every connection that depends on the host ends. */
void services_disconnect(struct services *services, const char *reason);
void services_finish(struct services *services);

/* Where the socket of @settings is to be, if nobody says: XDG_RUNTIME_DIR/wayvsock/NAME. 0 or
 * -errno with a message. */
int services_default_path(const struct service_settings *settings, char *path, size_t size,
                          char *error, size_t error_size);
