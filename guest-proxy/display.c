/* SPDX-License-Identifier: MIT */
/* Owns the listeners, and the folder of a private display. Sockets that systemd hands over go
 * before any name; path is that of the first, and what applications get as WAYLAND_DISPLAY. */
#include "guest-proxy/display.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/transport/address.h"
#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/transport/inherited.h"
#include "common/transport/listener.h"

#define LISTENERS_MAX 8

struct display {
    struct loop *loop;
    struct listener *listeners[LISTENERS_MAX];
    unsigned n;
    char path[sizeof(((struct address *)0)->path)];
    char folder[sizeof(((struct address *)0)->path)]; /* ours to remove, or "" */
    void (*accepted)(void *user, int fd);
    void *user;
};

/* Takes @fd. */
static int display_listen_on(struct display *d, int fd)
{
    if (d->n == LISTENERS_MAX) {
        fd_close(fd);
        return -E2BIG;
    }
    d->listeners[d->n] = listener_create(d->loop, fd, NULL, d->accepted, d->user);
    if (!d->listeners[d->n])
        return -ENOMEM;
    d->n++;
    return 0;
}

static int display_listen_path(struct display *d, const char *path, char *error, size_t error_size)
{
    struct address address = {.kind = ADDRESS_UNIX};
    snprintf(address.path, sizeof(address.path), "%s", path);
    int fd = address_listen(&address, error, error_size);
    if (fd < 0)
        return fd;
    snprintf(d->path, sizeof(d->path), "%s", path);
    int r = display_listen_on(d, fd);
    if (r < 0)
        return error_set(r, error, error_size, "cannot listen on %s: %s", path, strerror(-r));
    return 0;
}

static int display_make_private(struct display *d, char *error, size_t error_size)
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
    if ((size_t)snprintf(path, sizeof(path), "%s/wayland-0", d->folder) >= sizeof(path))
        return error_set(-ENAMETOOLONG, error, error_size,
                         "XDG_RUNTIME_DIR is too long for a socket's path");
    return display_listen_path(d, path, error, error_size);
}

/* The number of them. */
static int display_inherit(struct display *d, struct inherited *inherited, char *error,
                           size_t error_size)
{
    int n = 0;
    for (int *fd; (fd = inherited_find(inherited, NULL)); n++) {
        char path[sizeof(d->path)];
        if (inherited_path(*fd, SOCK_STREAM, path, sizeof(path)) < 0)
            return error_set(
                -EINVAL, error, error_size,
                "the socket handed over as descriptor %d is no Unix socket to listen on", *fd);
        if (!d->path[0])
            snprintf(d->path, sizeof(d->path), "%s", path);
        int r = display_listen_on(d, fd_steal(fd));
        if (r < 0)
            return error_set(r, error, error_size, "cannot use the sockets handed over: %s",
                             strerror(-r));
    }
    return n;
}

struct display *display_create(struct loop *loop, struct inherited *inherited, const char *name,
                               bool private_display, void (*accepted)(void *user, int fd),
                               void *user, char *error, size_t error_size)
{
    struct display *d = calloc(1, sizeof(*d));
    if (!d) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    d->loop = loop;
    d->accepted = accepted;
    d->user = user;
    int r = display_inherit(d, inherited, error, error_size);
    if (r == 0 && !name && private_display) {
        r = display_make_private(d, error, error_size);
    } else if (r == 0) {
        char path[sizeof(d->path)];
        r = address_display_path(name ? name : "wayland-0", path, sizeof(path), error, error_size);
        if (r == 0)
            r = display_listen_path(d, path, error, error_size);
    }
    if (r < 0) {
        display_destroy(d);
        return NULL;
    }
    return d;
}

void display_destroy(struct display *d)
{
    if (!d)
        return;
    for (unsigned i = 0; i < d->n; i++)
        listener_destroy(d->listeners[i]);
    if (d->folder[0])
        rmdir(d->folder);
    free(d);
}

const char *display_folder(const struct display *d)
{
    return d->folder;
}

const char *display_path(const struct display *d)
{
    return d->path;
}
