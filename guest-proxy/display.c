/* SPDX-License-Identifier: MIT */
#include "guest-proxy/display.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/address.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/loop.h"

#define LISTENERS_MAX 8
#define ACCEPT_AT_ONCE 16
#define RETRY_MS 500

struct listener {
    struct display *display;
    int fd;
    struct loop_io *io;
};

struct display {
    struct loop *loop;
    struct listener listeners[LISTENERS_MAX];
    unsigned n;
    struct loop_timer *retry; /* out of descriptors: later */
    char path[sizeof(((struct address *)0)->path)];
    char folder[sizeof(((struct address *)0)->path)]; /* ours to remove, or "" */
    void (*accepted)(void *user, int fd);
    void *user;
};

static void watch_all(struct display *d, unsigned events)
{
    for (unsigned i = 0; i < d->n; i++)
        loop_io_set(d->listeners[i].io, events);
}

static void retry(void *user)
{
    watch_all(user, LOOP_READ);
}

static void ready(void *user, unsigned events)
{
    struct listener *l = user;
    (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd = address_accept(l->fd);
        if (fd >= 0) {
            l->display->accepted(l->display->user, fd);
            continue;
        }
        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS) {
            log_warn(NULL, "cannot accept a client now: %s", strerror(-fd));
            watch_all(l->display, 0);
            loop_timer_arm(l->display->retry, RETRY_MS);
        }
        return;
    }
}

static int listen_on(struct display *d, int fd)
{
    if (d->n == LISTENERS_MAX) {
        fd_close(fd);
        return -E2BIG;
    }
    struct listener *l = &d->listeners[d->n];
    *l = (struct listener){
        .display = d, .fd = fd, .io = loop_io_create(d->loop, fd, LOOP_READ, ready, l)};
    if (!l->io) {
        fd_close(fd);
        return -ENOMEM;
    }
    d->n++;
    return 0;
}

static int listen_path(struct display *d, const char *path, char *error, size_t error_size)
{
    struct address address = {.kind = ADDRESS_UNIX};
    snprintf(address.path, sizeof(address.path), "%s", path);
    int fd = address_listen(&address, error, error_size);
    if (fd < 0)
        return fd;
    snprintf(d->path, sizeof(d->path), "%s", path);
    return listen_on(d, fd);
}

static int make_private(struct display *d, char *error, size_t error_size)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    snprintf(d->folder, sizeof(d->folder), "%s/wayvsock-XXXXXX",
             base && *base == '/' ? base : "/tmp");
    if (!mkdtemp(d->folder)) {
        int e = errno;
        snprintf(error, error_size, "cannot make a folder for the display in %s: %s", d->folder,
                 strerror(e));
        d->folder[0] = 0;
        return -e;
    }
    char path[sizeof(d->path)];
    if ((size_t)snprintf(path, sizeof(path), "%s/wayland-0", d->folder) >= sizeof(path)) {
        snprintf(error, error_size, "XDG_RUNTIME_DIR is too long for a socket's path");
        return -ENAMETOOLONG;
    }
    return listen_path(d, path, error, error_size);
}

static int inherit(struct display *d, char *error, size_t error_size)
{
    int first, n = address_inherited(&first);
    for (int i = 0; i < n; i++) {
        struct address address;
        int r = address_of_listener(first + i, &address);
        if (r < 0 || address.kind != ADDRESS_UNIX) {
            snprintf(error, error_size,
                     "the socket handed over as descriptor %d is no Unix socket to listen on",
                     first + i);
            return -EINVAL;
        }
        if (!d->path[0])
            snprintf(d->path, sizeof(d->path), "%s", address.path);
        r = listen_on(d, first + i);
        if (r < 0) {
            snprintf(error, error_size, "cannot use the sockets handed over: %s", strerror(-r));
            return r;
        }
    }
    if (n < 0)
        snprintf(error, error_size, "LISTEN_FDS is malformed");
    return n;
}

struct display *display_create(struct loop *loop, const char *name, bool private_display,
                               void (*accepted)(void *user, int fd), void *user, char *error,
                               size_t error_size)
{
    struct display *d = calloc(1, sizeof(*d));
    if (!d) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    d->loop = loop;
    d->accepted = accepted;
    d->user = user;
    d->retry = loop_timer_create(loop, retry, d);
    int r = inherit(d, error, error_size);
    if (r == 0 && !name && private_display) {
        r = make_private(d, error, error_size);
    } else if (r == 0) {
        char path[sizeof(d->path)];
        r = address_display_path(name ? name : "wayland-0", path, sizeof(path), error, error_size);
        if (r == 0)
            r = listen_path(d, path, error, error_size);
    }
    if (r < 0 || !d->retry) {
        display_destroy(d);
        return NULL;
    }
    return d;
}

void display_destroy(struct display *d)
{
    if (!d)
        return;
    for (unsigned i = 0; i < d->n; i++) {
        loop_io_destroy(d->listeners[i].io);
        address_unlisten(d->listeners[i].fd);
    }
    loop_timer_destroy(d->retry);
    if (d->folder[0])
        rmdir(d->folder);
    free(d);
}

const char *display_path(const struct display *d)
{
    return d->path;
}
