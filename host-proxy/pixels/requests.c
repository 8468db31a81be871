/* SPDX-License-Identifier: MIT */
/* Answers come in any order. The one that has been out for longest says whether the device answers
 * at all, because every request may take the same time. An EXPORT may wait for the guest, and the
 * device keeps only so many that do; the others wait here. */
#include "host-proxy/pixels/requests.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/transport/packets.h"

#define ANSWER_MS 3000     /* for the device; more than it may wait for the guest */
#define EXPORTS_AT_ONCE 32 /* the device keeps 64 that wait for the guest */
#define QUEUE_MAX 4096     /* packets that the device has not read */

struct request {
    struct request *next;
    uint32_t serial; /* 0: not sent yet */
    enum export_type type;
    uint32_t resource;                /* EXPORT */
    uint8_t nonce[EXPORT_NONCE_SIZE]; /* BIND: what the device should find */
    int64_t until_ms;
    requests_answer *answer;
    void *user;                   /* NULL: nobody waits any more */
    LIST_ENTRY(request) in_asked; /* while there is one */
};

static const struct export_hello hello = {.version_min = EXPORT_VERSION_MIN,
                                          .version_max = EXPORT_VERSION_MAX};

static void requests_expired(void *user);

int requests_init(struct requests *q, struct loop *loop, struct log_subject *subject,
                  const struct requests_ops *ops, void *user)
{
    *q = (struct requests){.loop = loop, .subject = subject, .ops = ops, .user = user};
    q->sent_last = &q->sent;
    q->queue_last = &q->queue;
    q->timer = loop_timer_create(loop, requests_expired, q);
    return q->timer ? 0 : -ENOMEM;
}

static unsigned bucket_of(const void *user)
{
    return (unsigned)((uintptr_t)user / 64 % REQUESTS_BUCKETS);
}

/* Nobody waits for it any more. */
static void request_leave(struct request *r)
{
    if (r->user)
        LIST_REMOVE(r, in_asked);
    r->user = NULL;
}

static void free_list(struct request **list, struct request ***last)
{
    while (*list) {
        struct request *r = *list;
        *list = r->next;
        request_leave(r);
        free(r);
    }
    *last = list;
}

static void free_all(struct requests *q)
{
    free_list(&q->sent, &q->sent_last);
    free_list(&q->queue, &q->queue_last);
    q->exports_asked = 0;
}

void requests_finish(struct requests *q)
{
    free_all(q);
    packets_destroy(q->packets);
    loop_timer_destroy(q->timer);
    q->packets = NULL;
    q->timer = NULL;
}

void requests_drop(struct requests *q)
{
    if (q->packets) {
        packets_stop(q->packets);
        packets_destroy_later(q->packets);
    }
    q->packets = NULL;
    q->greeting = false;
    free_all(q);
    loop_timer_disarm(q->timer);
}

bool requests_connected(const struct requests *q)
{
    return q->packets;
}

static uint32_t next_serial(struct requests *q)
{
    if (++q->serial == 0)
        q->serial = 1;
    return q->serial;
}

void requests_hello(struct requests *q)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    q->greeting = true;
    packets_send(q->packets, packet, export_hello_encode(packet, next_serial(q), &hello), -1);
    loop_timer_arm(q->timer, ANSWER_MS);
}

static struct request *request_create(struct requests *q, enum export_type type,
                                      requests_answer *answer, void *user)
{
    struct request *r = calloc(1, sizeof(*r));
    if (r)
        *r = (struct request){.type = type, .answer = answer, .user = user};
    if (r)
        LIST_INSERT_HEAD(&q->asked[bucket_of(user)], r, in_asked);
    return r;
}

/* Takes @r and @fd. */
static void send_request(struct requests *q, struct request *r, const uint8_t *packet, size_t size,
                         int fd)
{
    r->next = NULL;
    r->until_ms = loop_now_ms() + ANSWER_MS;
    if (!q->sent)
        loop_timer_arm(q->timer, ANSWER_MS);
    *q->sent_last = r;
    q->sent_last = &r->next;
    packets_send(q->packets, packet, size, fd);
}

/* Sends a request whose serial the encoder was given. */
#define SEND(q, r, fd, encoder, ...)                                                               \
    do {                                                                                           \
        uint8_t packet_[EXPORT_PACKET_MAX];                                                        \
        (r)->serial = next_serial(q);                                                              \
        send_request(q, r, packet_, encoder(packet_, (r)->serial, __VA_ARGS__), fd);               \
    } while (0)

static void requests_expired(void *user)
{
    struct requests *q = user;
    int64_t now = loop_now_ms();
    if (q->greeting || (q->sent && q->sent->until_ms <= now))
        q->ops->failed(q->user, "the VM's GPU device does not answer");
    else if (q->sent)
        loop_timer_arm(q->timer, (uint64_t)(q->sent->until_ms - now));
}

int requests_bind(struct requests *q, uint32_t resource, const uint8_t nonce[EXPORT_NONCE_SIZE],
                  requests_answer *answer, void *user)
{
    struct request *r = request_create(q, EXPORT_BIND, answer, user);
    struct export_bind bind = {.resource = resource, .timeout_ms = EXPORT_TIMEOUT_MAX_MS};
    if (!r)
        return -ENOMEM;
    memcpy(r->nonce, nonce, sizeof(r->nonce));
    SEND(q, r, -1, export_bind_encode, &bind);
    return 0;
}

static void send_queued_exports(struct requests *q)
{
    while (q->queue && q->exports_asked < EXPORTS_AT_ONCE) {
        struct request *r = q->queue;
        q->queue = r->next;
        if (!q->queue)
            q->queue_last = &q->queue;
        if (!r->user) {
            free(r);
            continue;
        }
        struct export_export ask = {.resource = r->resource, .timeout_ms = EXPORT_TIMEOUT_MAX_MS};
        q->exports_asked++;
        SEND(q, r, -1, export_export_encode, &ask);
    }
}

int requests_export(struct requests *q, uint32_t resource, requests_answer *answer, void *user)
{
    struct request *r = request_create(q, EXPORT_EXPORT, answer, user);
    if (!r)
        return -ENOMEM;
    r->resource = resource;
    *q->queue_last = r;
    q->queue_last = &r->next;
    send_queued_exports(q);
    return 0;
}

int requests_mirror(struct requests *q, uint32_t id, int fd, uint64_t size, requests_answer *answer,
                    void *user)
{
    struct request *r = request_create(q, EXPORT_MIRROR, answer, user);
    if (!r) {
        fd_close(fd);
        return -ENOMEM;
    }
    struct export_mirror mirror = {.id = id, .size = size};
    SEND(q, r, fd, export_mirror_encode, &mirror);
    return 0;
}

int requests_copy(struct requests *q, const struct export_copy *copy, requests_answer *answer,
                  void *user)
{
    struct request *r = request_create(q, EXPORT_COPY, answer, user);
    if (!r)
        return -ENOMEM;
    SEND(q, r, -1, export_copy_encode, copy);
    return 0;
}

void requests_release(struct requests *q, uint32_t id)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    if (q->packets)
        packets_send(q->packets, packet, export_release_encode(packet, next_serial(q), id), -1);
}

void requests_forget(struct requests *q, const void *user)
{
    struct request *r, *after;
    LIST_FOREACH_SAFE (r, &q->asked[bucket_of(user)], in_asked, after) {
        if (r->user == user)
            request_leave(r);
    }
}

void requests_void_all(struct requests *q)
{
    free_list(&q->queue, &q->queue_last);
    for (struct request *r = q->sent; r; r = r->next)
        request_leave(r); /* the answers are still to come */
}

static void broken(struct requests *q, const char *what)
{
    char text[160];
    snprintf(text, sizeof(text), "the VM's GPU device broke the export protocol: %s", what);
    q->ops->failed(q->user, text);
}

static void requests_welcomed(struct requests *q, const struct export_welcome *welcome)
{
    if (!q->greeting) {
        broken(q, "a second WELCOME");
        return;
    }
    q->greeting = false;
    loop_timer_disarm(q->timer);
    q->ops->welcomed(q->user, welcome);
}

/* The request that @serial answers, out of the list. */
static struct request *take_request(struct requests *q, uint32_t serial)
{
    for (struct request **at = &q->sent; *at; at = &(*at)->next) {
        struct request *r = *at;
        if (r->serial != serial)
            continue;
        *at = r->next;
        if (!*at)
            q->sent_last = at;
        if (!q->sent)
            loop_timer_disarm(q->timer);
        return r;
    }
    return NULL;
}

static enum export_type answer_of(enum export_type request)
{
    return request == EXPORT_EXPORT ? EXPORT_EXPORTED
           : request == EXPORT_BIND ? EXPORT_BOUND
                                    : EXPORT_STATUS;
}

/* Takes @fd. @bound: of a BOUND, whose status depends on what was to be found. */
static void requests_answered(struct requests *q, const struct export_header *header,
                              uint32_t status, const struct export_buffer *buffer,
                              const struct export_bound *bound, int fd)
{
    struct request *r = take_request(q, header->serial);
    struct request done = r ? *r : (struct request){0};
    bool asked = r;
    if (r)
        request_leave(r);
    free(r);
    if (!asked || answer_of(done.type) != header->type) {
        fd_close(fd);
        broken(q, "an answer to nothing that was asked");
        return;
    }
    if (bound)
        status = export_bound_verdict(bound, done.nonce);
    if (done.type == EXPORT_EXPORT)
        q->exports_asked--;
    if (done.user)
        done.answer(done.user, status, buffer, fd);
    else
        fd_close(fd);
    if (!done.user && buffer && status == EXPORT_OK)
        requests_release(q, buffer->id);
    if (q->packets)
        send_queued_exports(q);
}

static void received(void *user, const uint8_t *bytes, size_t size, int taken)
{
    struct requests *q = user;
    _cleanup_(fd_closep) int fd = taken;
    union {
        struct export_welcome welcome;
        struct export_bound bound;
        struct export_exported exported;
        struct export_gone gone;
        struct export_reset reset;
        uint32_t status;
    } m;
    struct export_header header = {0};
    const uint8_t *payload = bytes + EXPORT_HEADER_SIZE;
    int e = export_header_decode(bytes, size, &header);
    if (e == EXPORT_E_OK && (header.type == EXPORT_WELCOME) != q->greeting && header.serial)
        e = EXPORT_E_TYPE;
    if (e == EXPORT_E_OK) {
        switch (header.type) {
        case EXPORT_WELCOME:
            e = export_welcome_decode(payload, header.size, &m.welcome);
            if (e == EXPORT_E_OK)
                requests_welcomed(q, &m.welcome);
            break;
        case EXPORT_EXPORTED:
            e = export_exported_decode(payload, header.size, &m.exported);
            if (e == EXPORT_E_OK && m.exported.buffer.kind == EXPORT_KIND_NONE && fd >= 0)
                e = EXPORT_E_VALUE;
            if (fd < 0) /* or the kernel had none left for us: copies do */
                m.exported.buffer.kind = EXPORT_KIND_NONE;
            if (e == EXPORT_E_OK)
                requests_answered(q, &header, m.exported.status, &m.exported.buffer, NULL,
                                  fd_steal(&fd));
            break;
        case EXPORT_BOUND:
            e = export_bound_decode(payload, header.size, &m.bound);
            if (e == EXPORT_E_OK)
                requests_answered(q, &header, m.bound.status, NULL, &m.bound, -1);
            break;
        case EXPORT_STATUS:
            e = export_status_decode(payload, header.size, &m.status);
            if (e == EXPORT_E_OK)
                requests_answered(q, &header, m.status, NULL, NULL, -1);
            break;
        case EXPORT_GONE:
            e = export_gone_decode(payload, header.size, &m.gone);
            if (e == EXPORT_E_OK)
                q->ops->gone(q->user, &m.gone);
            break;
        case EXPORT_RESET:
            e = export_reset_decode(payload, header.size, &m.reset);
            if (e == EXPORT_E_OK)
                q->ops->reset(q->user, &m.reset);
            break;
        default:
            e = EXPORT_E_TYPE;
        }
    }
    if (e != EXPORT_E_OK) {
        char text[64];
        snprintf(text, sizeof(text), "a malformed or misplaced %s", export_type_name(header.type));
        broken(q, text);
    }
}

static void requests_closed(void *user, int reason)
{
    struct requests *q = user;
    char text[128];
    snprintf(text, sizeof(text), "the VM's GPU device is gone%s%s", reason ? ": " : "",
             reason ? strerror(-reason) : "");
    q->ops->failed(q->user, text);
}

static const struct packets_ops packets_ops = {.received = received, .closed = requests_closed};

int requests_connect(struct requests *q, int fd)
{
    q->packets = packets_create(q->loop, fd, EXPORT_PACKET_MAX, QUEUE_MAX, &packets_ops, q);
    return q->packets ? 0 : -ENOMEM;
}

int requests_greet(int taken, struct export_welcome *ret_welcome)
{
    _cleanup_(fd_closep) int fd = taken;
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_header header;
    size_t n = export_hello_encode(packet, 1, &hello);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    ssize_t got = send(fd, packet, n, MSG_NOSIGNAL) == (ssize_t)n && poll(&wait, 1, ANSWER_MS) == 1
                      ? recv(fd, packet, sizeof(packet), MSG_DONTWAIT)
                      : -1;
    if (got <= 0 || export_header_decode(packet, (size_t)got, &header) != EXPORT_E_OK ||
        header.type != EXPORT_WELCOME ||
        export_welcome_decode(packet + EXPORT_HEADER_SIZE, header.size, ret_welcome) != EXPORT_E_OK)
        return -EPROTO;
    return 0;
}
