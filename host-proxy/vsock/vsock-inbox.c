/* SPDX-License-Identifier: MIT */
/* vsock-inbox: owns the refusals that wait. Buffers are taken from the ring only to be filled at
 * once: what a read does not fill is put back, so between calls everything that was taken has been
 * given back, and a queue may stop at any time. */
#include "host-proxy/vsock/vsock-inbox.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/vhost-user/vhost-user.h"

static struct virtqueue *inbox_queue(const struct vsock_inbox *x)
{
    return x->vu ? vhost_user_running(x->vu, x->queue) : NULL;
}

/* Takes the next usable buffer as number @i. False: there is none. */
static bool inbox_take(struct vsock_inbox *x, struct virtqueue *queue, unsigned i, unsigned pieces)
{
    for (uint32_t tries = 0; tries < queue->size; tries++) {
        int r = virtqueue_pop(queue, &x->vu->ram, &x->chain);
        if (r == 0 && i == 0 && virtqueue_listen(queue))
            continue;
        if (r <= 0) {
            if (r < 0)
                vhost_user_queue_broken(x->vu, x->queue);
            return false;
        }
        if (!x->chain.bad && x->chain.out_size > VSOCK_HEADER_SIZE &&
            x->chain.n_out <= VSOCK_INBOX_PIECES_MAX - pieces) {
            memcpy(x->pieces + pieces, x->chain.out, x->chain.n_out * sizeof(*x->pieces));
            x->buffers[i].head = x->chain.head;
            x->buffers[i].first = pieces;
            x->buffers[i].n = x->chain.n_out;
            x->buffers[i].room = x->chain.out_size - VSOCK_HEADER_SIZE;
            return true;
        }
        if (i > 0) { /* it is looked at again when those before it are filled */
            virtqueue_unpop(queue, 1);
            return false;
        }
        virtqueue_push(queue, x->chain.head, 0);
        x->unannounced = true;
    }
    vhost_user_queue_broken(x->vu, x->queue); /* a ringful of nonsense */
    return false;
}

/* Where @max data bytes of buffer @i go. */
static void inbox_add_data(struct vsock_inbox *x, unsigned i, size_t max)
{
    size_t skip = VSOCK_HEADER_SIZE;
    for (unsigned k = 0; k < x->buffers[i].n && max > 0; k++) {
        const struct iovec *piece = &x->pieces[x->buffers[i].first + k];
        size_t gone = skip < piece->iov_len ? skip : piece->iov_len;
        size_t left = piece->iov_len - gone < max ? piece->iov_len - gone : max;
        skip -= gone;
        max -= left;
        if (left > 0)
            x->data[x->n_data++] = (struct iovec){(uint8_t *)piece->iov_base + gone, left};
    }
}

/* Takes buffers for @max bytes, or fewer. Returns how many. */
static unsigned inbox_gather(struct vsock_inbox *x, struct virtqueue *queue, size_t max)
{
    unsigned n = 0, pieces = 0;
    x->n_data = 0;
    while (queue && n < VSOCK_INBOX_BUFFERS_MAX && max > 0 && inbox_take(x, queue, n, pieces)) {
        size_t room = x->buffers[n].room < max ? x->buffers[n].room : max;
        inbox_add_data(x, n, room);
        pieces += x->buffers[n++].n;
        max -= room;
    }
    return n;
}

/* Gives the first of @n buffers back, filled with @size bytes in all, and lets go of the others. */
static void inbox_give(struct vsock_inbox *x, struct virtqueue *queue, unsigned n,
                       struct vsock_packet *packet, size_t size, uint32_t last_flags)
{
    uint8_t header[VSOCK_HEADER_SIZE];
    unsigned i = 0;
    do {
        packet->size = (uint32_t)(x->buffers[i].room < size ? x->buffers[i].room : size);
        size -= packet->size;
        if (size == 0)
            packet->flags |= last_flags;
        vsock_packet_encode(packet, header);
        virtqueue_scatter(x->pieces + x->buffers[i].first, x->buffers[i].n, header, sizeof(header));
        virtqueue_push(queue, x->buffers[i].head, VSOCK_HEADER_SIZE + packet->size);
    } while (++i < n && size > 0);
    virtqueue_unpop(queue, (uint16_t)(n - i));
    x->unannounced = true;
}

bool vsock_inbox_send(struct vsock_inbox *x, const struct vsock_packet *packet)
{
    struct virtqueue *queue = inbox_queue(x);
    struct vsock_packet copy = *packet;
    if (inbox_gather(x, queue, 1) == 0)
        return false;
    inbox_give(x, queue, 1, &copy, 0, 0);
    return true;
}

ssize_t vsock_inbox_read(struct vsock_inbox *x, struct vsock_packet *packet, int fd, size_t max)
{
    struct virtqueue *queue = inbox_queue(x);
    unsigned n = inbox_gather(x, queue, max);
    if (n == 0)
        return -ENOBUFS;
    ssize_t got = readv(fd, x->data, (int)x->n_data);
    if (got <= 0) {
        int r = got < 0 ? -errno : 0;
        virtqueue_unpop(queue, (uint16_t)n);
        return r == -EINTR ? -EAGAIN : r;
    }
    inbox_give(x, queue, n, packet, (size_t)got, 0);
    return got;
}

ssize_t vsock_inbox_write(struct vsock_inbox *x, struct vsock_packet *packet, const void *bytes,
                          size_t size, uint32_t last_flags)
{
    struct virtqueue *queue = inbox_queue(x);
    unsigned n = inbox_gather(x, queue, size);
    if (n == 0)
        return -ENOBUFS;
    size_t put = virtqueue_scatter(x->data, x->n_data, bytes, size);
    inbox_give(x, queue, n, packet, put, put == size ? last_flags : 0);
    return (ssize_t)put;
}

void vsock_inbox_refuse(struct vsock_inbox *x, const struct vsock_packet *packet)
{
    const struct vsock_packet answer = {
        .src_cid = VSOCK_HOST_CID,
        .dst_cid = x->guest_cid,
        .src_port = packet->dst_port,
        .dst_port = packet->src_port,
        .type = packet->type,
        .op = VIRTIO_VSOCK_OP_RST,
    };
    if (x->n_refusals == 0 && vsock_inbox_send(x, &answer))
        return;
    assert(!vsock_inbox_full(x));
    x->refusals[(x->first_refusal + x->n_refusals++) % VSOCK_INBOX_REFUSALS_MAX] = answer;
}

bool vsock_inbox_full(const struct vsock_inbox *x)
{
    return x->n_refusals == VSOCK_INBOX_REFUSALS_MAX;
}

bool vsock_inbox_flush(struct vsock_inbox *x)
{
    while (x->n_refusals > 0 && vsock_inbox_send(x, &x->refusals[x->first_refusal])) {
        x->first_refusal = (x->first_refusal + 1) % VSOCK_INBOX_REFUSALS_MAX;
        x->n_refusals--;
    }
    return x->n_refusals == 0;
}

void vsock_inbox_announce(struct vsock_inbox *x)
{
    struct virtqueue *queue = inbox_queue(x);
    if (queue && x->unannounced)
        virtqueue_notify(queue);
    x->unannounced = false;
}
