/* SPDX-License-Identifier: MIT */
#pragma once
/* inflow: what the other side says on a service's connection, on its way to the local side, which
 * may be slow: credit is given for what it has taken. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/services/service-messages.h"

struct carrier;

struct inflow {
    struct carrier *carrier;
    struct messages *messages;
    enum service_way way;
    bool packets;
    bool at_end;     /* the other side has said all */
    bool ended;      /* and so has the local side been told */
    bool in_packet;  /* a packet's end has not come */
    uint64_t credit; /* bytes that may still come */
    uint64_t owed;   /* bytes that came, for which no credit was given again */
};

void inflow_init(struct inflow *in, struct carrier *carrier, struct messages *messages,
                 enum service_way way, bool packets);
/* DATA. 0, or negative after ends_fail(). */
int inflow_data(struct inflow *in, const uint8_t *payload, size_t size);
/* The other side's STREAM_END 0. 0, or negative after ends_fail(). */
int inflow_end(struct inflow *in);
/* What the helper has to say to the local side. */
void inflow_say(struct inflow *in);
/* The local side may have taken something: credit is queued, and the end is told. */
void inflow_flowed(struct inflow *in);
