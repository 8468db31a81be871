/* SPDX-License-Identifier: MIT */
#include "guest-proxy/guest-client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/wayland/relay.h"
#include "guest-proxy/dial.h"
#include "guest-proxy/pixels/linux-dmabuf.h"
#include "guest-proxy/pixels/pools.h"
#include "guest-proxy/pixels/surfaces.h"
#include "guest-proxy/times.h"
#include "guest-proxy/uplink.h"

#define WAIT_MS 10000 /* for a host that is not there (yet) */
#define CLIENTS_MAX 1024
#define QUEUE_MAX (16u << 20)
#define VFDS_MAX 4096 /* the host's limit is the one that counts */

struct client {
    struct clients *owner;
    struct client *prev, *next;
    struct log_subject subject;
    char name[48];
    int fd; /* until the relay has it */
    struct dial *dial;
    struct loop_timer *wait;
    struct relay *relay;
    struct shadows shadows;
    struct linux_dmabuf dmabuf;
    uint32_t clock; /* that wp_presentation announced */
};

static void client_destroy(struct client *c)
{
    struct clients *owner = c->owner;
    if (c->prev)
        c->prev->next = c->next;
    else
        owner->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    owner->n--;
    relay_destroy(c->relay);
    linux_dmabuf_finish(&c->dmabuf);
    shadows_finish(&c->shadows);
    dial_cancel(c->dial);
    loop_timer_destroy(c->wait);
    fd_close(c->fd);
    free(c);
    if (owner->changed)
        owner->changed(owner->user);
}

static enum relay_verdict hook(struct relay *r, struct wl_message *m, bool event)
{
    struct client *c = r->user;
    (void)event;
    switch (m->info->hook) {
    case WL_HOOK_CLOCK_ID:
        c->clock = m->args[0].u;
        return RELAY_PASS;
    case WL_HOOK_TIME_PRESENTED:
    case WL_HOOK_TIME_COMMIT:
        times_convert(uplink_times(c->owner->uplink), m, c->clock);
        return RELAY_PASS;
    case WL_HOOK_TIME_INPUT:
        times_convert(uplink_times(c->owner->uplink), m, CLOCK_MONOTONIC);
        return RELAY_PASS;
    case WL_HOOK_SHM_RELEASE: /* the host's pools are made anew with it as long as there are any */
        return RELAY_DROP;
    case WL_HOOK_REGISTRY_GLOBAL:
    case WL_HOOK_REGISTRY_BIND:
    case WL_HOOK_DMABUF_DESTROY:
    case WL_HOOK_DMABUF_CREATE_PARAMS:
    case WL_HOOK_DMABUF_FEEDBACK:
    case WL_HOOK_DMABUF_FEEDBACK_DESTROY:
    case WL_HOOK_PARAMS_DESTROY:
    case WL_HOOK_PARAMS_ADD:
    case WL_HOOK_PARAMS_CREATE:
    case WL_HOOK_PARAMS_CREATE_IMMED:
        return linux_dmabuf_hook(&c->dmabuf, r, m);
    default:
        return surfaces_hook(r, &c->shadows, m);
    }
}

static void punched(struct relay *r, struct memory *memory, uint64_t offset, uint64_t length)
{
    (void)r;
    surfaces_forget(memory, offset, length);
}

static enum relay_verdict place(struct relay *r, struct wl_message *m, struct shm_pool *pool,
                                struct memory_buffer *layout)
{
    struct client *c = r->user;
    return pools_place(&c->shadows, r, m, pool, layout);
}

static void batch(struct relay *r)
{
    struct client *c = r->user;
    shadows_sweep(&c->shadows);
}

static bool intercept(struct relay *r, const struct wl_message *m)
{
    struct client *c = r->user;
    return linux_dmabuf_intercept(&c->dmabuf, r, m);
}

static void import_released(struct relay *r, uint32_t import)
{
    struct client *c = r->user;
    shadows_released(&c->shadows, import);
}

static int copied_back(struct relay *r, struct memory *memory, const struct link_mem_copy *copy)
{
    struct client *c = r->user;
    pools_copied_back(&c->shadows, memory, copy);
    return 0;
}

static void ended(struct relay *r)
{
    client_destroy(r->user);
}

static const struct relay_ops relay_ops = {.hook = hook,
                                           .place = place,
                                           .batch = batch,
                                           .punched = punched,
                                           .intercept = intercept,
                                           .import_released = import_released,
                                           .copied_back = copied_back,
                                           .ended = ended};
static const struct link_ops no_ops; /* until the relay adopts the link, in the same call */

/* Tells an application that has no relay (yet) why it is disconnected. */
static void turn_away(int fd, const char *reason)
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
    log_warn(&c->subject, "%s", reason);
    turn_away(fd_steal(&c->fd), text);
    client_destroy(c);
}

static void dialled(void *user, int fd, const void *bytes, size_t n, const char *error)
{
    struct client *c = user;
    struct clients *owner = c->owner;
    c->dial = NULL;
    if (fd < 0) {
        client_fail(c, error);
        return;
    }
    bool splice = uplink_address(owner->uplink)->kind != ADDRESS_VSOCK;
    struct link *link = link_create(owner->loop, fd, splice, &no_ops, NULL);
    if (!link) {
        client_fail(c, "out of memory");
        return;
    }
    uplink_client_hello(owner->uplink, link, c->name);
    struct relay_limits limits = {.vfds = VFDS_MAX, .queue = QUEUE_MAX};
    c->relay = relay_create(owner->loop, RELAY_GUEST, fd_steal(&c->fd), link, &limits, &relay_ops,
                            c, &c->subject);
    if (!c->relay) {
        client_destroy(c);
        return;
    }
    relay_start(c->relay);
    if (n)
        link_feed(link, bytes, n);
}

static void client_connect(struct client *c)
{
    loop_timer_destroy(c->wait);
    c->wait = NULL;
    log_debug(&c->subject, "connected");
    struct dial *dial =
        dial_start(c->owner->loop, uplink_address(c->owner->uplink), false, dialled, c);
    if (dial)
        c->dial = dial;
}

static void waited(void *user)
{
    client_fail(user,
                "the host cannot be reached: is wayvsock-host running, and does it know this VM?");
}

/* "foot[1234]", for both sides' logs. */
static void describe(struct client *c, pid_t pid)
{
    char path[32], comm[17] = "?";
    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, comm, sizeof(comm) - 1);
    if (n > 0) {
        comm[n] = 0;
        comm[strcspn(comm, "\n")] = 0;
    }
    snprintf(c->name, sizeof(c->name), "client %lu (%s[%d])", ++c->owner->serial, comm, (int)pid);
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
        turn_away(fd, "wayvsock: this display belongs to another user");
        return;
    }
    if (owner->n >= CLIENTS_MAX) {
        log_warn(NULL, "refused a client: %u are connected", owner->n);
        turn_away(fd, "wayvsock: too many clients");
        return;
    }
    struct client *c = calloc(1, sizeof(*c));
    if (!c) {
        fd_close(fd);
        return;
    }
    c->owner = owner;
    c->fd = fd;
    c->clock = CLOCK_MONOTONIC;
    shadows_init(&c->shadows, uplink_gpu(owner->uplink));
    linux_dmabuf_init(&c->dmabuf, &c->shadows);
    c->next = owner->first;
    if (c->next)
        c->next->prev = c;
    owner->first = c;
    owner->n++;
    describe(c, pid);
    if (owner->changed)
        owner->changed(owner->user);
    if (uplink_ready(owner->uplink)) {
        client_connect(c);
        return;
    }
    uplink_hurry(owner->uplink);
    c->wait = loop_timer_create(owner->loop, waited, c);
    if (c->wait)
        loop_timer_arm(c->wait, WAIT_MS);
    else
        client_fail(c, "out of memory");
}

void clients_connect(struct clients *owner)
{
    for (struct client *c = owner->first, *next; c; c = next) {
        next = c->next;
        if (c->wait)
            client_connect(c);
    }
}

void clients_disconnect(struct clients *owner, const char *reason)
{
    for (struct client *c = owner->first, *next; c; c = next) {
        next = c->next;
        if (c->relay)
            relay_fail(c->relay, LINK_ERROR_INTERNAL, 0, WL_DISPLAY_IMPLEMENTATION,
                       "the connection to the host was lost: %s", reason);
        else if (!c->wait)
            client_fail(c, reason);
    }
}

void clients_finish(struct clients *owner)
{
    owner->changed = NULL;
    while (owner->first)
        client_destroy(owner->first);
}
