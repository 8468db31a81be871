/* SPDX-License-Identifier: MIT */
/* guest-client: owns the clients: each waits for the host, dials it, and then is a relay. */
#include "guest-proxy/guest-client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/budget.h"
#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/base/pages.h"
#include "common/base/refused.h"
#include "common/base/waiters.h"
#include "common/control/control-app.h"
#include "common/wayland/relay-life.h"
#include "guest-proxy/approach.h"
#include "guest-proxy/peer-name.h"
#include "guest-proxy/pixels/linux-dmabuf.h"
#include "guest-proxy/pixels/pixels.h"
#include "guest-proxy/pixels/pools.h"
#include "guest-proxy/pixels/surfaces.h"
#include "guest-proxy/times.h"
#include "guest-proxy/uplink.h"

#define CLIENTS_MAX 1024
#define QUEUE_MAX (16u << 20)
#define CLOSING_MAX 64 /* of a process: descriptors that no thread could be had for */
#define MEMORY_SHARE 2 /* so much of the VM's memory is ours for all clients: half of it */
#define OWN_FDS 64     /* for what is no client's */

struct client {
    struct clients *owner;
    unsigned long number;
    int64_t since; /* ms since 1970 */
    LIST_ENTRY(client) entry;
    struct log_subject subject;
    char name[48];
    int fd; /* until the relay has it */
    struct approach approach;
    struct carrier_party party;
    struct relay *relay;
    struct pixels pixels;
    uint32_t clock; /* that wp_presentation announced */
};

static void guest_client_destroy(struct client *c)
{
    struct clients *owner = c->owner;
    LIST_REMOVE(c, entry);
    owner->n--;
    relay_destroy(c->relay);
    pixels_finish(&c->pixels);
    approach_cancel(&c->approach);
    fd_close(c->fd);
    budget_unref(c->party.budget);
    free(c);
    if (owner->changed)
        owner->changed(owner->user);
}

/* --- times --- */

static const struct times *times_of(const struct relay *r)
{
    const struct client *c = r->user;
    return uplink_times(c->owner->approaches->uplink);
}

static enum relay_verdict clock_id(struct relay *r, struct wl_message *m)
{
    struct client *c = r->user;
    c->clock = m->args[0].u;
    return RELAY_PASS;
}

static enum relay_verdict time_presented(struct relay *r, struct wl_message *m)
{
    const struct client *c = r->user;
    times_convert(times_of(r), m, c->clock, TIMES_TO_GUEST);
    return RELAY_PASS;
}

static enum relay_verdict time_commit(struct relay *r, struct wl_message *m)
{
    const struct client *c = r->user;
    times_convert(times_of(r), m, c->clock, TIMES_TO_HOST);
    return RELAY_PASS;
}

static enum relay_verdict time_input(struct relay *r, struct wl_message *m)
{
    times_convert(times_of(r), m, CLOCK_MONOTONIC, TIMES_TO_GUEST);
    return RELAY_PASS;
}

relay_hook *const guest_hooks[_WL_HOOK_N] = {
    [WL_HOOK_CLOCK_ID] = clock_id,
    [WL_HOOK_TIME_PRESENTED] = time_presented,
    [WL_HOOK_TIME_COMMIT] = time_commit,
    [WL_HOOK_TIME_INPUT] = time_input,
    SURFACES_HOOKS,
    POOLS_HOOKS,
    LINUX_DMABUF_HOOKS,
};

static const struct own_global *const own_globals[] = {&linux_dmabuf_global, NULL};

/* --- what the relay asks --- */

static void punched(struct relay *r, struct memory *memory, uint64_t offset, uint64_t length)
{
    (void)r;
    surfaces_forget(memory, offset, length);
}

static void batch(struct relay *r)
{
    shadows_sweep(&r->pixels->shadows);
}

static int guest_client_import_released(void *user, uint32_t import)
{
    struct relay *r = user;
    shadows_released(&r->pixels->shadows, import);
    return 0;
}

static int guest_client_copied_back(void *user, struct memory *memory,
                                    const struct link_mem_copy *copy)
{
    pools_copied_back(user, memory, copy);
    return 0;
}

static void guest_client_ended(struct relay *r)
{
    guest_client_destroy(r->user);
}

static const struct gpu_memory_ops gpu_ops = {.released = guest_client_import_released,
                                              .copied_back = guest_client_copied_back};
static const struct relay_ops relay_ops = {.hooks = guest_hooks,
                                           .own_globals = own_globals,
                                           .batch = batch,
                                           .punched = punched,
                                           .ended = guest_client_ended,
                                           .gpu = &gpu_ops,
                                           .place = pools_place};

/* Tells an application that has no relay (yet) why it is disconnected. */
static void guest_client_turn_away(int fd, const char *reason)
{
    uint8_t message[512];
    size_t n =
        wl_message_display_error(message, sizeof(message), 1, WL_DISPLAY_IMPLEMENTATION, reason);
    if (send(fd, message, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_debug(NULL, "a client left before it could be told: %s", reason);
    fd_close(fd);
}

static void client_fail(struct client *c, const char *reason)
{
    char text[400];
    snprintf(text, sizeof(text), "wayvsock: %s", reason);
    refused_warn(&c->subject, "host", "%s", reason);
    guest_client_turn_away(fd_steal(&c->fd), text);
    guest_client_destroy(c);
}

static void guest_client_arrived(void *user, struct link *link, const void *bytes, size_t n,
                                 const char *error)
{
    struct client *c = user;
    struct clients *owner = c->owner;
    if (!link) {
        client_fail(c, error);
        return;
    }
    log_debug(&c->subject, "connected");
    uplink_client_hello(owner->approaches->uplink, link, LINK_ROLE_CLIENT, c->name);
    c->relay = relay_create(owner->loop, CARRIER_GUEST, fd_steal(&c->fd), link, &c->party,
                            &relay_ops, c, &c->pixels, &c->subject);
    if (!c->relay) {
        guest_client_destroy(c);
        return;
    }
    relay_start(c->relay);
    if (n)
        link_feed(link, bytes, n);
}

static void describe(struct client *c, pid_t pid)
{
    char peer[32];
    peer_name(pid, peer, sizeof(peer));
    c->number = ++c->owner->serial;
    c->since = json_now();
    snprintf(c->name, sizeof(c->name), "client %lu (%s)", c->number, peer);
    c->subject = (struct log_subject){.name = c->name, .parent = &c->owner->subject};
}

/* The display belongs to one user; root may look in as it may everywhere. */
static bool allowed(int fd, pid_t *ret_pid)
{
    struct ucred cred;
    socklen_t size = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
        return false;
    *ret_pid = cred.pid;
    if (cred.uid == getuid() || cred.uid == 0)
        return true;
    log_warn(NULL, "refused a client of user %u: the display belongs to user %u",
             (unsigned)cred.uid, (unsigned)getuid());
    return false;
}

void clients_accept(struct clients *owner, int fd)
{
    pid_t pid;
    if (!allowed(fd, &pid)) {
        refused_note(&owner->subject, "user", "a client of another user than the display's");
        guest_client_turn_away(fd, "wayvsock: this display belongs to another user");
        return;
    }
    if (waiters_closing(pid) > CLOSING_MAX) {
        log_warn(NULL, "refused a client of process %d: its files keep whoever closes them waiting",
                 (int)pid);
        refused_note(&owner->subject, "limit",
                     "a client of a process whose files keep whoever closes them waiting");
        guest_client_turn_away(
            fd, "wayvsock: thread limit: too many files make whoever closes them wait");
        return;
    }
    if (owner->n >= CLIENTS_MAX) {
        log_warn(NULL, "refused a client: %u are connected", owner->n);
        refused_note(&owner->subject, "limit", "a client: 1024 are connected already");
        guest_client_turn_away(fd, "wayvsock: client limit: 1024 clients are connected already");
        static_assert(CLIENTS_MAX == 1024, "as the text says");
        return;
    }
    struct client *c = calloc(1, sizeof(*c));
    struct budget *budget = budget_create(owner->whole);
    if (!c || !budget) {
        budget_unref(budget);
        free(c);
        fd_close(fd);
        return;
    }
    c->owner = owner;
    c->fd = fd;
    c->clock = CLOCK_MONOTONIC;
    c->party = (struct carrier_party){
        .deliveries = &owner->deliveries, .budget = budget, .queue = QUEUE_MAX};
    pixels_init(&c->pixels, uplink_gpu(owner->approaches->uplink));
    LIST_INSERT_HEAD(&owner->all, c, entry);
    owner->n++;
    describe(c, pid);
    if (owner->changed)
        owner->changed(owner->user);
    approach_start(&c->approach, owner->approaches, guest_client_arrived, c);
}

void clients_disconnect(struct clients *owner, const char *reason)
{
    struct client *c, *after;
    LIST_FOREACH_SAFE (c, &owner->all, entry, after) {
        if (c->relay)
            relay_fail(c->relay, LINK_ERROR_INTERNAL, 0, WL_DISPLAY_IMPLEMENTATION,
                       "the connection to the host was lost: %s", reason);
        else if (!approach_waits(&c->approach))
            client_fail(c, reason);
    }
}

static void delivered(void *user)
{
    struct clients *owner = user;
    if (owner->changed)
        owner->changed(owner->user);
}

int clients_init(struct clients *owner, struct loop *loop, struct approaches *approaches,
                 void (*changed)(void *user), void *user)
{
    *owner = (struct clients){.loop = loop,
                              .approaches = approaches,
                              .subject = {.name = "display"},
                              .changed = changed,
                              .user = user};
    deliveries_init(&owner->deliveries, delivered, owner);
    owner->whole = budget_create(NULL);
    if (!owner->whole)
        return -ENOMEM;
    uint64_t fds = fd_raise_limit();
    owner->whole->limit[BUDGET_FDS] = fds > OWN_FDS ? fds - OWN_FDS : 0;
    long pages = sysconf(_SC_PHYS_PAGES);
    if (pages > 0)
        owner->whole->limit[BUDGET_MEMORY] = (uint64_t)pages * pages_size() / MEMORY_SHARE;
    return 0;
}

/* One that waits for the host has nothing but its name. */
static json_t *guest_client_describe(const struct client *c)
{
    const struct budget *b = c->party.budget;
    json_t *value =
        json_pack("{so so so sb so so}", "id", json_count(c->number), "name", app_name(c->name),
                  "since", json_time(c->since), "waiting", !c->relay, "memory",
                  json_count(b->used[BUDGET_MEMORY]), "fds", json_count(b->used[BUDGET_FDS]));
    if (c->relay)
        app_add_relay(value, c->relay);
    return value;
}

json_t *clients_describe(const struct clients *owner)
{
    const struct client *c;
    json_t *list = json_array();
    LIST_FOREACH (c, &owner->all, entry) /* the newest first */
        json_array_insert_new(list, 0, guest_client_describe(c));
    return list;
}

bool clients_are_done(const struct clients *owner)
{
    return !owner->n && deliveries_are_done(&owner->deliveries);
}

void clients_finish(struct clients *owner)
{
    owner->changed = NULL;
    while (!LIST_EMPTY(&owner->all))
        guest_client_destroy(LIST_FIRST(&owner->all));
    deliveries_finish(&owner->deliveries);
    budget_unref(owner->whole);
}
