/* SPDX-License-Identifier: MIT */
#pragma once
/* carrier-state: where a connection is between its beginning and its end, what moves it on, and
 * what waits to go out meanwhile. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/base/slice.h"
#include "common/carrier/ends.h"
#include "common/carrier/gpu-memory.h"
#include "common/carrier/vfds.h"

/* Either end may end first. carrier-state.c has the legal moves between these. */
enum carrier_state {
    CARRIER_OPEN,
    CARRIER_LOCAL_ENDED,   /* the local end is closed, and the other proxy was told (END) */
    CARRIER_PEER_ENDED,    /* END came; what is queued for the local end still goes out */
    CARRIER_DRAINING,      /* both have ended; streams go on until they are done */
    CARRIER_AWAITING_PEER, /* guest: nothing is left; the host is to close the link */
    CARRIER_LAST_WORDS,    /* guest: the local end broke its protocol, and is being told; as if it
                              had ended, but for what it has still to read */
    CARRIER_FAILING,       /* ended by ends_fail(): nothing is read, last words go out */
    CARRIER_RELEASING,     /* guest, failed: the host closes the link before we free what it sees */
    CARRIER_FINISHED,      /* ended() is on its way, or was called */
    _CARRIER_STATE_N
};

/* What one costs as long as it is there. */
#define CARRIER_FDS 2                  /* the local socket's and the link's */
#define CARRIER_MEMORY (2 * SENDQ_OWN) /* their queues' */

struct carrier_ops {
    /* Bytes of the local side. Returns how many at the end are left over: of an incomplete message,
     * or one that waits. */
    size_t (*from_local)(void *user, const uint8_t *bytes, size_t size);
    /* A frame of the user's own type. 0, or negative after ends_fail(). */
    int (*from_link)(void *user, const uint8_t *payload, size_t size);
    /* guest: whether the other side may write these bytes of a client's memory. NULL: it may not.
     */
    bool (*writable)(void *user, const struct memory *memory, uint64_t offset, uint64_t end);
    /* guest: the local side is to hear why it is disconnected: queues that, for ends.local. */
    void (*tell)(void *user, const struct carrier_error *error);
    /* Everything is over: carrier_finish(), from here. Called from the loop, once. */
    void (*ended)(void *user);

    /* A user that reads its local side itself, and gives credit for what goes there, has these
     * three; the others' local side is read for them, and queues that get long end a connection or
     * hold the link. */
    /* The local side can be read. */
    void (*readable)(void *user);
    /* Any other frame. 0, negative after ends_fail(), or -ENOTSUP: it is not the user's. */
    int (*frame)(void *user, enum link_type type, const uint8_t *payload, size_t size);
    /* What waited for the local side, or for the link, may have gone out. */
    void (*flowed)(void *user);

    const char *name;               /* of the user's protocol, for the log */
    const char *local[2];           /* what is at the local end, by side */
    enum link_type type;            /* of the user's frames */
    uint32_t codes[_LINK_ERROR_N];  /* what errors of the carrier's own are in its protocol */
    struct carrier_error truncated; /* that memory is longer than its file */
};

struct carrier {
    struct ends ends;
    struct vfds vfds;
    struct gpu_memory gpu;
    enum carrier_state state;
    const struct carrier_ops *ops;
    void *user;
    struct loop_timer *timer; /* how long to wait for what is left to happen */
    struct loop_job settle_job, resume_job, turn_job;
    struct slice slice; /* guest: for what one read of the local side brought */
};

/* Nothing is read any more; last words may still be on their way. */
bool carrier_is_over(const struct carrier *carrier);
/* For a user that reads its local side itself: it is at its end, both ways. */
void carrier_end_local(struct carrier *carrier);
/* The same: what was queued for the link goes out, and the local side is read or not, as ends.dry
 * says now. */
void carrier_flush_link(struct carrier *carrier);
/* guest: false: the link has too much to send, or others have been waiting for this application;
 * from_local() leaves the message that it is at. */
bool carrier_has_room(struct carrier *carrier);

/* --- for the other parts of the carrier --- */

#define CARRIER_FDS_HIGH 64 /* that wait for the local end: each is one more that is open */

struct carrier *carrier_of(struct ends *ends);
void carrier_move_to(struct carrier *carrier, enum carrier_state next);
bool carrier_has_failed(const struct carrier *carrier);
bool carrier_peer_has_ended(const struct carrier *carrier);
/* Everything is over: the user destroys us when the current callback has returned. */
void carrier_over(struct carrier *carrier);
/* The local end is gone, or has been told all: the other proxy hears of it, unless it knows. */
void carrier_close_local(struct carrier *carrier);
/* Moves on whatever can move on after something ended or a queue went out; @user is the carrier. */
void carrier_settle(void *user);
void carrier_settle_later(struct carrier *carrier);
/* Whether such an error is what the local side did. */
bool carrier_blames_local(enum link_error kind);
/* ends_ops.fail */
void carrier_ends_fail(struct ends *ends, const struct carrier_error *error);
void carrier_out_of_memory(struct carrier *carrier);
/* The other proxy ended the connection: a client learns why. */
void carrier_ended_by_peer(struct carrier *carrier, const struct link_error_frame *error);
/* guest: the local side is told in our own name. */
void carrier_tell_of_ours(struct carrier *carrier, const struct carrier_error *error);
/* Sends what goes, and looks what follows from it. */
void carrier_flush_local(struct carrier *carrier);
