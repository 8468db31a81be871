/* SPDX-License-Identifier: MIT */
/* carrier-link: hands the frames of a connection to whom they concern: the user, its descriptors,
 * its memory, or nobody. Nothing of its own. */
#include "common/carrier/carrier-link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/refused.h"
#include "common/carrier/vfd-file.h"
#include "common/carrier/vfd-kinds.h"
#include "common/carrier/vfd-memory.h"
#include "common/carrier/vfd-stream.h"

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
    if (c->ends.side == CARRIER_HOST && carrier_blames_local(error->code) &&
        carrier_peer_ended(c) == 0) {
        char text[LINK_TEXT_MAX + 1];
        snprintf(text, sizeof(text), "%.*s", (int)error->text_size, error->text);
        log_info(c->ends.subject, "ended by the guest: %s", text);
        refused_note(c->ends.subject, link_error_name(error->code), text);
        return 0;
    }
    carrier_ended_by_peer(c, error);
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
    if (c->ops->frame && (e = c->ops->frame(c->user, type, payload, size)) != -ENOTSUP)
        return e;
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
    if (e == 0 && c->ends.local.out.fds_n > CARRIER_FDS_HIGH)
        carrier_flush_local(c); /* rather than all of a batch at its end */
    return unless_local(c, e);
}

static int carrier_link_mem_write(void *user, const struct link_mem_write *write,
                                  struct memory **ret_memory)
{
    struct carrier *c = user;
    c->ends.got.memory += (uint64_t)write->row * write->rows;
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
    if (ends_has_local(&c->ends) && local_socket_waiting(&c->ends.local))
        carrier_flush_local(c);
    if (sendq_size(&c->ends.link->out))
        carrier_flush_link(c);
}

static void carrier_link_drained(void *user)
{
    struct carrier *c = user;
    struct ends *e = &c->ends;
    vfd_streams_resume(&c->vfds);
    if (e->hold == CARRIER_HOLD_QUEUE || c->ops->flowed)
        loop_later(e->loop, &c->resume_job);
    if (e->side == CARRIER_GUEST && ends_has_local(e) && !carrier_is_over(c) &&
        e->hold != CARRIER_HOLD_FILE && e->hold != CARRIER_HOLD_USER &&
        e->hold != CARRIER_HOLD_TURN && !e->dry)
        local_socket_pause(&e->local, false);
    if (carrier_has_failed(c) || !ends_has_local(e))
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
    } else if (carrier_has_failed(c)) {
        carrier_settle_later(c); /* the application may not have read why */
        return;
    } else if (reason == -EDQUOT) {
        ends_scarce(e, "half a frame", reason);
        return;
    } else if (c->state != CARRIER_DRAINING && c->state != CARRIER_AWAITING_PEER) {
        log_info(e->subject, "the connection to the %s was lost%s%s",
                 e->side == CARRIER_GUEST ? "host" : "guest", reason ? ": " : "",
                 reason ? strerror(-reason) : "");
    } else {
        carrier_over(c);
        return;
    }
    if (!carrier_has_failed(c)) {
        carrier_tell_of_ours(c, &lost);
        if (ends_has_local(e))
            local_socket_flush(&e->local);
    }
    carrier_over(c);
}

const struct link_ops carrier_link_ops = {
    .frame = carrier_link_frame,
    .mem_write = carrier_link_mem_write,
    .stream_data = carrier_link_stream_data,
    .may_go_on = carrier_link_may_go_on,
    .batch_end = carrier_link_batch_end,
    .drained = carrier_link_drained,
    .fault = carrier_link_fault,
    .closed = carrier_link_closed,
};
