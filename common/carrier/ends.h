/* SPDX-License-Identifier: MIT */
#pragma once
/* ends: the two ends of one connection, a local socket here and a link there, as the modules of the
 * carrier share them, and what any of them may ask for: to end it, to charge for it, to hold the
 * local side. */
#include <stdbool.h>
#include <stdint.h>

#include "common/base/log.h"
#include "common/transport/link.h"
#include "common/transport/local-socket.h"

struct budget;
struct deliveries;
struct ends;
struct loop;
struct memory;

enum carrier_side { CARRIER_GUEST, CARRIER_HOST };

/* What the first message of the local side that was not passed on waits for. */
enum carrier_hold {
    CARRIER_HOLD_NONE,
    CARRIER_HOLD_FILE,  /* the content of its descriptor, which a thread reads */
    CARRIER_HOLD_USER,  /* whatever the carrier's user waits for */
    CARRIER_HOLD_QUEUE, /* guest: the link, to take what is queued */
    CARRIER_HOLD_TURN,  /* guest: others, whose turn it is */
};

/* Why a connection ends. */
struct carrier_error {
    enum link_error kind;
    uint32_t object, code; /* in the protocol of the carrier's user; object 0: all of it */
    const char *text;      /* for people */
    bool unblamed;         /* nothing was wrong: somebody wants it, or is gone */
    bool by_peer;          /* the other proxy's word: @object is what it calls it */
};

/* The carrier's own; nobody else answers these. */
struct ends_ops {
    void (*fail)(struct ends *ends, const struct carrier_error *error);
    /* guest: whether the other side may write these bytes of a client's memory. */
    bool (*writable)(struct ends *ends, const struct memory *memory, uint64_t offset, uint64_t end);
    void (*resumed)(struct ends *ends); /* nothing holds the local side any more */
    void (*settle)(struct ends *ends);  /* perhaps everything is over: look, but not at once */
};

/* Whose connection it is: a VM (host), or the user of the display (guest). It outlives its
 * connections. */
struct carrier_party {
    struct deliveries *deliveries; /* what readers have not taken when a connection ends */
    struct budget *budget;         /* what all that they have costs; NULL: nobody counts */
    uint64_t
        queue; /* bytes that may wait for a peer that must be kept drained, on one connection */
};

struct ends {
    enum carrier_side side;
    enum carrier_hold hold;
    bool dry; /* a user that reads by itself wants nothing of the local side now */
    struct loop *loop;
    struct link *link;         /* owned */
    struct local_socket local; /* until it is closed */
    const struct ends_ops *ops;
    const uint32_t *codes; /* by enum link_error: what an error of ours is in the user's protocol */
    struct log_subject *subject;
    const struct carrier_party *party;
    struct {          /* bytes that went over the link, for the log */
        uint64_t own; /* of the user's frames */
        uint64_t memory, streams;
        uint64_t copies; /* that MEM_COPY named instead */
        uint64_t shared; /* host: of which needed no copy either */
    } sent;
    struct { /* the same that came */
        uint64_t own, memory, streams;
    } got;
};

/* Bytes that crossed the link, of all kinds. */
struct ends_flow {
    uint64_t sent, got;
};
void ends_flow_add(struct ends_flow *flow, const struct ends *ends);

/* There is (still) somebody at the local end. */
bool ends_has_local(const struct ends *ends);

/* Ends the connection, if nothing has before. All return -EPROTO. */
int ends_fail(struct ends *ends, const struct carrier_error *error);
/* With the user's code for an error of that kind. */
int ends_failf(struct ends *ends, enum link_error kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Where nothing was wrong with it, but somebody wants it to end, or what it needs is gone. */
int ends_overf(struct ends *ends, enum link_error kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The other proxy broke the link's protocol, about VFD or import @id. */
int ends_broken(struct ends *ends, const char *what, uint32_t id);
/* A frame that link_…_decode() refused with @error. */
int ends_malformed(struct ends *ends, enum link_type type, int error);

/* @what could not be had: @error is budget_take()'s, for which the party's limit is named, or
 * another -errno. */
int ends_scarce(struct ends *ends, const char *what, int error);

/* Nothing more is read from the local side until ends_resume() with the same reason, which comes
 * from the loop. */
void ends_hold(struct ends *ends, enum carrier_hold why);
void ends_resume(struct ends *ends, enum carrier_hold why);
