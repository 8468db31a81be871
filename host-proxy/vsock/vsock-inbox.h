/* SPDX-License-Identifier: MIT */
#pragma once
/* vsock-inbox: the buffers that the guest has for packets of the host. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/vhost-user/virtqueue.h"
#include "host-proxy/vsock/vsock-packet.h"

struct vhost_user;

#define VSOCK_INBOX_READ_MAX (64u << 10) /* bytes of one connection at once */
#define VSOCK_INBOX_BUFFERS_MAX 32u      /* for them */
#define VSOCK_INBOX_PIECES_MAX 256u
#define VSOCK_INBOX_REFUSALS_MAX 64u

struct vsock_inbox {
    struct vhost_user *vu; /* borrowed; NULL: there is no guest */
    unsigned queue;
    uint64_t guest_cid;
    bool unannounced; /* the guest has packets that it was not told of */
    struct {
        uint16_t head;
        unsigned first, n; /* of the pieces */
        size_t room;       /* for data */
    } buffers[VSOCK_INBOX_BUFFERS_MAX];
    struct iovec pieces[VSOCK_INBOX_PIECES_MAX], data[VSOCK_INBOX_PIECES_MAX];
    unsigned n_data;
    struct vsock_packet refusals[VSOCK_INBOX_REFUSALS_MAX]; /* that found no buffer */
    unsigned first_refusal, n_refusals;
    struct virtqueue_chain chain; /* scratch */
};

/* Gives the guest a packet without data. False: there is no buffer; a kick of the queue tells of
 * new ones. */
bool vsock_inbox_send(struct vsock_inbox *inbox, const struct vsock_packet *packet);
/* Gives it what can be read from @fd, at most @max bytes, in packets that are all like @packet but
 * for their size. The number of bytes, 0 at the end; -EAGAIN; -ENOBUFS: no buffer, as above; or
 * -errno. */
ssize_t vsock_inbox_read(struct vsock_inbox *inbox, struct vsock_packet *packet, int fd,
                         size_t max);
/* The same with @n bytes of ours, as many as there is room for; the last packet has @last_flags if
 * that is all of them. The number of bytes, or -ENOBUFS. */
ssize_t vsock_inbox_write(struct vsock_inbox *inbox, struct vsock_packet *packet, const void *bytes,
                          size_t n, uint32_t last_flags);
/* Answers a packet with RST, later if there is no buffer. Not more than
 * VSOCK_INBOX_REFUSALS_MAX can wait. */
void vsock_inbox_refuse(struct vsock_inbox *inbox, const struct vsock_packet *packet);
/* No more packets may be looked at: there would be no way to refuse one. */
bool vsock_inbox_full(const struct vsock_inbox *inbox);
/* Refuses what waits. False: some still do. */
bool vsock_inbox_flush(struct vsock_inbox *inbox);
/* Tells the guest what it has got. */
void vsock_inbox_announce(struct vsock_inbox *inbox);
