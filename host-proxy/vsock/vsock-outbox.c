/* SPDX-License-Identifier: MIT */
/* vsock-outbox: owns copies of what the socket did not take at once; everything else goes from the
 * guest's memory into the socket. A kept message is its size and its bytes; one that has not ended
 * is the last. */
#include "host-proxy/vsock/vsock-outbox.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <sys/socket.h>

#define KEPT_MAX (8u << 20) /* far beyond what callers let in */

void vsock_outbox_finish(struct vsock_outbox *o)
{
    byte_ring_finish(&o->ring);
    o->open = false;
    o->open_size = 0;
}

/* Bytes taken; 0: none now; or -errno. */
static ssize_t outbox_send(int fd, const struct iovec *pieces, unsigned n)
{
    const struct msghdr m = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = n};
    ssize_t sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    return sent;
}

/* Keeps what comes after the first @skip of @size bytes. */
static int outbox_keep(struct vsock_outbox *o, const struct iovec *pieces, unsigned n, size_t skip,
                       size_t size)
{
    int r = 0;
    size -= skip;
    for (unsigned i = 0; i < n && size > 0 && r == 0; i++) {
        size_t gone = skip < pieces[i].iov_len ? skip : pieces[i].iov_len;
        size_t left = pieces[i].iov_len - gone < size ? pieces[i].iov_len - gone : size;
        skip -= gone;
        size -= left;
        if (left > 0)
            r = byte_ring_put(&o->ring, (const uint8_t *)pieces[i].iov_base + gone, left, KEPT_MAX);
    }
    return r;
}

static ssize_t put_bytes(struct vsock_outbox *o, int fd, const struct iovec *pieces, unsigned n,
                         size_t size)
{
    ssize_t sent = 0;
    if (o->ring.n == 0 && size > 0)
        sent = outbox_send(fd, pieces, n < IOV_MAX ? n : IOV_MAX);
    if (sent < 0)
        return sent;
    int r = outbox_keep(o, pieces, n, (size_t)sent, size);
    return r < 0 ? r : sent;
}

static ssize_t put_message(struct vsock_outbox *o, int fd, const struct iovec *pieces, unsigned n,
                           size_t size, bool end)
{
    if (o->ring.n == 0 && end && size > 0 && n <= IOV_MAX) {
        ssize_t sent = outbox_send(fd, pieces, n);
        if (sent != 0)
            return sent;
    }
    if (!o->open && size == 0) /* an empty message would look like the end to whoever reads */
        return 0;
    int r = 0;
    if (!o->open)
        r = byte_ring_put(&o->ring, NULL, sizeof(uint32_t), KEPT_MAX);
    if (r == 0)
        r = outbox_keep(o, pieces, n, 0, size);
    if (r < 0)
        return r;
    o->open = true;
    o->open_size += size;
    if (!end)
        return 0;
    uint32_t record = (uint32_t)o->open_size;
    byte_ring_set(&o->ring, o->ring.n - o->open_size - sizeof(record), &record, sizeof(record));
    o->open = false;
    o->open_size = 0;
    return vsock_outbox_flush(o, fd);
}

ssize_t vsock_outbox_put(struct vsock_outbox *o, int fd, const struct iovec *pieces, unsigned n,
                         size_t size, bool end)
{
    return o->messages ? put_message(o, fd, pieces, n, size, end)
                       : put_bytes(o, fd, pieces, n, size);
}

bool vsock_outbox_waits(const struct vsock_outbox *o)
{
    return o->ring.n > (o->open ? sizeof(uint32_t) + o->open_size : 0);
}

ssize_t vsock_outbox_flush(struct vsock_outbox *o, int fd)
{
    struct iovec pieces[2];
    ssize_t total = 0;
    while (vsock_outbox_waits(o)) {
        uint32_t size = (uint32_t)o->ring.n, before = 0;
        if (o->messages) {
            before = sizeof(size);
            byte_ring_get(&o->ring, 0, &size, sizeof(size));
        }
        ssize_t sent = outbox_send(fd, pieces, byte_ring_pieces(&o->ring, before, size, pieces));
        if (sent < 0)
            return sent;
        if (sent == 0)
            break;
        byte_ring_drop(&o->ring, before + (size_t)sent);
        total += sent;
    }
    return total;
}
