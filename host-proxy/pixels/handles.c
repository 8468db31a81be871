/* SPDX-License-Identifier: MIT */
/* The connection lives as long as the guest daemon's session, so that nothing that one session was
 * given outlives it. It is usable after the guest has shown, with a nonce in a resource, that it
 * holds the device at the other end; a reset of that device voids the proof. Whenever the device is
 * lost, whoever waits is told, and another connection is tried.
 *
 * Where a folder of export sockets was named, there is no connection before the guest has said
 * where the nonce is; the device that finds it is ours. No device is told the nonce: it shows
 * what it finds, and who knew it could show it without the VM. */
#include "host-proxy/pixels/handles.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/transport/address.h"
#include "common/transport/export-folder.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "host-proxy/pixels/devices.h"
#include "host-proxy/pixels/requests.h"

#define RETRY_MS 2000
#define SEARCH_AGAIN_MS 30000 /* in a folder in which nothing changed */

enum state {
    HANDLES_AWAY,     /* no connection */
    HANDLES_GREETING, /* HELLO is out */
    HANDLES_LOOKING,  /* there is a folder; the guest is about to be asked */
    HANDLES_PROBING,  /* the guest was asked to write the nonce */
    HANDLES_BINDING,  /* the device was asked what is there */
    HANDLES_UNBOUND,  /* it was not there, or the device was reset */
    HANDLES_BOUND,
};

struct handles {
    struct loop *loop;
    struct log_subject subject;
    const struct handles_ops *ops;
    void *user;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    enum state state;
    bool session;
    struct requests requests;
    struct devices *search;      /* in the folder @path */
    struct timespec folder_time; /* of its last change that we know */
    int64_t search_again_ms;
    struct loop_timer *retry;
    uint64_t epoch;
    uint8_t device[HANDLES_DEVICE_SIZE]; /* the one at the other end */
    uint32_t features;                   /* its */
    unsigned probes;
    uint8_t nonce[EXPORT_NONCE_SIZE];
    LIST_HEAD(, handles_user) users;
    char complaint[512]; /* the last one, to say each once */
};

static void handles_try_again(void *user);
static const struct requests_ops requests_ops;

struct handles *handles_create(struct loop *loop, const char *path, struct log_subject *subject,
                               const struct handles_ops *ops, void *user)
{
    struct handles *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    *h = (struct handles){.loop = loop, .ops = ops, .user = user};
    h->subject = (struct log_subject){.name = "gpu", .parent = subject};
    snprintf(h->path, sizeof(h->path), "%s", path);
    h->retry = loop_timer_create(loop, handles_try_again, h);
    int r = requests_init(&h->requests, loop, &h->subject, &requests_ops, h);
    if (!h->retry || r < 0) {
        handles_destroy(h);
        return NULL;
    }
    return h;
}

static void handles_disconnect(struct handles *h)
{
    devices_destroy(h->search);
    h->search = NULL;
    requests_drop(&h->requests);
    h->state = HANDLES_AWAY;
}

/* Everybody who waits or holds something learns that it is over. */
static void void_all(struct handles *h, bool reset, const char *why)
{
    requests_void_all(&h->requests);
    struct handles_user *u, *next;
    LIST_FOREACH_SAFE (u, &h->users, entry, next)
        u->lost(u, reset, why);
}

static void handles_lost(struct handles *h, const char *why)
{
    bool told = h->state != HANDLES_UNBOUND && h->state != HANDLES_AWAY;
    if (strcmp(why, h->complaint) != 0)
        log_warn(&h->subject, "%s", why);
    snprintf(h->complaint, sizeof(h->complaint), "%s", why);
    handles_disconnect(h);
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
    requests_finish(&h->requests);
    devices_destroy(h->search);
    loop_timer_destroy(h->retry);
    free(h);
}

bool handles_bound(const struct handles *h)
{
    return h && h->state == HANDLES_BOUND;
}

uint32_t handles_features(const struct handles *h)
{
    return handles_bound(h) ? h->features : 0;
}

void handles_join(struct handles *h, struct handles_user *user)
{
    LIST_INSERT_HEAD(&h->users, user, entry);
}

void handles_leave(struct handles *h, struct handles_user *user)
{
    (void)h;
    LIST_REMOVE(user, entry);
}

int handles_export(struct handles *h, uint32_t resource, requests_answer *answer, void *user)
{
    if (!handles_bound(h))
        return -ENOTCONN;
    return requests_export(&h->requests, resource, answer, user);
}

int handles_mirror(struct handles *h, uint32_t id, int fd, uint64_t size, requests_answer *answer,
                   void *user)
{
    if (!handles_bound(h)) {
        fd_close(fd);
        return -ENOTCONN;
    }
    return requests_mirror(&h->requests, id, fd, size, answer, user);
}

int handles_copy(struct handles *h, const struct export_copy *copy, requests_answer *answer,
                 void *user)
{
    return handles_bound(h) ? requests_copy(&h->requests, copy, answer, user) : -ENOTCONN;
}

void handles_release(struct handles *h, uint32_t id)
{
    requests_release(&h->requests, id);
}

void handles_forget(struct handles *h, void *user)
{
    requests_forget(&h->requests, user);
}

/* The guest is to show (again) that it holds the device. */
static void probe(struct handles *h)
{
    if (getrandom(h->nonce, sizeof(h->nonce), 0) != sizeof(h->nonce)) {
        handles_lost(h, "no random numbers for a nonce");
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
    if (!requests_connected(&h->requests)) /* a folder, where the device may still appear */
        loop_timer_arm(h->retry, RETRY_MS);
}

static void is_bound(struct handles *h)
{
    h->state = HANDLES_BOUND;
    h->complaint[0] = 0;
    if (h->ops->had)
        h->ops->had(h->user, h->device);
    log_info(&h->subject, "bound: the guest daemon holds this VM's device (epoch %llu)",
             (unsigned long long)h->epoch);
    h->ops->bound(h->user, true, "");
}

/* It may have another device to offer. It is not told what we saw elsewhere: how many VMs there
 * are, or that its nonce is in the memory of one. */
static void is_not_bound(struct handles *h, const char *why)
{
    h->state = HANDLES_PROBING;
    log_debug(&h->subject, "%s", why);
    h->ops->bound(h->user, false, "this VM's GPU device does not show the nonce there");
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

static void know_device(struct handles *h, const struct export_welcome *welcome)
{
    memcpy(h->device, welcome->device, sizeof(h->device));
    h->features = welcome->features;
}

/* A nonce may get into the memory of another VM: as a picture, for instance. So a device stays with
 * the first VM that it was found to be of. */
static bool is_anothers(const struct handles *h, const struct export_welcome *welcome)
{
    static_assert(sizeof(welcome->device) == HANDLES_DEVICE_SIZE, "as export.h has it");
    return h->ops->anothers && h->ops->anothers(h->user, welcome->device);
}

static void handles_found(void *user, int fd, const char *path,
                          const struct export_welcome *welcome, const char *why)
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
        why = requests_connect(&h->requests, fd) < 0 ? "out of memory" : NULL;
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
    handles_found(h, fd, path, welcome, why);
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
    if (!requests_connected(&h->requests)) {
        h->search =
            devices_create(h->loop, &h->subject, h->path, resource, h->nonce, search_ended, h);
        h->state = HANDLES_BINDING;
        if (!h->search)
            handles_lost(h, "out of memory");
        return 0;
    }
    h->state = HANDLES_BINDING;
    if (requests_bind(&h->requests, resource, h->nonce, binding_answered, h) < 0)
        handles_lost(h, "out of memory");
    return 0;
}

static void handles_welcomed(void *user, const struct export_welcome *w)
{
    struct handles *h = user;
    if (w->status != EXPORT_OK) {
        char text[128];
        snprintf(text, sizeof(text), "the VM's GPU device refuses: %s",
                 export_status_name(w->status));
        handles_lost(h, text);
    } else if (w->version < EXPORT_VERSION_MIN || w->version > EXPORT_VERSION_MAX ||
               !(w->features & EXPORT_FEATURE_COPY)) {
        handles_lost(h, "the VM's GPU device speaks another version");
    } else {
        h->epoch = w->epoch;
        know_device(h, w);
        probe(h);
    }
}

static void reset(void *user, const struct export_reset *event)
{
    struct handles *h = user;
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

static void handles_gone(void *user, const struct export_gone *event)
{
    struct handles *h = user;
    struct handles_user *u, *next;
    LIST_FOREACH_SAFE (u, &h->users, entry, next)
        u->gone(u, event->id);
}

static void handles_failed(void *user, const char *why)
{
    handles_lost(user, why);
}

static const struct requests_ops requests_ops = {
    .welcomed = handles_welcomed, .reset = reset, .gone = handles_gone, .failed = handles_failed};

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
    int fd = export_folder_connect(h->path, error, sizeof(error));
    if (fd < 0)
        return unreachable(h, error);
    if (requests_connect(&h->requests, fd) < 0) {
        handles_lost(h, "out of memory");
        return false;
    }
    h->state = HANDLES_GREETING;
    requests_hello(&h->requests);
    return true;
}

/* None of the devices in the folder was ours. */
static void handles_look_again(struct handles *h)
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

static void handles_try_again(void *user)
{
    struct handles *h = user;
    if (h->session && h->state == HANDLES_LOOKING)
        probe(h);
    else if (h->session && h->state == HANDLES_AWAY)
        connect_device(h);
    else if (h->session && h->state == HANDLES_UNBOUND && !requests_connected(&h->requests))
        handles_look_again(h);
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
    handles_disconnect(h);
    loop_timer_disarm(h->retry);
    void_all(h, false, "the session ended");
}

int handles_check(const char *path, struct export_welcome *ret_welcome, char *error,
                  size_t error_size)
{
    int fd = export_folder_connect(path, error, error_size);
    if (fd < 0)
        return fd;
    int r = requests_greet(fd, ret_welcome);
    if (r < 0)
        snprintf(error, error_size,
                 "%s does not answer as wayvsock-gpu does (does it serve this user?)", path);
    return r;
}
