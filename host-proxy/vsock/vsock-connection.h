/* SPDX-License-Identifier: MIT */
#pragma once
/* vsock-connection: one connection between a port of the guest and a Unix socket of the host. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "common/transport/address.h"
#include "host-proxy/vsock/port-table.h"
#include "host-proxy/vsock/vsock-inbox.h"
#include "host-proxy/vsock/vsock-message.h"
#include "host-proxy/vsock/vsock-outbox.h"
#include "host-proxy/vsock/vsock-packet.h"

struct log_subject;
struct vsock_record;
struct loop;
struct loop_io;
struct loop_timer;

#define VSOCK_CONNECTIONS_MAX 1024u
#define VSOCK_ROOM (256u << 10)    /* bytes of a guest that may wait for one Unix socket */
#define VSOCK_KEPT_MAX (64u << 20) /* memory for what waits, of all connections */
#define VSOCK_ANSWER_MS 2000u      /* in which a guest answers a request to connect */

TAILQ_HEAD(vsock_connection_queue, vsock_connection);

/* All connections of a guest. */
struct vsock_connections {
    struct loop *loop;
    struct log_subject *subject;
    struct vsock_inbox *inbox;
    struct port_table table;
    struct vsock_connection_queue all;
    struct vsock_connection_queue waiting; /* for buffers of the guest, in turns */
    struct vsock_connection_queue asking;  /* a guest to accept, in order */
    struct loop_timer *timer;              /* of those */
    unsigned n;
    size_t kept;
    uint32_t next_port;
    struct vsock_record *record; /* borrowed, may be NULL: which there are, for the next process */
};

enum vsock_connection_state {
    VSOCK_ASKING, /* the guest has not accepted yet */
    VSOCK_ASKED,  /* another VM, by the socket, has not accepted yet */
    VSOCK_OPEN,
    VSOCK_OVER, /* there is no socket any more; the guest is told, or confirms */
};

struct vsock_connection {
    struct port_entry ports;
    TAILQ_ENTRY(vsock_connection) all, waiting, asking;
    struct vsock_connections *owner;
    enum vsock_connection_state state;
    uint16_t type;
    bool in_table;   /* not in there: the guest is done with it, its last bytes are still written */
    bool is_waiting; /* for buffers of the guest */
    bool stalled;    /* reads nothing, for want of those or of credit */
    bool ended;      /* nothing more is read from the socket */
    bool shut;       /* nothing more is written to it */
    unsigned owed;   /* packets that the guest has to get, a bit for each op */
    unsigned guest_shut, host_shut; /* VSOCK_SHUT_… */
    int fd;                         /* owned */
    struct loop_io *io;
    int64_t until_ms;       /* while ASKING or ASKED */
    struct address_mux mux; /* ASKED */
    int pair;               /* in the record; -1: none */

    struct vsock_outbox outbox;
    uint32_t received, forwarded, told; /* bytes of the guest; told: the last that it heard */

    uint32_t sent, guest_forwarded, guest_room;
    size_t appetite;              /* how much is read at once */
    struct vsock_message message; /* that the guest has not got all of */
};

/* @record (borrowed) may be NULL. 0 or -errno. */
int vsock_connections_init(struct vsock_connections *all, struct loop *loop,
                           struct log_subject *subject, struct vsock_inbox *inbox,
                           struct vsock_record *record);
/* The connections in the record, which another process had, are reset as soon as the guest has
 * buffers. */
void vsock_connections_reset_recorded(struct vsock_connections *all);
/* Closes all of them; the guest is not told. */
void vsock_connections_clear(struct vsock_connections *all);
void vsock_connections_finish(struct vsock_connections *all);
/* Or NULL. */
struct vsock_connection *vsock_connections_find(const struct vsock_connections *all, uint32_t guest,
                                                uint32_t host);
/* The guest has buffers: those who waited have their turn. */
void vsock_connections_serve(struct vsock_connections *all);

/* The guest's request is granted: takes @fd (connected, non-blocking). With @asks, only when
 * "OK PORT\n" has come from there. 0 or -errno. */
int vsock_connection_accept(struct vsock_connections *all, const struct vsock_packet *request,
                            int fd, bool asks);
/* Asks the guest's port to accept @fd (taken). "OK PORT\n" is written to it when it does, and else
 * it is closed. 0 or -errno. */
int vsock_connection_ask(struct vsock_connections *all, uint32_t port, int fd);
/* A packet of the guest, which was checked by itself, with its data: whatever the rule that it
 * breaks, the guest's connection may be gone after this. */
enum vsock_rule vsock_connection_take(struct vsock_connection *c, const struct vsock_packet *packet,
                                      const struct iovec *pieces, unsigned n);
/* Ends it: both sides see a reset. It may be gone after this. */
void vsock_connection_break(struct vsock_connection *c);
/* The guest says that its side of it is gone, or makes a new connection of the same ports. */
void vsock_connection_forget(struct vsock_connection *c);
