/* SPDX-License-Identifier: MIT */
/* outflow: owns what was read and could not go yet: for lack of credit, or because a descriptor's
 * content is being read, or because it is not known yet what may go. Meanwhile nothing more is
 * read. Until then bytes are sent from the buffer that they were read into. */
#include "common/services/outflow.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/carrier/carrier.h"
#include "common/carrier/tree.h"
#include "common/carrier/vfd-kind.h"
#include "common/carrier/vfd-mirror.h"

#define COPY_MAX 1024 /* bytes: so few are copied behind their frame's head */
#define STREAM_MAX (LINK_READ_SIZE - LINK_HEADER_SIZE - LINK_DATA_SIZE) /* read at a time */

/* What pump() answers besides 0 and negative. */
enum { OUTFLOW_WAITS = 1 };

void outflow_init(struct outflow *o, struct carrier *carrier, struct messages *messages,
                  enum service_way way, bool packets)
{
    *o = (struct outflow){.carrier = carrier,
                          .messages = messages,
                          .way = way,
                          .packets = packets,
                          .credit = LINK_STREAM_WINDOW};
}

static void close_fds(struct outflow *o, struct service_piece *p, unsigned from)
{
    for (unsigned i = from; i < p->fds_n; i++)
        vfds_discard(&o->carrier->vfds, p->fds[i]);
    p->fds_n = 0;
}

static void drop_copies(struct outflow *o)
{
    free(o->copy);
    free(o->copy_of_now);
    o->copy = o->copy_of_now = NULL;
    o->kept = false;
}

void outflow_finish(struct outflow *o)
{
    if (o->busy)
        close_fds(o, &o->now, o->fds_i);
    o->busy = false;
    vfd_mirrors_forget(&o->carrier->vfds, o);
    descriptor_rules_finish(&o->rules, &o->carrier->vfds);
    close_fds(o, &o->in[0], 0);
    close_fds(o, &o->in[1], 0);
    drop_copies(o);
}

/* One DATA frame of @now, as long as it may be. */
static void send_part(struct outflow *o, size_t n, bool end)
{
    struct ends *e = &o->carrier->ends;
    struct link_data data = {.vfds = o->begun ? 0 : (uint16_t)o->now.fds_n,
                             .flags = end ? LINK_DATA_END : 0};
    uint8_t head[LINK_HEADER_SIZE + LINK_DATA_SIZE];
    sendq_copy(&e->link->out, head, link_data_encode(head, &data, n));
    bool stays = !o->kept && o->now.bytes >= o->read.bytes &&
                 o->now.bytes < o->read.bytes + o->read.size; /* until the queue is flushed */
    if (n <= COPY_MAX || !stays)
        sendq_copy(&e->link->out, o->now.bytes, n);
    else
        sendq_borrow(&e->link->out, o->now.bytes, n);
    o->begun = true;
    o->credit -= n;
    e->sent.own += n;
    o->now.bytes += n;
    o->now.size -= n;
}

/* @now: descriptors first, then the bytes. 0, OUTFLOW_WAITS, or negative. */
static int send_now(struct outflow *o)
{
    struct vfds *v = &o->carrier->vfds;
    if (o->fds_i < o->now.fds_n && !o->opened)
        return OUTFLOW_WAITS;
    while (o->fds_i < o->now.fds_n) {
        struct service_descriptor known;
        messages_descriptor(o->messages, o->way, o->fds_i, &known);
        int e = descriptor_send(v, &o->rules, o->now.fds[o->fds_i], &known);
        if (e == VFD_WAIT) {
            o->now.fds[o->fds_i] = -1; /* its reader has it */
            return OUTFLOW_WAITS;
        }
        o->synced = false;
        if (e < 0) {
            o->fds_i++;
            return e;
        }
        messages_sent(o->messages, o->way, o->fds_i++, o->rules.sent);
    }
    if (!o->passing) {
        int e = messages_passing(o->messages, o->way);
        if (e < 0)
            return e;
        o->passing = true;
    }
    if (!o->synced) {
        int e = vfd_mirrors_sync(v, o);
        if (e != 0)
            return e < 0 ? e : OUTFLOW_WAITS;
        o->synced = true;
    }
    do {
        size_t n = o->now.size < LINK_DATA_MAX ? o->now.size : LINK_DATA_MAX;
        if (n > o->credit)
            n = (size_t)o->credit;
        if (!n && o->now.size)
            return OUTFLOW_WAITS;
        send_part(o, n, o->packets && n == o->now.size);
    } while (o->now.size);
    return 0;
}

/* The receive buffer is somebody else's in a moment. */
static int keep(struct outflow *o)
{
    size_t size = o->in[0].size + o->in[1].size;
    if (o->kept)
        return 0;
    o->copy = malloc(size + 1);
    o->copy_of_now = malloc(o->now.size + 1);
    if (!o->copy || !o->copy_of_now) {
        drop_copies(o);
        return ends_failf(&o->carrier->ends, LINK_ERROR_INTERNAL, "out of memory");
    }
    uint8_t *at = o->copy;
    for (int i = 0; i < 2; i++) {
        if (o->in[i].size)
            memcpy(at, o->in[i].bytes, o->in[i].size);
        o->in[i].bytes = at;
        at += o->in[i].size;
    }
    if (o->now.size)
        memcpy(o->copy_of_now, o->now.bytes, o->now.size);
    o->now.bytes = o->copy_of_now;
    o->kept = true;
    return 0;
}

/* What is to go next. 1, 0: nothing; or negative. */
static int next(struct outflow *o)
{
    if (o->packets) { /* whole, with what it has, if only descriptors */
        if (!o->in[1].bytes)
            return 0;
        o->now = o->in[1];
        o->in[1] = (struct service_piece){0};
        return 1;
    }
    for (int i = 0; i < 2; i++) {
        int r = messages_next(o->messages, o->way, &o->in[i], &o->now);
        if (r != 0)
            return r;
    }
    return 0;
}

static int pump(struct outflow *o)
{
    for (;;) {
        int r = o->busy ? send_now(o) : 0;
        if (r == OUTFLOW_WAITS)
            return keep(o) < 0 ? -ENOMEM : OUTFLOW_WAITS;
        if (r < 0)
            return r;
        o->busy = false;
        r = next(o);
        if (r <= 0)
            return r;
        o->busy = true;
        o->begun = o->passing = false;
        o->fds_i = 0;
        o->rules.message++;
    }
}

static bool went_home(const struct outflow *o)
{
    return o->carrier->vfds.branch->went_home;
}

void outflow_go_on(struct outflow *o)
{
    struct ends *e = &o->carrier->ends;
    if (carrier_is_over(o->carrier) || !ends_has_local(e)) {
        vfd_mirrors_forget(&o->carrier->vfds, o);
        return;
    }
    if (e->hold == CARRIER_HOLD_FILE || e->hold == CARRIER_HOLD_USER)
        return; /* a descriptor is not ready, and will say when */
    int r = pump(o);
    if (r < 0)
        return;
    if (r == 0 && o->at_end && !o->ended) {
        if (went_home(o)) /* its end is no end of the original */
            tree_socket_ends(o->carrier->vfds.branch);
        else
            link_queue(e->link, link_id_encode, LINK_STREAM_END, 0);
        o->ended = true;
    }
    e->dry = r == OUTFLOW_WAITS || o->at_end || !o->credit || e->link->high;
    if (r == 0)
        drop_copies(o);
}

/* Whether the local side is gone for good, rather than only silent from now on. */
static bool hung_up(int fd)
{
    struct pollfd p = {.fd = fd};
    return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR | POLLNVAL);
}

void outflow_read(struct outflow *o)
{
    struct carrier *c = o->carrier;
    struct ends *e = &c->ends;
    o->synced = false;
    if (o->busy || o->at_end || c->vfds.branch->stop || (!o->credit && !o->packets)) {
        e->dry = true;
        carrier_flush_link(c);
        return;
    }
    size_t max = o->credit < STREAM_MAX ? (size_t)o->credit : STREAM_MAX;
    int r = local_socket_read(&e->local, o->packets ? PACKET_MAX : max, &o->read);
    if (r == -EAGAIN)
        return;
    if (r < 0 && (r == -EMFILE || r == -EMSGSIZE || r == -ENOMEM)) {
        ends_failf(e, LINK_ERROR_LIMIT, "%s",
                   r == -EMFILE     ? "descriptors were lost: our limit of open files is reached"
                   : r == -EMSGSIZE ? "a packet is larger than 4 MiB"
                                    : "out of memory");
        return;
    }
    if (r <= 0) {
        o->at_end = true;
        outflow_go_on(o);
        if (ends_has_local(e) && (r < 0 || hung_up(e->local.fd)))
            carrier_end_local(c);
        else
            carrier_flush_link(c);
        return;
    }
    struct local_piece *p = &o->read;
    size_t plain = p->fds_n || o->packets ? p->fds_at : p->size;
    o->in[0] = (struct service_piece){.bytes = p->bytes, .size = plain};
    o->in[1] = (struct service_piece){p->bytes + plain, p->size - plain, p->fds, p->fds_n};
    p->fds_n = 0;
    outflow_go_on(o);
    carrier_flush_link(c);
}

int outflow_credit(struct outflow *o, uint32_t bytes)
{
    if (bytes > LINK_STREAM_WINDOW - o->credit)
        return ends_broken(&o->carrier->ends, "STREAM_CREDIT overflows the window", 0);
    o->credit += bytes;
    outflow_go_on(o);
    carrier_flush_link(o->carrier);
    return 0;
}

bool outflow_is_done(const struct outflow *o)
{
    return o->ended;
}
