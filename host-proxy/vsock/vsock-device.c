/* SPDX-License-Identifier: MIT */
/* vsock-device: owns the connection of the hypervisor and all connections of the guest. The guest's
 * packets are handled in their order and given back before the next turn of the loop; what a Unix
 * socket does not take is copied, so that no connection holds up another. The guest's own buffers
 * bound what it gets: while it has none for refusals, none of its packets is looked at. */
#include "host-proxy/vsock/vsock-device.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/vhost-user/vhost-user.h"
#include "host-proxy/vsock/vsock-connection.h"
#include "host-proxy/vsock/vsock-inbox.h"
#include "host-proxy/vsock/vsock-record.h"

/* Then it is others' turn. */
#define BATCH_PACKETS 128
#define BATCH_BYTES (512u << 10)
/* The guest only frees memory when it hears that packets were taken, and each time that is an
 * interrupt: of so little it hears later. Of more it does at once, as it may wait for that. */
#define QUIET_PACKETS 64
#define QUIET_BYTES (16u << 10)
#define QUIET_MS 8
#define MEMORY_MS 3000 /* after which a driver's start without memory is worth a line */

enum { QUEUE_RX, QUEUE_TX, QUEUE_EVENT, QUEUES };

struct vsock_device {
    struct loop *loop;
    struct log_subject subject;
    const struct vsock_device_ops *ops;
    void *user;
    struct vhost_user *frontend;
    void (*closed)(void *user, int reason);
    void *closed_user;
    struct loop_timer *more;   /* the queue was not empty after a batch */
    struct loop_timer *quiet;  /* armed while the guest has not heard of packets that were taken */
    struct loop_timer *memory; /* armed while the driver starts and there is no memory */
    size_t quiet_packets, quiet_bytes;
    bool seqpacket; /* was negotiated */
    bool resuming;  /* what is said now was kept: it is not new */
    struct vsock_record *record;
    struct vsock_connections connections;
    struct vsock_inbox inbox;
    struct virtqueue_chain chain; /* the packet at hand */
};

/* Takes the header off the chain's pieces. */
static void skip_header(struct virtqueue_chain *chain, struct iovec **ret_pieces, unsigned *ret_n)
{
    size_t skip = VSOCK_HEADER_SIZE;
    unsigned i = 0;
    for (; i < chain->n_in && skip >= chain->in[i].iov_len; i++)
        skip -= chain->in[i].iov_len;
    if (i < chain->n_in) {
        chain->in[i].iov_base = (uint8_t *)chain->in[i].iov_base + skip;
        chain->in[i].iov_len -= skip;
    }
    *ret_pieces = chain->in + i;
    *ret_n = chain->n_in - i;
}

/* Leaves @size bytes of the pieces, which have at least so many. */
static unsigned trim(struct iovec *pieces, size_t size)
{
    unsigned n = 0;
    for (; size > 0; n++) {
        if (pieces[n].iov_len > size)
            pieces[n].iov_len = size;
        size -= pieces[n].iov_len;
    }
    return n;
}

/* A new connection, or none. */
static void take_request(struct vsock_device *d, const struct vsock_packet *packet)
{
    bool asks = false;
    int fd = d->connections.n < VSOCK_CONNECTIONS_MAX
                 ? d->ops->connect(d->user, packet->dst_port, packet->type, packet->src_port, &asks)
                 : -EMFILE;
    int r = fd < 0 ? fd : vsock_connection_accept(&d->connections, packet, fd, asks);
    if (r == 0)
        return;
    log_debug(&d->subject, "port %" PRIu32 " to %" PRIu32 " is refused: %s", packet->src_port,
              packet->dst_port, strerror(-r));
    vsock_inbox_refuse(&d->inbox, packet);
}

static enum vsock_rule take_packet(struct vsock_device *d, const struct vsock_packet *packet,
                                   enum vsock_rule rule, const struct iovec *pieces, unsigned n)
{
    struct vsock_connection *c =
        vsock_connections_find(&d->connections, packet->src_port, packet->dst_port);
    if (packet->op == VIRTIO_VSOCK_OP_RST) { /* is never answered */
        if (c)
            vsock_connection_forget(c);
        return rule;
    }
    if (rule == VSOCK_RULE_NONE && packet->op == VIRTIO_VSOCK_OP_REQUEST) {
        if (c && c->guest_shut == VSOCK_SHUT_BOTH) {
            vsock_connection_forget(c);
            c = NULL;
        }
        if (!c) {
            take_request(d, packet);
            return rule;
        }
        rule = VSOCK_RULE_STATE;
    }
    if (!c) {
        vsock_inbox_refuse(&d->inbox, packet);
        return rule;
    }
    if (rule == VSOCK_RULE_NONE)
        return vsock_connection_take(c, packet, pieces, n);
    vsock_connection_break(c);
    return rule;
}

/* Handles the chain at hand. Returns its size. */
static size_t take_chain(struct vsock_device *d)
{
    uint8_t header[VSOCK_HEADER_SIZE] = {0};
    struct vsock_packet packet;
    size_t bytes = d->chain.bad ? 0 : d->chain.in_size;
    if (bytes > 0)
        virtqueue_gather(&d->chain, header, sizeof(header));
    vsock_packet_decode(header, &packet);
    enum vsock_rule rule = vsock_packet_check(&packet, bytes, d->inbox.guest_cid, d->seqpacket);
    if (rule == VSOCK_RULE_NONE || rule > VSOCK_RULE_DESTINATION) {
        struct iovec *pieces;
        unsigned n;
        skip_header(&d->chain, &pieces, &n);
        if (rule == VSOCK_RULE_NONE)
            n = trim(pieces, packet.size);
        rule = take_packet(d, &packet, rule, pieces, n);
    }
    if (rule != VSOCK_RULE_NONE)
        log_debug(&d->subject,
                  "a packet from %" PRIu64 ":%" PRIu32 " to %" PRIu64 ":%" PRIu32
                  " breaks the rule \"%s\"",
                  packet.src_cid, packet.src_port, packet.dst_cid, packet.dst_port,
                  vsock_rule_name(rule));
    return bytes;
}

static void announce_taken(void *user)
{
    struct vsock_device *d = user;
    struct virtqueue *queue = d->frontend ? vhost_user_running(d->frontend, QUEUE_TX) : NULL;
    loop_timer_disarm(d->quiet);
    d->quiet_packets = d->quiet_bytes = 0;
    if (queue)
        virtqueue_notify(queue);
}

static void has_taken(struct vsock_device *d, size_t packets, size_t bytes)
{
    bool first = d->quiet_packets == 0;
    d->quiet_packets += packets;
    d->quiet_bytes += bytes;
    if (d->quiet_packets > QUIET_PACKETS || d->quiet_bytes > QUIET_BYTES)
        announce_taken(d);
    else if (first && packets > 0)
        loop_timer_arm(d->quiet, QUIET_MS);
}

static void take_packets(struct vsock_device *d)
{
    struct virtqueue *queue = d->frontend ? vhost_user_running(d->frontend, QUEUE_TX) : NULL;
    size_t packets = 0, bytes = 0;
    bool more = false;
    if (!queue)
        return;
    do {
        int r = 1;
        while (!vsock_inbox_full(&d->inbox)) {
            more = packets == BATCH_PACKETS || bytes >= BATCH_BYTES;
            r = more ? 0 : virtqueue_pop(queue, &d->frontend->ram, &d->chain);
            if (r < 0)
                vhost_user_queue_broken(d->frontend, QUEUE_TX);
            if (r <= 0)
                break;
            bytes += take_chain(d);
            packets++;
            virtqueue_push(queue, d->chain.head, 0);
        }
    } while (!more && !vsock_inbox_full(&d->inbox) && virtqueue_listen(queue));
    has_taken(d, packets, bytes);
    vsock_inbox_announce(&d->inbox);
    if (more)
        loop_timer_arm(d->more, 0);
}

static void take_more(void *user)
{
    take_packets(user);
}

static void on_features(void *user, uint64_t features)
{
    struct vsock_device *d = user;
    d->seqpacket = features & 1ull << VSOCK_FEATURE_SEQPACKET;
    if (d->frontend && d->frontend->ram.n == 0)
        loop_timer_arm(d->memory, MEMORY_MS);
}

static void no_memory(void *user)
{
    struct vsock_device *d = user;
    log_warn(&d->subject,
             "the hypervisor shares no memory of the VM with this device, so that it cannot work: "
             "in QEMU, give the VM -object memory-backend-memfd,id=ram,size=…,share=on -machine "
             "memory-backend=ram");
}

static void on_kick(void *user, unsigned queue)
{
    struct vsock_device *d = user;
    bool full = vsock_inbox_full(&d->inbox);
    if (queue == QUEUE_RX && vsock_inbox_flush(&d->inbox))
        vsock_connections_serve(&d->connections);
    if (queue == QUEUE_TX || (queue == QUEUE_RX && full))
        take_packets(d);
    vsock_inbox_announce(&d->inbox);
}

static void on_stopping(void *user, unsigned queue)
{
    if (queue == QUEUE_TX) /* nothing that was taken is held between calls */
        announce_taken(user);
}

static void forget_guest(struct vsock_device *d)
{
    vsock_connections_clear(&d->connections);
    d->inbox.n_refusals = 0;
    d->inbox.unannounced = false;
    loop_timer_disarm(d->more);
    loop_timer_disarm(d->quiet);
    d->quiet_packets = d->quiet_bytes = 0;
}

static void on_reset(void *user)
{
    struct vsock_device *d = user;
    if (d->connections.n > 0)
        log_info(&d->subject, "the guest's driver starts anew: %u connections are gone",
                 d->connections.n);
    forget_guest(d);
}

static void on_memory(void *user, const struct guest_ram *before)
{
    struct vsock_device *d = user; /* of which nothing is held between calls */
    (void)before;
    loop_timer_disarm(d->memory);
}

static void on_config(void *user, uint32_t offset, void *bytes, uint32_t size)
{
    const struct vsock_device *d = user;
    const struct virtio_vsock_config config = {.guest_cid = htole64(d->inbox.guest_cid)};
    if (offset < sizeof(config))
        memcpy(bytes, (const uint8_t *)&config + offset,
               size < sizeof(config) - offset ? size : sizeof(config) - offset);
}

static void on_changed(void *user)
{
    struct vsock_device *d = user;
    if (d->record && d->frontend && !d->resuming)
        vhost_user_store_save(&d->record->store, d->frontend);
}

static void on_closed(void *user, int reason)
{
    struct vsock_device *d = user;
    struct vhost_user *frontend = d->frontend;
    d->frontend = d->inbox.vu = NULL;
    forget_guest(d);
    loop_timer_disarm(d->memory);
    if (d->record)
        vhost_user_store_clear(&d->record->store);
    vhost_user_destroy(frontend);
    d->closed(d->closed_user, reason);
}

static const struct vhost_user_ops frontend_ops = {
    .features = on_features,
    .kick = on_kick,
    .stopping = on_stopping,
    .reset = on_reset,
    .memory = on_memory,
    .config = on_config,
    .changed = on_changed,
    .closed = on_closed,
};

struct vsock_device *vsock_device_create(struct loop *loop, uint32_t guest_cid,
                                         struct vsock_record *record,
                                         const struct vsock_device_ops *ops, void *user)
{
    struct vsock_device *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->loop = loop;
    d->subject = (struct log_subject){.name = "virtio-vsock"};
    d->record = record;
    d->ops = ops;
    d->user = user;
    d->inbox.guest_cid = guest_cid;
    d->inbox.queue = QUEUE_RX;
    d->more = loop_timer_create(loop, take_more, d);
    d->quiet = loop_timer_create(loop, announce_taken, d);
    d->memory = loop_timer_create(loop, no_memory, d);
    int r = d->more && d->quiet && d->memory
                ? vsock_connections_init(&d->connections, loop, &d->subject, &d->inbox, record)
                : -ENOMEM;
    if (r < 0) {
        vsock_device_destroy(d);
        errno = -r;
        return NULL;
    }
    return d;
}

void vsock_device_destroy(struct vsock_device *d)
{
    if (!d)
        return;
    d->connections.record = NULL; /* which is for the next process, if there is one */
    if (d->connections.loop)
        vsock_connections_finish(&d->connections);
    vhost_user_destroy(d->frontend);
    loop_timer_destroy(d->more);
    loop_timer_destroy(d->quiet);
    loop_timer_destroy(d->memory);
    free(d);
}

/* Takes @fd. */
static int serve(struct vsock_device *d, int fd, void (*closed)(void *user, int reason), void *user)
{
    const struct vhost_user_device description = {
        .subject = &d->subject,
        .n_queues = QUEUES,
        .driver_queue = QUEUE_RX,
        .features = 1ull << VSOCK_FEATURE_SEQPACKET,
    };
    d->closed = closed;
    d->closed_user = user;
    d->seqpacket = false;
    d->frontend = d->inbox.vu = vhost_user_create(d->loop, fd, &description, &frontend_ops, d);
    return d->frontend ? 0 : -errno;
}

int vsock_device_connect(struct vsock_device *d, int fd, void (*closed)(void *user, int reason),
                         void *user)
{
    if (d->frontend) {
        fd_close(fd);
        return -EBUSY;
    }
    return serve(d, fd, closed, user);
}

int vsock_device_resume(struct vsock_device *d, struct keeper *keeper,
                        void (*closed)(void *user, int reason), void *user)
{
    int fd = vhost_user_store_take(&d->record->store, keeper);
    int r = fd < 0 ? 0 : serve(d, fd, closed, user);
    if (fd < 0 || r < 0)
        return r;
    d->resuming = true;
    vsock_connections_reset_recorded(&d->connections);
    r = vhost_user_store_replay(&d->record->store, d->frontend, keeper);
    d->resuming = false;
    if (r == 0) {
        log_info(&d->subject, "goes on for the same guest");
        return 1;
    }
    vhost_user_destroy(d->frontend);
    d->frontend = d->inbox.vu = NULL;
    forget_guest(d);
    vhost_user_store_clear(&d->record->store);
    return r;
}

int vsock_device_ask(struct vsock_device *d, uint32_t port, int fd)
{
    if (!d->frontend || !vhost_user_running(d->frontend, QUEUE_RX)) {
        fd_close(fd);
        return -ENOTCONN;
    }
    return vsock_connection_ask(&d->connections, port, fd);
}
