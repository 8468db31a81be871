/* SPDX-License-Identifier: MIT */
/* Every socket in the folder is somebody's device, or nobody's any more, and may lie: none is told
 * the nonce, each shows what it finds. What is there is asked in parallel, so that a device that is
 * slow to say no does not delay the right one. No more than the newest EXPORT_FOLDER_MAX are asked.
 */
#include "host-proxy/pixels/devices.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/transport/address.h"
#include "common/transport/export-folder.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"

#define SEARCH_MS 3000 /* more than a device may wait for the guest's control queue */

enum { SERIAL_HELLO = 1, SERIAL_BIND };

struct candidate {
    struct devices *owner;
    int fd; /* owned; -1: out of the question */
    struct loop_io *io;
    uint32_t asked; /* the serial that an answer has */
    struct export_welcome welcome;
    const char *path; /* in owner->list */
};

struct devices {
    struct loop *loop;
    struct log_subject *subject;
    struct loop_timer *timer;
    uint32_t resource;
    uint8_t nonce[EXPORT_NONCE_SIZE];
    devices_found *found;
    void *user;
    struct export_folder list;
    struct candidate candidates[EXPORT_FOLDER_MAX];
    size_t reached, open;
};

static void candidate_drop(struct candidate *c)
{
    if (c->fd < 0)
        return;
    loop_io_destroy(c->io);
    fd_close(c->fd);
    c->io = NULL;
    c->fd = -1;
    c->owner->open--;
}

/* The last thing that is done with @d: found() may destroy it. */
static void devices_give_up(struct devices *d)
{
    char why[160];
    loop_timer_disarm(d->timer);
    if (d->reached)
        snprintf(why, sizeof(why), "none of %zu GPU devices is this VM's", d->reached);
    else
        snprintf(why, sizeof(why), "no GPU device is there");
    d->found(d->user, -1, NULL, NULL, why);
}

static void devices_fail(struct candidate *c)
{
    struct devices *d = c->owner;
    candidate_drop(c);
    if (d->open == 0)
        devices_give_up(d);
}

static void devices_expired(void *user)
{
    struct devices *d = user;
    for (size_t i = 0; i < d->list.n; i++)
        candidate_drop(&d->candidates[i]);
    devices_give_up(d);
}

static void succeed(struct candidate *c)
{
    struct devices *d = c->owner;
    int fd = c->fd;
    loop_io_destroy(c->io);
    c->io = NULL;
    c->fd = -1;
    d->open--;
    loop_timer_disarm(d->timer);
    for (size_t i = 0; i < d->list.n; i++)
        candidate_drop(&d->candidates[i]);
    d->found(d->user, fd, c->path, &c->welcome, NULL);
}

static int ask(struct candidate *c, uint32_t serial, const uint8_t *packet, size_t size)
{
    c->asked = serial;
    return send(c->fd, packet, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size ? 0 : -EPROTO;
}

static int candidate_greet(struct candidate *c)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_hello hello = {.version_min = EXPORT_VERSION_MIN,
                                 .version_max = EXPORT_VERSION_MAX};
    return ask(c, SERIAL_HELLO, packet, export_hello_encode(packet, SERIAL_HELLO, &hello));
}

static int candidate_welcomed(struct candidate *c, const uint8_t *payload, size_t size)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_bind bind = {.resource = c->owner->resource, .timeout_ms = EXPORT_TIMEOUT_MAX_MS};
    if (export_welcome_decode(payload, size, &c->welcome) != EXPORT_E_OK ||
        c->welcome.status != EXPORT_OK || c->welcome.version < EXPORT_VERSION_MIN ||
        c->welcome.version > EXPORT_VERSION_MAX || !(c->welcome.features & EXPORT_FEATURE_COPY))
        return -EPROTO;
    if (!c->welcome.driver) /* its VM is not ours, which has one */
        return -ENODEV;
    return ask(c, SERIAL_BIND, packet, export_bind_encode(packet, SERIAL_BIND, &bind));
}

/* 1: this is it; 0: go on; or -errno. Descriptors that come along are dropped by the kernel, as no
 * room is made for them. */
static int candidate_answered(struct candidate *c)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_header header;
    struct export_bound bound;
    ssize_t n = recv(c->fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    const uint8_t *payload = packet + EXPORT_HEADER_SIZE;
    /* An event is none of those that may come before a binding but RESET: start over later. */
    if (n <= 0 || n > (ssize_t)sizeof(packet) ||
        export_header_decode(packet, (size_t)n, &header) != EXPORT_E_OK ||
        header.serial != c->asked)
        return -EPROTO;
    if (c->asked == SERIAL_HELLO)
        return header.type == EXPORT_WELCOME ? candidate_welcomed(c, payload, header.size)
                                             : -EPROTO;
    if (header.type != EXPORT_BOUND ||
        export_bound_decode(payload, header.size, &bound) != EXPORT_E_OK)
        return -EPROTO;
    uint32_t status = export_bound_verdict(&bound, c->owner->nonce);
    if (status == EXPORT_OK)
        return 1;
    log_debug(c->owner->subject, "%s is another VM's GPU: %s", c->path, export_status_name(status));
    return -ENODEV;
}

static void candidate_ready(void *user, unsigned events)
{
    struct candidate *c = user;
    (void)events;
    int r = candidate_answered(c);
    if (r > 0)
        succeed(c);
    else if (r < 0)
        devices_fail(c);
}

static void candidate_begin(struct devices *d, struct candidate *c, const char *path)
{
    char error[300];
    *c = (struct candidate){.owner = d, .path = path};
    c->fd = export_folder_connect(path, error, sizeof(error));
    if (c->fd < 0) {
        if (c->fd == -EPERM)
            log_warn(d->subject, "%s", error);
        else
            log_debug(d->subject, "%s", error);
        return;
    }
    d->open++;
    d->reached++;
    c->io = loop_io_create(d->loop, c->fd, LOOP_READ, candidate_ready, c);
    if (!c->io || candidate_greet(c) < 0)
        candidate_drop(c);
}

struct devices *devices_create(struct loop *loop, struct log_subject *subject, const char *folder,
                               uint32_t resource, const uint8_t nonce[EXPORT_NONCE_SIZE],
                               devices_found *found, void *user)
{
    struct devices *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    *d = (struct devices){
        .loop = loop, .subject = subject, .resource = resource, .found = found, .user = user};
    memcpy(d->nonce, nonce, sizeof(d->nonce));
    d->timer = loop_timer_create(loop, devices_expired, d);
    if (!d->timer) {
        free(d);
        return NULL;
    }
    if (export_folder_list(folder, &d->list) < 0)
        d->list.n = 0;
    for (size_t i = 0; i < d->list.n; i++)
        candidate_begin(d, &d->candidates[i], d->list.paths[i]);
    loop_timer_arm(d->timer, d->open ? SEARCH_MS : 0);
    return d;
}

void devices_destroy(struct devices *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->list.n; i++)
        candidate_drop(&d->candidates[i]);
    loop_timer_destroy(d->timer);
    free(d);
}
