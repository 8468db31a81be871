/* SPDX-License-Identifier: MIT */
#pragma once
/* outflow: what a service's connection says over the link: bytes of its local side, with their
 * descriptors, as far as the other side gave credit. */
#include <stdbool.h>
#include <stdint.h>

#include "common/services/descriptors.h"
#include "common/services/service-messages.h"
#include "common/transport/local-reader.h"

struct carrier;

struct outflow {
    struct carrier *carrier;
    struct messages *messages;
    enum service_way way;
    bool packets;    /* boundaries are kept */
    bool opened;     /* @rules are known: descriptors may go */
    bool at_end;     /* the local side has no more to say */
    bool ended;      /* and the other side knows */
    bool busy;       /* @now is on its way */
    bool kept;       /* @now and @in are in @copy, not in the receive buffer */
    uint64_t credit; /* bytes that may still be sent */
    struct descriptor_rules rules;
    struct local_piece read;    /* the last that was read: descriptors lie here until they go */
    struct service_piece in[2]; /* what of it is not looked at yet: up to the descriptors, and on */
    struct service_piece now;   /* what goes */
    unsigned fds_i;             /* of its descriptors, those that are VFDs already */
    bool begun;                 /* they are, and are not said again */
    bool passing;               /* the helper knows that they are */
    bool synced;                /* what had changed in mirrors is ahead of it */
    uint8_t *copy, *copy_of_now;
};

void outflow_init(struct outflow *out, struct carrier *carrier, struct messages *messages,
                  enum service_way way, bool packets);
void outflow_finish(struct outflow *out);

/* The local side can be read: does it, once. */
void outflow_read(struct outflow *out);
/* Goes on with what had to wait; what came of it is queued, not sent. */
void outflow_go_on(struct outflow *out);
/* STREAM_CREDIT. 0, or negative after ends_fail(). */
int outflow_credit(struct outflow *out, uint32_t bytes);
/* Nothing of it waits, and the local side is at its end. */
bool outflow_is_done(const struct outflow *out);
