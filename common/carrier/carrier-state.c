/* SPDX-License-Identifier: MIT */
/* carrier-state: owns the state of a connection; carrier_move_to() is the only one that changes it.
 * Either end may end first: an END frame says that one local side is closed, streams go on until
 * they are done (a clipboard transfer outlives the application that started it), then the host
 * closes the link. An application that the guest ends for what it did is told, and so is the host,
 * by ERROR instead of END: its transfers, if it has any, go on. Any other failure ends the link;
 * what came until then is delivered (deliveries).
 *
 * Back-pressure: the guest does not read its application while the link has much to send; the host
 * does not read the link while its server takes nothing. The server is always read: it may end a
 * client that does not keep up. */
#include "common/carrier/carrier-state.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "common/base/refused.h"
#include "common/carrier/vfd-kinds.h"
#include "common/carrier/vfd-shared.h"

#define ENDING_MS 3000   /* for the last words to go out */
#define CLOSING_MS 10000 /* for the other proxy to close the link */

#define MESSAGE_STEPS 4 /* of a slice: one message may ask for a comparison of regions */

#define BIT(state) (1u << CARRIER_##state)

/* States that may follow. */
static const unsigned moves[_CARRIER_STATE_N] = {
    [CARRIER_OPEN] =
        BIT(LOCAL_ENDED) | BIT(PEER_ENDED) | BIT(LAST_WORDS) | BIT(FAILING) | BIT(FINISHED),
    [CARRIER_LOCAL_ENDED] = BIT(DRAINING) | BIT(FAILING) | BIT(FINISHED),
    [CARRIER_PEER_ENDED] = BIT(DRAINING) | BIT(FAILING) | BIT(FINISHED),
    [CARRIER_DRAINING] = BIT(AWAITING_PEER) | BIT(FAILING) | BIT(FINISHED),
    [CARRIER_AWAITING_PEER] = BIT(FAILING) | BIT(FINISHED),
    [CARRIER_LAST_WORDS] = BIT(LOCAL_ENDED) | BIT(FAILING) | BIT(FINISHED),
    [CARRIER_FAILING] = BIT(RELEASING) | BIT(FINISHED),
    [CARRIER_RELEASING] = BIT(FINISHED),
};

void carrier_move_to(struct carrier *c, enum carrier_state next)
{
    assert(moves[c->state] & 1u << next);
    c->state = next;
}

bool carrier_has_failed(const struct carrier *c)
{
    return c->state == CARRIER_FAILING || c->state == CARRIER_RELEASING;
}

bool carrier_is_over(const struct carrier *c)
{
    return carrier_has_failed(c) || c->state == CARRIER_LAST_WORDS || c->state == CARRIER_FINISHED;
}

bool carrier_peer_has_ended(const struct carrier *c)
{
    return c->state == CARRIER_PEER_ENDED || c->state == CARRIER_DRAINING ||
           c->state == CARRIER_AWAITING_PEER;
}

/* --- the end --- */

/* Everything is over: the user destroys us when the current callback has returned. */
void carrier_over(struct carrier *c)
{
    if (c->state == CARRIER_FINISHED)
        return;
    carrier_move_to(c, CARRIER_FINISHED);
    link_stop(c->ends.link);
    local_socket_pause(&c->ends.local, true);
    loop_timer_disarm(c->timer);
    log_debug(c->ends.subject,
              "ended: sent %s=%llu mem=%llu stream=%llu copied=%llu shared=%llu bytes, "
              "received %llu bytes",
              c->ops->name, (unsigned long long)c->ends.sent.own,
              (unsigned long long)c->ends.sent.memory, (unsigned long long)c->ends.sent.streams,
              (unsigned long long)c->ends.sent.copies, (unsigned long long)c->ends.sent.shared,
              (unsigned long long)c->ends.link->received);
    loop_later(c->ends.loop, &c->settle_job);
}

static void carrier_expired(void *user)
{
    struct carrier *c = user;
    if (c->state != CARRIER_LAST_WORDS) {
        carrier_over(c);
        return;
    }
    carrier_close_local(c);
    carrier_settle_later(c);
}

void carrier_arm(struct carrier *c, uint64_t ms)
{
    if (!c->timer)
        c->timer = loop_timer_create(c->ends.loop, carrier_expired, c);
    if (c->timer)
        loop_timer_arm(c->timer, ms);
    else
        carrier_over(c);
}

/* The local end is gone, or has been told all: the other proxy hears of it, unless it knows. */
void carrier_close_local(struct carrier *c)
{
    uint8_t frame[LINK_HEADER_SIZE];
    vfds_discard_unclaimed(&c->vfds);
    local_socket_finish(&c->ends.local);
    vfds_forget(&c->vfds);
    link_pause(c->ends.link, false);      /* it need not wait for this side any more */
    if (c->state == CARRIER_LAST_WORDS) { /* ERROR was said in place of END */
        loop_timer_destroy(c->timer);
        c->timer = NULL;
        carrier_move_to(c, CARRIER_LOCAL_ENDED);
        return;
    }
    if (c->state != CARRIER_OPEN && c->state != CARRIER_PEER_ENDED)
        return;
    carrier_move_to(c, c->state == CARRIER_OPEN ? CARRIER_LOCAL_ENDED : CARRIER_DRAINING);
    sendq_copy(&c->ends.link->out, frame, link_header_encode(frame, LINK_END, 0));
}

/* What the guest's GPU has for the application belongs to the host, too, until that has handled all
 * that was said of it: it would not find what we had destroyed before. */
static bool is_looked_into(const struct carrier *c)
{
    return c->ends.side == CARRIER_GUEST && c->gpu.next > 1 && c->ends.link->state != LINK_CLOSED;
}

/* After a failure: whether the last words are out. */
static void carrier_settle_failure(struct carrier *c)
{
    link_flush(c->ends.link);
    if (ends_has_local(&c->ends) &&
        (local_socket_flush(&c->ends.local) < 0 || !local_socket_waiting(&c->ends.local)))
        carrier_close_local(c);
    if (sendq_size(&c->ends.link->out))
        return;
    if (is_looked_into(c)) {
        if (c->state == CARRIER_RELEASING)
            return;
        carrier_move_to(c, CARRIER_RELEASING);
        link_await_end(c->ends.link);
        carrier_arm(c, CLOSING_MS);
    } else if (!ends_has_local(&c->ends)) {
        carrier_over(c);
    }
}

/* Moves on whatever can move on after something ended or a queue went out. */
void carrier_settle(void *user)
{
    struct carrier *c = user;
    if (c->state == CARRIER_FINISHED) {
        c->ops->ended(c->user);
        return;
    }
    if (carrier_has_failed(c)) {
        carrier_settle_failure(c);
        return;
    }
    if ((c->state == CARRIER_PEER_ENDED || c->state == CARRIER_LAST_WORDS) &&
        (local_socket_flush(&c->ends.local) < 0 || !local_socket_waiting(&c->ends.local)))
        carrier_close_local(c);
    if (!ends_has_local(&c->ends))
        link_flush(c->ends.link);
    if (c->state != CARRIER_DRAINING || c->vfds.streams_n || sendq_size(&c->ends.link->out))
        return;
    if (c->ends.side == CARRIER_HOST) {
        /* The guest may take its memory back once the link is closed. */
        if (c->vfds.sharing)
            vfds_forget(&c->vfds);
        if (vfd_shared_in_use(&c->vfds))
            return;
        carrier_over(c);
        return;
    }
    carrier_move_to(c, CARRIER_AWAITING_PEER);
    if (!c->timer)
        carrier_arm(c, CLOSING_MS);
}

void carrier_settle_later(struct carrier *c)
{
    loop_later(c->ends.loop, &c->settle_job);
}

bool carrier_blames_local(enum link_error kind)
{
    return kind == LINK_ERROR_WAYLAND || kind == LINK_ERROR_LIMIT;
}

/* Only the application is at fault, and the link still has transfers to carry. */
static bool transfers_go_on(const struct carrier *c, enum link_error kind)
{
    return c->ends.side == CARRIER_GUEST && c->state == CARRIER_OPEN &&
           carrier_blames_local(kind) && c->vfds.streams_n;
}

/* Nothing more comes in, unless transfers do (@keep_link); the queues have a little time to go out.
 */
static void carrier_fail(struct carrier *c, bool keep_link)
{
    if (keep_link) {
        carrier_move_to(c, CARRIER_LAST_WORDS);
        local_socket_pause(&c->ends.local, true);
        carrier_arm(c, ENDING_MS);
        carrier_settle_later(c);
        return;
    }
    carrier_move_to(c, CARRIER_FAILING);
    link_stop(c->ends.link);
    if (ends_has_local(&c->ends)) {
        local_socket_pause(&c->ends.local, true);
        if (c->ends.side == CARRIER_HOST)
            carrier_close_local(c); /* the server need not wait */
    }
    carrier_arm(c, ENDING_MS);
    carrier_settle_later(c);
}

static void carrier_tell(struct carrier *c, const struct carrier_error *error)
{
    if (c->ends.side == CARRIER_GUEST && ends_has_local(&c->ends) && c->ops->tell)
        c->ops->tell(c->user, error);
}

/* The same in our own name. */
void carrier_tell_of_ours(struct carrier *c, const struct carrier_error *error)
{
    char text[600];
    struct carrier_error ours = *error;
    snprintf(text, sizeof(text), "wayvsock: %s", error->text);
    ours.text = text;
    carrier_tell(c, &ours);
}

struct carrier *carrier_of(struct ends *ends)
{
    return (struct carrier *)ends; /* its first member */
}

void carrier_ends_fail(struct ends *ends, const struct carrier_error *error)
{
    struct carrier *c = carrier_of(ends);
    if (carrier_has_failed(c) || c->state == CARRIER_FINISHED)
        return;
    if (c->state == CARRIER_LAST_WORDS) {
        if (carrier_blames_local(error->kind))
            return; /* the first reason is the one that counts */
    } else {
        carrier_tell_of_ours(c, error);
    }
    log_warn(ends->subject, "%s", error->text);
    if (!error->unblamed)
        refused_note(ends->subject, link_error_name(error->kind), error->text);
    link_queue(ends->link, link_error_encode, error->kind, error->object, error->code, error->text);
    carrier_fail(c, transfers_go_on(c, error->kind));
}

/* The other proxy ended the connection: a client learns why. */
void carrier_ended_by_peer(struct carrier *c, const struct link_error_frame *error)
{
    char text[LINK_TEXT_MAX + 1];
    snprintf(text, sizeof(text), "%.*s", (int)error->text_size, error->text);
    log_info(c->ends.subject, "ended by the %s: %s",
             c->ends.side == CARRIER_GUEST ? "host" : "guest", text);
    refused_note(c->ends.subject, link_error_name(error->code), text);
    carrier_tell(c, &(struct carrier_error){.kind = error->code,
                                            .object = error->object,
                                            .code = error->wl_code,
                                            .text = text,
                                            .by_peer = true});
    carrier_fail(c, false);
}

/* --- what waits to go out --- */

void carrier_out_of_memory(struct carrier *c)
{
    ends_failf(&c->ends, LINK_ERROR_INTERNAL, "out of memory");
}

void carrier_flush_local(struct carrier *c)
{
    struct ends *e = &c->ends;
    if (!ends_has_local(e))
        return;
    if (local_socket_flush(&e->local) < 0) {
        carrier_close_local(c);
        carrier_settle_later(c);
        return;
    }
    uint64_t size = local_socket_waiting(&e->local);
    size_t fds = e->local.out.fds_n;
    bool full = size > LINK_HIGH_WATER || fds > CARRIER_FDS_HIGH || e->local.out.over;
    if (c->ops->flowed)
        c->ops->flowed(c->user);
    else if (e->side == CARRIER_HOST)
        link_pause(e->link, full || (e->link->paused &&
                                     (size > LINK_LOW_WATER || fds > CARRIER_FDS_HIGH / 2)));
    else if (e->local.out.over)
        ends_scarce(e, "what waits for the application", -EDQUOT);
    else if (size > e->party->queue)
        ends_failf(e, LINK_ERROR_LIMIT,
                   "the %s does not read its events: more than %llu bytes wait for it",
                   c->ops->local[e->side], (unsigned long long)e->party->queue);
    if ((carrier_peer_has_ended(c) || carrier_is_over(c)) && !size)
        carrier_settle_later(c);
}

/* Whether more waits for the other proxy than may. A guest's application is not read while much
 * does, so what passes the limit are answers that the host asked for without taking them. */
static bool too_much(const struct ends *e)
{
    if (e->side == CARRIER_HOST)
        return sendq_size(&e->link->out) > e->party->queue;
    return sendq_held(&e->link->out) > e->party->queue + LINK_FILE_MAX;
}

/* Only what its first message waits for keeps the host's server waiting; an application also waits
 * for a link that is full. */
static bool local_has_to_wait(const struct ends *e)
{
    return e->hold == CARRIER_HOLD_FILE || e->hold == CARRIER_HOLD_USER ||
           e->hold == CARRIER_HOLD_TURN || e->dry ||
           (e->side == CARRIER_GUEST && (e->link->high || e->link->out.over));
}

void carrier_flush_link(struct carrier *c)
{
    struct ends *e = &c->ends;
    link_flush(e->link);
    if (e->link->out.failed && !e->link->broken)
        carrier_out_of_memory(c);
    if (carrier_is_over(c))
        return;
    if (e->link->broken && !c->timer)
        carrier_arm(
            c, ENDING_MS); /* its end is about to be read, unless the other direction goes on */
    if (ends_has_local(e))
        local_socket_pause(&e->local, local_has_to_wait(e));
    if (too_much(e))
        ends_failf(
            e, LINK_ERROR_LIMIT,
            "queue limit: the %s does not read: more than %llu bytes wait for it (max-queue)",
            e->side == CARRIER_HOST ? "guest" : "host", (unsigned long long)e->party->queue);
    else if (e->side == CARRIER_HOST && e->link->out.over)
        ends_scarce(e, "what waits for the guest", -EDQUOT);
}

void carrier_end_local(struct carrier *c)
{
    carrier_close_local(c);
    carrier_settle_later(c);
}

bool carrier_has_room(struct carrier *c)
{
    const struct sendq *out = &c->ends.link->out;
    if (c->ends.side == CARRIER_HOST)
        return true;
    if (slice_over(&c->slice, MESSAGE_STEPS)) {
        ends_hold(&c->ends, CARRIER_HOLD_TURN);
        loop_next_turn(c->ends.loop, &c->turn_job);
        return false;
    }
    if (sendq_held(out) <= LINK_HIGH_WATER && !out->over)
        return true;
    ends_hold(&c->ends, CARRIER_HOLD_QUEUE); /* files, 32 MiB in a message, or many rectangles */
    return false;
}
