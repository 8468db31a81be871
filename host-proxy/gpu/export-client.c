/* SPDX-License-Identifier: MIT */
/* export-client: owns its connection, its exports and the requests that wait, the timer running
 * while there are any. Each connection has ids, quotas and a binding of its own.
 *
 * The guest's control queue and the road on which its daemon told the id are not ordered, so a
 * request for something that is not there (yet) waits for a bounded time. What a renderer has to
 * say comes when it does, and always comes: one that is gone has failed. */
#include "host-proxy/gpu/export-client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/transport/address.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/transport/packets.h"
#include "host-proxy/gpu/device.h"
#include "host-proxy/gpu/export-table.h"
#include "host-proxy/gpu/guest-pages.h"
#include "protocol/export.h"

/* A request that waits for the renderer. */
struct asked {
    struct asked *next;
    uint64_t ticket;
    uint32_t serial;
    uint32_t id, resource; /* of an export; id 0: a copy */
    unsigned left;         /* answers that are to come */
    enum export_status status;
};

/* A request that waits for the guest. */
struct pending {
    struct pending *next;
    uint32_t serial;
    bool is_bind;
    struct export_bind bind;
    struct export_export request;
    int64_t until_ms;
};

struct export_client {
    struct loop *loop;
    struct packets *packets;
    struct device *device;
    const uint8_t *device_id;
    bool greeted;
    uint64_t bound_epoch; /* 0: not bound */
    struct export_table table;
    struct pending *pending;
    unsigned n_pending;
    struct loop_timer *timer; /* of the pending requests */
    struct asked *asked;
    struct loop_job end_job;
    void (*ended)(void *user, struct export_client *client);
    void *user;
    char name[32];
    struct log_subject subject;
};

static void send_status(struct export_client *c, uint32_t serial, enum export_status status)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    packets_send(c->packets, packet, export_status_encode(packet, serial, status), -1);
}

static void drop_pending(struct export_client *c, struct pending **at)
{
    struct pending *p = *at;
    *at = p->next;
    c->n_pending--;
    free(p);
}

static void export_client_tell_end(void *user)
{
    struct export_client *c = user;
    c->ended(c->user, c);
}

/* Ends the connection from within one of its callbacks. */
static void export_client_end(struct export_client *c)
{
    packets_stop(c->packets);
    loop_later(c->loop, &c->end_job);
}

/* Kinds of refusal that time may heal: the guest's commands are on their way. */
static bool may_heal(enum export_status status)
{
    return status == EXPORT_UNKNOWN || status == EXPORT_UNMARKED || status == EXPORT_EMPTY;
}

/* The beginning of a resource, which only this VM's guest can have written. Whether it is what the
 * client told its guest is for the client to see: a device that knew it could say anything. */
static enum export_status export_client_find(const struct export_client *c, uint32_t resource,
                                             uint8_t found[EXPORT_NONCE_SIZE])
{
    const struct guest_ram *ram = device_ram(c->device);
    const struct resource *r = device_find(c->device, resource);
    if (!r)
        return EXPORT_UNKNOWN;
    if (!ram || r->backing_size < EXPORT_NONCE_SIZE ||
        resource_copy(r, ram, 0, found, EXPORT_NONCE_SIZE, false) < 0)
        return EXPORT_EMPTY;
    return EXPORT_OK;
}

static enum export_status may_export(const struct export_client *c,
                                     const struct export_export *request)
{
    if (c->bound_epoch != device_epoch(c->device))
        return EXPORT_UNBOUND;
    return export_table_check(&c->table, request->resource);
}

static void log_outcome(struct export_client *c, uint32_t resource,
                        const struct export_exported *answer)
{
    const struct export_buffer *b = &answer->buffer;
    if (answer->status != EXPORT_OK)
        log_debug(&c->subject, "resource %u: %s", resource, export_status_name(answer->status));
    else if (b->kind != EXPORT_KIND_NONE)
        log_debug(&c->subject, "resource %u: exported as a %s", resource,
                  b->kind == EXPORT_KIND_DMABUF ? "dmabuf" : "udmabuf");
    else if (b->memory == EXPORT_MEMORY_HOST)
        log_debug(&c->subject, "resource %u: exported for reading back", resource);
    else
        log_debug(&c->subject, "resource %u: exported for copies: %s", resource,
                  export_reason_name(b->reason));
}

static void tell_export(struct export_client *c, uint32_t serial, uint32_t resource,
                        const struct export_exported *answer, int fd)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    log_outcome(c, resource, answer);
    packets_send(c->packets, packet, export_exported_encode(packet, serial, answer), fd);
}

static void answer_export(struct export_client *c, uint32_t serial, uint32_t resource,
                          enum export_status status)
{
    struct export_exported answer = {.status = status};
    struct asked *asked = NULL;
    uint64_t ticket = 0;
    int fd = -1;
    if (status == EXPORT_OK && !(asked = calloc(1, sizeof(*asked))))
        answer.status = EXPORT_FAILED;
    if (answer.status == EXPORT_OK)
        answer.status = export_table_add(&c->table, resource, &answer.buffer, &fd, &ticket);
    if (ticket == 0) {
        free(asked);
        tell_export(c, serial, resource, &answer, fd);
        return;
    }
    *asked = (struct asked){.next = c->asked,
                            .ticket = ticket,
                            .serial = serial,
                            .id = answer.buffer.id,
                            .resource = resource,
                            .left = 1};
    c->asked = asked;
}

static void answer_copy(struct export_client *c, uint32_t serial, const struct export_copy *copy)
{
    struct asked *asked = calloc(1, sizeof(*asked));
    if (!asked) {
        send_status(c, serial, EXPORT_FAILED);
        return;
    }
    asked->serial = serial;
    asked->status = export_table_copy(&c->table, copy, &asked->ticket, &asked->left);
    if (asked->left == 0) {
        send_status(c, serial, asked->status);
        free(asked);
        return;
    }
    asked->next = c->asked;
    c->asked = asked;
}

/* One more answer has come. The request if that was the last one (the caller's then), or NULL;
 * *ret_known: it is a request of this client. */
static struct asked *take_asked(struct export_client *c, uint64_t ticket, int result,
                                bool *ret_known)
{
    struct asked **at = &c->asked, *a;
    while (*at && (*at)->ticket != ticket)
        at = &(*at)->next;
    a = *at;
    *ret_known = a != NULL;
    if (!a)
        return NULL;
    if (result < 0 && a->status == EXPORT_OK)
        a->status = EXPORT_FAILED;
    if (--a->left > 0)
        return NULL;
    *at = a->next;
    return a;
}

bool export_client_copied(struct export_client *c, uint64_t ticket, int result)
{
    bool known;
    struct asked *a = take_asked(c, ticket, result, &known);
    if (a)
        send_status(c, a->serial, a->status);
    free(a);
    return known;
}

bool export_client_exported(struct export_client *c, uint64_t ticket, int fd,
                            const struct render_layout *layout)
{
    struct export_exported answer = {0};
    bool known;
    int ours = -1;
    struct asked *a = take_asked(c, ticket, 0, &known);
    if (!a)
        return false;
    answer.status = export_table_told(&c->table, a->id, fd, layout, &answer.buffer, &ours);
    tell_export(c, a->serial, a->resource, &answer, ours);
    free(a);
    return true;
}

static void answer_bind(struct export_client *c, uint32_t serial, const struct export_bound *bound)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    if (bound->status == EXPORT_OK)
        c->bound_epoch = device_epoch(c->device);
    log_debug(&c->subject, "binding: %s", export_status_name(bound->status));
    packets_send(c->packets, packet, export_bound_encode(packet, serial, bound), -1);
}

/* True when it has been answered. */
static bool answer_request(struct export_client *c, const struct pending *p, bool last_chance)
{
    struct export_bound bound = {0};
    bound.status = p->is_bind ? export_client_find(c, p->bind.resource, bound.found)
                              : may_export(c, &p->request);
    if (may_heal(bound.status) && !last_chance)
        return false;
    if (p->is_bind)
        answer_bind(c, p->serial, &bound);
    else
        answer_export(c, p->serial, p->request.resource, bound.status);
    return true;
}

void export_client_check(struct export_client *c)
{
    int64_t now = loop_now_ms(), next = INT64_MAX;
    for (struct pending **at = &c->pending; *at;) {
        struct pending *p = *at;
        if (answer_request(c, p, p->until_ms <= now)) {
            drop_pending(c, at);
            continue;
        }
        next = p->until_ms < next ? p->until_ms : next;
        at = &p->next;
    }
    if (next != INT64_MAX)
        loop_timer_arm(c->timer, (uint64_t)(next - now));
}

static void export_client_expired(void *user)
{
    export_client_check(user);
}

static void request_or_wait(struct export_client *c, struct pending *request, uint32_t timeout_ms)
{
    device_poll(c->device);
    if (answer_request(c, request, timeout_ms == 0))
        return;
    struct pending *p = c->n_pending < EXPORT_PENDING_MAX ? malloc(sizeof(*p)) : NULL;
    if (!p) {
        if (request->is_bind)
            answer_bind(c, request->serial, &(struct export_bound){.status = EXPORT_LIMIT});
        else
            answer_export(c, request->serial, request->request.resource, EXPORT_LIMIT);
        return;
    }
    *p = *request;
    p->until_ms = loop_now_ms() + timeout_ms;
    p->next = c->pending;
    c->pending = p;
    c->n_pending++;
    export_client_check(c); /* arms the timer */
}

static void export_client_hello(struct export_client *c, uint32_t serial,
                                const struct export_hello *hello)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    struct udmabuf_limits limits;
    uint16_t version =
        hello->version_max < EXPORT_VERSION_MAX ? hello->version_max : EXPORT_VERSION_MAX;
    udmabuf_read_limits(&limits);
    struct export_welcome welcome = {
        .status = EXPORT_OK,
        .version = version,
        .features = EXPORT_FEATURE_COPY | EXPORT_FEATURE_NEEDS_BIND |
                    (c->table.source->udmabuf >= 0 ? EXPORT_FEATURE_UDMABUF : 0) |
                    (device_renderer(c->device) ? EXPORT_FEATURE_DMABUF : 0),
        .driver = device_has_driver(c->device),
        .epoch = device_epoch(c->device),
        .udmabuf_size_limit = limits.size,
        .udmabuf_list_limit = limits.list,
    };
    static_assert(sizeof(welcome.device) == EXPORT_DEVICE_ID_SIZE, "the device's id");
    memcpy(welcome.device, c->device_id, sizeof(welcome.device));
    c->greeted = true;
    packets_send(c->packets, packet, export_welcome_encode(packet, serial, &welcome), -1);
}

/* EXPORT_E_* */
static int export_client_dispatch(struct export_client *c, const struct export_header *h,
                                  const uint8_t *payload, int *fd)
{
    union {
        struct export_hello hello;
        struct export_mirror mirror;
        struct export_copy copy;
        uint32_t id;
    } m;
    struct pending pending = {.serial = h->serial};
    int r;
    if ((h->type == EXPORT_HELLO) == c->greeted || (*fd >= 0) != (h->type == EXPORT_MIRROR))
        return EXPORT_E_VALUE;
    switch (h->type) {
    case EXPORT_HELLO:
        r = export_hello_decode(payload, h->size, &m.hello);
        if (r == EXPORT_E_OK &&
            (m.hello.version_min > EXPORT_VERSION_MAX || m.hello.version_max < EXPORT_VERSION_MIN))
            r = EXPORT_E_VALUE;
        if (r == EXPORT_E_OK)
            export_client_hello(c, h->serial, &m.hello);
        return r;
    case EXPORT_BIND:
        pending.is_bind = true;
        r = export_bind_decode(payload, h->size, &pending.bind);
        if (r == EXPORT_E_OK)
            request_or_wait(c, &pending, pending.bind.timeout_ms);
        return r;
    case EXPORT_EXPORT:
        r = export_export_decode(payload, h->size, &pending.request);
        if (r == EXPORT_E_OK)
            request_or_wait(c, &pending, pending.request.timeout_ms);
        return r;
    case EXPORT_MIRROR:
        r = export_mirror_decode(payload, h->size, &m.mirror);
        if (r == EXPORT_E_OK)
            send_status(c, h->serial, export_table_mirror(&c->table, &m.mirror, fd_steal(fd)));
        return r;
    case EXPORT_COPY:
        r = export_copy_decode(payload, h->size, &m.copy);
        if (r == EXPORT_E_OK)
            answer_copy(c, h->serial, &m.copy);
        return r;
    case EXPORT_RELEASE:
        r = export_release_decode(payload, h->size, &m.id);
        if (r == EXPORT_E_OK && !export_table_release(&c->table, m.id))
            r = EXPORT_E_VALUE;
        return r;
    default: /* ours to send */
        return EXPORT_E_TYPE;
    }
}

static void export_client_received(void *user, const uint8_t *bytes, size_t size, int taken)
{
    struct export_client *c = user;
    struct export_header h = {0};
    _cleanup_(fd_closep) int fd = taken;
    int r = export_header_decode(bytes, size, &h);
    if (r == EXPORT_E_OK)
        r = export_client_dispatch(c, &h, bytes + EXPORT_HEADER_SIZE, &fd);
    if (r != EXPORT_E_OK) {
        log_warn(&c->subject, "malformed or misplaced %s (%d, %zu bytes); the connection ends",
                 export_type_name(h.type), r, size);
        export_client_end(c);
    }
}

static void export_client_closed(void *user, int reason)
{
    struct export_client *c = user;
    if (reason < 0)
        log_warn(&c->subject, "the connection is lost: %s", strerror(-reason));
    else
        log_debug(&c->subject, "disconnected");
    export_client_end(c);
}

static void export_client_tell_gone(void *user, const struct export_gone *gone)
{
    struct export_client *c = user;
    uint8_t packet[EXPORT_PACKET_MAX];
    packets_send(c->packets, packet, export_gone_encode(packet, gone), -1);
}

void export_client_gone(struct export_client *c, const struct resource *resource)
{
    export_table_gone(&c->table, resource, export_client_tell_gone, c);
}

void export_client_forget(struct export_client *c, const struct resource *resource)
{
    export_table_forget(&c->table, resource);
}

void export_client_reset(struct export_client *c)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_reset reset = {.epoch = device_epoch(c->device),
                                 .driver = device_has_driver(c->device)};
    if (c->greeted)
        packets_send(c->packets, packet, export_reset_encode(packet, &reset), -1);
    export_client_check(c);
}

struct export_client *export_client_create(struct loop *loop, int fd, struct export_source *source,
                                           const uint8_t device_id[EXPORT_DEVICE_ID_SIZE],
                                           void (*ended)(void *user, struct export_client *client),
                                           void *user)
{
    static const struct packets_ops ops = {.received = export_client_received,
                                           .closed = export_client_closed};
    struct address_peer peer = {0};
    struct export_client *c = calloc(1, sizeof(*c));
    if (!c) {
        fd_close(fd);
        errno = ENOMEM;
        return NULL;
    }
    address_peer(fd, &peer);
    snprintf(c->name, sizeof(c->name), "export client %u", peer.pid);
    c->subject.name = c->name;
    c->loop = loop;
    c->end_job = (struct loop_job){.run = export_client_tell_end, .user = c};
    c->device = source->device;
    c->device_id = device_id;
    c->ended = ended;
    c->user = user;
    export_table_init(&c->table, source);
    c->timer = loop_timer_create(loop, export_client_expired, c);
    c->packets = packets_create(loop, fd, EXPORT_PACKET_MAX, EXPORTS_QUEUE_MAX, &ops, c);
    if (!c->timer || !c->packets) {
        export_client_destroy(c);
        errno = ENOMEM;
        return NULL;
    }
    return c;
}

void export_client_destroy(struct export_client *c)
{
    if (!c)
        return;
    loop_later_cancel(c->loop, &c->end_job);
    packets_destroy(c->packets);
    loop_timer_destroy(c->timer);
    export_table_finish(&c->table);
    while (c->pending)
        drop_pending(c, &c->pending);
    while (c->asked) {
        struct asked *a = c->asked;
        c->asked = a->next;
        free(a);
    }
    free(c);
}
