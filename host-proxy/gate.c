/* SPDX-License-Identifier: MIT */
/* Anyone who can reach a socket may connect. Until a connection has proven with its first frame
 * whose it is, it costs us a descriptor, a link struct and at most one HELLO of memory, for at most
 * HELLO_MS, and only so many of them at a time, counted per VM so that one VM cannot shut the door
 * for another. Within a VM, the one that has been silent for longest makes room for the next: who
 * has something to say says it at once. */
#include "host-proxy/gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "common/transport/address.h"
#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/transport/link.h"
#include "common/transport/listener.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "host-proxy/host-client.h"
#include "host-proxy/refuse.h"
#include "host-proxy/vms.h"

#define HELLO_MS 5000
#define WAITING_MAX 64 /* per VM */

struct entrance {
    struct gate *gate;
    SLIST_ENTRY(entrance) entry;
    struct listener *listener;
    struct address address;
    struct vm *vm; /* whoever connects here is this VM; NULL: known by its CID */
};

/* A connection that has not said HELLO. */
struct visitor {
    struct gate *gate;
    TAILQ_ENTRY(visitor) entry;
    struct vm *vm;
    struct link *link;
    struct loop_timer *timer;
    struct address_peer peer;
};

struct gate {
    struct vms *vms;
    struct loop *loop;
    SLIST_HEAD(, entrance) entrances;
    TAILQ_HEAD(visitors, visitor) visitors; /* the oldest first */
    struct log_subject strangers; /* log lines about CIDs that nothing names */
};

/* Gives up the visitor, not its link. */
static struct link *visitor_leave(struct visitor *v)
{
    struct link *link = v->link;
    TAILQ_REMOVE(&v->gate->visitors, v, entry);
    v->vm->waiting--;
    loop_timer_destroy(v->timer);
    free(v);
    return link;
}

static void visitor_turn_away(struct visitor *v, enum link_error code, const char *text)
{
    struct log_subject *subject = &v->vm->subject;
    refuse(visitor_leave(v), subject, code, text, NULL);
}

/* NULL if the HELLO proves that it comes from the VM's guest daemon, or what is missing. */
static const char *visitor_unproven(const struct visitor *v, const struct link_hello *hello)
{
    const struct vm *vm = v->vm;
    if (v->gate->vms->config->no_auth)
        return NULL;
    if (vm->has_token) {
        if (hello->proof_kind == LINK_PROOF_TOKEN &&
            token_equal(&vm->token, hello->proof, hello->proof_size))
            return NULL;
        return hello->proof_kind == LINK_PROOF_TOKEN
                   ? "wrong token"
                   : "the VM's token is missing: start wayvsock-guest with --token";
    }
    if (v->peer.kind == ADDRESS_VSOCK)
        return v->peer.port < 1024 ? NULL
                                   : "no privileged source port: start wayvsock-guest as the "
                                     "system service (CAP_NET_BIND_SERVICE), "
                                     "or give both sides a --token";
    if (v->peer.uid == getuid() && v->link->got_descriptor)
        return NULL;
    return "nothing proves who this is: over a hybrid socket (or from another user) give both "
           "sides a --token";
}

static void visitor_hello_control(struct visitor *v, const struct link_hello *hello)
{
    const char *missing = visitor_unproven(v, hello);
    if (missing) {
        visitor_turn_away(v, LINK_ERROR_REFUSED, missing);
        return;
    }
    uint32_t version =
        hello->version_max < LINK_VERSION_MAX ? hello->version_max : LINK_VERSION_MAX;
    char label[LINK_LABEL_MAX + 1];
    snprintf(label, sizeof(label), "%.*s", (int)hello->label_size, hello->label);
    struct vm *vm = v->vm;
    uint32_t features = hello->features;
    if (features & LINK_FEATURE_TRIAL && vm->control) {
        visitor_turn_away(v, LINK_ERROR_BUSY, "a daemon of this VM is connected");
        return;
    }
    vm_begin(vm, visitor_leave(v), version, features, label);
}

static bool same_key(const uint8_t *a, const uint8_t *b)
{
    uint8_t different = 0;
    for (size_t i = 0; i < LINK_KEY_SIZE; i++)
        different |= a[i] ^ b[i];
    return !different;
}

static void visitor_hello_client(struct visitor *v, const struct link_hello *hello)
{
    struct vm *vm = v->vm;
    if (!vm->control || hello->proof_kind != LINK_PROOF_KEY || !same_key(hello->proof, vm->key)) {
        visitor_turn_away(v, LINK_ERROR_REFUSED,
                          vm->control ? "a client's connection without the session's key"
                                      : "a client's connection without a session");
        return;
    }
    char label[LINK_LABEL_MAX + 1];
    snprintf(label, sizeof(label), "%.*s", (int)hello->label_size, hello->label);
    client_begin(vm, visitor_leave(v), label);
}

static int visitor_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    struct visitor *v = user;
    struct link_hello hello;
    char text[96];
    int e = type == LINK_HELLO ? link_hello_decode(payload, size, &hello) : LINK_E_TYPE;
    if (e != LINK_OK) {
        snprintf(text, sizeof(text), "a HELLO is expected first, not %s (%s)", link_type_name(type),
                 link_decode_error_name(e));
        visitor_turn_away(v, LINK_ERROR_PROTOCOL, text);
        return -EPROTO;
    }
    if (hello.version_min > LINK_VERSION_MAX || hello.version_max < LINK_VERSION_MIN) {
        snprintf(text, sizeof(text), "no common version: the guest has %u to %u, the host %u to %u",
                 hello.version_min, hello.version_max, LINK_VERSION_MIN, LINK_VERSION_MAX);
        visitor_turn_away(v, LINK_ERROR_VERSION, text);
        return -EPROTO;
    }
    struct link *link = v->link;
    link->wants_descriptor = false;
    if (hello.role == LINK_ROLE_CONTROL)
        visitor_hello_control(v, &hello);
    else
        visitor_hello_client(v, &hello);
    return link->state != LINK_READING ? -ECONNREFUSED : 0;
}

static void visitor_closed(void *user, int reason, unsigned type)
{
    struct visitor *v = user;
    if (reason > 0)
        log_warn(&v->vm->subject, "refused a connection: it began with a malformed %s frame: %s",
                 link_type_name(type), link_decode_error_name(reason));
    else
        log_debug(&v->vm->subject, "a connection ended before its HELLO");
    struct link *link = visitor_leave(v);
    link_destroy_later(link);
}

/* What is no HELLO is not even received. */
static bool visitor_may_go_on(void *user, enum link_type type)
{
    struct visitor *v = user;
    if (type == LINK_HELLO)
        return true;
    visitor_frame(v, type, NULL, 0);
    return false;
}

static const struct link_ops link_ops = {
    .frame = visitor_frame, .closed = visitor_closed, .may_go_on = visitor_may_go_on};

static void visitor_expired(void *user)
{
    visitor_turn_away(user, LINK_ERROR_REFUSED, "no HELLO came");
}

/* Which VM a new connection is from, or NULL, with a line in the log. */
static struct vm *gate_identify(const struct entrance *e, const struct address_peer *peer)
{
    struct gate *gate = e->gate;
    if (peer->kind != ADDRESS_VSOCK) {
        if (e->vm)
            return e->vm;
        log_warn(&gate->strangers, "refused a connection: no VM owns the socket that it came to");
        return NULL;
    }
    const struct vm_config *config = host_config_vm_of_cid(gate->vms->config, peer->cid);
    if (e->vm && !e->vm->config->has_cid && peer->cid > VMADDR_CID_HOST)
        return e->vm;
    if (!config || (e->vm && e->vm->config != config)) {
        log_warn(&gate->strangers,
                 "refused a connection from CID %u, which nothing names%s: to let it in, add --vm "
                 "NAME:%u, or \"cid = %u\" to a [vm "
                 "NAME] section",
                 peer->cid, config ? " for this socket" : "", peer->cid, peer->cid);
        return NULL;
    }
    return vms_find(gate->vms, config);
}

static bool is_privileged(const struct address_peer *peer)
{
    return peer->kind == ADDRESS_VSOCK && peer->port < 1024;
}

/* Makes room for one from @peer: the oldest goes, but nobody whose port is root's for one whose is
 * not. False: there is no room. */
static bool gate_make_room(struct gate *gate, const struct vm *vm, const struct address_peer *peer)
{
    struct visitor *v;
    if (vm->waiting < WAITING_MAX)
        return true;
    TAILQ_FOREACH (v, &gate->visitors, entry) {
        if (v->vm != vm || (is_privileged(&v->peer) && !is_privileged(peer)))
            continue;
        visitor_turn_away(v, LINK_ERROR_REFUSED, "no HELLO came, and others wait");
        return true;
    }
    return false;
}

static void gate_arrive(void *user, int fd)
{
    struct entrance *e = user;
    struct gate *gate = e->gate;
    struct address_peer peer;
    if (address_peer(fd, &peer) < 0) {
        fd_close(fd);
        return;
    }
    struct vm *vm = gate_identify(e, &peer);
    if (!vm || !gate_make_room(gate, vm, &peer)) {
        if (vm)
            log_warn(&vm->subject, "refused a connection: %u others have not said who they are",
                     vm->waiting);
        uint8_t frame[LINK_FRAME_SMALL_MAX]; /* a word, if it fits in the socket's buffer */
        size_t n = link_error_encode(frame, LINK_ERROR_REFUSED, 0, 3,
                                     vm ? "too many connections"
                                        : "the host's configuration does not name this VM");
        if (send(fd, frame, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            log_debug(&gate->strangers, "could not say so: %s", strerror(errno));
        fd_close(fd);
        return;
    }
    struct visitor *v = calloc(1, sizeof(*v));
    if (!v) {
        fd_close(fd);
        return;
    }
    *v = (struct visitor){.gate = gate, .vm = vm, .peer = peer};
    v->timer = loop_timer_create(gate->loop, visitor_expired, v);
    v->link =
        v->timer ? link_create(gate->loop, fd, peer.kind == ADDRESS_UNIX, &link_ops, v) : NULL;
    if (!v->link) {
        if (!v->timer)
            fd_close(fd);
        loop_timer_destroy(v->timer);
        free(v);
        return;
    }
    v->link->wants_descriptor = peer.kind == ADDRESS_UNIX;
    TAILQ_INSERT_TAIL(&gate->visitors, v, entry);
    vm->waiting++;
    loop_timer_arm(v->timer, HELLO_MS);
}

/* Takes @fd. */
static int gate_add_entrance(struct gate *gate, int fd, const struct address *address,
                             struct vm *vm)
{
    struct entrance *e = calloc(1, sizeof(*e));
    if (!e) {
        address_unlisten(fd);
        return -ENOMEM;
    }
    *e = (struct entrance){.gate = gate, .address = *address, .vm = vm};
    SLIST_INSERT_HEAD(&gate->entrances, e, entry);
    e->listener = listener_create(gate->loop, fd, &gate->strangers, gate_arrive, e);
    return e->listener ? 0 : -ENOMEM;
}

/* Where systemd has not handed that socket over. */
static int gate_listen_on(struct gate *gate, const struct address *address, struct vm *vm,
                          char *error, size_t error_size)
{
    char text[256];
    const struct entrance *e;
    SLIST_FOREACH (e, &gate->entrances, entry) {
        if (host_config_same_listener(&e->address, address))
            return 0;
    }
    int fd = address_listen(address, error, error_size);
    if (fd < 0)
        return fd;
    log_info(vm ? &vm->subject : NULL, "listening on %s",
             address_format(address, text, sizeof(text)));
    int r = gate_add_entrance(gate, fd, address, vm);
    if (r < 0)
        return error_set(r, error, error_size, "out of memory");
    return 0;
}

static int gate_inherit(struct gate *gate, char *error, size_t error_size)
{
    int first, n = address_inherited(&first);
    if (n < 0)
        snprintf(error, error_size, "LISTEN_FDS is malformed");
    for (int i = 0; i < n; i++) {
        struct address address;
        int r = address_of_listener(first + i, &address);
        if (r < 0)
            return error_set(
                r, error, error_size,
                "descriptor %d, handed over by systemd, is no socket that we can listen on",
                first + i);
        const struct vm_config *owner = host_config_owner(gate->vms->config, &address);
        r = gate_add_entrance(gate, first + i, &address, owner ? vms_find(gate->vms, owner) : NULL);
        if (r < 0)
            return error_set(r, error, error_size, "out of memory");
    }
    return n < 0 ? n : 0;
}

struct gate *gate_create(struct vms *vms, char *error, size_t error_size)
{
    struct gate *gate = calloc(1, sizeof(*gate));
    if (!gate) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    gate->vms = vms;
    TAILQ_INIT(&gate->visitors);
    gate->loop = vms->loop;
    int r = gate_inherit(gate, error, error_size);
    const struct host_config *config = vms->config;
    if (r == 0) {
        for (size_t i = 0; i < config->n_listen && r >= 0; i++)
            r = gate_listen_on(gate, &config->listen[i], NULL, error, error_size);
        for (size_t v = 0; v < vms->n; v++)
            for (size_t i = 0; i < config->vms[v].n_listen && r >= 0; i++)
                r = gate_listen_on(gate, &config->vms[v].listen[i], &vms->at[v], error, error_size);
        if (r == 0 && SLIST_EMPTY(&gate->entrances)) {
            snprintf(error, error_size,
                     "nothing to listen on: give --listen, or \"listen\" in the configuration");
            r = -EINVAL;
        }
    }
    if (r < 0) {
        gate_destroy(gate);
        return NULL;
    }
    return gate;
}

void gate_destroy(struct gate *gate)
{
    if (!gate)
        return;
    for (struct visitor *v; (v = TAILQ_FIRST(&gate->visitors));)
        link_destroy(visitor_leave(v));
    for (struct entrance *e; (e = SLIST_FIRST(&gate->entrances));) {
        SLIST_REMOVE_HEAD(&gate->entrances, entry);
        listener_destroy(e->listener);
        free(e);
    }
    free(gate);
}
