/* SPDX-License-Identifier: MIT */
#pragma once
/* pair: both halves of services' connections in one process, joined by links. */
#include "tests/support/send_fds.h"
#include "tests/unit/turn.h"

#include "common/carrier/deliveries.h"
#include "common/services/service.h"

/* One connection: a program at either end, and both daemons' halves between them. */
struct pair {
    struct service *guest, *host; /* NULL: ended */
    int client, server;           /* the programs' ends; -1: closed */
    struct service_settings settings;
    struct log_subject subjects[2];
    struct service_spec specs[2]; /* of a passed socket */
    LIST_ENTRY(pair) entry; /* a socket that was passed: of P.children, until both halves ended */
    uint64_t ticket;
};

struct pairs {
    struct loop *loop;
    struct carrier_party party[2];
    struct deliveries deliveries;
    int before; /* descriptors */
    /* Halves of passed sockets that the other half has not come for. */
    struct pair_waiting {
        uint64_t ticket;
        int fd;
        enum carrier_side side;
        struct service_spec spec;
    } waiting[256];
    unsigned waiting_n;
    bool held; /* nobody comes for them, until pairs_join() */
    /* Memory that is shared: what stands for the guest's GPU and the host's way to it. */
    struct {
        bool there;                /* the guest has such a GPU, and the host understands it */
        bool late;                 /* the host is not answered until pairs_answer() */
        enum link_imported_as how; /* what it is answered */
        int fds[16];               /* by resource, from 1 on; -1: dropped */
        unsigned n, asked, released;
        uint32_t resources[64]; /* by import */
        struct vfds *asking;
    } gpu;
    uint64_t last_ticket;
    LIST_HEAD(, pair) children;
};

extern struct pairs P;

int pairs_setup(void **state);
int pairs_teardown(void **state); /* nothing may be left open */
/* What the host asked for last is answered. */
void pairs_answer(uint32_t import);
/* Those that waited are joined now. */
void pairs_join(void);
/* Takes @settings. */
void pair_open(struct pair *pair, const struct service_settings *settings);
/* One half of it only: *ret_program is its program's end, *ret_link what it hears on its link. */
void pair_open_half(struct pair *pair, const struct service_settings *settings,
                    enum carrier_side side, int *ret_program, int *ret_link);
void pair_close(struct pair *pair);

/* All of @n bytes, turning the loop meanwhile. */
void pair_write(int fd, const void *bytes, size_t n);
void pair_read(int fd, void *bytes, size_t n);
/* One recvmsg() of up to @n bytes, turning until there is one; *ret_fds_n: descriptors that came,
 * up to 253. Returns as recvmsg(). */
ssize_t pair_receive(int fd, void *bytes, size_t n, int *fds, size_t *ret_fds_n);
/* Turns until @fd's other end is closed. */
void pair_until_end(int fd);
