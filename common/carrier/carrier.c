/* SPDX-License-Identifier: MIT */
/* carrier: owns the state of a connection; carrier_move_to() is the only one that changes it.
 * Either end may end first: an END frame says that one local side is closed, streams go on until
 * they are done (a clipboard transfer outlives the application that started it), then the host
 * closes the link. An application that the guest ends for what it did is told, and so is the host,
 * by ERROR instead of END: its transfers, if it has any, go on. Any other failure ends the link;
 * what came until then is delivered (deliveries).
 *
 * Back-pressure: the guest does not read its application while the link has much to send; the host
 * does not read the link while its server takes nothing. The server is always read: it may end a
 * client that does not keep up. */
#include "common/carrier/carrier.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/budget.h"
#include "common/base/fd.h"
#include "common/carrier/vfd-file.h"
#include "common/carrier/vfd-kinds.h"
#include "common/carrier/vfd-memory.h"
#include "common/carrier/vfd-stream.h"

#define ENDING_MS 3000   /* for the last words to go out */
#define CLOSING_MS 10000 /* for the other proxy to close the link */

#define FDS_HIGH 64 /* descriptors that wait for the local end: each is one more that is open */

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

static const struct link_ops link_ops;

static void carrier_move_to(struct carrier *c, enum carrier_state next)
{
    assert(moves[c->state] & 1u << next);
    c->state = next;
}

static bool has_failed(const struct carrier *c)
{
    return c->state == CARRIER_FAILING || c->state == CARRIER_RELEASING;
}

bool carrier_is_over(const struct carrier *c)
{
    return has_failed(c) || c->state == CARRIER_LAST_WORDS || c->state == CARRIER_FINISHED;
}

static bool peer_has_ended(const struct carrier *c)
{
    return c->state == CARRIER_PEER_ENDED || c->state == CARRIER_DRAINING ||
           c->state == CARRIER_AWAITING_PEER;
}

/* --- the end --- */

/* Everything is over: the user destroys us when the current callback has returned. */
static void carrier_over(struct carrier *c)
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

static void carrier_close_local(struct carrier *c);
static void carrier_settle_later(struct carrier *c);

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

static void carrier_arm(struct carrier *c, uint64_t ms)
{
    if (!c->timer)
        c->timer = loop_timer_create(c->ends.loop, carrier_expired, c);
    if (c->timer)
        loop_timer_arm(c->timer, ms);
    else
        carrier_over(c);
}

/* The local end is gone, or has been told all: the other proxy hears of it, unless it knows. */
static void carrier_close_local(struct carrier *c)
{
    uint8_t frame[LINK_HEADER_SIZE];
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
        (local_socket_flush(&c->ends.local) < 0 || !sendq_size(&c->ends.local.out)))
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
static void carrier_settle(void *user)
{
    struct carrier *c = user;
    if (c->state == CARRIER_FINISHED) {
        c->ops->ended(c->user);
        return;
    }
    if (has_failed(c)) {
        carrier_settle_failure(c);
        return;
    }
    if ((c->state == CARRIER_PEER_ENDED || c->state == CARRIER_LAST_WORDS) &&
        (local_socket_flush(&c->ends.local) < 0 || !sendq_size(&c->ends.local.out)))
        carrier_close_local(c);
    if (!ends_has_local(&c->ends))
        link_flush(c->ends.link);
    if (c->state != CARRIER_DRAINING || c->vfds.streams_n || sendq_size(&c->ends.link->out))
        return;
    if (c->ends.side == CARRIER_HOST) {
        carrier_over(c);
        return;
    }
    carrier_move_to(c, CARRIER_AWAITING_PEER);
    if (!c->timer)
        carrier_arm(c, CLOSING_MS);
}

static void carrier_settle_later(struct carrier *c)
{
    loop_later(c->ends.loop, &c->settle_job);
}

static bool blames_local(enum link_error kind)
{
    return kind == LINK_ERROR_WAYLAND || kind == LINK_ERROR_LIMIT;
}

/* Only the application is at fault, and the link still has transfers to carry. */
static bool transfers_go_on(const struct carrier *c, enum link_error kind)
{
    return c->ends.side == CARRIER_GUEST && c->state == CARRIER_OPEN && blames_local(kind) &&
           c->vfds.streams_n;
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
static void carrier_tell_of_ours(struct carrier *c, const struct carrier_error *error)
{
    char text[600];
    struct carrier_error ours = *error;
    snprintf(text, sizeof(text), "wayvsock: %s", error->text);
    ours.text = text;
    carrier_tell(c, &ours);
}

static struct carrier *carrier_of(struct ends *ends)
{
    return (struct carrier *)ends; /* its first member */
}

static void carrier_ends_fail(struct ends *ends, const struct carrier_error *error)
{
    struct carrier *c = carrier_of(ends);
    if (has_failed(c) || c->state == CARRIER_FINISHED)
        return;
    if (c->state == CARRIER_LAST_WORDS) {
        if (blames_local(error->kind))
            return; /* the first reason is the one that counts */
    } else {
        carrier_tell_of_ours(c, error);
    }
    log_warn(ends->subject, "%s", error->text);
    link_queue(ends->link, link_error_encode, error->kind, error->object, error->code, error->text);
    carrier_fail(c, transfers_go_on(c, error->kind));
}

/* The other proxy ended the connection: a client learns why. */
static void ended_by_peer(struct carrier *c, const struct link_error_frame *error)
{
    char text[LINK_TEXT_MAX + 1];
    snprintf(text, sizeof(text), "%.*s", (int)error->text_size, error->text);
    log_info(c->ends.subject, "ended by the %s: %s",
             c->ends.side == CARRIER_GUEST ? "host" : "guest", text);
    carrier_tell(c, &(struct carrier_error){.kind = error->code,
                                            .object = error->object,
                                            .code = error->wl_code,
                                            .text = text,
                                            .by_peer = true});
    carrier_fail(c, false);
}

/* --- what waits to go out --- */

static void carrier_out_of_memory(struct carrier *c)
{
    ends_failf(&c->ends, LINK_ERROR_INTERNAL, "out of memory");
}

static void carrier_flush_local(struct carrier *c)
{
    struct ends *e = &c->ends;
    if (!ends_has_local(e))
        return;
    if (local_socket_flush(&e->local) < 0) {
        carrier_close_local(c);
        carrier_settle_later(c);
        return;
    }
    uint64_t size = sendq_size(&e->local.out);
    size_t fds = e->local.out.fds_n;
    if (e->side == CARRIER_HOST)
        link_pause(e->link, size > LINK_HIGH_WATER || fds > FDS_HIGH ||
                                (e->link->paused && (size > LINK_LOW_WATER || fds > FDS_HIGH / 2)));
    else if (size > e->party->queue)
        ends_failf(e, LINK_ERROR_LIMIT,
                   "the %s does not read its events: more than %llu bytes wait for it",
                   c->ops->local[e->side], (unsigned long long)e->party->queue);
    if ((peer_has_ended(c) || carrier_is_over(c)) && !size)
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
           (e->side == CARRIER_GUEST && e->link->high);
}

static void carrier_flush_link(struct carrier *c)
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
}

bool carrier_has_room(struct carrier *c)
{
    if (c->ends.side == CARRIER_HOST || sendq_held(&c->ends.link->out) <= LINK_HIGH_WATER)
        return true;
    ends_hold(&c->ends, CARRIER_HOLD_QUEUE); /* files, 32 MiB in a message, or many rectangles */
    return false;
}

/* --- the local side --- */

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
    carrier_local_part(c, bytes, size);
    while (e->hold == CARRIER_HOLD_QUEUE && !carrier_is_over(c) && ends_has_local(e) &&
           !e->link->high) {
        size = local_socket_kept(&e->local, &bytes);
        carrier_local_part(c, bytes, size);
    }
    if (ends_has_local(e) && sendq_size(&e->local.out))
        carrier_flush_local(c);
}

static void carrier_local_ready(void *user, unsigned events)
{
    struct carrier *c = user;
    struct ends *e = &c->ends;
    if (events & LOOP_WRITE && sendq_size(&e->local.out)) {
        carrier_flush_local(c);
        if (!ends_has_local(e))
            return;
    }
    if (!(events & LOOP_READ) || e->local.paused || carrier_is_over(c))
        return;
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
        if (e->side == CARRIER_HOST && !peer_has_ended(c))
            log_info(e->subject, "the %s closed the connection", c->ops->local[e->side]);
        carrier_close_local(c);
        carrier_settle(c);
    }
}

/* What the first message waited for is there. */
static void carrier_resume_local(struct carrier *c)
{
    const uint8_t *bytes;
    if (carrier_is_over(c) || !ends_has_local(&c->ends))
        return;
    size_t n = local_socket_kept(&c->ends.local, &bytes);
    carrier_local_batch(c, bytes, n);
}

static void carrier_ends_resumed(struct ends *ends)
{
    carrier_resume_local(carrier_of(ends));
}

static void carrier_resume_crowded(void *user)
{
    struct carrier *c = user;
    if (c->ends.hold == CARRIER_HOLD_QUEUE)
        carrier_resume_local(c);
}

/* --- the link --- */

/* Whether somebody is there whom the user's frames and their memory concern. */
static bool is_listened_to(const struct carrier *c)
{
    return ends_has_local(&c->ends) && c->state != CARRIER_LAST_WORDS;
}

/* END, or an ERROR that stands for it. 0, or negative: the local side has ended twice. */
static int carrier_peer_ended(struct carrier *c)
{
    if (c->state == CARRIER_LAST_WORDS) {
        local_socket_flush(&c->ends.local);
        carrier_close_local(c);
    }
    if (c->state != CARRIER_OPEN && c->state != CARRIER_LOCAL_ENDED)
        return -EPROTO;
    carrier_move_to(c, c->state == CARRIER_OPEN ? CARRIER_PEER_ENDED : CARRIER_DRAINING);
    carrier_settle_later(c);
    return 0;
}

static int carrier_link_error(struct carrier *c, const struct link_error_frame *error)
{
    if (c->ends.side == CARRIER_HOST && blames_local(error->code) && carrier_peer_ended(c) == 0) {
        log_info(c->ends.subject, "ended by the guest: %.*s", (int)error->text_size, error->text);
        return 0;
    }
    ended_by_peer(c, error);
    return -ECONNRESET;
}

static int carrier_dispatch(struct carrier *c, enum link_type type, const uint8_t *payload,
                            size_t size)
{
    struct link_error_frame error;
    int e;
    if (type == c->ops->type) {
        if (is_listened_to(c))
            return c->ops->from_link(c->user, payload, size);
        vfds_forget(&c->vfds);
        return 0;
    }
    if (gpu_memory_has(type))
        return gpu_memory_frame(&c->gpu, type, payload, size);
    switch (type) {
    case LINK_END:
        if (carrier_peer_ended(c) < 0)
            break;
        return 0;
    case LINK_ERROR:
        e = link_error_decode(payload, size, &error);
        if (e != LINK_OK)
            break;
        return carrier_link_error(c, &error);
    case LINK_VFD:
    case LINK_VFD_CLOSE:
    case LINK_MEM_SIZE:
    case LINK_MEM_PUNCH:
    case LINK_STREAM_CREDIT:
    case LINK_STREAM_END:
        return vfds_frame(&c->vfds, type, payload, size);
    default:
        break;
    }
    return ends_failf(&c->ends, LINK_ERROR_PROTOCOL, "the other proxy sent an unexpected %s frame",
                      link_type_name(type));
}

/* What a callback of the link answers: it goes on where only the application is at fault. */
static int unless_local(const struct carrier *c, int e)
{
    return c->state == CARRIER_LAST_WORDS ? 0 : e;
}

static int carrier_link_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    struct carrier *c = user;
    int e = carrier_dispatch(c, type, payload, size);
    if (e == 0 && c->ends.local.out.fds_n > FDS_HIGH)
        carrier_flush_local(c); /* rather than all of a batch at its end */
    return unless_local(c, e);
}

static int carrier_link_mem_write(void *user, const struct link_mem_write *write,
                                  struct memory **ret_memory)
{
    struct carrier *c = user;
    if (!is_listened_to(c)) /* nobody is left to see it */
        return 0;
    int e = vfd_file_write(&c->vfds, write, ret_memory);
    if (e == -ENOENT)
        e = vfd_memory_write(&c->vfds, write, ret_memory);
    return unless_local(c, e);
}

static int carrier_link_stream_data(void *user, uint32_t id, size_t size,
                                    struct link_sink **ret_sink)
{
    struct carrier *c = user;
    return vfd_stream_data(&c->vfds, id, size, ret_sink);
}

static bool carrier_link_may_go_on(void *user, enum link_type type)
{
    const struct carrier *c = user;
    const struct gpu_memory *gpu = &c->gpu;
    return !gpu->ops || !gpu->ops->may_go_on || gpu->ops->may_go_on(gpu->user, type);
}

static void carrier_link_batch_end(void *user)
{
    struct carrier *c = user;
    if (c->state == CARRIER_FINISHED)
        return;
    if (ends_has_local(&c->ends) && sendq_size(&c->ends.local.out))
        carrier_flush_local(c);
    if (sendq_size(&c->ends.link->out))
        carrier_flush_link(c);
}

static void carrier_link_drained(void *user)
{
    struct carrier *c = user;
    struct ends *e = &c->ends;
    vfd_streams_resume(&c->vfds);
    if (e->hold == CARRIER_HOLD_QUEUE)
        loop_later(e->loop, &c->resume_job);
    if (e->side == CARRIER_GUEST && ends_has_local(e) && !carrier_is_over(c) &&
        e->hold != CARRIER_HOLD_FILE && e->hold != CARRIER_HOLD_USER)
        local_socket_pause(&e->local, false);
    if (has_failed(c) || !ends_has_local(e))
        carrier_settle_later(c);
}

static void carrier_link_fault(void *user, uint32_t tag)
{
    struct carrier *c = user;
    struct carrier_error error = c->ops->truncated;
    error.object = tag;
    ends_fail(&c->ends, &error);
}

static void carrier_link_closed(void *user, int reason, unsigned type)
{
    struct carrier *c = user;
    struct ends *e = &c->ends;
    if (c->state == CARRIER_LAST_WORDS)
        carrier_move_to(c, CARRIER_FAILING);
    const struct carrier_error lost = {.kind = LINK_ERROR_PROTOCOL,
                                       .code = e->codes[LINK_ERROR_PROTOCOL],
                                       .text = "the connection to the host was lost"};
    if (reason > 0) {
        link_queue(e->link, link_error_encode, LINK_ERROR_PROTOCOL, 0,
                   e->codes[LINK_ERROR_PROTOCOL], "malformed frame");
        link_flush(e->link);
        log_warn(e->subject, "the other proxy sent a malformed %s frame: %s", link_type_name(type),
                 link_decode_error_name(reason));
    } else if (has_failed(c)) {
        carrier_settle_later(c); /* the application may not have read why */
        return;
    } else if (c->state != CARRIER_DRAINING && c->state != CARRIER_AWAITING_PEER) {
        log_info(e->subject, "the connection to the %s was lost%s%s",
                 e->side == CARRIER_GUEST ? "host" : "guest", reason ? ": " : "",
                 reason ? strerror(-reason) : "");
    } else {
        carrier_over(c);
        return;
    }
    if (!has_failed(c)) {
        carrier_tell_of_ours(c, &lost);
        if (ends_has_local(e))
            local_socket_flush(&e->local);
    }
    carrier_over(c);
}

static const struct link_ops link_ops = {
    .frame = carrier_link_frame,
    .mem_write = carrier_link_mem_write,
    .stream_data = carrier_link_stream_data,
    .may_go_on = carrier_link_may_go_on,
    .batch_end = carrier_link_batch_end,
    .drained = carrier_link_drained,
    .fault = carrier_link_fault,
    .closed = carrier_link_closed,
};

/* --- life --- */

static bool carrier_ends_writable(struct ends *ends, const struct memory *memory, uint64_t offset,
                                  uint64_t end)
{
    const struct carrier *c = carrier_of(ends);
    return c->ops->writable && c->ops->writable(c->user, memory, offset, end);
}

static void carrier_ends_settle(struct ends *ends)
{
    struct carrier *c = carrier_of(ends);
    if (!ends_has_local(ends))
        carrier_settle_later(c);
}

static const struct ends_ops ends_ops = {.fail = carrier_ends_fail,
                                         .writable = carrier_ends_writable,
                                         .resumed = carrier_ends_resumed,
                                         .settle = carrier_ends_settle};

int carrier_init(struct carrier *c, struct loop *loop, enum carrier_side side, int local_fd,
                 struct link *link, const struct carrier_party *party,
                 const struct carrier_ops *ops, void *user, struct log_subject *subject)
{
    c->ends = (struct ends){.side = side,
                            .loop = loop,
                            .link = link,
                            .ops = &ends_ops,
                            .codes = ops->codes,
                            .subject = subject,
                            .party = party};
    c->ops = ops;
    c->user = user;
    c->settle_job = (struct loop_job){.run = carrier_settle, .user = c};
    c->resume_job = (struct loop_job){.run = carrier_resume_crowded, .user = c};
    vfds_init(&c->vfds, &c->ends);
    c->gpu = (struct gpu_memory){.vfds = &c->vfds, .next = 1};
    int e = budget_take(party->budget, BUDGET_FDS, CARRIER_FDS);
    if (e < 0)
        fd_close(local_fd);
    else if ((e = local_socket_init(&c->ends.local, loop, local_fd, carrier_local_ready, c)) < 0)
        budget_give(party->budget, BUDGET_FDS, CARRIER_FDS);
    if (e < 0) {
        link_stop(link); /* we may be in one of its callbacks */
        link_destroy_later(link);
        return e;
    }
    c->ends.local.out.budget = party->budget;
    link_adopt(link, &link_ops, c);
    return 0;
}

void carrier_start(struct carrier *c)
{
    carrier_local_ready(c, LOOP_READ);
    link_flush(c->ends.link);
}

void carrier_stop(struct carrier *c)
{
    loop_later_cancel(c->ends.loop, &c->settle_job);
    loop_later_cancel(c->ends.loop, &c->resume_job);
    loop_timer_destroy(c->timer);
    c->timer = NULL;
    if (c->state != CARRIER_FINISHED)
        carrier_move_to(c, CARRIER_FINISHED);
}

void carrier_finish(struct carrier *c)
{
    vfds_close(&c->vfds);
    local_socket_finish(&c->ends.local);
    link_destroy(c->ends.link);
    budget_give(c->ends.party->budget, BUDGET_FDS, CARRIER_FDS);
}
