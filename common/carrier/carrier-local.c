/* SPDX-License-Identifier: MIT */
/* carrier-local: the local side of a connection as bytes: what is read goes to the user at once,
 * what it leaves is kept. Nothing of its own: what waits is in the local socket. */
#include "common/carrier/carrier-local.h"

#include <errno.h>

/* What is at @bytes, and what follows from it, as far as the link's queue has room. */
static void carrier_local_part(struct carrier *c, const uint8_t *bytes, size_t size)
{
    struct ends *e = &c->ends;
    if (e->hold == CARRIER_HOLD_QUEUE)
        e->hold = CARRIER_HOLD_NONE;
    size_t left = c->ops->from_local(c->user, bytes, size);
    if (ends_has_local(e) && left && !(carrier_is_over(c) && e->side == CARRIER_HOST) &&
        local_socket_keep(&e->local, bytes + size - left, left) < 0)
        carrier_out_of_memory(c);
    carrier_flush_link(c);
}

static void carrier_local_batch(struct carrier *c, const uint8_t *bytes, size_t size)
{
    struct ends *e = &c->ends;
    c->slice = (struct slice){0};
    carrier_local_part(c, bytes, size);
    while (e->hold == CARRIER_HOLD_QUEUE && !carrier_is_over(c) && ends_has_local(e) &&
           !e->link->high && !e->link->out.over) {
        size = local_socket_kept(&e->local, &bytes);
        carrier_local_part(c, bytes, size);
    }
    if (ends_has_local(e) && local_socket_waiting(&e->local))
        carrier_flush_local(c);
}

/* Credit may follow from it, which nobody else would send. */
static void flush_local(struct carrier *c)
{
    carrier_flush_local(c);
    if (ends_has_local(&c->ends) && c->ops->flowed && sendq_size(&c->ends.link->out))
        carrier_flush_link(c);
}

void carrier_local_ready(void *user, unsigned events)
{
    struct carrier *c = user;
    struct ends *e = &c->ends;
    if (events & LOOP_WRITE && local_socket_waiting(&e->local)) {
        flush_local(c);
        if (!ends_has_local(e))
            return;
    }
    if (!(events & LOOP_READ) || e->local.paused || carrier_is_over(c))
        return;
    if (c->ops->readable) {
        c->ops->readable(c->user);
        if (ends_has_local(e) && local_socket_waiting(&e->local))
            flush_local(c); /* an answer of the user's own */
        return;
    }
    const uint8_t *bytes;
    ssize_t n = local_socket_receive(&e->local, &bytes);
    if (n > 0) {
        carrier_local_batch(c, bytes, (size_t)n);
    } else if (n == -EMFILE || n == -EOVERFLOW) {
        enum link_error kind = e->side == CARRIER_HOST ? LINK_ERROR_COMPOSITOR : LINK_ERROR_LIMIT;
        ends_failf(e, kind,
                   n == -EMFILE ? "descriptors were lost: our limit of open files is reached"
                                : "too many descriptors that no message claims");
    } else if (n != -EAGAIN) {
        if (e->side == CARRIER_HOST && !carrier_peer_has_ended(c))
            log_info(e->subject, "the %s closed the connection", c->ops->local[e->side]);
        carrier_close_local(c);
        carrier_settle(c);
    }
}

/* What the first message waited for is there. */
void carrier_resume_local(struct carrier *c)
{
    const uint8_t *bytes;
    if (carrier_is_over(c) || !ends_has_local(&c->ends))
        return;
    size_t n = local_socket_kept(&c->ends.local, &bytes);
    carrier_local_batch(c, bytes, n);
}

void carrier_resume_crowded(void *user)
{
    struct carrier *c = user;
    if (c->ops->flowed && !carrier_is_over(c) && ends_has_local(&c->ends)) {
        c->ops->flowed(c->user);
        carrier_flush_link(c);
    }
    if (c->ends.hold == CARRIER_HOLD_QUEUE)
        carrier_resume_local(c);
}
