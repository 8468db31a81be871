/* SPDX-License-Identifier: MIT */
/* Anyone who can reach a socket may connect. Until a connection has proven with its first frame
 * whose it is, it costs us a descriptor and room for one HELLO, for at most HELLO_MS, and only so
 * many of them at a time, counted per VM so that one VM cannot shut the door for another. Within a
 * VM, the one that has been silent for longest makes room for the next: who has something to say
 * says it at once. Then its VM's process has it, and here nothing is left of it. */
#include "host-proxy/gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/refused.h"
#include "common/control/control-socket.h"
#include "common/transport/address.h"
#include "common/transport/inherited.h"
#include "common/transport/listener.h"
#include "common/transport/token.h"
#include "host-proxy/callers.h"
#include "host-proxy/channel.h"
#include "host-proxy/config.h"
#include "host-proxy/hello-reader.h"
#include "host-proxy/host-control.h"
#include "host-proxy/refuse.h"
#include "host-proxy/vm-process.h"

#define HELLO_MS 5000
#define WAITING_MAX 64 /* per VM */

/* What the gate knows of a VM. */
struct resident {
    const struct vm_config *config;
    struct log_subject subject;
    struct refused refused;
    char label[80];
    struct token *tokens; /* whose daemon it may be: one for each user, for instance */
    size_t n_tokens;      /* 0: none is asked for */
    unsigned waiting;     /* connections that have not proven anything */
    struct vm_process *process;
};

struct entrance {
    struct gate *gate;
    SLIST_ENTRY(entrance) entry;
    struct listener *listener;
    struct address address;
    struct resident *vm; /* whoever connects here is this VM; NULL: known by its CID */
};

/* A connection that has not said HELLO. */
struct visitor {
    struct gate *gate;
    TAILQ_ENTRY(visitor) entry;
    struct resident *vm;
    int fd; /* owned */
    struct loop_io *io;
    struct loop_timer *timer;
    struct address_peer peer;
    struct hello_reader reader;
};

struct gate {
    struct loop *loop;
    const struct host_config *config;
    struct resident *vms;
    struct vm_processes *processes;
    struct host_control *control; /* NULL: nobody can ask */
    int control_made;             /* its socket, owned, by systemd; -1: none, or it has it */
    struct callers *callers;
    bool failed;
    SLIST_HEAD(, entrance) entrances;
    TAILQ_HEAD(visitors, visitor) visitors; /* the oldest first */
    struct refused refused;                 /* to strangers */
    struct log_subject strangers;           /* log lines about CIDs that nothing names */
};

/* Gives up the visitor, not its connection. */
static int visitor_leave(struct visitor *v)
{
    int fd = v->fd;
    TAILQ_REMOVE(&v->gate->visitors, v, entry);
    v->vm->waiting--;
    loop_io_destroy(v->io);
    loop_timer_destroy(v->timer);
    explicit_bzero(&v->reader, sizeof(v->reader)); /* tokens, keys */
    free(v);
    return fd;
}

static void visitor_turn_away(struct visitor *v, enum link_error code, const char *text)
{
    struct log_subject *subject = &v->vm->subject;
    refuse_socket(visitor_leave(v), subject, code, text);
}

/* Whether it is one of the VM's. Which, the time does not tell. */
static bool resident_has_token(const struct resident *vm, const struct link_hello *hello)
{
    bool found = false;
    for (size_t i = 0; i < vm->n_tokens; i++)
        found |= token_equal(&vm->tokens[i], hello->proof, hello->proof_size);
    return found;
}

/* NULL if the HELLO proves that it comes from the VM's guest daemon, or what is missing. */
static const char *visitor_unproven(const struct visitor *v, const struct link_hello *hello)
{
    const struct resident *vm = v->vm;
    if (v->gate->config->no_auth)
        return NULL;
    if (vm->n_tokens) {
        if (hello->proof_kind == LINK_PROOF_TOKEN && resident_has_token(vm, hello))
            return NULL;
        return hello->proof_kind == LINK_PROOF_TOKEN
                   ? "wrong token"
                   : "the VM's token is missing: start wayvsock-guest with --token";
    }
    if (v->peer.kind == ADDRESS_VSOCK || v->peer.kind == ADDRESS_VSOCK_DEVICE)
        return v->peer.port < 1024 ? NULL
                                   : "no privileged source port: start wayvsock-guest as the "
                                     "system service (CAP_NET_BIND_SERVICE), "
                                     "or give both sides a --token";
    if (v->peer.uid == getuid() && v->reader.got_descriptor)
        return NULL;
    return "nothing proves who this is: over a hybrid socket (or from another user) give both "
           "sides a --token";
}

static void visitor_hello(struct visitor *v)
{
    struct channel_packet arrival = {.kind = CHANNEL_ARRIVAL,
                                     .unix_socket = v->peer.kind != ADDRESS_VSOCK};
    const struct link_hello *hello = &arrival.hello;
    struct vm_process *process = v->vm->process;
    char text[96];
    hello_reader_get(&v->reader, &arrival.hello);
    if (hello->version_min > LINK_VERSION_MAX || hello->version_max < LINK_VERSION_MIN) {
        snprintf(text, sizeof(text), "no common version: the guest has %u to %u, the host %u to %u",
                 hello->version_min, hello->version_max, LINK_VERSION_MIN, LINK_VERSION_MAX);
        visitor_turn_away(v, LINK_ERROR_VERSION, text);
        return;
    }
    /* Whether a client has its session's key, the VM's process knows. */
    const char *refusal = hello->role == LINK_ROLE_CONTROL ? visitor_unproven(v, hello)
                          : vm_process_is_there(process)
                              ? NULL
                              : "a client's connection without a session";
    if (!refusal && !vm_process_has_room(process))
        refusal = "too many connections";
    if (refusal) {
        visitor_turn_away(v, LINK_ERROR_REFUSED, refusal);
        return;
    }
    struct log_subject *subject = &v->vm->subject;
    int fd = v->fd;
    v->fd = -1; /* the visitor still has the HELLO */
    loop_io_destroy(v->io);
    v->io = NULL;
    int r = vm_process_give(process, &arrival, fd);
    if (r < 0)
        log_error(subject, "cannot hand a connection over: %s", strerror(-r));
    else if (channel_is_daemon(&arrival))
        host_control_came(v->gate->control, (size_t)(v->vm - v->gate->vms));
    visitor_leave(v);
}

static void visitor_ready(void *user, unsigned events)
{
    struct visitor *v = user;
    struct hello_reader *reader = &v->reader;
    char text[96];
    (void)events;
    switch (hello_reader_read(reader, v->fd)) {
    case HELLO_PARTIAL:
        return;
    case HELLO_WHOLE:
        visitor_hello(v);
        return;
    case HELLO_OTHER:
        snprintf(text, sizeof(text), "a HELLO is expected first, not %s (%s)",
                 link_type_name(reader->type), link_decode_error_name(reader->error));
        visitor_turn_away(v, LINK_ERROR_PROTOCOL, text);
        return;
    case HELLO_MALFORMED:
        refused_warn(&v->vm->subject, "protocol",
                     "refused a connection: it began with a malformed %s frame: %s",
                     link_type_name(reader->type), link_decode_error_name(reader->error));
        break;
    default:
        log_debug(&v->vm->subject, "a connection ended before its HELLO");
    }
    fd_close(visitor_leave(v));
}

static void visitor_expired(void *user)
{
    visitor_turn_away(user, LINK_ERROR_REFUSED, "no HELLO came");
}

static struct resident *gate_find(const struct gate *gate, const struct vm_config *config)
{
    return config ? &gate->vms[config - gate->config->vms] : NULL;
}

/* Which VM a new connection is from, or NULL, with a line in the log. */
static struct resident *gate_identify(const struct entrance *e, const struct address_peer *peer)
{
    struct gate *gate = e->gate;
    if (peer->kind == ADDRESS_VSOCK_DEVICE && e->vm && e->vm->config->has_cid &&
        peer->cid != e->vm->config->cid) {
        refused_warn(&e->vm->subject, "cid",
                     "refused a connection: the VM's vsock device says that its CID is %u, the "
                     "configuration %u",
                     peer->cid, e->vm->config->cid);
        return NULL;
    }
    if (peer->kind != ADDRESS_VSOCK) {
        if (e->vm)
            return e->vm;
        refused_warn(&gate->strangers, "unknown",
                     "refused a connection: no VM owns the socket that it came to");
        return NULL;
    }
    const struct vm_config *config = host_config_vm_of_cid(gate->config, peer->cid);
    if (e->vm && !e->vm->config->has_cid && peer->cid > VMADDR_CID_HOST)
        return e->vm;
    if (!config || (e->vm && e->vm->config != config)) {
        refused_warn(
            &gate->strangers, "cid",
            "refused a connection from CID %u, which nothing names%s: to let it in, add --vm "
            "NAME:%u, or \"cid = %u\" to a [vm "
            "NAME] section",
            peer->cid, config ? " for this socket" : "", peer->cid, peer->cid);
        return NULL;
    }
    return gate_find(gate, config);
}

static bool is_privileged(const struct address_peer *peer)
{
    return peer->kind != ADDRESS_UNIX && peer->port < 1024;
}

/* Makes room for one from @peer: the oldest goes, but nobody whose port is root's for one whose is
 * not. False: there is no room. */
static bool gate_make_room(struct gate *gate, const struct resident *vm,
                           const struct address_peer *peer)
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
    bool device = e->address.kind == ADDRESS_VSOCK_DEVICE;
    int r = device ? address_device_peer(fd, &peer) : address_peer(fd, &peer);
    if (r < 0) {
        if (device)
            refused_warn(&gate->strangers, "unknown",
                         "refused a connection that is no vsock device's: %s",
                         r == -EACCES ? "another user's process made it" : strerror(-r));
        fd_close(fd);
        return;
    }
    struct resident *vm = gate_identify(e, &peer);
    if (!vm || !gate_make_room(gate, vm, &peer)) {
        refuse_socket(fd, vm ? &vm->subject : &gate->strangers, LINK_ERROR_REFUSED,
                      vm ? "too many connections"
                         : "the host's configuration does not name this VM");
        return;
    }
    struct visitor *v = calloc(1, sizeof(*v));
    if (!v) {
        fd_close(fd);
        return;
    }
    *v = (struct visitor){.gate = gate, .vm = vm, .fd = fd, .peer = peer};
    v->timer = loop_timer_create(gate->loop, visitor_expired, v);
    v->io = v->timer ? loop_io_create(gate->loop, fd, LOOP_READ, visitor_ready, v) : NULL;
    if (!v->io) {
        fd_close(fd);
        loop_timer_destroy(v->timer);
        free(v);
        return;
    }
    TAILQ_INSERT_TAIL(&gate->visitors, v, entry);
    vm->waiting++;
    loop_timer_arm(v->timer, HELLO_MS);
}

/* Takes @fd. */
static int gate_add_entrance(struct gate *gate, int fd, const struct address *address,
                             struct resident *vm)
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
static int gate_listen_on(struct gate *gate, const struct address *address, struct resident *vm,
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

/* A socket that systemd has handed over: where people or the host's programs come, or VMs. Its
 * descriptor is taken from @socket with success. */
static int gate_inherit_one(struct gate *gate, struct inherited_socket *socket, char *error,
                            size_t error_size)
{
    struct address address;
    int fd = socket->fd;
    if (gate->control_made < 0 && control_socket_is(fd, CONTROL_HOST)) {
        gate->control_made = fd_steal(&socket->fd);
        return 0;
    }
    int r = callers_inherit(gate->callers, fd, socket->name, error, error_size);
    if (r > 0)
        socket->fd = -1;
    if (r != 0)
        return r > 0 ? 0 : r;
    r = address_of_listener(fd, &address);
    if (r < 0)
        return error_set(
            r, error, error_size,
            "descriptor %d, handed over by systemd, is no socket that we can listen on", fd);
    host_config_name(gate->config, &address);
    struct resident *owner = gate_find(gate, host_config_owner(gate->config, &address));
    r = gate_add_entrance(gate, fd_steal(&socket->fd), &address, owner);
    return r < 0 ? error_set(r, error, error_size, "out of memory") : 0;
}

static int gate_inherit(struct gate *gate, char *error, size_t error_size)
{
    struct inherited all;
    int r = inherited_get(&all, error, error_size);
    if (r < 0)
        return r;
    for (int i = 0; i < all.n && r == 0; i++)
        r = gate_inherit_one(gate, &all.at[i], error, error_size);
    inherited_finish(&all);
    return r;
}

/* A program of the host's wants what the VM serves. */
static void gate_called(void *user, uint32_t service, int fd)
{
    struct resident *vm = user;
    struct channel_packet call = {.kind = CHANNEL_CALL, .number = service};
    bool there = vm_process_is_there(vm->process);
    if (!there || !vm_process_has_room(vm->process)) {
        log_warn(&vm->subject, "service %s: refused a connection: %s", vm->config->forward[service],
                 there ? "too many wait for the VM" : "the VM is not there");
        fd_close(fd);
        return;
    }
    int r = vm_process_give(vm->process, &call, fd);
    if (r < 0)
        log_error(&vm->subject, "cannot hand a connection over: %s", strerror(-r));
}

static void gate_fail(void *user)
{
    struct gate *gate = user;
    gate->failed = true;
    loop_stop(gate->loop);
}

static void gate_absent(void *user, size_t number, bool again, const char *line, size_t n, int fd)
{
    const struct gate *gate = user;
    host_control_absent(gate->control, number, again, line, n, fd);
}

static const struct vm_processes_ops processes_ops = {.lost = gate_fail, .absent = gate_absent};

bool gate_has_failed(const struct gate *gate)
{
    return gate->failed;
}

static int resident_read_tokens(struct resident *vm, char *error, size_t error_size)
{
    size_t n = 0;
    while (vm->config->token_files && vm->config->token_files[n])
        n++;
    if (n == 0)
        return 0;
    vm->tokens = calloc(n, sizeof(*vm->tokens));
    if (!vm->tokens)
        return error_set(-ENOMEM, error, error_size, "out of memory");
    for (; vm->n_tokens < n; vm->n_tokens++) {
        int r = token_read(vm->config->token_files[vm->n_tokens], &vm->tokens[vm->n_tokens], error,
                           error_size);
        if (r < 0)
            return r;
    }
    return 0;
}

static int gate_know(struct gate *gate, const struct spawner *spawner, char *error,
                     size_t error_size)
{
    const struct host_config *config = gate->config;
    gate->vms = calloc(config->n_vms ? config->n_vms : 1, sizeof(*gate->vms));
    if (gate->vms)
        gate->processes =
            vm_processes_create(gate->loop, spawner, config->n_vms, &processes_ops, gate);
    if (gate->processes)
        gate->callers = callers_create(gate->loop, config, gate_called);
    if (!gate->callers)
        return error_set(-ENOMEM, error, error_size, "out of memory");
    for (size_t i = 0; i < config->n_vms; i++) {
        struct resident *vm = &gate->vms[i];
        vm->config = &config->vms[i];
        snprintf(vm->label, sizeof(vm->label), "vm %s", vm->config->name);
        vm->subject.name = vm->label;
        vm->subject.refused = &vm->refused;
        vm->process = vm_processes_at(gate->processes, i, &vm->subject);
        int r = resident_read_tokens(vm, error, error_size);
        if (r < 0)
            return r;
        if (callers_add(gate->callers, vm->config, &vm->subject, vm) < 0)
            return error_set(-ENOMEM, error, error_size, "out of memory");
    }
    return 0;
}

static int gate_listen(struct gate *gate, char *error, size_t error_size)
{
    const struct host_config *config = gate->config;
    int r = gate_inherit(gate, error, error_size);
    if (r < 0)
        return r;
    for (size_t i = 0; i < config->n_listen && r >= 0; i++)
        r = gate_listen_on(gate, &config->listen[i], NULL, error, error_size);
    for (size_t v = 0; v < config->n_vms; v++)
        for (size_t i = 0; i < config->vms[v].n_listen && r >= 0; i++)
            r = gate_listen_on(gate, &config->vms[v].listen[i], &gate->vms[v], error, error_size);
    if (r == 0)
        callers_listen(gate->callers);
    if (r == 0 && SLIST_EMPTY(&gate->entrances))
        r = error_set(-EINVAL, error, error_size,
                      "nothing to listen on: give --listen, or \"listen\" in the configuration");
    return r;
}

struct gate *gate_create(struct loop *loop, const struct host_config *config,
                         const struct spawner *spawner, char *error, size_t error_size)
{
    struct gate *gate = calloc(1, sizeof(*gate));
    if (!gate) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    gate->loop = loop;
    gate->config = config;
    gate->control_made = -1;
    gate->strangers.refused = &gate->refused;
    TAILQ_INIT(&gate->visitors);
    int r = gate_know(gate, spawner, error, error_size);
    if (r == 0)
        r = gate_listen(gate, error, error_size);
    if (r < 0) {
        gate_destroy(gate);
        return NULL;
    }
    gate->control = host_control_create(loop, config, gate->processes, &gate->refused,
                                        fd_steal(&gate->control_made));
    return gate;
}

static void resident_forget_tokens(struct resident *vm)
{
    for (size_t i = 0; i < vm->n_tokens; i++)
        token_finish(&vm->tokens[i]);
    free(vm->tokens);
}

void gate_destroy(struct gate *gate)
{
    if (!gate)
        return;
    for (struct visitor *v; (v = TAILQ_FIRST(&gate->visitors));)
        fd_close(visitor_leave(v));
    for (struct entrance *e; (e = SLIST_FIRST(&gate->entrances));) {
        SLIST_REMOVE_HEAD(&gate->entrances, entry);
        listener_destroy(e->listener);
        free(e);
    }
    host_control_destroy(gate->control);
    fd_close(gate->control_made);
    callers_destroy(gate->callers);
    vm_processes_destroy(gate->processes);
    for (size_t i = 0; gate->vms && i < gate->config->n_vms; i++)
        resident_forget_tokens(&gate->vms[i]);
    free(gate->vms);
    free(gate);
}
