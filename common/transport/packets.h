/* SPDX-License-Identifier: MIT */
#pragma once
/* packets: one connection of whole packets (SOCK_SEQPACKET), each with at most one descriptor. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct packets;

struct packets_ops {
    /* A packet; @bytes lives during the call. Takes @fd (-1: none). May stop or end the connection,
     * but destroys it only later (loop_later). */
    void (*received)(void *user, const uint8_t *bytes, size_t size, int fd);
    /* The same where this process had no descriptor left for the packet's, which is closed. NULL:
     * the connection ends with -EMFILE. */
    void (*bereft)(void *user, const uint8_t *bytes, size_t size);
    /* The connection is gone: 0 end of stream, -errno; -EMSGSIZE: a packet above @packet_max or
     * with several descriptors; -ENOBUFS: the peer does not read. The last call. */
    void (*closed)(void *user, int reason);
};

/* Takes @fd (connected SOCK_SEQPACKET). @packet_max: bytes of the largest packet expected;
 * @queue_max: packets that may wait for the peer to read. NULL: errno. */
struct packets *packets_create(struct loop *loop, int fd, size_t packet_max, size_t queue_max,
                               const struct packets_ops *ops, void *user);
void packets_destroy(struct packets *packets); /* accepts NULL */
/* The same once the current callback has returned: for the connection's own callbacks. */
void packets_destroy_later(struct packets *packets);

/* Sends a packet, now or when the peer reads. Takes @fd (-1: none). A failure ends the connection,
 * from the loop. */
void packets_send(struct packets *packets, const void *bytes, size_t size, int fd);
/* Nothing more is delivered. */
void packets_stop(struct packets *packets);
