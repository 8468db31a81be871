/* SPDX-License-Identifier: MIT */
/* exports: the clients are processes of our own user, which hold what a guest's buffer is made of.
 * Each connection has ids, quotas and a binding of its own. An export refers to its resource until
 * it is released or the resource is freed, whichever comes first; after the guest took the resource
 * away, nothing but RELEASE works on it.
 *
 * The guest's control queue and the road on which its daemon told the id are not ordered, so a
 * request for something that is not there (yet) waits for a bounded time. */
#include "host-proxy/gpu/exports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/address.h"
#include "common/fd.h"
#include "common/listener.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/packets.h"
#include "host-proxy/gpu/device.h"
#include "host-proxy/gpu/host-memory.h"
#include "host-proxy/gpu/mirror.h"
#include "host-proxy/gpu/udmabuf.h"

#define BUCKETS 256u

struct export
{
    struct export *next; /* client::buckets */
    uint32_t id;
    struct resource *resource; /* NULL: freed */
    uint64_t generation;
    bool gone;               /* the client knows */
    uint64_t given;          /* bytes that there is a udmabuf of */
    uint32_t offset, stride; /* host memory: as they were told */
    struct mirror mirror;
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

struct client {
    struct client *next;
    struct exports *owner;
    struct packets *packets; /* NULL: gone, about to be freed */
    bool greeted;
    uint64_t bound_epoch; /* 0: not bound */
    struct export *buckets[BUCKETS];
    uint32_t n_exports, last_id;
    struct pending *pending;
    unsigned n_pending;
    char name[32];
    struct log_subject subject;
};

struct exports {
    struct loop *loop;
    struct device *device;
    struct listener *listener; /* NULL: clients come by exports_serve() alone */
    struct log_subject subject;
    struct loop_timer *timer; /* of the pending requests */
    const uid_t *users;
    size_t n_users;
    struct client *clients;
    unsigned n_clients;
    int udmabuf;    /* owned, or -1 */
    uint64_t given; /* bytes in all udmabufs: each costs the kernel memory */
    uint8_t device_id[16];
};

static void send_packet(struct client *c, const uint8_t *packet, size_t size, int fd)
{
    if (c->packets)
        packets_send(c->packets, packet, size, fd);
    else
        fd_close(fd);
}

static void send_status(struct client *c, uint32_t serial, enum export_status status)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    send_packet(c, packet, export_status_encode(packet, serial, status), -1);
}

static struct export *find_export(struct client *c, uint32_t id)
{
    struct export *e = c->buckets[id % BUCKETS];
    while (e && e->id != id)
        e = e->next;
    return e;
}

static void release_export(struct client *c, struct export *e)
{
    struct export **at = &c->buckets[e->id % BUCKETS];
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    c->n_exports--;
    c->owner->given -= e->given;
    mirror_finish(&e->mirror);
    if (e->resource)
        device_release(c->owner->device, e->resource);
    free(e);
}

static void drop_pending(struct client *c, struct pending **at)
{
    struct pending *p = *at;
    *at = p->next;
    c->n_pending--;
    free(p);
}

static void free_client(void *user)
{
    struct client *c = user;
    struct client **at = &c->owner->clients;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->owner->n_clients--;
    loop_later_cancel(c->owner->loop, c);
    packets_destroy(c->packets);
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (c->buckets[i])
            release_export(c, c->buckets[i]);
    }
    while (c->pending)
        drop_pending(c, &c->pending);
    free(c);
}

/* Ends the connection from within one of its callbacks. */
static void end_client(struct client *c)
{
    packets_stop(c->packets);
    if (loop_later(c->owner->loop, free_client, c) < 0)
        log_error(&c->subject, "out of memory");
}

/* Kinds of refusal that time may heal: the guest's commands are on their way. */
static bool may_heal(enum export_status status)
{
    return status == EXPORT_UNKNOWN || status == EXPORT_UNMARKED || status == EXPORT_EMPTY;
}

static enum export_status check_bind(struct exports *x, const struct export_bind *bind)
{
    uint8_t bytes[EXPORT_NONCE_SIZE];
    uint8_t difference = 0;
    const struct guest_ram *ram = device_ram(x->device);
    const struct resource *r = device_find(x->device, bind->resource);
    if (!r)
        return EXPORT_UNKNOWN;
    if (!ram || r->backing_size < sizeof(bytes))
        return EXPORT_EMPTY;
    if (resource_copy(r, ram, 0, bytes, sizeof(bytes), false) < 0)
        return EXPORT_EMPTY;
    for (size_t i = 0; i < sizeof(bytes); i++)
        difference |= bytes[i] ^ bind->nonce[i];
    return difference ? EXPORT_MISMATCH : EXPORT_OK;
}

static enum export_status check_export(struct client *c, const struct export_export *request)
{
    struct device *device = c->owner->device;
    if (c->bound_epoch != device_epoch(device))
        return EXPORT_UNBOUND;
    const struct resource *r = device_find(device, request->resource);
    if (!r)
        return EXPORT_UNKNOWN;
    if (r->drawn ? !host_memory_is_picture(r) : !device_ram(device) || r->n_runs == 0)
        return EXPORT_EMPTY;
    if (!device_is_shared(device, r))
        return EXPORT_UNMARKED;
    return c->n_exports < EXPORTS_MAX ? EXPORT_OK : EXPORT_LIMIT;
}

/* A descriptor for the guest's pages, or -1 with the reason. */
static int make_descriptor(struct exports *x, const struct resource *r, uint32_t flags,
                           uint32_t *ret_reason)
{
    if (flags & EXPORT_NO_DESCRIPTOR) {
        *ret_reason = EXPORT_REASON_NOT_ASKED;
        return -1;
    }
    const struct guest_ram *ram = device_ram(x->device);
    if (x->udmabuf >= 0 && x->given + r->backing_size > EXPORTS_RAM_TIMES * ram->size) {
        *ret_reason = EXPORT_REASON_QUOTA;
        return -1;
    }
    int fd = udmabuf_of_runs(x->udmabuf, ram, r->runs, r->n_runs);
    switch (fd) {
    case -ENODEV:
        *ret_reason = EXPORT_REASON_NO_UDMABUF;
        break;
    case -EINVAL:
        *ret_reason = EXPORT_REASON_ALIGNMENT;
        break;
    case -E2BIG:
        *ret_reason = EXPORT_REASON_LIST_LIMIT;
        break;
    case -EFBIG:
        *ret_reason = EXPORT_REASON_SIZE_LIMIT;
        break;
    default:
        *ret_reason = fd < 0 ? EXPORT_REASON_REFUSED : EXPORT_REASON_NONE;
        break;
    }
    return fd < 0 ? -1 : fd;
}

static struct export *add_export(struct client *c, struct resource *r)
{
    struct export *e = calloc(1, sizeof(*e));
    if (!e || c->last_id == UINT32_MAX) {
        free(e);
        return NULL;
    }
    struct export **bucket = &c->buckets[++c->last_id % BUCKETS];
    *e = (struct export){
        .next = *bucket, .id = c->last_id, .resource = r, .generation = r->generation};
    *bucket = e;
    c->n_exports++;
    device_hold(c->owner->device, r);
    return e;
}

/* Describes what has been asked for. A descriptor, or -1. */
static int describe(struct client *c, struct resource *r, uint32_t flags, struct export *e,
                    struct export_buffer *buffer)
{
    struct exports *x = c->owner;
    int fd;
    *buffer = (struct export_buffer){.id = e->id, .generation = r->generation};
    if (r->drawn) {
        fd = host_memory_export(device_renderer(x->device), r, flags, buffer);
        e->offset = buffer->offset[0];
        e->stride = buffer->stride[0];
        return fd;
    }
    buffer->size = r->backing_size;
    buffer->memory = EXPORT_MEMORY_GUEST;
    buffer->runs = r->n_runs;
    buffer->width = r->width;
    buffer->height = r->height;
    buffer->fourcc = r->kind == RESOURCE_2D ? commands_fourcc(r->format) : 0;
    fd = make_descriptor(x, r, flags, &buffer->reason);
    buffer->kind = fd >= 0 ? EXPORT_KIND_UDMABUF : EXPORT_KIND_NONE;
    e->given = fd >= 0 ? r->backing_size : 0;
    x->given += e->given;
    return fd;
}

static void export_resource(struct client *c, uint32_t serial, const struct export_export *request,
                            enum export_status status)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_exported answer = {.status = status};
    int fd = -1;
    if (status == EXPORT_OK) {
        struct resource *r = device_find(c->owner->device, request->resource);
        struct export *e = add_export(c, r);
        if (e)
            fd = describe(c, r, request->flags, e, &answer.buffer);
        else
            answer.status = EXPORT_FAILED;
    }
    log_debug(&c->subject, "resource %u: %s", request->resource,
              answer.status != EXPORT_OK                   ? export_status_name(answer.status)
              : answer.buffer.kind == EXPORT_KIND_DMABUF   ? "exported as a dmabuf"
              : fd >= 0                                    ? "exported as a udmabuf"
              : answer.buffer.memory == EXPORT_MEMORY_HOST ? "exported for reading back"
                                                           : "exported for copies");
    send_packet(c, packet, export_exported_encode(packet, serial, &answer), fd);
}

/* True when it has been answered. */
static bool answer_request(struct client *c, const struct pending *p, bool last_chance)
{
    enum export_status status =
        p->is_bind ? check_bind(c->owner, &p->bind) : check_export(c, &p->request);
    if (may_heal(status) && !last_chance)
        return false;
    if (!p->is_bind) {
        export_resource(c, p->serial, &p->request, status);
        return true;
    }
    if (status == EXPORT_OK)
        c->bound_epoch = device_epoch(c->owner->device);
    log_debug(&c->subject, "binding: %s", export_status_name(status));
    send_status(c, p->serial, status);
    return true;
}

/* Answers what can be answered now, and waits for the rest. */
static void check_pending(void *user)
{
    struct exports *x = user;
    int64_t now = loop_now_ms(), next = INT64_MAX;
    for (struct client *c = x->clients; c; c = c->next) {
        for (struct pending **at = &c->pending; *at;) {
            struct pending *p = *at;
            if (answer_request(c, p, p->until_ms <= now)) {
                drop_pending(c, at);
                continue;
            }
            next = p->until_ms < next ? p->until_ms : next;
            at = &p->next;
        }
    }
    if (next != INT64_MAX)
        loop_timer_arm(x->timer, (uint64_t)(next - now));
}

static void request_or_wait(struct client *c, struct pending *request, uint32_t timeout_ms)
{
    struct exports *x = c->owner;
    device_poll(x->device);
    if (answer_request(c, request, timeout_ms == 0))
        return;
    struct pending *p = c->n_pending < EXPORT_PENDING_MAX ? malloc(sizeof(*p)) : NULL;
    if (!p) {
        if (request->is_bind)
            send_status(c, request->serial, EXPORT_LIMIT);
        else
            export_resource(c, request->serial, &request->request, EXPORT_LIMIT);
        return;
    }
    *p = *request;
    p->until_ms = loop_now_ms() + timeout_ms;
    p->next = c->pending;
    c->pending = p;
    c->n_pending++;
    check_pending(x); /* arms the timer */
}

static void hello(struct client *c, uint32_t serial, const struct export_hello *hello)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    struct exports *x = c->owner;
    struct udmabuf_limits limits;
    uint16_t version =
        hello->version_max < EXPORT_VERSION_MAX ? hello->version_max : EXPORT_VERSION_MAX;
    udmabuf_read_limits(&limits);
    struct export_welcome welcome = {
        .status = EXPORT_OK,
        .version = version,
        .features = EXPORT_FEATURE_COPY | EXPORT_FEATURE_NEEDS_BIND |
                    (x->udmabuf >= 0 ? EXPORT_FEATURE_UDMABUF : 0) |
                    (device_renderer(x->device) ? EXPORT_FEATURE_DMABUF : 0),
        .driver = device_has_driver(x->device),
        .epoch = device_epoch(x->device),
        .udmabuf_size_limit = limits.size,
        .udmabuf_list_limit = limits.list,
    };
    memcpy(welcome.device, x->device_id, sizeof(welcome.device));
    c->greeted = true;
    send_packet(c, packet, export_welcome_encode(packet, serial, &welcome), -1);
}

static enum export_status set_mirror(struct client *c, const struct export_mirror *mirror, int fd)
{
    struct export *e = find_export(c, mirror->id);
    if (!e) {
        fd_close(fd);
        return EXPORT_STALE;
    }
    return mirror_set(&e->mirror, fd, mirror->size);
}

static enum export_status copy(struct client *c, const struct export_copy *request)
{
    struct export *e = find_export(c, request->id);
    const struct guest_ram *ram = device_ram(c->owner->device);
    if (!e || e->gone || !e->resource || e->generation != request->generation ||
        e->resource->generation != request->generation)
        return EXPORT_STALE;
    if (e->resource->drawn)
        return host_memory_copy(device_renderer(c->owner->device), e->resource, e->offset,
                                e->stride, &e->mirror, request);
    if (!ram || e->resource->kind == RESOURCE_3D)
        return EXPORT_STALE;
    return mirror_copy(&e->mirror, e->resource, ram, request);
}

/* EXPORT_E_* */
static int dispatch(struct client *c, const struct export_header *h, const uint8_t *payload,
                    int *fd)
{
    union {
        struct export_hello hello;
        struct export_mirror mirror;
        struct export_copy copy;
        uint32_t id;
    } m;
    struct pending pending = {.serial = h->serial};
    struct export *e;
    int r;
    if ((h->type == EXPORT_HELLO) == c->greeted || (*fd >= 0) != (h->type == EXPORT_MIRROR))
        return EXPORT_E_VALUE;
    switch (h->type) {
    case EXPORT_HELLO:
        r = export_hello_decode(payload, h->size, &m.hello);
        if (r == EXPORT_E_OK && m.hello.version_min > EXPORT_VERSION_MAX)
            r = EXPORT_E_VALUE;
        if (r == EXPORT_E_OK)
            hello(c, h->serial, &m.hello);
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
            send_status(c, h->serial, set_mirror(c, &m.mirror, fd_steal(fd)));
        return r;
    case EXPORT_COPY:
        r = export_copy_decode(payload, h->size, &m.copy);
        if (r == EXPORT_E_OK)
            send_status(c, h->serial, copy(c, &m.copy));
        return r;
    case EXPORT_RELEASE:
        r = export_release_decode(payload, h->size, &m.id);
        if (r != EXPORT_E_OK)
            return r;
        e = find_export(c, m.id);
        if (!e)
            return EXPORT_E_VALUE;
        release_export(c, e);
        return EXPORT_E_OK;
    default: /* ours to send */
        return EXPORT_E_TYPE;
    }
}

static void client_received(void *user, const uint8_t *bytes, size_t size, int taken)
{
    struct client *c = user;
    struct export_header h = {0};
    _cleanup_(fd_closep) int fd = taken;
    int r = export_header_decode(bytes, size, &h);
    if (r == EXPORT_E_OK)
        r = dispatch(c, &h, bytes + EXPORT_HEADER_SIZE, &fd);
    if (r != EXPORT_E_OK) {
        log_warn(&c->subject, "malformed or misplaced %s (%d, %zu bytes); the connection ends",
                 export_type_name(h.type), r, size);
        end_client(c);
    }
}

static void client_closed(void *user, int reason)
{
    struct client *c = user;
    if (reason < 0)
        log_warn(&c->subject, "the connection is lost: %s", strerror(-reason));
    else
        log_debug(&c->subject, "disconnected");
    end_client(c);
}

static const struct packets_ops client_ops = {.received = client_received, .closed = client_closed};

/* Calls @each for every export of the resource. */
static void each_export(struct exports *x, const struct resource *resource,
                        void (*each)(struct client *c, struct export *e))
{
    if (resource->holds == 0)
        return;
    for (struct client *c = x->clients; c; c = c->next) {
        for (unsigned i = 0; i < BUCKETS && c->n_exports > 0; i++) {
            for (struct export *e = c->buckets[i]; e; e = e->next) {
                if (e->resource == resource)
                    each(c, e);
            }
        }
    }
}

static void tell_gone(struct client *c, struct export *e)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_gone gone = {.id = e->id, .generation = e->generation};
    if (e->gone)
        return;
    e->gone = true;
    send_packet(c, packet, export_gone_encode(packet, &gone), -1);
}

static void forget(struct client *c, struct export *e)
{
    (void)c;
    e->resource = NULL;
}

static void device_gone(void *user, struct resource *resource)
{
    each_export(user, resource, tell_gone);
}

static void device_forget(void *user, struct resource *resource)
{
    each_export(user, resource, forget);
}

static void device_reset(void *user)
{
    struct exports *x = user;
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_reset reset = {.epoch = device_epoch(x->device),
                                 .driver = device_has_driver(x->device)};
    size_t size = export_reset_encode(packet, &reset);
    for (struct client *c = x->clients; c; c = c->next) {
        if (c->greeted)
            send_packet(c, packet, size, -1);
    }
    check_pending(x);
}

static const struct device_ops device_ops = {
    .gone = device_gone,
    .forget = device_forget,
    .changed = check_pending,
    .reset = device_reset,
};

static bool let_in(const struct exports *x, uid_t user)
{
    if (user == geteuid())
        return true;
    for (size_t i = 0; i < x->n_users; i++) {
        if (x->users[i] == user)
            return true;
    }
    return false;
}

int exports_serve(struct exports *x, int fd)
{
    struct client *c = x->n_clients < EXPORTS_CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
    struct address_peer peer = {0};
    if (!c) {
        fd_close(fd);
        return x->n_clients < EXPORTS_CLIENTS_MAX ? -ENOMEM : -EMFILE;
    }
    address_peer(fd, &peer);
    snprintf(c->name, sizeof(c->name), "export client %u", peer.pid);
    c->subject.name = c->name;
    c->owner = x;
    c->packets = packets_create(x->loop, fd, EXPORT_PACKET_MAX, EXPORTS_QUEUE_MAX, &client_ops, c);
    if (!c->packets) {
        free(c);
        return -ENOMEM;
    }
    c->next = x->clients;
    x->clients = c;
    x->n_clients++;
    return 0;
}

static void incoming(void *user, int fd)
{
    struct exports *x = user;
    struct address_peer peer;
    if (address_peer(fd, &peer) < 0 || !let_in(x, peer.uid)) {
        log_warn(&x->subject, "refused a process of another user (--export-user lets it in)");
        fd_close(fd);
        return;
    }
    int r = exports_serve(x, fd);
    if (r < 0)
        log_warn(&x->subject, "refused a client: %s", strerror(-r));
}

struct exports *exports_create(struct loop *loop, struct device *device, int listener,
                               const uid_t *users, size_t n_users)
{
    struct exports *x = calloc(1, sizeof(*x));
    if (!x) {
        address_unlisten(listener);
        return NULL;
    }
    *x = (struct exports){.loop = loop,
                          .device = device,
                          .subject = {.name = "export socket"},
                          .users = users,
                          .n_users = n_users,
                          .udmabuf = -1};
    x->timer = loop_timer_create(loop, check_pending, x);
    if (listener >= 0)
        x->listener = listener_create(loop, listener, &x->subject, incoming, x);
    if (!x->timer || (listener >= 0 && !x->listener) ||
        getrandom(x->device_id, sizeof(x->device_id), 0) != sizeof(x->device_id)) {
        exports_destroy(x);
        errno = ENOMEM;
        return NULL;
    }
    int udmabuf = udmabuf_open();
    if (udmabuf < 0)
        log_info(NULL, "no /dev/udmabuf (%s): buffers are copied on the host", strerror(-udmabuf));
    x->udmabuf = udmabuf < 0 ? -1 : udmabuf;
    device_listen(device, &device_ops, x);
    return x;
}

void exports_destroy(struct exports *x)
{
    if (!x)
        return;
    while (x->clients)
        free_client(x->clients);
    listener_destroy(x->listener);
    loop_timer_destroy(x->timer);
    fd_close(x->udmabuf);
    free(x);
}
