/* SPDX-License-Identifier: MIT */
#pragma once
/* vsock-outbox: what a guest sent on one connection and its Unix socket has not taken yet. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "host-proxy/vsock/byte-ring.h"

struct vsock_outbox {
    struct byte_ring ring;
    bool messages;    /* each goes out as one: SEQPACKET */
    bool open;        /* the last message has not ended yet */
    size_t open_size; /* its bytes so far */
};

void vsock_outbox_finish(struct vsock_outbox *outbox);
/* Writes @size bytes of the @n @pieces to @fd, or keeps what it does not take; the caller bounds
 * how much. @end: with them, a message ends. Returns how many bytes have gone out, or -errno. */
ssize_t vsock_outbox_put(struct vsock_outbox *outbox, int fd, const struct iovec *pieces,
                         unsigned n, size_t size, bool end);
/* Writes what was kept, as far as @fd takes it. Returns how many bytes have gone out, or -errno. */
ssize_t vsock_outbox_flush(struct vsock_outbox *outbox, int fd);
/* Something could be written. */
bool vsock_outbox_waits(const struct vsock_outbox *outbox);
