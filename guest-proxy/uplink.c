/* SPDX-License-Identifier: MIT */
/* States: idle (waiting for the next attempt), dialling, greeting (HELLO is out), measuring
 * (WELCOME came; the first PONG has not, or the host still looks for its nonce in our GPU), ready.
 * A host that vanished may never be reported by vsock: every tick without a word from it is
 * counted, and the count, not the time, decides, so that a machine that slept does not lose its
 * sessions. */
#include "guest-proxy/uplink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/transport/link.h"
#include "common/base/loop.h"
#include "guest-proxy/cures.h"
#include "guest-proxy/dial.h"
#include "guest-proxy/pixels/gpu.h"

#define MISSED_MAX 5  /* ticks: 10 s */
#define BINDING_MAX 2 /* ticks that clients wait for the host to look at our GPU */
#define AWAY_MS 100   /* between looks for a GPU whose driver is to return */
#define AWAY_MAX 50   /* of these */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 10000

enum uplink_state { UPLINK_IDLE, UPLINK_DIALLING, UPLINK_GREETING, UPLINK_MEASURING, UPLINK_READY };

struct uplink {
    struct loop *loop;
    struct uplink_config config;
    const struct uplink_ops *ops;
    void *user;
    enum uplink_state state;
    struct dial *dial;
    struct link *link;
    struct loop_timer *timer; /* back-off, or tick */
    const char *display;      /* borrowed; NULL: none */
    uint64_t backoff_ms, serial;
    unsigned missed;
    bool heard, unprivileged, busy;
    bool services;           /* the host has some */
    bool measured;           /* the first PONG came */
    unsigned binding;        /* ticks for which we still wait to be bound; 0: not */
    struct loop_timer *away; /* the GPU's driver has not returned, and the host asked for it */
    unsigned looks;
    uint8_t nonce[LINK_NONCE_SIZE];
    uint8_t key[LINK_KEY_SIZE];
    uint8_t instance[LINK_INSTANCE_SIZE]; /* by which the host knows that we are who was there */
    bool nameless;                        /* a host that knows no instances gets none */
    char name[LINK_LABEL_MAX + 1];
    char called[40]; /* for the log: what the host calls us where there are several */
    struct times times;
    char last_failure[LINK_TEXT_MAX + 64 + CURE_MAX];
};

static void uplink_attempt(struct uplink *u);

static void uplink_drop_link(struct uplink *u)
{
    if (!u->link)
        return;
    link_stop(u->link);
    link_flush(u->link);
    link_destroy_later(u->link);
    u->link = NULL;
}

/* Back to idle, and when to try again. */
static void uplink_lost(struct uplink *u, const char *reason)
{
    bool was_ready = u->state == UPLINK_READY;
    uplink_drop_link(u);
    u->state = UPLINK_IDLE;
    u->measured = false;
    u->binding = 0;
    loop_timer_disarm(u->away);
    if (u->config.gpu)
        gpu_unbind(u->config.gpu, u->config.gpu->n ? "the host is gone" : u->config.gpu->why);
    if (was_ready) {
        log_warn(NULL, "the host is gone: %s", reason);
        u->last_failure[0] = 0;
        u->backoff_ms = BACKOFF_FIRST_MS;
        u->ops->lost(u->user, reason);
    } else {
        if (strcmp(reason, u->last_failure) != 0) /* once per cause, not per attempt */
            log_warn(NULL, "%s; trying again", reason);
        snprintf(u->last_failure, sizeof(u->last_failure), "%s", reason);
        u->ops->failed(u->user, reason);
    }
    loop_timer_arm(u->timer, u->backoff_ms);
    u->backoff_ms = u->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : u->backoff_ms * 2;
}

static void uplink_send_ping(struct uplink *u)
{
    times_ping(&u->times, ++u->serial);
    link_queue(u->link, link_ping_encode, u->serial);
    link_flush(u->link);
}

/* Clients may come once it is known how their pixels go. */
static void uplink_settle(struct uplink *u)
{
    if (u->state != UPLINK_MEASURING || !u->measured || u->binding)
        return;
    u->state = UPLINK_READY;
    u->backoff_ms = BACKOFF_FIRST_MS;
    u->last_failure[0] = 0;
    log_info(NULL, "connected to the host, which calls this VM \"%s\"%s", u->name, u->called);
    if (u->config.gpu && !u->config.gpu->bound)
        log_info(NULL, "pixels go as bytes: %s", u->config.gpu->why);
    u->ops->ready(u->user);
}

static void uplink_timer_expired(void *user)
{
    struct uplink *u = user;
    if (u->state == UPLINK_IDLE) {
        uplink_attempt(u);
        return;
    }
    u->missed = u->heard ? 0 : u->missed + 1;
    u->heard = false;
    if (u->missed >= MISSED_MAX) {
        uplink_lost(u, "it has not answered for 10 s");
        return;
    }
    loop_timer_arm(u->timer, LINK_TICK_MS);
    if (u->state >= UPLINK_MEASURING)
        uplink_send_ping(u);
    if (u->measured && u->binding && --u->binding == 0)
        uplink_settle(u);
}

/* The host looks for a nonce of its own in our GPU. */
static void uplink_probed(struct uplink *u, uint32_t resource)
{
    if (resource) {
        link_queue(u->link, link_probed_encode, resource);
        link_flush(u->link);
        return;
    }
    if (u->state == UPLINK_READY && !u->config.gpu->bound)
        log_info(NULL, "pixels go as bytes: %s", u->config.gpu->why);
    u->binding = 0;
    uplink_settle(u);
}

/* Answers a PROBE, when the GPU is there or its driver has been away for long. */
static void uplink_look(void *user)
{
    struct uplink *u = user;
    uint32_t resource = gpu_probe(u->config.gpu, u->nonce);
    if (!resource && u->looks++ < AWAY_MAX && gpu_is_away(u->config.gpu)) {
        loop_timer_arm(u->away, AWAY_MS);
        return;
    }
    if (!resource) /* this, too, is an answer */
        link_queue(u->link, link_probed_encode, 0);
    uplink_probed(u, resource);
    link_flush(u->link);
}

static int uplink_gpu_frame(struct uplink *u, enum link_type type, const uint8_t *payload,
                            size_t size)
{
    struct link_bound bound;
    char why[LINK_TEXT_MAX + 1];
    if (type == LINK_PROBE && link_probe_decode(payload, size, u->nonce) == LINK_OK) {
        loop_timer_disarm(u->away);
        u->looks = 0;
        uplink_look(u);
        return 0;
    }
    if (type == LINK_BOUND && link_bound_decode(payload, size, &bound) == LINK_OK) {
        snprintf(why, sizeof(why), "%.*s", (int)bound.text_size, bound.text);
        bool looking = u->config.gpu->probe.gpu;
        uint32_t resource = gpu_answer(u->config.gpu, bound.bound, why);
        if (!resource && looking && !bound.bound)
            link_queue(u->link, link_probed_encode, 0); /* that was our last device */
        uplink_probed(u, resource);
        link_flush(u->link);
        return 0;
    }
    return -EPROTO;
}

static int uplink_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    struct uplink *u = user;
    struct link_welcome welcome;
    struct link_error_frame error;
    struct link_pong pong;
    uint64_t serial;
    char said[LINK_TEXT_MAX + 1], cure[CURE_MAX], reason[sizeof(said) + 32 + CURE_MAX];
    u->heard = true;
    if (type == LINK_ERROR && link_error_decode(payload, size, &error) == LINK_OK) {
        snprintf(said, sizeof(said), "%.*s", (int)error.text_size, error.text);
        snprintf(reason, sizeof(reason), "the host refused us: %s%s", said,
                 cures_refused(said, cure));
        u->busy = error.code == LINK_ERROR_BUSY;
        if (error.code == LINK_ERROR_REFUSED)
            u->backoff_ms = BACKOFF_MAX_MS; /* asking again soon does not help */
        uplink_lost(u, reason);
        return -ECONNREFUSED;
    }
    if (type == LINK_WELCOME && u->state == UPLINK_GREETING &&
        link_welcome_decode(payload, size, &welcome) == LINK_OK) {
        if (welcome.version < LINK_VERSION_MIN || welcome.version > LINK_VERSION_MAX) {
            uplink_lost(u, "the host chose a protocol version that we do not have");
            return -EPROTO;
        }
        if (u->nameless && welcome.features & LINK_FEATURE_INSTANCE) { /* it was not so old */
            u->nameless = false;
            uplink_drop_link(u);
            uplink_attempt(u);
            return -ECONNABORTED;
        }
        u->called[0] = 0;
        if (!u->nameless)
            snprintf(u->called, sizeof(u->called), " and this daemon %02x%02x%02x%02x",
                     u->instance[0], u->instance[1], u->instance[2], u->instance[3]);
        memcpy(u->key, welcome.key, sizeof(u->key));
        snprintf(u->name, sizeof(u->name), "%.*s", (int)welcome.name_size, welcome.name);
        u->state = UPLINK_MEASURING;
        u->measured = false;
        u->services = welcome.features & LINK_FEATURE_SERVICES;
        u->binding = u->config.gpu && u->config.gpu->n && welcome.features & LINK_FEATURE_HANDLES
                         ? BINDING_MAX
                         : 0;
        if (u->config.gpu && u->config.gpu->n && !u->binding)
            gpu_unbind(u->config.gpu, "the host has no access to this VM's GPU");
        u->times = (struct times){0};
        if (u->display && welcome.features & LINK_FEATURE_DISPLAY)
            link_queue(u->link, link_display_encode, u->display);
        uplink_send_ping(u);
        return 0;
    }
    if (type == LINK_PING && u->state >= UPLINK_MEASURING &&
        link_ping_decode(payload, size, &serial) == LINK_OK) {
        link_answer_ping(u->link, serial);
        return 0;
    }
    if (type == LINK_PONG && u->state >= UPLINK_MEASURING &&
        link_pong_decode(payload, size, &pong) == LINK_OK) {
        times_pong(&u->times, &pong);
        u->measured = true;
        uplink_settle(u);
        return 0;
    }
    struct link_incoming incoming;
    if (type == LINK_INCOMING && u->ops->incoming && u->state >= UPLINK_MEASURING &&
        link_incoming_decode(payload, size, &incoming) == LINK_OK) {
        u->ops->incoming(u->user, &incoming);
        return 0;
    }
    if (u->config.gpu && u->config.gpu->n && u->state >= UPLINK_MEASURING &&
        uplink_gpu_frame(u, type, payload, size) == 0)
        return 0;
    snprintf(reason, sizeof(reason), "the host sent an unexpected or malformed %s frame",
             link_type_name(type));
    uplink_lost(u, reason);
    return -EPROTO;
}

/* A host of a former version takes a HELLO with an instance for a malformed one. */
static bool uplink_tries_nameless(struct uplink *u)
{
    u->nameless = !u->nameless;
    if (u->nameless) {
        uplink_drop_link(u);
        loop_timer_disarm(u->timer);
        uplink_attempt(u);
    }
    return u->nameless;
}

static void uplink_closed(void *user, int reason, unsigned type)
{
    struct uplink *u = user;
    char cure[CURE_MAX], text[64 + CURE_MAX];
    if (reason <= 0 && u->state == UPLINK_GREETING && uplink_tries_nameless(u))
        return;
    if (reason > 0)
        snprintf(text, sizeof(text), "the host sent a malformed %s frame: %s", link_type_name(type),
                 link_decode_error_name(reason));
    else if (u->state == UPLINK_GREETING)
        snprintf(text, sizeof(text), "the connection ended before the host's answer%s",
                 cures_connect(u->config.address, -ECONNREFUSED, cure));
    else
        snprintf(text, sizeof(text), "%s", reason ? strerror(-reason) : "it closed the connection");
    uplink_lost(u, text);
}

static const struct link_ops link_ops = {.frame = uplink_frame, .closed = uplink_closed};

static void uplink_queue_hello(const struct uplink *u, struct link *link, struct link_hello *hello,
                               const char *label)
{
    char clean[LINK_LABEL_MAX + 1];
    size_t n = 0;
    for (; label[n] && n < LINK_LABEL_MAX; n++)
        clean[n] = label[n] < 0x20 || label[n] > 0x7e ? '?' : label[n];
    hello->version_min = LINK_VERSION_MIN;
    hello->version_max = LINK_VERSION_MAX;
    hello->features = (u->config.gpu && u->config.gpu->n ? LINK_FEATURE_HANDLES : 0) |
                      (u->config.services ? LINK_FEATURE_SERVICES | LINK_FEATURE_SHARING : 0) |
                      (u->config.trial ? LINK_FEATURE_TRIAL : 0);
    hello->label = clean;
    hello->label_size = (uint16_t)n;
    link_queue(link, link_hello_encode, hello);
}

void uplink_client_hello(const struct uplink *u, struct link *link, enum link_role role,
                         const char *label)
{
    struct link_hello hello = {.role = (uint16_t)role,
                               .proof_kind = LINK_PROOF_KEY,
                               .proof = u->key,
                               .proof_size = LINK_KEY_SIZE};
    uplink_queue_hello(u, link, &hello, label);
}

static void uplink_greet(struct uplink *u)
{
    struct link_hello hello = {.role = LINK_ROLE_CONTROL};
    bool unix_socket = u->config.address->kind == ADDRESS_UNIX;
    if (u->config.token) {
        hello.proof_kind = LINK_PROOF_TOKEN;
        hello.proof = u->config.token->bytes;
        hello.proof_size = (uint16_t)u->config.token->n;
    } else if (unix_socket) {
        hello.proof_kind = LINK_PROOF_DESCRIPTOR;
    }
    if (unix_socket) {
        int fd =
            open("/dev/null",
                 O_RDONLY | O_CLOEXEC); /* what it is does not matter: a VMM could not pass it on */
        if (fd >= 0)
            sendq_fd(&u->link->out, fd, NULL);
    }
    char host[LINK_LABEL_MAX + 1] = "";
    gethostname(host, sizeof(host) - 1);
    hello.instance = u->nameless ? NULL : u->instance;
    uplink_queue_hello(u, u->link, &hello, host);
    u->state = UPLINK_GREETING;
    u->heard = false;
    u->missed = 0;
    loop_timer_arm(u->timer, LINK_TICK_MS);
    link_flush(u->link);
}

static void uplink_dialled(void *user, int fd, const void *bytes, size_t n, const char *error)
{
    struct uplink *u = user;
    u->dial = NULL;
    if (fd == -EACCES && u->config.address->kind == ADDRESS_VSOCK && !u->unprivileged) {
        u->unprivileged = true;
        if (!u->config.token) /* the host says it, if it minds */
            log_debug(NULL, "no privileged source port: CAP_NET_BIND_SERVICE is missing");
        uplink_attempt(u);
        return;
    }
    if (fd < 0) {
        uplink_lost(u, error);
        return;
    }
    bool splice = u->config.address->kind != ADDRESS_VSOCK;
    u->link = link_create(u->loop, fd, splice, &link_ops, u);
    if (!u->link) {
        uplink_lost(u, "out of memory");
        return;
    }
    uplink_greet(u);
    if (n)
        link_feed(u->link, bytes, n);
}

static void uplink_attempt(struct uplink *u)
{
    u->state = UPLINK_DIALLING;
    struct dial *dial = dial_start(u->loop, u->config.address,
                                   !u->config.no_auth && !u->unprivileged, uplink_dialled, u);
    if (dial)
        u->dial = dial;
}

struct uplink *uplink_create(struct loop *loop, const struct uplink_config *config,
                             const struct uplink_ops *ops, void *user)
{
    struct uplink *u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    *u = (struct uplink){
        .loop = loop, .config = *config, .ops = ops, .user = user, .backoff_ms = BACKOFF_FIRST_MS};
    u->nameless = getrandom(u->instance, sizeof(u->instance), 0) != sizeof(u->instance);
    u->timer = loop_timer_create(loop, uplink_timer_expired, u);
    u->away = loop_timer_create(loop, uplink_look, u);
    if (!u->timer || !u->away) {
        loop_timer_destroy(u->timer);
        loop_timer_destroy(u->away);
        free(u);
        return NULL;
    }
    loop_timer_arm(u->timer, 0);
    return u;
}

void uplink_destroy(struct uplink *u)
{
    if (!u)
        return;
    dial_cancel(u->dial);
    if (u->link)
        link_destroy(u->link);
    loop_timer_destroy(u->timer);
    loop_timer_destroy(u->away);
    memset(u->key, 0, sizeof(u->key));
    free(u);
}

void uplink_set_display(struct uplink *u, const char *path)
{
    u->display = path;
}

bool uplink_ready(const struct uplink *u)
{
    return u->state == UPLINK_READY;
}

bool uplink_busy(const struct uplink *u)
{
    return u->busy;
}

void uplink_hurry(struct uplink *u)
{
    if (u->state == UPLINK_IDLE && u->backoff_ms < BACKOFF_MAX_MS)
        loop_timer_arm(u->timer, 0);
}

void uplink_reject(struct uplink *u, uint64_t ticket, const char *why)
{
    if (!u->link)
        return;
    link_queue(u->link, link_rejected_encode, ticket, why);
    link_flush(u->link);
}

bool uplink_has_services(const struct uplink *u)
{
    return u->services;
}

const struct times *uplink_times(const struct uplink *u)
{
    return &u->times;
}

const char *uplink_vm_name(const struct uplink *u)
{
    return u->name;
}

const struct address *uplink_address(const struct uplink *u)
{
    return u->config.address;
}

struct gpu *uplink_gpu(const struct uplink *u)
{
    return u->config.gpu;
}
