/* SPDX-License-Identifier: MIT */
#pragma once
/* packetq: what still has to go out on a socket that keeps packets apart: each with its
 * descriptors, empty ones as well. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"

struct budget;
struct packet;

#define PACKET_MAX (4u << 20) /* bytes of one */

struct packetq {
    STAILQ_HEAD(, packet) packets;
    struct packet *filling; /* whose end has not come; NULL: none */
    uint64_t waiting;       /* bytes of whole packets, and one for each */
    bool introduced;        /* the first is out: it had our credentials */
    struct budget *budget;  /* pays for what is here (borrowed); NULL: nobody counts */
};

void packetq_init(struct packetq *q, struct budget *budget);
void packetq_finish(struct packetq *q);
/* A part of the packet that is being filled, which begins with the first: its descriptors (taken)
 * and bytes; with @end it is whole. 0; -EMSGSIZE: it gets larger than PACKET_MAX; as budget_take();
 * or -ENOMEM. */
int packetq_add(struct packetq *q, const void *bytes, size_t size, const int *fds, unsigned fds_n,
                bool end);
/* Sends what @socket takes. 0: all out; -EAGAIN; other -errno: the connection is lost. */
int packetq_flush(struct packetq *q, int socket);
