/* SPDX-License-Identifier: MIT */
/* The connection lives as long as the guest daemon's session, so that nothing that one session was
 * given outlives it. It is usable after the guest has shown, with a nonce in a resource, that it
 * holds the device at the other end; a reset of that device voids the proof. The device answers
 * everything within a bounded time; if not, the connection is given up, and whoever waits is told.
 *
 * Where a folder of export sockets was named, there is no connection before the guest has said
 * where the nonce is; the device that finds it is ours. */
#include "host-proxy/handles.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/address.h"
#include "common/export-folder.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/packets.h"
#include "host-proxy/devices.h"

#define ANSWER_MS 3000 /* for the device; more than it may wait for the guest */
#define RETRY_MS 2000
#define SEARCH_AGAIN_MS 30000 /* in a folder in which nothing changed */
#define EXPORTS_AT_ONCE 32    /* the device keeps 64 that wait for the guest */
#define QUEUE_MAX 4096        /* packets that the device has not read */

enum state {
    HANDLES_AWAY,     /* no connection */
    HANDLES_GREETING, /* HELLO is out */
    HANDLES_LOOKING,  /* there is a folder; the guest is about to be asked */
    HANDLES_PROBING,  /* the guest was asked to write the nonce */
    HANDLES_BINDING,  /* the device was asked to find it */
    HANDLES_UNBOUND,  /* it was not there, or the device was reset */
    HANDLES_BOUND,
};

struct request {
    struct request *next;
    uint32_t serial; /* 0: not sent yet */
    enum export_type type;
    uint32_t resource, flags; /* EXPORT */
    int64_t until_ms;
    handles_answer *answer;
    void *user; /* NULL: nobody waits any more */
};

struct handles {
    struct handles *next; /* all */
    struct loop *loop;
    struct log_subject subject;
    const struct handles_ops *ops;
    void *user;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    enum state state;
    bool session;
    struct packets *packets;
    struct devices *search;      /* in the folder @path */
    struct timespec folder_time; /* of its last change that we know */
    int64_t search_again_ms;
    struct loop_timer *retry, *timer;    /* timer: of requests */
    struct request *requests, **last;    /* by the time that they were sent */
    struct request *queue, **queue_last; /* EXPORTs for later */
    unsigned exports_asked;
    uint32_t serial;
    uint64_t epoch;
    uint8_t device[16]; /* the device at the other end: its process */
    bool had;           /* the guest has shown that it holds that one */
    unsigned probes;
    uint8_t nonce[EXPORT_NONCE_SIZE];
    struct handles_user *users;
    char complaint[512]; /* the last one, to say each once */
};

static struct handles *all;

static void try_again(void *user);
static void expired(void *user);

struct handles *handles_create(struct loop *loop, const char *path, struct log_subject *subject,
                               const struct handles_ops *ops, void *user)
{
    struct handles *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    *h = (struct handles){.loop = loop, .ops = ops, .user = user};
    h->subject = (struct log_subject){.name = "gpu", .parent = subject};
    snprintf(h->path, sizeof(h->path), "%s", path);
    h->next = all;
    all = h;
    h->last = &h->requests;
    h->queue_last = &h->queue;
    h->retry = loop_timer_create(loop, try_again, h);
    h->timer = loop_timer_create(loop, expired, h);
    if (!h->retry || !h->timer) {
        handles_destroy(h);
        return NULL;
    }
    return h;
}

static void free_requests(struct request **list, struct request ***last)
{
    while (*list) {
        struct request *r = *list;
        *list = r->next;
        free(r);
    }
    *last = list;
}

static void drop_requests(struct handles *h)
{
    free_requests(&h->requests, &h->last);
    free_requests(&h->queue, &h->queue_last);
    h->exports_asked = 0;
    loop_timer_disarm(h->timer);
}

static void destroy_packets_later(void *packets)
{
    packets_destroy(packets);
}

static void disconnect(struct handles *h)
{
    devices_destroy(h->search);
    h->search = NULL;
    if (h->packets) {
        packets_stop(h->packets);
        if (loop_later(h->loop, destroy_packets_later, h->packets) < 0)
            log_error(&h->subject, "out of memory");
    }
    h->packets = NULL;
    h->state = HANDLES_AWAY;
}

/* Everybody who waits or holds something learns that it is over. */
static void void_all(struct handles *h, bool reset, const char *why)
{
    free_requests(&h->queue, &h->queue_last);
    for (struct request *r = h->requests; r; r = r->next)
        r->user = NULL; /* the answers are still to come */
    for (struct handles_user *u = h->users, *next; u; u = next) {
        next = u->next;
        u->lost(u, reset, why);
    }
}

static void lost(struct handles *h, const char *why)
{
    bool told = h->state != HANDLES_UNBOUND && h->state != HANDLES_AWAY;
    if (strcmp(why, h->complaint) != 0)
        log_warn(&h->subject, "%s", why);
    snprintf(h->complaint, sizeof(h->complaint), "%s", why);
    disconnect(h);
    drop_requests(h);
    void_all(h, false, why);
    if (!h->session)
        return;
    if (told)
        h->ops->bound(h->user, false, why);
    loop_timer_arm(h->retry, RETRY_MS);
}

void handles_destroy(struct handles *h)
{
    if (!h)
        return;
    struct handles **at = &all;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    drop_requests(h);
    packets_destroy(h->packets);
    devices_destroy(h->search);
    loop_timer_destroy(h->retry);
    loop_timer_destroy(h->timer);
    free(h);
}

bool handles_bound(const struct handles *h)
{
    return h && h->state == HANDLES_BOUND;
}

void handles_join(struct handles *h, struct handles_user *user)
{
    user->prev = NULL;
    user->next = h->users;
    if (user->next)
        user->next->prev = user;
    h->users = user;
}

void handles_leave(struct handles *h, struct handles_user *user)
{
    if (user->prev)
        user->prev->next = user->next;
    else
        h->users = user->next;
    if (user->next)
        user->next->prev = user->prev;
    user->prev = user->next = NULL;
}

static uint32_t next_serial(struct handles *h)
{
    if (++h->serial == 0)
        h->serial = 1;
    return h->serial;
}

static struct request *request_create(enum export_type type, handles_answer *answer, void *user)
{
    struct request *r = calloc(1, sizeof(*r));
    if (r)
        *r = (struct request){.type = type, .answer = answer, .user = user};
    return r;
}

/* Takes @r and @fd. */
static void send_request(struct handles *h, struct request *r, const uint8_t *packet, size_t size,
                         int fd)
{
    r->next = NULL;
    r->until_ms = loop_now_ms() + ANSWER_MS;
    if (!h->requests)
        loop_timer_arm(h->timer, ANSWER_MS);
    *h->last = r;
    h->last = &r->next;
    packets_send(h->packets, packet, size, fd);
}

/* Sends a request whose serial the encoder was given. */
#define SEND(h, r, fd, encoder, ...)                                                               \
    do {                                                                                           \
        uint8_t packet_[EXPORT_PACKET_MAX];                                                        \
        (r)->serial = next_serial(h);                                                              \
        send_request(h, r, packet_, encoder(packet_, (r)->serial, __VA_ARGS__), fd);               \
    } while (0)

static void expired(void *user)
{
    struct handles *h = user;
    if (!h->requests)
        return;
    int64_t now = loop_now_ms();
    if (h->requests->until_ms <= now)
        lost(h, "the VM's GPU device does not answer");
    else
        loop_timer_arm(h->timer, (uint64_t)(h->requests->until_ms - now));
}

static void send_queued_exports(struct handles *h)
{
    while (h->queue && h->exports_asked < EXPORTS_AT_ONCE) {
        struct request *r = h->queue;
        h->queue = r->next;
        if (!h->queue)
            h->queue_last = &h->queue;
        if (!r->user) {
            free(r);
            continue;
        }
        struct export_export ask = {
            .resource = r->resource, .timeout_ms = EXPORT_TIMEOUT_MAX_MS, .flags = r->flags};
        h->exports_asked++;
        SEND(h, r, -1, export_export_encode, &ask);
    }
}

int handles_export(struct handles *h, uint32_t resource, uint32_t flags, handles_answer *answer,
                   void *user)
{
    struct request *r = handles_bound(h) ? request_create(EXPORT_EXPORT, answer, user) : NULL;
    if (!r)
        return handles_bound(h) ? -ENOMEM : -ENOTCONN;
    r->resource = resource;
    r->flags = flags;
    *h->queue_last = r;
    h->queue_last = &r->next;
    send_queued_exports(h);
    return 0;
}

int handles_mirror(struct handles *h, uint32_t id, int fd, uint64_t size, handles_answer *answer,
                   void *user)
{
    struct request *r = handles_bound(h) ? request_create(EXPORT_MIRROR, answer, user) : NULL;
    if (!r) {
        fd_close(fd);
        return handles_bound(h) ? -ENOMEM : -ENOTCONN;
    }
    struct export_mirror mirror = {.id = id, .size = size};
    SEND(h, r, fd, export_mirror_encode, &mirror);
    return 0;
}

int handles_copy(struct handles *h, const struct export_copy *copy, handles_answer *answer,
                 void *user)
{
    struct request *r = handles_bound(h) ? request_create(EXPORT_COPY, answer, user) : NULL;
    if (!r)
        return handles_bound(h) ? -ENOMEM : -ENOTCONN;
    SEND(h, r, -1, export_copy_encode, copy);
    return 0;
}

void handles_release(struct handles *h, uint32_t id)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    if (h->packets)
        packets_send(h->packets, packet, export_release_encode(packet, next_serial(h), id), -1);
}

void handles_forget(struct handles *h, void *user)
{
    struct request *lists[] = {h->requests, h->queue};
    for (size_t i = 0; i < 2; i++)
        for (struct request *r = lists[i]; r; r = r->next)
            if (r->user == user)
                r->user = NULL;
}

/* The guest is to show (again) that it holds the device. */
static void probe(struct handles *h)
{
    if (getrandom(h->nonce, sizeof(h->nonce), 0) != sizeof(h->nonce)) {
        lost(h, "no random numbers for a nonce");
        return;
    }
    h->state = HANDLES_PROBING;
    h->probes = 0;
    h->ops->probe(h->user, h->nonce);
}

static void refuse_binding(struct handles *h, const char *why)
{
    h->state = HANDLES_UNBOUND;
    if (strcmp(why, h->complaint) != 0)
        log_warn(&h->subject, "the guest's pixels go over the link: %s", why);
    snprintf(h->complaint, sizeof(h->complaint), "%s", why);
    if (!h->packets) /* a folder, where the device may still appear */
        loop_timer_arm(h->retry, RETRY_MS);
}

static void is_bound(struct handles *h)
{
    h->state = HANDLES_BOUND;
    h->had = true;
    h->complaint[0] = 0;
    log_info(&h->subject, "bound: the guest daemon holds this VM's device (epoch %llu)",
             (unsigned long long)h->epoch);
    h->ops->bound(h->user, true, "");
}

/* It may have another device to offer. */
static void is_not_bound(struct handles *h, const char *why)
{
    h->state = HANDLES_PROBING;
    log_debug(&h->subject, "%s", why);
    h->ops->bound(h->user, false, why);
}

static void binding_answered(void *user, uint32_t status, const struct export_buffer *buffer,
                             int fd)
{
    struct handles *h = user;
    char why[160];
    (void)buffer;
    (void)fd;
    if (h->state != HANDLES_BINDING)
        return;
    if (status == EXPORT_OK) {
        is_bound(h);
        return;
    }
    snprintf(why, sizeof(why), "the device that the guest named is not this VM's: %s",
             export_status_name(status));
    is_not_bound(h, why);
}

static const struct packets_ops packets_ops;

static void know_device(struct handles *h, const struct export_welcome *welcome)
{
    h->had = h->had && memcmp(h->device, welcome->device, sizeof(h->device)) == 0;
    memcpy(h->device, welcome->device, sizeof(h->device));
}

/* A nonce may get into the memory of another VM: as a picture, for instance. So a device stays with
 * the first VM that it was found to be of. */
static bool is_anothers(const struct handles *h, const struct export_welcome *welcome)
{
    for (const struct handles *other = all; other; other = other->next)
        if (other != h && other->had &&
            memcmp(other->device, welcome->device, sizeof(other->device)) == 0)
            return true;
    return false;
}

static void found(void *user, int fd, const char *path, const struct export_welcome *welcome,
                  const char *why)
{
    struct handles *h = user;
    if (fd >= 0 && is_anothers(h, welcome)) {
        log_warn(&h->subject,
                 "the guest named a resource of another VM, whose device exports at %s", path);
        fd_close(fd);
        why = "the device that shows the nonce is another VM's";
    } else if (fd >= 0) {
        log_info(&h->subject, "the VM's device exports at %s", path);
        know_device(h, welcome);
        h->epoch = welcome->epoch;
        h->packets = packets_create(h->loop, fd, EXPORT_PACKET_MAX, QUEUE_MAX, &packets_ops, h);
        why = h->packets ? NULL : "out of memory";
    }
    if (why)
        is_not_bound(h, why);
    else
        is_bound(h);
}

/* Destroys the search that ended, and goes on with what came of it. */
static void search_ended(void *user, int fd, const char *path, const struct export_welcome *welcome,
                         const char *why)
{
    struct handles *h = user;
    struct devices *search = h->search;
    h->search = NULL;
    found(h, fd, path, welcome, why);
    devices_destroy(search);
}

int handles_probed(struct handles *h, uint32_t resource)
{
    if (h->state != HANDLES_PROBING) /* an answer that a reset or the device's end has overtaken */
        return h->state == HANDLES_BOUND || h->state == HANDLES_BINDING ? -EPROTO : 0;
    if (++h->probes > LINK_PROBES_MAX)
        return -EPROTO;
    if (!resource) {
        refuse_binding(h, "no device of the guest shows the nonce: its virtio-gpu is another one, "
                          "or has no render node");
        return 0;
    }
    if (!h->packets) {
        h->search = devices_create(h->loop, h->path, resource, h->nonce, search_ended, h);
        h->state = HANDLES_BINDING;
        if (!h->search)
            lost(h, "out of memory");
        return 0;
    }
    struct export_bind bind = {.resource = resource, .timeout_ms = EXPORT_TIMEOUT_MAX_MS};
    memcpy(bind.nonce, h->nonce, sizeof(bind.nonce));
    struct request *r = request_create(EXPORT_BIND, binding_answered, h);
    if (!r) {
        lost(h, "out of memory");
        return 0;
    }
    h->state = HANDLES_BINDING;
    SEND(h, r, -1, export_bind_encode, &bind);
    return 0;
}

static void broken(struct handles *h, const char *what)
{
    char text[160];
    snprintf(text, sizeof(text), "the VM's GPU device broke the export protocol: %s", what);
    lost(h, text);
}

static void welcome(struct handles *h, const struct export_welcome *w)
{
    if (h->state != HANDLES_GREETING) {
        broken(h, "a second WELCOME");
    } else if (w->status != EXPORT_OK) {
        char text[128];
        snprintf(text, sizeof(text), "the VM's GPU device refuses: %s",
                 export_status_name(w->status));
        lost(h, text);
    } else if (w->version < EXPORT_VERSION_MIN || w->version > EXPORT_VERSION_MAX ||
               !(w->features & EXPORT_FEATURE_COPY)) {
        lost(h, "the VM's GPU device speaks another version");
    } else {
        h->epoch = w->epoch;
        know_device(h, w);
        probe(h);
    }
}

static void reset(struct handles *h, const struct export_reset *event)
{
    if (h->state == HANDLES_GREETING)
        return;
    h->epoch = event->epoch;
    log_info(&h->subject, "the guest's driver %s (epoch %llu)",
             event->driver ? "starts anew" : "is gone", (unsigned long long)h->epoch);
    bool told = h->state == HANDLES_BOUND || h->state == HANDLES_BINDING;
    h->state = HANDLES_UNBOUND;
    void_all(h, true, "the guest's GPU driver was reset");
    if (told)
        h->ops->bound(h->user, false, "the GPU driver was reset");
    if (event->driver)
        probe(h);
}

/* The request that @serial answers, out of the list. */
static struct request *take_request(struct handles *h, uint32_t serial)
{
    for (struct request **at = &h->requests; *at; at = &(*at)->next) {
        struct request *r = *at;
        if (r->serial != serial)
            continue;
        *at = r->next;
        if (!*at)
            h->last = at;
        if (!h->requests)
            loop_timer_disarm(h->timer);
        return r;
    }
    return NULL;
}

/* Takes @fd. */
static void answered(struct handles *h, const struct export_header *header, uint32_t status,
                     const struct export_buffer *buffer, int fd)
{
    struct request *r = take_request(h, header->serial);
    if (!r || (r->type == EXPORT_EXPORT) != (header->type == EXPORT_EXPORTED)) {
        free(r);
        fd_close(fd);
        broken(h, "an answer to nothing that was asked");
        return;
    }
    struct request done = *r;
    free(r);
    if (done.type == EXPORT_EXPORT)
        h->exports_asked--;
    if (done.user)
        done.answer(done.user, status, buffer, fd);
    else
        fd_close(fd);
    if (!done.user && buffer && status == EXPORT_OK)
        handles_release(h, buffer->id);
    if (h->packets)
        send_queued_exports(h);
}

static void received(void *user, const uint8_t *bytes, size_t size, int taken)
{
    struct handles *h = user;
    _cleanup_(fd_closep) int fd = taken;
    union {
        struct export_welcome welcome;
        struct export_exported exported;
        struct export_gone gone;
        struct export_reset reset;
        uint32_t status;
    } m;
    struct export_header header = {0};
    const uint8_t *payload = bytes + EXPORT_HEADER_SIZE;
    int e = export_header_decode(bytes, size, &header);
    if (e == EXPORT_E_OK && (header.type == EXPORT_WELCOME) != (h->state == HANDLES_GREETING) &&
        header.serial)
        e = EXPORT_E_TYPE;
    if (e == EXPORT_E_OK) {
        switch (header.type) {
        case EXPORT_WELCOME:
            e = export_welcome_decode(payload, header.size, &m.welcome);
            if (e == EXPORT_E_OK)
                welcome(h, &m.welcome);
            break;
        case EXPORT_EXPORTED:
            e = export_exported_decode(payload, header.size, &m.exported);
            if (e == EXPORT_E_OK && m.exported.buffer.kind == EXPORT_KIND_NONE && fd >= 0)
                e = EXPORT_E_VALUE;
            if (fd < 0) /* or the kernel had none left for us: copies do */
                m.exported.buffer.kind = EXPORT_KIND_NONE;
            if (e == EXPORT_E_OK)
                answered(h, &header, m.exported.status, &m.exported.buffer, fd_steal(&fd));
            break;
        case EXPORT_STATUS:
            e = export_status_decode(payload, header.size, &m.status);
            if (e == EXPORT_E_OK)
                answered(h, &header, m.status, NULL, -1);
            break;
        case EXPORT_GONE:
            e = export_gone_decode(payload, header.size, &m.gone);
            for (struct handles_user *u = e == EXPORT_E_OK ? h->users : NULL, *next; u; u = next) {
                next = u->next;
                u->gone(u, m.gone.id);
            }
            break;
        case EXPORT_RESET:
            e = export_reset_decode(payload, header.size, &m.reset);
            if (e == EXPORT_E_OK)
                reset(h, &m.reset);
            break;
        default:
            e = EXPORT_E_TYPE;
        }
    }
    if (e != EXPORT_E_OK) {
        char text[64];
        snprintf(text, sizeof(text), "a malformed or misplaced %s", export_type_name(header.type));
        broken(h, text);
    }
}

static void closed(void *user, int reason)
{
    char text[128];
    snprintf(text, sizeof(text), "the VM's GPU device is gone%s%s", reason ? ": " : "",
             reason ? strerror(-reason) : "");
    lost(user, text);
}

static const struct packets_ops packets_ops = {.received = received, .closed = closed};

static bool unreachable(struct handles *h, const char *why)
{
    char text[512];
    snprintf(text, sizeof(text), "cannot reach the VM's GPU device: %s", why);
    if (strcmp(text, h->complaint) != 0)
        log_warn(&h->subject, "%s; pixels go over the link meanwhile", text);
    snprintf(h->complaint, sizeof(h->complaint), "%s", text);
    loop_timer_arm(h->retry, RETRY_MS);
    return false;
}

/* The guest is to say first where its nonce is. */
static bool begin_search(struct handles *h, const struct stat *folder)
{
    char error[300];
    struct export_folder list;
    h->folder_time = folder->st_mtim;
    h->search_again_ms = loop_now_ms() + SEARCH_AGAIN_MS;
    int r = export_folder_list(h->path, &list);
    if (r < 0 || list.n == 0) {
        snprintf(error, sizeof(error), "%s: %s", h->path,
                 r < 0 ? strerror(-r) : "no wayvsock-gpu exports there");
        return unreachable(h, error);
    }
    h->state = HANDLES_LOOKING;
    loop_timer_arm(h->retry, 0); /* never from within handles_begin() */
    return true;
}

static bool connect_device(struct handles *h)
{
    char error[300];
    struct stat st;
    if (stat(h->path, &st) == 0 && S_ISDIR(st.st_mode))
        return begin_search(h, &st);
    int fd = address_connect_packets(h->path, error, sizeof(error));
    if (fd < 0)
        return unreachable(h, error);
    h->packets = packets_create(h->loop, fd, EXPORT_PACKET_MAX, QUEUE_MAX, &packets_ops, h);
    if (!h->packets) {
        lost(h, "out of memory");
        return false;
    }
    h->state = HANDLES_GREETING;
    struct export_hello hello = {.version_min = EXPORT_VERSION_MIN,
                                 .version_max = EXPORT_VERSION_MAX};
    uint8_t packet[EXPORT_PACKET_MAX];
    packets_send(h->packets, packet, export_hello_encode(packet, next_serial(h), &hello), -1);
    loop_timer_arm(h->retry, ANSWER_MS); /* for the WELCOME */
    return true;
}

/* None of the devices in the folder was ours. */
static void look_again(struct handles *h)
{
    struct stat st;
    bool same = stat(h->path, &st) == 0 && st.st_mtim.tv_sec == h->folder_time.tv_sec &&
                st.st_mtim.tv_nsec == h->folder_time.tv_nsec;
    if (same && loop_now_ms() < h->search_again_ms) {
        loop_timer_arm(h->retry, RETRY_MS);
        return;
    }
    h->state = HANDLES_AWAY;
    connect_device(h);
}

static void try_again(void *user)
{
    struct handles *h = user;
    if (h->state == HANDLES_GREETING)
        lost(h, "the VM's GPU device does not answer");
    else if (h->session && h->state == HANDLES_LOOKING)
        probe(h);
    else if (h->session && h->state == HANDLES_AWAY)
        connect_device(h);
    else if (h->session && h->state == HANDLES_UNBOUND && !h->packets)
        look_again(h);
}

bool handles_begin(struct handles *h)
{
    handles_end(h);
    h->session = true;
    return connect_device(h);
}

void handles_end(struct handles *h)
{
    h->session = false;
    disconnect(h);
    drop_requests(h);
    loop_timer_disarm(h->retry);
    void_all(h, false, "the session ended");
}

int handles_check(const char *path, struct export_welcome *ret_welcome, char *error,
                  size_t error_size)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_header header;
    struct export_hello hello = {.version_min = EXPORT_VERSION_MIN,
                                 .version_max = EXPORT_VERSION_MAX};
    _cleanup_(fd_closep) int fd = address_connect_packets(path, error, error_size);
    if (fd < 0)
        return fd;
    size_t n = export_hello_encode(packet, 1, &hello);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    ssize_t got = send(fd, packet, n, MSG_NOSIGNAL) == (ssize_t)n && poll(&wait, 1, ANSWER_MS) == 1
                      ? recv(fd, packet, sizeof(packet), MSG_DONTWAIT)
                      : -1;
    if (got <= 0 || export_header_decode(packet, (size_t)got, &header) != EXPORT_E_OK ||
        header.type != EXPORT_WELCOME ||
        export_welcome_decode(packet + EXPORT_HEADER_SIZE, header.size, ret_welcome) !=
            EXPORT_E_OK) {
        snprintf(error, error_size,
                 "%s does not answer as wayvsock-gpu does (does it serve this user?)", path);
        return -EPROTO;
    }
    return 0;
}
