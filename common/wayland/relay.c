/* SPDX-License-Identifier: MIT */
/* The life of a relay. Either side may end first: an END frame says that one Wayland side is
 * closed, streams go on until they are done (a clipboard transfer outlives the application that
 * started it), then the host closes the link. */
#include "common/wayland/relay.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/base/memory.h"
#include "common/wayland/relay-private.h"

#define ENDING_MS 3000   /* for the last words to go out */
#define CLOSING_MS 10000 /* for the other proxy to close the link */

static const struct link_ops link_ops;

static void ended_later(void *user)
{
    struct relay *r = user;
    r->ops->ended(r);
}

/* Everything is over: the owner destroys us when the current callback has returned. */
static void finish(struct relay *r)
{
    if (r->finished)
        return;
    r->finished = true;
    link_stop(r->link);
    local_socket_pause(&r->local, true);
    if (r->timer)
        loop_timer_disarm(r->timer);
    log_debug(r->subject,
              "ended: sent wayland=%llu mem=%llu stream=%llu copied=%llu shared=%llu bytes, "
              "received %llu "
              "bytes",
              (unsigned long long)r->counted_wayland, (unsigned long long)r->counted_memory,
              (unsigned long long)r->counted_streams, (unsigned long long)r->counted_copies,
              (unsigned long long)r->counted_shared, (unsigned long long)r->link->received);
    loop_later(r->loop, &r->ended_job);
}

static void expired(void *user)
{
    finish(user);
}

static void arm(struct relay *r, uint64_t ms)
{
    if (!r->timer)
        r->timer = loop_timer_create(r->loop, expired, r);
    if (r->timer)
        loop_timer_arm(r->timer, ms);
    else
        finish(r);
}

static void close_local(struct relay *r)
{
    r->local_done = true;
    local_socket_finish(&r->local);
    relay_vfd_forget(r);
    link_pause(r->link, false); /* it need not wait for this side any more */
}

/* What the guest's GPU has for the application belongs to the host, too, until that has handled all
 * that was said of it: it would not find what we had destroyed before. */
static bool is_looked_into(const struct relay *r)
{
    return r->side == RELAY_GUEST && r->next_import > 1 && !r->link->told;
}

/* Moves on whatever can move on after something ended or a queue went out. */
static void settle(void *user)
{
    struct relay *r = user;
    if (r->finished)
        return;
    if (r->ending) {
        link_flush(r->link);
        if (!r->local_done && (local_socket_flush(&r->local) < 0 || !sendq_size(&r->local.out)))
            close_local(r);
        if (sendq_size(&r->link->out))
            return;
        if (is_looked_into(r) && !r->link->awaits_end) {
            link_await_end(r->link);
            arm(r, CLOSING_MS);
        } else if (r->local_done && !is_looked_into(r)) {
            finish(r);
        }
        return;
    }
    if (r->got_end && !r->local_done && !sendq_size(&r->local.out))
        close_local(r);
    if (r->local_done && !r->sent_end) {
        r->sent_end = true;
        uint8_t frame[LINK_HEADER_SIZE];
        sendq_copy(&r->link->out, frame, link_header_encode(frame, LINK_END, 0));
        link_flush(r->link);
    }
    if (r->sent_end && r->got_end && !r->streams_n && !sendq_size(&r->link->out)) {
        if (r->side == RELAY_HOST)
            finish(r);
        else if (!r->timer)
            arm(r, CLOSING_MS);
    }
}

void relay_settle_later(struct relay *r)
{
    loop_later(r->loop, &r->settle_job);
}

/* Nothing more comes in; the queues have a little time to go out. */
static void end(struct relay *r)
{
    if (r->ending || r->finished)
        return;
    r->ending = true;
    link_stop(r->link);
    if (!r->local_done) {
        local_socket_pause(&r->local, true);
        if (r->side == RELAY_HOST)
            close_local(r); /* the compositor need not wait */
    }
    arm(r, ENDING_MS);
    relay_settle_later(r);
}

void relay_fail(struct relay *r, enum link_error kind, uint32_t object, uint32_t wl_code,
                const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (r->ending || r->finished)
        return;
    log_warn(r->subject, "%s", text);
    link_queue(r->link, link_error_encode, kind, object, wl_code, text);
    if (r->side == RELAY_GUEST && !r->local_done) {
        uint8_t message[1024];
        char reason[600];
        snprintf(reason, sizeof(reason), "wayvsock: %s", text);
        sendq_copy(&r->local.out, message,
                   wl_message_display_error(message, sizeof(message), object ? object : 1, wl_code,
                                            reason));
    }
    end(r);
}

/* The other proxy ended the connection: a client learns why. */
static void ended_by_peer(struct relay *r, const struct link_error_frame *error)
{
    log_info(r->subject, "ended by the %s: %.*s", r->side == RELAY_GUEST ? "host" : "guest",
             (int)error->text_size, error->text);
    if (r->side == RELAY_GUEST && !r->local_done) {
        uint8_t message[1024 + 64];
        char reason[LINK_TEXT_MAX + 1];
        snprintf(reason, sizeof(reason), "%.*s", (int)error->text_size, error->text);
        sendq_copy(
            &r->local.out, message,
            wl_message_display_error(message, sizeof(message),
                                     error->object ? wl_ids_application(&r->ids, error->object) : 1,
                                     error->wl_code, reason));
    }
    end(r);
}

static void flush_local(struct relay *r)
{
    if (r->local_done)
        return;
    if (local_socket_flush(&r->local) < 0) {
        close_local(r);
        relay_settle_later(r);
        return;
    }
    uint64_t size = sendq_size(&r->local.out);
    if (r->side == RELAY_HOST)
        link_pause(r->link, size > LINK_HIGH_WATER || (r->link->paused && size > LINK_LOW_WATER));
    else if (size > r->limits.queue)
        relay_fail(r, LINK_ERROR_LIMIT, 0, WL_DISPLAY_NO_MEMORY,
                   "the client does not read its events: more than %llu bytes wait for it",
                   (unsigned long long)r->limits.queue);
    if ((r->got_end || r->ending) && !size)
        relay_settle_later(r);
}

/* Whether more waits for the other proxy than may. A guest's application is not read while much
 * does, so what passes the limit are answers that the host asked for without taking them. */
static bool too_much(const struct relay *r)
{
    if (r->side == RELAY_HOST)
        return sendq_size(&r->link->out) > r->limits.queue;
    return sendq_held(&r->link->out) > r->limits.queue + LINK_FILE_MAX;
}

static void flush_link(struct relay *r)
{
    link_flush(r->link);
    if (r->link->out.failed && !r->link->broken)
        relay_fail(r, LINK_ERROR_INTERNAL, 0, WL_DISPLAY_NO_MEMORY, "out of memory");
    if (r->ending)
        return;
    if (r->link->broken && !r->timer)
        arm(r, ENDING_MS); /* its end is about to be read, unless the other direction goes on */
    /* Only a file that is being read, or a GPU, keeps the compositor waiting. */
    if (!r->local_done)
        local_socket_pause(&r->local,
                           r->file.job || r->waiting || (r->side == RELAY_GUEST && r->link->high));
    if (too_much(r))
        relay_fail(r, LINK_ERROR_LIMIT, 0, WL_DISPLAY_NO_MEMORY,
                   "queue limit: the %s does not read: more than %llu bytes wait for it",
                   r->side == RELAY_HOST ? "guest" : "host", (unsigned long long)r->limits.queue);
}

/* What is at @bytes, and what follows from it, as far as the link's queue has room. */
static void local_part(struct relay *r, const uint8_t *bytes, size_t size)
{
    r->crowded = false;
    size_t left = relay_from_local(r, bytes, size);
    if (r->ending && r->side == RELAY_HOST)
        left = 0;
    if (!r->local_done && left && local_socket_keep(&r->local, bytes + size - left, left) < 0)
        relay_fail(r, LINK_ERROR_INTERNAL, 0, WL_DISPLAY_NO_MEMORY, "out of memory");
    if (r->side == RELAY_GUEST && r->ops->batch)
        r->ops->batch(r);
    relay_queue_runs(r);
    flush_link(r);
}

static void local_batch(struct relay *r, const uint8_t *bytes, size_t size)
{
    local_part(r, bytes, size);
    while (r->crowded && !r->ending && !r->local_done && !r->link->high) {
        size = local_socket_kept(&r->local, &bytes);
        local_part(r, bytes, size);
    }
    if (!r->local_done && sendq_size(&r->local.out))
        flush_local(r);
}

static void local_ready(void *user, unsigned events)
{
    struct relay *r = user;
    if (events & LOOP_WRITE && sendq_size(&r->local.out)) {
        flush_local(r);
        if (r->local_done)
            return;
    }
    if (!(events & LOOP_READ) || r->local.paused || r->ending)
        return;
    const uint8_t *bytes;
    ssize_t n = local_socket_receive(&r->local, &bytes);
    if (n > 0) {
        local_batch(r, bytes, (size_t)n);
    } else if (n == -EMFILE || n == -EOVERFLOW) {
        relay_fail(r, r->side == RELAY_HOST ? LINK_ERROR_COMPOSITOR : LINK_ERROR_LIMIT, 0,
                   WL_DISPLAY_NO_MEMORY,
                   n == -EMFILE ? "descriptors were lost: our limit of open files is reached"
                                : "too many descriptors that no message claims");
    } else if (n != -EAGAIN) {
        if (r->side == RELAY_HOST && !r->got_end)
            log_info(r->subject, "the compositor closed the connection");
        close_local(r);
        settle(r);
    }
}

/* A file that a message waited for has been read. */
void relay_local_resume(struct relay *r)
{
    if (r->ending || r->local_done)
        return;
    const uint8_t *bytes;
    size_t n = local_socket_kept(&r->local, &bytes);
    local_batch(r, bytes, n);
}

void relay_wait(struct relay *r)
{
    r->waiting = true;
    local_socket_pause(&r->local, true);
}

void relay_wait_over(struct relay *r)
{
    r->waiting = false;
    relay_local_resume(r);
}

static int link_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    struct relay *r = user;
    struct link_error_frame error;
    int e;
    switch (type) {
    case LINK_WAYLAND:
        if (!r->local_done)
            return relay_from_link(r, payload, size);
        relay_vfd_forget(r);
        return 0;
    case LINK_END:
        if (r->got_end)
            break;
        r->got_end = true;
        relay_settle_later(r);
        return 0;
    case LINK_ERROR:
        e = link_error_decode(payload, size, &error);
        if (e != LINK_OK)
            break;
        ended_by_peer(r, &error);
        return -ECONNRESET;
    case LINK_VFD:
    case LINK_VFD_CLOSE:
    case LINK_MEM_SIZE:
    case LINK_MEM_PUNCH:
    case LINK_STREAM_CREDIT:
    case LINK_STREAM_END:
        return relay_vfd_frame(r, type, payload, size);
    case LINK_IMPORT:
    case LINK_IMPORT_RELEASE:
    case LINK_MEM_IMPORT:
        if (r->side == RELAY_GUEST || !r->ops->import)
            break;
        return relay_import_frame(r, type, payload, size);
    case LINK_IMPORT_RELEASED:
        if (r->side == RELAY_HOST || !r->ops->import_released)
            break;
        return relay_import_frame(r, type, payload, size);
    case LINK_MEM_COPY:
        if (r->side == RELAY_HOST ? !r->ops->copy : !r->ops->copied_back)
            break;
        return relay_import_frame(r, type, payload, size);
    default:
        break;
    }
    relay_fail(r, LINK_ERROR_PROTOCOL, 0, WL_DISPLAY_IMPLEMENTATION,
               "the other proxy sent an unexpected %s frame", link_type_name(type));
    return -EPROTO;
}

static bool link_may_go_on(void *user, enum link_type type)
{
    struct relay *r = user;
    return !r->ops->may_go_on || r->ops->may_go_on(r, type);
}

static void link_batch_end(void *user)
{
    struct relay *r = user;
    if (r->finished)
        return;
    if (!r->local_done && sendq_size(&r->local.out))
        flush_local(r);
    if (sendq_size(&r->link->out))
        flush_link(r);
}

static void resume_local(void *user)
{
    relay_local_resume(user);
}

static void link_drained(void *user)
{
    struct relay *r = user;
    relay_vfd_drained(r);
    if (r->crowded)
        loop_later(r->loop, &r->resume_job);
    if (r->side == RELAY_GUEST && !r->local_done && !r->ending && !r->file.job && !r->waiting)
        local_socket_pause(&r->local, false);
    if (r->ending || r->local_done)
        relay_settle_later(r);
}

static void link_fault(void *user, uint32_t tag)
{
    struct relay *r = user;
    relay_fail(r, LINK_ERROR_WAYLAND, tag, WL_SHM_INVALID_FD,
               "error accessing SHM buffer: its file has been truncated");
}

static void link_closed(void *user, int reason, unsigned type)
{
    struct relay *r = user;
    if (reason > 0) {
        link_queue(r->link, link_error_encode, LINK_ERROR_PROTOCOL, 0, WL_DISPLAY_IMPLEMENTATION,
                   "malformed frame");
        link_flush(r->link);
        log_warn(r->subject, "the other proxy sent a malformed %s frame: %s", link_type_name(type),
                 link_decode_error_name(reason));
    } else if (!r->ending && !(r->sent_end && r->got_end)) {
        log_info(r->subject, "the connection to the %s was lost%s%s",
                 r->side == RELAY_GUEST ? "host" : "guest", reason ? ": " : "",
                 reason ? strerror(-reason) : "");
    } else {
        if (r->ending)
            relay_settle_later(r); /* the application may not have read why */
        else
            finish(r);
        return;
    }
    if (r->side == RELAY_GUEST && !r->local_done && !r->ending) {
        uint8_t message[256];
        sendq_copy(&r->local.out, message,
                   wl_message_display_error(message, sizeof(message), 1, WL_DISPLAY_IMPLEMENTATION,
                                            "wayvsock: the connection to the host was lost"));
        local_socket_flush(&r->local);
    }
    finish(r);
}

static const struct link_ops link_ops = {
    .frame = link_frame,
    .mem_write = relay_vfd_mem_write,
    .stream_data = relay_vfd_stream_data,
    .may_go_on = link_may_go_on,
    .batch_end = link_batch_end,
    .drained = link_drained,
    .fault = link_fault,
    .closed = link_closed,
};

/* We may be in one of its callbacks. */
static void give_up_link(struct link *link)
{
    link_stop(link);
    link_destroy_later(link);
    errno = ENOMEM;
}

struct relay *relay_create(struct loop *loop, enum relay_side side, int local_fd, struct link *link,
                           const struct relay_limits *limits, const struct relay_ops *ops,
                           void *user, struct log_subject *subject)
{
    struct relay *r = calloc(1, sizeof(*r));
    if (!r || wl_objects_init(&r->objects) < 0) {
        free(r);
        fd_close(local_fd);
        give_up_link(link);
        return NULL;
    }
    r->side = side;
    r->settle_job = (struct loop_job){.run = settle, .user = r};
    r->resume_job = (struct loop_job){.run = resume_local, .user = r};
    r->ended_job = (struct loop_job){.run = ended_later, .user = r};
    r->loop = loop;
    r->link = link;
    r->ops = ops;
    r->user = user;
    r->subject = subject;
    r->limits = *limits;
    r->next_id = r->peer_next_id = r->next_import = 1;
    if (local_socket_init(&r->local, loop, local_fd, local_ready, r) < 0) {
        wl_objects_finish(&r->objects);
        free(r);
        give_up_link(link);
        return NULL;
    }
    link_adopt(link, &link_ops, r);
    return r;
}

void relay_start(struct relay *r)
{
    local_ready(r, LOOP_READ);
    link_flush(r->link);
}

void relay_destroy(struct relay *r)
{
    if (!r)
        return;
    loop_later_cancel(r->loop, &r->ended_job);
    loop_later_cancel(r->loop, &r->settle_job);
    loop_later_cancel(r->loop, &r->resume_job);
    loop_timer_destroy(r->timer);
    r->finished = true;
    wl_objects_finish(&r->objects);
    wl_ids_finish(&r->ids);
    relay_shm_forget(r, NULL);
    relay_vfd_finish(r);
    local_socket_finish(&r->local);
    link_destroy(r->link);
    free(r->globals);
    free(r->runs);
    free(r);
}

void relay_inject_local(struct relay *r, const void *message, size_t size)
{
    if (!r->local_done)
        sendq_copy(&r->local.out, message, size);
}

void relay_inject_link(struct relay *r, const void *message, size_t size)
{
    uint8_t head[LINK_HEADER_SIZE];
    relay_queue_runs(r); /* what came before it */
    sendq_copy(&r->link->out, head, link_header_encode(head, LINK_WAYLAND, size));
    sendq_copy(&r->link->out, message, size);
}

bool relay_make_object(struct relay *r, const struct wl_iface *iface, uint32_t version,
                       struct wl_id_pair *ret)
{
    return wl_ids_add(&r->ids, &r->objects, iface, version, ret) == WL_IDS_OK;
}

uint32_t relay_host_id(const struct relay *r, uint32_t id)
{
    return wl_ids_host(&r->ids, id);
}

void *relay_data(struct relay *r, uint32_t id, int kind)
{
    struct wl_object *object = wl_objects_get(&r->objects, id);
    return object && !object->zombie && object->data && object->data->kind == kind ? object->data
                                                                                   : NULL;
}

void relay_attach(struct relay *r, uint32_t id, struct wl_data *data)
{
    struct wl_object *object = wl_objects_get(&r->objects, id);
    if (object->data && object->data->destroy)
        object->data->destroy(object->data);
    object->data = data;
}
