/* SPDX-License-Identifier: MIT */
/* inflow: nothing of its own: what the local side has not taken is in its queue, where bytes begin
 * with the descriptors that belong to them. */
#include "common/services/inflow.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/carrier/carrier.h"
#include "common/services/descriptors.h"

#define CREDIT_STEP (LINK_STREAM_WINDOW / 4)

void inflow_init(struct inflow *i, struct carrier *carrier, struct messages *messages,
                 enum service_way way, bool packets)
{
    *i = (struct inflow){.carrier = carrier,
                         .messages = messages,
                         .way = way,
                         .packets = packets,
                         .credit = LINK_STREAM_WINDOW};
}

static int scarce(struct inflow *i, int e)
{
    return ends_scarce(&i->carrier->ends, "what waits for the local side", e);
}

/* @piece to the local side. @stays: its bytes stay until the queue is flushed. */
static int put(struct inflow *i, struct service_piece *p, bool stays)
{
    struct sendq *out = &i->carrier->ends.local.out;
    if (i->carrier->ends.local.broken) {
        while (p->fds_n)
            fd_close(p->fds[--p->fds_n]);
        return 0;
    }
    int e = 0;
    for (unsigned n = 0; n < p->fds_n; n++) {
        int put = e == 0 ? sendq_fd(out, p->fds[n], NULL) : (fd_close(p->fds[n]), 0);
        e = e == 0 ? put : e;
    }
    p->fds_n = 0;
    if (e < 0)
        return scarce(i, e);
    if (stays)
        sendq_borrow(out, p->bytes, p->size);
    else
        sendq_copy(out, p->bytes, p->size);
    return 0;
}

/* Through the helper, to the local side. */
static int pass(struct inflow *i, struct service_piece in)
{
    const uint8_t *first = in.bytes, *last = first + in.size;
    struct service_piece p;
    int r;
    while ((r = messages_next(i->messages, i->way, &in, &p)) > 0) {
        r = put(i, &p, p.bytes >= first && p.bytes < last);
        if (r < 0)
            break;
    }
    while (in.fds_n)
        fd_close(in.fds[--in.fds_n]);
    return r;
}

static int take_fds(struct inflow *i, unsigned n, int *fds)
{
    for (unsigned k = 0; k < n; k++) {
        fds[k] = descriptor_take(&i->carrier->vfds);
        if (fds[k] >= 0)
            continue;
        int e = fds[k];
        while (k)
            fd_close(fds[--k]);
        return e;
    }
    return 0;
}

int inflow_data(struct inflow *i, const uint8_t *payload, size_t size)
{
    struct ends *e = &i->carrier->ends;
    struct link_data data;
    int fds[LINK_DATA_VFDS_MAX], r = link_data_decode(payload, size, &data);
    if (r != LINK_OK)
        return ends_malformed(e, LINK_DATA, r);
    size -= LINK_DATA_SIZE;
    if (size > i->credit)
        return ends_broken(e, "DATA beyond its credit", 0);
    if (i->at_end)
        return ends_broken(e, "DATA after its end", 0);
    if (!i->packets && data.flags & LINK_DATA_END)
        return ends_broken(e, "a packet's end in a stream", 0);
    if (i->in_packet && data.vfds)
        return ends_broken(e, "descriptors in the middle of a packet", 0);
    r = take_fds(i, data.vfds, fds);
    if (r < 0)
        return r;
    i->credit -= size;
    i->owed += size;
    e->got.own += size;
    uint8_t *bytes = (uint8_t *)payload + LINK_DATA_SIZE;
    if (!i->packets)
        return pass(i, (struct service_piece){bytes, size, fds, data.vfds});
    i->in_packet = !(data.flags & LINK_DATA_END);
    if (e->local.broken) {
        for (unsigned k = 0; k < data.vfds; k++)
            fd_close(fds[k]);
        return 0;
    }
    r = packetq_add(&e->local.packets, bytes, size, fds, data.vfds, !i->in_packet);
    if (r == -EMSGSIZE)
        return ends_broken(e, "a packet above 4 MiB, or with too many descriptors", 0);
    if (r < 0)
        return scarce(i, r);
    if (i->in_packet)
        inflow_flowed(i); /* or a packet larger than the window would never end */
    return 0;
}

int inflow_end(struct inflow *i)
{
    if (i->at_end || i->in_packet)
        return ends_broken(&i->carrier->ends, "STREAM_END twice, or in a packet", 0);
    i->at_end = true;
    inflow_flowed(i);
    return 0;
}

void inflow_say(struct inflow *i)
{
    if (ends_has_local(&i->carrier->ends))
        pass(i, (struct service_piece){0});
}

void inflow_flowed(struct inflow *i)
{
    struct ends *e = &i->carrier->ends;
    uint64_t waiting = local_socket_waiting(&e->local);
    uint64_t taken = i->owed > waiting ? i->owed - waiting : 0;
    if (taken >= CREDIT_STEP && !i->at_end) {
        link_queue(e->link, link_stream_credit_encode, 0, (uint32_t)taken);
        i->credit += taken;
        i->owed -= taken;
    }
    if (!i->at_end || i->ended || waiting)
        return;
    i->ended = true;
    shutdown(e->local.fd, SHUT_WR);
}
