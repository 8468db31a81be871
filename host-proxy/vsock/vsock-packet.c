/* SPDX-License-Identifier: MIT */
/* vsock-packet: owns nothing. A header is decoded from a copy, so that the guest cannot change it
 * after it was checked. */
#include "host-proxy/vsock/vsock-packet.h"

#include <endian.h>
#include <string.h>

_Static_assert(sizeof(struct virtio_vsock_hdr) == VSOCK_HEADER_SIZE, "the header on the wire");

const char *vsock_rule_name(enum vsock_rule rule)
{
    static const char *const names[_VSOCK_RULE_N] = {
        [VSOCK_RULE_NONE] = "none",     [VSOCK_RULE_HEADER] = "header",
        [VSOCK_RULE_SOURCE] = "source", [VSOCK_RULE_DESTINATION] = "destination",
        [VSOCK_RULE_TYPE] = "type",     [VSOCK_RULE_OP] = "op",
        [VSOCK_RULE_SIZE] = "size",     [VSOCK_RULE_STATE] = "state",
        [VSOCK_RULE_CREDIT] = "credit", [VSOCK_RULE_FLAGS] = "flags",
    };
    return names[rule];
}

void vsock_packet_encode(const struct vsock_packet *p, uint8_t header[VSOCK_HEADER_SIZE])
{
    const struct virtio_vsock_hdr h = {
        .src_cid = htole64(p->src_cid),
        .dst_cid = htole64(p->dst_cid),
        .src_port = htole32(p->src_port),
        .dst_port = htole32(p->dst_port),
        .len = htole32(p->size),
        .type = htole16(p->type),
        .op = htole16(p->op),
        .flags = htole32(p->flags),
        .buf_alloc = htole32(p->room),
        .fwd_cnt = htole32(p->forwarded),
    };
    memcpy(header, &h, sizeof(h));
}

void vsock_packet_decode(const uint8_t header[VSOCK_HEADER_SIZE], struct vsock_packet *ret_packet)
{
    struct virtio_vsock_hdr h;
    memcpy(&h, header, sizeof(h));
    *ret_packet = (struct vsock_packet){
        .src_cid = le64toh(h.src_cid),
        .dst_cid = le64toh(h.dst_cid),
        .src_port = le32toh(h.src_port),
        .dst_port = le32toh(h.dst_port),
        .size = le32toh(h.len),
        .type = le16toh(h.type),
        .op = le16toh(h.op),
        .flags = le32toh(h.flags),
        .room = le32toh(h.buf_alloc),
        .forwarded = le32toh(h.fwd_cnt),
    };
}

enum vsock_rule vsock_packet_check(const struct vsock_packet *p, size_t bytes, uint64_t guest_cid,
                                   bool seqpacket)
{
    if (bytes < VSOCK_HEADER_SIZE)
        return VSOCK_RULE_HEADER;
    if (p->src_cid != guest_cid)
        return VSOCK_RULE_SOURCE;
    if (p->dst_cid != VSOCK_HOST_CID)
        return VSOCK_RULE_DESTINATION;
    if (p->type != VIRTIO_VSOCK_TYPE_STREAM &&
        !(p->type == VIRTIO_VSOCK_TYPE_SEQPACKET && seqpacket))
        return VSOCK_RULE_TYPE;
    if (p->op < VIRTIO_VSOCK_OP_REQUEST || p->op > VIRTIO_VSOCK_OP_CREDIT_REQUEST)
        return VSOCK_RULE_OP;
    if (p->size > bytes - VSOCK_HEADER_SIZE)
        return VSOCK_RULE_SIZE;
    if (p->op == VIRTIO_VSOCK_OP_SHUTDOWN && !(p->flags & VSOCK_SHUT_BOTH))
        return VSOCK_RULE_FLAGS;
    return VSOCK_RULE_NONE;
}
