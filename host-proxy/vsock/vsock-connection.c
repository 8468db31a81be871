/* SPDX-License-Identifier: MIT */
/* vsock-connection: owns the socket and what waits on both sides of it. Every way in (a packet, the
 * socket, buffers of the guest, the timer) notes what it learns in the fields, and ends with
 * settle(), which does what follows from them and may free the connection.
 *
 * What comes from the host waits in its socket, not here, but for one message of SEQPACKET. What
 * comes from the guest is bounded by VSOCK_ROOM, of which it is told as credit: half of it has to
 * be free before it hears of that again, or half of what the guest itself allows to be on its way
 * if that is less, since a guest that waits does not ask.
 *
 * The end: bytes that wait for the socket are delivered first, whatever the guest has shut. Only
 * then is its last SHUTDOWN answered by RST; a guest that does not wait so long is done with the
 * connection, which then is in no table any more and goes on until the socket has taken them. */
#include "host-proxy/vsock/vsock-connection.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "host-proxy/vsock/vsock-record.h"

#define APPETITE_MIN 4096u
#define FIRST_PORT (1u << 30) /* of the host's side, where the host asks */
#define OWES(op) (1u << (op))

static void settle(struct vsock_connection *c);

static struct vsock_packet packet_of(const struct vsock_connection *c, uint16_t op)
{
    return (struct vsock_packet){
        .src_cid = VSOCK_HOST_CID,
        .dst_cid = c->owner->inbox->guest_cid,
        .src_port = c->ports.host,
        .dst_port = c->ports.guest,
        .type = c->type,
        .op = op,
        .flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? c->host_shut : 0,
        .room = VSOCK_ROOM,
        .forwarded = c->forwarded,
    };
}

/* The guest got a packet, and with it the counters. */
static void has_told(struct vsock_connection *c)
{
    c->told = c->forwarded;
    c->owed &= ~OWES(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
}

static void wait_for_buffers(struct vsock_connection *c)
{
    if (!c->is_waiting)
        TAILQ_INSERT_TAIL(&c->owner->waiting, c, waiting);
    c->is_waiting = true;
}

static void stop_waiting(struct vsock_connection *c)
{
    if (c->is_waiting)
        TAILQ_REMOVE(&c->owner->waiting, c, waiting);
    c->is_waiting = false;
}

static void stop_asking(struct vsock_connection *c)
{
    if (c->state == VSOCK_ASKING || c->state == VSOCK_ASKED)
        TAILQ_REMOVE(&c->owner->asking, c, asking);
}

static void drop_message(struct vsock_connection *c)
{
    c->owner->kept -= c->message.size;
    vsock_message_drop(&c->message);
}

/* From now on there is only something to tell to the guest. */
static void let_go(struct vsock_connection *c)
{
    stop_asking(c);
    c->state = VSOCK_OVER;
    c->ended = true;
    loop_io_destroy(c->io);
    c->io = NULL;
    c->fd = fd_close(c->fd);
    c->owner->kept -= c->outbox.ring.room;
    vsock_outbox_finish(&c->outbox);
    drop_message(c);
}

/* Something is lost: the guest is told that, and nothing else. */
static void reset(struct vsock_connection *c)
{
    let_go(c);
    c->owed = OWES(VIRTIO_VSOCK_OP_RST);
}

static void leave_table(struct vsock_connection *c)
{
    if (c->in_table)
        port_table_remove(&c->ports);
    if (c->pair >= 0 && c->owner->record)
        vsock_record_remove(c->owner->record, c->pair);
    c->pair = -1;
    c->in_table = false;
    c->owed = 0;
}

static void connection_free(struct vsock_connection *c)
{
    struct vsock_connections *all = c->owner;
    let_go(c);
    leave_table(c);
    stop_waiting(c);
    TAILQ_REMOVE(&all->all, c, all);
    all->n--;
    free(c);
}

/* How much the guest takes now. */
static uint32_t guest_free(const struct vsock_connection *c)
{
    uint32_t on_its_way = c->sent - c->guest_forwarded;
    return on_its_way < c->guest_room ? c->guest_room - on_its_way : 0;
}

static uint32_t window(const struct vsock_connection *c)
{
    return c->guest_room < VSOCK_ROOM ? c->guest_room : VSOCK_ROOM;
}

/* Bytes of the guest have reached the socket (or -errno). */
static void has_forwarded(struct vsock_connection *c, ssize_t n, size_t room_before)
{
    c->owner->kept += c->outbox.ring.room - room_before;
    if (n < 0 || c->owner->kept > VSOCK_KEPT_MAX) {
        log_debug(c->owner->subject, "port %" PRIu32 " to %" PRIu32 ": %s", c->ports.guest,
                  c->ports.host, n < 0 ? strerror((int)-n) : "too much is waiting");
        reset(c);
        return;
    }
    c->forwarded += (uint32_t)n;
    if (c->forwarded - c->told >= window(c) / 2 && c->forwarded != c->told)
        c->owed |= OWES(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
}

/* The socket's other end sends no more, and perhaps takes no more either. */
static void host_ended(struct vsock_connection *c)
{
    struct pollfd p = {.fd = c->fd};
    bool both = poll(&p, 1, 0) == 1 && p.revents & POLLHUP;
    c->ended = true;
    c->host_shut = both ? VSOCK_SHUT_BOTH : VSOCK_SHUT_SEND;
    c->owed |= OWES(VIRTIO_VSOCK_OP_SHUTDOWN);
    if (both && c->outbox.ring.n > 0)
        reset(c);
    else if (both)
        let_go(c);
}

/* Gives the guest as much as it takes of the message at hand, or of the next. Bytes or -errno. */
static ssize_t pull_message(struct vsock_connection *c, struct vsock_packet *packet)
{
    struct vsock_message *m = &c->message;
    if (!m->bytes) {
        int r = vsock_message_receive(m, c->fd, c->guest_room);
        if (r <= 0)
            return r;
        c->owner->kept += m->size;
    }
    size_t left = m->size - m->done, room = guest_free(c), done = 0;
    size_t n = left < room ? left : room;
    while (done < n) {
        ssize_t put = vsock_inbox_write(c->owner->inbox, packet, m->bytes + m->done, n - done,
                                        n == left ? VSOCK_END_OF_MESSAGE : 0);
        if (put < 0) {
            wait_for_buffers(c);
            break;
        }
        done += (size_t)put;
        m->done += (size_t)put;
    }
    if (m->done == m->size)
        drop_message(c);
    return done > 0 ? (ssize_t)done : -ENOBUFS;
}

/* One turn of what the host sends. */
static void pull(struct vsock_connection *c)
{
    struct vsock_packet packet = packet_of(c, VIRTIO_VSOCK_OP_RW);
    size_t room = guest_free(c);
    if (c->state != VSOCK_OPEN || c->ended)
        return;
    c->stalled = room == 0 || c->owed & OWES(VIRTIO_VSOCK_OP_RESPONSE);
    if (c->stalled)
        return;
    size_t want = room < c->appetite ? room : c->appetite;
    ssize_t n = c->type == VIRTIO_VSOCK_TYPE_STREAM
                    ? vsock_inbox_read(c->owner->inbox, &packet, c->fd, want)
                    : pull_message(c, &packet);
    if (n > 0) {
        c->sent += (uint32_t)n;
        has_told(c);
        if ((size_t)n == want && c->appetite < VSOCK_INBOX_READ_MAX)
            c->appetite *= 2;
        else if ((size_t)n < c->appetite / 2 && c->appetite > APPETITE_MIN)
            c->appetite /= 2;
        c->stalled = c->message.bytes != NULL; /* which is not in the socket any more */
    } else if (n == 0) {
        host_ended(c);
    } else if (n == -ENOBUFS) {
        c->stalled = true;
        wait_for_buffers(c);
    } else if (n != -EAGAIN) {
        log_debug(c->owner->subject, "port %" PRIu32 " from %" PRIu32 ": %s", c->ports.guest,
                  c->ports.host, strerror((int)-n));
        reset(c);
    }
}

static void push(struct vsock_connection *c)
{
    size_t room = c->outbox.ring.room;
    has_forwarded(c, vsock_outbox_flush(&c->outbox, c->fd), room);
}

/* Does what the guest has shut, once everything before that is delivered. */
static void shut_down(struct vsock_connection *c)
{
    if (c->guest_shut & VSOCK_SHUT_RECEIVE && !c->ended) {
        c->ended = true;
        drop_message(c);
        shutdown(c->fd, SHUT_RD);
    }
    if (c->outbox.ring.n > 0)
        return;
    if (c->guest_shut & VSOCK_SHUT_SEND && !c->shut) {
        c->shut = true;
        shutdown(c->fd, SHUT_WR);
    }
    if (c->guest_shut == VSOCK_SHUT_BOTH)
        reset(c); /* which loses nothing here: it is the answer that the guest waits for */
}

/* False: there are no buffers for all of it. */
static bool tell(struct vsock_connection *c)
{
    static const uint16_t order[] = {VIRTIO_VSOCK_OP_RST, VIRTIO_VSOCK_OP_REQUEST,
                                     VIRTIO_VSOCK_OP_RESPONSE, VIRTIO_VSOCK_OP_CREDIT_UPDATE,
                                     VIRTIO_VSOCK_OP_SHUTDOWN};
    for (unsigned i = 0; i < sizeof(order) / sizeof(*order) && c->owed; i++) {
        if (!(c->owed & OWES(order[i])))
            continue;
        struct vsock_packet packet = packet_of(c, order[i]);
        if (!vsock_inbox_send(c->owner->inbox, &packet))
            return false;
        c->owed &= ~OWES(order[i]);
        has_told(c);
        if (order[i] == VIRTIO_VSOCK_OP_RST)
            leave_table(c);
    }
    return true;
}

static int watch(struct vsock_connection *c)
{
    unsigned events = 0;
    if (c->state == VSOCK_ASKED || (c->state == VSOCK_OPEN && !c->ended && !c->stalled))
        events |= LOOP_READ;
    if (c->state == VSOCK_OPEN && vsock_outbox_waits(&c->outbox))
        events |= LOOP_WRITE;
    return c->io ? loop_io_set(c->io, events) : 0;
}

static void settle(struct vsock_connection *c)
{
    if (c->state == VSOCK_OPEN)
        shut_down(c);
    if (watch(c) < 0)
        reset(c);
    if (c->in_table && !tell(c))
        wait_for_buffers(c);
    if (!c->in_table && c->state == VSOCK_OVER)
        connection_free(c);
}

/* After a chance for what was stalled. */
static void resume(struct vsock_connection *c)
{
    if (c->in_table && !tell(c))
        wait_for_buffers(c);
    else if (c->stalled)
        pull(c);
}

/* The other VM answers, or does not. */
static void hear(struct vsock_connection *c)
{
    int r = address_mux_receive(&c->mux, c->fd);
    if (r < 0)
        reset(c);
    if (r != 1)
        return;
    stop_asking(c);
    c->state = VSOCK_OPEN;
    c->owed = OWES(VIRTIO_VSOCK_OP_RESPONSE);
}

static void socket_ready(void *user, unsigned events)
{
    struct vsock_connection *c = user;
    struct vsock_inbox *inbox = c->owner->inbox;
    if (c->state == VSOCK_ASKED) {
        hear(c);
        events = 0;
    }
    if (events & LOOP_WRITE && c->state == VSOCK_OPEN)
        push(c);
    if (events & LOOP_READ && TAILQ_EMPTY(&c->owner->waiting)) {
        pull(c);
    } else if (events & LOOP_READ && c->state == VSOCK_OPEN) { /* others came first */
        c->stalled = true;
        wait_for_buffers(c);
    }
    settle(c);
    vsock_inbox_announce(inbox);
}

static void out_of_time(void *user)
{
    struct vsock_connections *all = user;
    struct vsock_connection *c;
    int64_t now = loop_now_ms();
    while ((c = TAILQ_FIRST(&all->asking)) && c->until_ms <= now) {
        reset(c);
        settle(c);
    }
    if (c)
        loop_timer_arm(all->timer, (uint64_t)(c->until_ms - now));
    vsock_inbox_announce(all->inbox);
}

int vsock_connections_init(struct vsock_connections *all, struct loop *loop,
                           struct log_subject *subject, struct vsock_inbox *inbox,
                           struct vsock_record *record)
{
    *all = (struct vsock_connections){.loop = loop,
                                      .subject = subject,
                                      .inbox = inbox,
                                      .next_port = FIRST_PORT,
                                      .record = record};
    TAILQ_INIT(&all->all);
    TAILQ_INIT(&all->waiting);
    TAILQ_INIT(&all->asking);
    all->timer = loop_timer_create(loop, out_of_time, all);
    return all->timer ? port_table_init(&all->table) : -ENOMEM;
}

void vsock_connections_clear(struct vsock_connections *all)
{
    struct vsock_connection *c;
    while ((c = TAILQ_FIRST(&all->all)))
        connection_free(c);
    loop_timer_disarm(all->timer);
}

void vsock_connections_finish(struct vsock_connections *all)
{
    vsock_connections_clear(all);
    loop_timer_destroy(all->timer);
}

struct vsock_connection *vsock_connections_find(const struct vsock_connections *all, uint32_t guest,
                                                uint32_t host)
{
    struct port_entry *e = port_table_find(&all->table, guest, host);
    return e ? (struct vsock_connection *)((char *)e - offsetof(struct vsock_connection, ports))
             : NULL;
}

/* Each once, or fewer if the buffers do not last. */
void vsock_connections_serve(struct vsock_connections *all)
{
    struct vsock_connection *c, *last = TAILQ_LAST(&all->waiting, vsock_connection_queue);
    while ((c = TAILQ_FIRST(&all->waiting))) {
        bool is_last = c == last;
        stop_waiting(c);
        resume(c);
        bool again = c->is_waiting;
        settle(c);
        if (is_last || again)
            break;
    }
    vsock_inbox_announce(all->inbox);
}

/* @fd (taken) may be -1. */
static struct vsock_connection *connection_new(struct vsock_connections *all, uint32_t guest,
                                               uint32_t host, uint16_t type, int fd)
{
    struct vsock_connection *c = all->n < VSOCK_CONNECTIONS_MAX ? calloc(1, sizeof(*c)) : NULL;
    struct loop_io *io = c && fd >= 0 ? loop_io_create(all->loop, fd, 0, socket_ready, c) : NULL;
    if (!c || (fd >= 0 && !io)) {
        free(c);
        fd_close(fd);
        return NULL;
    }
    *c = (struct vsock_connection){
        .ports = {.guest = guest, .host = host},
        .owner = all,
        .type = type,
        .in_table = true,
        .pair = -1,
        .fd = fd,
        .io = io,
        .outbox = {.messages = type == VIRTIO_VSOCK_TYPE_SEQPACKET},
        .appetite = APPETITE_MIN,
    };
    port_table_add(&all->table, &c->ports);
    TAILQ_INSERT_TAIL(&all->all, c, all);
    all->n++;
    return c;
}

/* Before the guest hears of it. */
static void note(struct vsock_connection *c)
{
    if (c->owner->record)
        c->pair = vsock_record_add(c->owner->record, c->ports.guest, c->ports.host, c->type);
}

void vsock_connections_reset_recorded(struct vsock_connections *all)
{
    for (unsigned i = 0; i < VSOCK_PAIRS_MAX; i++) {
        const struct vsock_pair *pair = &all->record->memory->pairs[i];
        if (!pair->type || vsock_connections_find(all, pair->guest, pair->host))
            continue;
        struct vsock_connection *c = connection_new(all, pair->guest, pair->host, pair->type, -1);
        if (!c)
            return;
        c->pair = (int)i;
        c->state = VSOCK_OVER;
        reset(c);
        settle(c);
    }
}

/* A guest has to answer in time. */
static void await(struct vsock_connection *c, enum vsock_connection_state state)
{
    c->state = state;
    c->until_ms = loop_now_ms() + VSOCK_ANSWER_MS;
    if (TAILQ_EMPTY(&c->owner->asking))
        loop_timer_arm(c->owner->timer, VSOCK_ANSWER_MS);
    TAILQ_INSERT_TAIL(&c->owner->asking, c, asking);
}

int vsock_connection_accept(struct vsock_connections *all, const struct vsock_packet *request,
                            int fd, bool asks)
{
    struct vsock_connection *c =
        connection_new(all, request->src_port, request->dst_port, request->type, fd);
    if (!c)
        return -EMFILE;
    c->guest_room = request->room;
    c->guest_forwarded = request->forwarded;
    if (asks) {
        await(c, VSOCK_ASKED);
    } else {
        c->state = VSOCK_OPEN;
        c->owed = OWES(VIRTIO_VSOCK_OP_RESPONSE);
    }
    note(c);
    settle(c);
    return 0;
}

int vsock_connection_ask(struct vsock_connections *all, uint32_t port, int fd)
{
    if (all->n == VSOCK_CONNECTIONS_MAX) {
        fd_close(fd);
        return -EMFILE;
    }
    do {
        all->next_port = all->next_port < UINT32_MAX - 1 ? all->next_port + 1 : FIRST_PORT;
    } while (vsock_connections_find(all, port, all->next_port));
    struct vsock_connection *c =
        connection_new(all, port, all->next_port, VIRTIO_VSOCK_TYPE_STREAM, fd);
    if (!c)
        return -ENOMEM;
    await(c, VSOCK_ASKING);
    c->owed = OWES(VIRTIO_VSOCK_OP_REQUEST);
    note(c);
    settle(c);
    vsock_inbox_announce(all->inbox);
    return 0;
}

/* The guest accepts: whoever asked hears of it, in a line of the hybrid socket. */
static void accepted(struct vsock_connection *c)
{
    char line[32];
    int n = snprintf(line, sizeof(line), "OK %" PRIu32 "\n", c->ports.host);
    stop_asking(c);
    c->state = VSOCK_OPEN;
    if (send(c->fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
        reset(c);
}

static enum vsock_rule take_data(struct vsock_connection *c, const struct vsock_packet *packet,
                                 const struct iovec *pieces, unsigned n)
{
    if (packet->size > VSOCK_ROOM - (c->received - c->forwarded))
        return VSOCK_RULE_CREDIT;
    size_t room = c->outbox.ring.room;
    bool end = packet->flags & VSOCK_END_OF_MESSAGE;
    c->received += packet->size;
    has_forwarded(c, vsock_outbox_put(&c->outbox, c->fd, pieces, n, packet->size, end), room);
    /* The guest cannot end a message for which it has no credit, and none of it is forwarded. */
    if (c->outbox.open && c->forwarded != c->told && c->received - c->told >= window(c) / 2)
        c->owed |= OWES(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    return VSOCK_RULE_NONE;
}

static enum vsock_rule take_packet(struct vsock_connection *c, const struct vsock_packet *packet,
                                   const struct iovec *pieces, unsigned n)
{
    bool open = c->state == VSOCK_OPEN;
    if (packet->type != c->type)
        return VSOCK_RULE_TYPE;
    c->guest_room = packet->room;
    c->guest_forwarded = packet->forwarded;
    switch (packet->op) {
    case VIRTIO_VSOCK_OP_RESPONSE:
        if (c->state != VSOCK_ASKING)
            return VSOCK_RULE_STATE;
        accepted(c);
        return VSOCK_RULE_NONE;
    case VIRTIO_VSOCK_OP_RW:
        if (!open || c->guest_shut & VSOCK_SHUT_SEND)
            return VSOCK_RULE_STATE;
        return take_data(c, packet, pieces, n);
    case VIRTIO_VSOCK_OP_SHUTDOWN:
        if (c->state == VSOCK_ASKING || c->state == VSOCK_ASKED)
            return VSOCK_RULE_STATE;
        c->guest_shut |= packet->flags & VSOCK_SHUT_BOTH;
        if (!open && c->guest_shut == VSOCK_SHUT_BOTH)
            reset(c);
        return VSOCK_RULE_NONE;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
        c->owed |= open ? OWES(VIRTIO_VSOCK_OP_CREDIT_UPDATE) : 0;
        return VSOCK_RULE_NONE;
    default: /* CREDIT_UPDATE; REQUEST and RST are the device's */
        return VSOCK_RULE_NONE;
    }
}

enum vsock_rule vsock_connection_take(struct vsock_connection *c, const struct vsock_packet *packet,
                                      const struct iovec *pieces, unsigned n)
{
    enum vsock_rule rule = take_packet(c, packet, pieces, n);
    if (rule != VSOCK_RULE_NONE)
        reset(c);
    else if (!c->is_waiting)
        resume(c);
    settle(c);
    return rule;
}

void vsock_connection_break(struct vsock_connection *c)
{
    reset(c);
    settle(c);
}

void vsock_connection_forget(struct vsock_connection *c)
{
    bool delivers = c->state == VSOCK_OPEN && c->guest_shut == VSOCK_SHUT_BOTH;
    leave_table(c);
    if (!delivers)
        let_go(c);
    settle(c);
}
