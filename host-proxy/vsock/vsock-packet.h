/* SPDX-License-Identifier: MIT */
#pragma once
/* vsock-packet: the header of a virtio-vsock packet, and which rule a guest's breaks. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_vsock.h>

#define VSOCK_HEADER_SIZE 44
#define VSOCK_HOST_CID 2u
#define VSOCK_FEATURE_SEQPACKET 1 /* number of the bit */

/* Flags of an RW: the end of a SEQPACKET message. Of a SHUTDOWN, what the sender does no more. */
enum { VSOCK_END_OF_MESSAGE = 1 };
enum { VSOCK_SHUT_RECEIVE = 1, VSOCK_SHUT_SEND = 2, VSOCK_SHUT_BOTH = 3 };

/* In the machine's byte order. */
struct vsock_packet {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port;
    uint32_t size; /* bytes that follow */
    uint16_t type, op;
    uint32_t flags;
    uint32_t room;      /* how much the sender takes in all */
    uint32_t forwarded; /* how much of that it has passed on so far; wraps */
};

/* What a guest's packet breaks. The first three are of nobody's connection: they are dropped. The
 * others end the connection that they name. */
enum vsock_rule {
    VSOCK_RULE_NONE,
    VSOCK_RULE_HEADER,      /* there is a whole header */
    VSOCK_RULE_SOURCE,      /* it comes from the guest's own CID */
    VSOCK_RULE_DESTINATION, /* it goes to the host: this guest reaches no other VM */
    VSOCK_RULE_TYPE,        /* a stream, or SEQPACKET if that was negotiated; a connection's own */
    VSOCK_RULE_OP,          /* an operation that exists */
    VSOCK_RULE_SIZE,        /* as much data is there as the header says */
    VSOCK_RULE_STATE,       /* what this connection waits for */
    VSOCK_RULE_CREDIT,      /* no more than the connection has room for */
    VSOCK_RULE_FLAGS,       /* SHUTDOWN says of what */
    _VSOCK_RULE_N,
};
const char *vsock_rule_name(enum vsock_rule rule);

void vsock_packet_encode(const struct vsock_packet *packet, uint8_t header[VSOCK_HEADER_SIZE]);
void vsock_packet_decode(const uint8_t header[VSOCK_HEADER_SIZE], struct vsock_packet *ret_packet);
/* What can be told of a packet by itself. @bytes is what the guest sent, header included. */
enum vsock_rule vsock_packet_check(const struct vsock_packet *packet, size_t bytes,
                                   uint64_t guest_cid, bool seqpacket);
