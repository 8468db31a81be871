/* SPDX-License-Identifier: MIT */
#pragma once
/* guest-client: one application of the guest, from its connection to its end. */
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/carrier/deliveries.h"
#include "common/control/json.h"
#include "common/wayland/relay.h"

struct approaches;
struct loop;

struct clients {
    struct loop *loop;
    struct approaches *approaches;
    struct budget *whole; /* what all of them share */
    struct deliveries deliveries;
    LIST_HEAD(, client) all;
    unsigned n;
    unsigned long serial;
    struct log_subject subject;  /* all of them: how much they may make us write */
    void (*changed)(void *user); /* one more or less, or a delivery less */
    void *user;
};

/* 0 or -ENOMEM. */
int clients_init(struct clients *clients, struct loop *loop, struct approaches *approaches,
                 void (*changed)(void *user), void *user);
/* Nobody is connected, and nothing is left to be delivered. */
bool clients_are_done(const struct clients *clients);
/* A connection that was accepted (takes @fd): waits for the host if need be. */
void clients_accept(struct clients *clients, int fd);
/* Every client that depends on the host is told that it is gone. */
void clients_disconnect(struct clients *clients, const char *reason);
/* What people are told of each. */
json_t *clients_describe(const struct clients *clients);
void clients_finish(struct clients *clients);

/* What is done with messages here, by enum wl_hook. */
extern relay_hook *const guest_hooks[_WL_HOOK_N];
