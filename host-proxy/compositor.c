/* SPDX-License-Identifier: MIT */
/* compositor: owns the VM's security context: nobody is connected around it where the compositor
 * has them, and an old one goes when the new one stands. wp_security_context_v1 is described here
 * by hand rather than generated, since the oldest wayland-protocols that we build with do not have
 * it, and it is small. The compositor is asked synchronously, with a deadline: once per VM and life
 * of a compositor, before the first client is let in. */
#include "host-proxy/compositor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <wayland-client.h>

#include "common/transport/address.h"
#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "host-proxy/allow.h"
#include "host-proxy/config.h"
#include "host-proxy/context-folder.h"

/* While we wait for the compositor all of the VM waits for us, so we do it seldom. */
#define DEADLINE_MS 2000
#define CONNECT_MS 500
#define DEAF_MS 10000
#define BACKLOG 128

static const struct wl_interface *no_types[] = {NULL, NULL, NULL};
static const struct wl_message context_requests[] = {
    {"destroy", "", no_types},     {"set_sandbox_engine", "s", no_types},
    {"set_app_id", "s", no_types}, {"set_instance_id", "s", no_types},
    {"commit", "", no_types},
};
static const struct wl_interface context_interface = {"wp_security_context_v1", 1, 5,
                                                      context_requests,         0, NULL};
static const struct wl_interface *listener_types[] = {&context_interface, NULL, NULL};
static const struct wl_message manager_requests[] = {
    {"destroy", "", no_types},
    {"create_listener", "nhh", listener_types},
};
static const struct wl_interface manager_interface = {
    "wp_security_context_manager_v1", 1, 2, manager_requests, 0, NULL};

enum { MANAGER_CREATE_LISTENER = 1 };
enum { CONTEXT_SET_ENGINE = 1, CONTEXT_SET_APP_ID, CONTEXT_SET_INSTANCE, CONTEXT_COMMIT };

static void compositor_done(void *data, struct wl_callback *callback, uint32_t serial)
{
    (void)callback;
    (void)serial;
    *(bool *)data = true;
}

/* wl_display_roundtrip() that does not wait forever. 0 or -errno. */
static int compositor_roundtrip(struct wl_display *display)
{
    static const struct wl_callback_listener listener = {compositor_done};
    bool answered = false;
    struct wl_callback *callback = wl_display_sync(display);
    if (!callback)
        return -ENOMEM;
    wl_callback_add_listener(callback, &listener, &answered);
    int64_t deadline = loop_now_ms() + DEADLINE_MS;
    int r = 0;
    while (!answered && r == 0) {
        while (wl_display_prepare_read(display) < 0)
            wl_display_dispatch_pending(display);
        if (answered) {
            wl_display_cancel_read(display);
            break;
        }
        wl_display_flush(display);
        struct pollfd p = {.fd = wl_display_get_fd(display), .events = POLLIN};
        int64_t left = deadline - loop_now_ms();
        int n = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (n <= 0) {
            wl_display_cancel_read(display);
            r = n == 0 ? -ETIMEDOUT : errno == EINTR ? 0 : -errno;
        } else if (wl_display_read_events(display) < 0) {
            r = -errno;
        }
        if (wl_display_dispatch_pending(display) < 0)
            r = -EPROTO;
    }
    wl_callback_destroy(callback);
    return r;
}

struct listing {
    void (*global)(void *user, const char *interface, uint32_t version);
    void *user;
    uint32_t manager; /* the name of the context manager, 0 if there is none */
};

static void registry_global(void *data, struct wl_registry *registry, uint32_t name,
                            const char *interface, uint32_t version)
{
    struct listing *l = data;
    (void)registry;
    if (strcmp(interface, manager_interface.name) == 0)
        l->manager = name;
    if (l->global)
        l->global(l->user, interface, version);
}

static void registry_remove(void *data, struct wl_registry *registry, uint32_t name)
{
    (void)data;
    (void)registry;
    (void)name;
}

static const struct wl_registry_listener registry_listener = {registry_global, registry_remove};

/* Takes @fd. The registry belongs to the display and goes with wl_display_disconnect(). */
static int list(int fd, struct listing *listing, struct wl_display **ret_display,
                struct wl_registry **ret_registry)
{
    struct wl_display *display = wl_display_connect_to_fd(fd);
    if (!display)
        return errno > 0 ? -errno : -ENOMEM;
    *ret_registry = wl_display_get_registry(display);
    if (!*ret_registry) {
        wl_display_disconnect(display);
        return -ENOMEM;
    }
    wl_registry_add_listener(*ret_registry, &registry_listener, listing);
    int r = compositor_roundtrip(display);
    if (r < 0) {
        wl_registry_destroy(*ret_registry);
        wl_display_disconnect(display);
        return r;
    }
    *ret_display = display;
    return 0;
}

int compositor_globals(int fd, void (*global)(void *user, const char *interface, uint32_t version),
                       void *user)
{
    struct listing listing = {.global = global, .user = user};
    struct wl_display *display;
    struct wl_registry *registry;
    int r = list(fd, &listing, &display, &registry);
    if (r < 0)
        return r;
    wl_registry_destroy(registry);
    wl_display_disconnect(display);
    return 0;
}

void compositor_context_init(struct compositor_context *c, const char *display,
                             const struct vm_config *vm, struct log_subject *subject)
{
    *c = (struct compositor_context){
        .display = display, .vm = vm, .subject = subject, .door = {.close_fd = -1}};
}

static void door_close(struct compositor_door *d)
{
    d->close_fd = fd_close(d->close_fd);
    if (d->path[0])
        unlink(d->path);
    d->path[0] = 0;
}

void compositor_context_finish(struct compositor_context *c)
{
    door_close(&c->door);
    c->made = c->tried = false;
}

/* A listening socket. Returns an owned fd or -errno. */
static int make_socket(struct compositor_door *d)
{
    static unsigned next;
    const char *in = context_folder();
    if (!in)
        return -errno;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(d->path, sizeof(d->path), "%s/wayland-%u", in, next++);
    memcpy(address.sun_path, d->path, sizeof(d->path));
    _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, BACKLOG) < 0)
        return -errno;
    return fd_steal(&fd);
}

/* Asks for a context whose clients come in by @d. 0, or -errno; whatever was made of @d is the
 * caller's to close. */
static int make(struct compositor_door *d, const char *name, struct wl_display *display,
                struct wl_registry *registry, uint32_t manager_name)
{
    int ends[2];
    _cleanup_(fd_closep) int listener = make_socket(d);
    if (listener < 0)
        return listener;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    d->close_fd = ends[1];
    struct wl_proxy *manager = wl_registry_bind(registry, manager_name, &manager_interface, 1);
    struct wl_proxy *context =
        manager ? wl_proxy_marshal_flags(manager, MANAGER_CREATE_LISTENER, &context_interface, 1, 0,
                                         NULL, listener, ends[0])
                : NULL;
    int r = -ENOMEM;
    if (context) {
        wl_proxy_marshal_flags(context, CONTEXT_SET_ENGINE, NULL, 1, 0, "io.github.wayvsock");
        wl_proxy_marshal_flags(context, CONTEXT_SET_APP_ID, NULL, 1, 0, name);
        wl_proxy_marshal_flags(context, CONTEXT_SET_INSTANCE, NULL, 1, 0, name);
        wl_proxy_marshal_flags(context, CONTEXT_COMMIT, NULL, 1, 0);
        r = compositor_roundtrip(display);
        wl_proxy_marshal_flags(context, 0, NULL, 1, WL_MARSHAL_FLAG_DESTROY);
    }
    if (manager)
        wl_proxy_marshal_flags(manager, 0, NULL, 1, WL_MARSHAL_FLAG_DESTROY);
    wl_display_flush(display);
    fd_close(ends[0]);
    return r;
}

static unsigned compositor_patience(const struct compositor_context *c)
{
    return loop_now_ms() < c->deaf_until ? 0 : CONNECT_MS;
}

/* @e: what became of waiting for the compositor. */
static int compositor_waited(struct compositor_context *c, int e)
{
    if ((e == -EAGAIN || e == -ETIMEDOUT) && compositor_patience(c))
        c->deaf_until = loop_now_ms() + DEAF_MS;
    return e;
}

static int connect_display(struct compositor_context *c, char *error, size_t error_size)
{
    return compositor_waited(
        c, address_connect_display(c->display, compositor_patience(c), error, error_size));
}

static int connect_context(struct compositor_context *c)
{
    return compositor_waited(c, address_connect_path(c->door.path, compositor_patience(c)));
}

#define NAMES_MAX 256

struct names {
    const struct vm_config *vm;
    char *at[NAMES_MAX];
    size_t n;
};

/* Remembers what policy allows, or strikes what is there. */
static void compositor_remember(void *user, const char *interface, uint32_t version)
{
    struct names *names = user;
    (void)version;
    if (names->n < NAMES_MAX && allow_global(names->vm, interface) &&
        (names->at[names->n] = strdup(interface)))
        names->n++;
}

static void strike(void *user, const char *interface, uint32_t version)
{
    struct names *names = user;
    (void)version;
    for (size_t i = 0; i < names->n; i++)
        if (names->at[i] && strcmp(names->at[i], interface) == 0) {
            free(names->at[i]);
            names->at[i] = NULL;
            return;
        }
}

/* That a compositor is careful with such clients is what the context is for; only who has allowed a
 * global by name has to hear of it. */
static void tell_one_withheld(struct compositor_context *c, const char *interface)
{
    if (allow_by_hand(c->vm, interface))
        log_warn(c->subject,
                 "%s is allowed, but the compositor withholds it from clients in a security "
                 "context (security-context = no for this VM would show it)",
                 interface);
    else
        log_debug(c->subject, "the compositor withholds %s from clients in a security context",
                  interface);
}

static void tell_withheld(struct compositor_context *c, struct names *names)
{
    int fd = connect_context(c);
    if (fd < 0 || compositor_globals(fd, strike, names) < 0)
        return;
    for (size_t i = 0; i < names->n; i++)
        if (names->at[i])
            tell_one_withheld(c, names->at[i]);
}

/* The process that made the listener that @fd is connected to; 0: it cannot be told. */
static pid_t compositor_pid(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

static void compositor_stands(struct compositor_context *c, struct compositor_door *door,
                              struct names *names)
{
    door_close(&c->door); /* not before there is another */
    c->door = *door;
    c->made = true;
    log_info(c->subject, "its clients are tagged as \"%s\" by wp_security_context_v1", c->vm->name);
    tell_withheld(c, names);
}

/* Asks a compositor for a context. 0: c->made says whether it has them, or -errno with a message,
 * and all is as before. */
static int make_context(struct compositor_context *c, char *error, size_t error_size)
{
    struct names names = {.vm = c->vm};
    struct listing listing = {.global = compositor_remember, .user = &names};
    struct compositor_door door = {.close_fd = -1};
    struct wl_display *display;
    struct wl_registry *registry;
    if (!compositor_patience(c))
        return error_set(-ETIMEDOUT, error, error_size, "it did not answer");
    int fd = connect_display(c, error, error_size);
    if (fd < 0)
        return fd;
    pid_t pid = compositor_pid(fd);
    int r = compositor_waited(c, list(fd, &listing, &display, &registry));
    if (r < 0) {
        error_set(r, error, error_size, "it does not answer: %s", strerror(-r));
    } else {
        if (listing.manager)
            r = compositor_waited(c, make(&door, c->vm->name, display, registry, listing.manager));
        wl_registry_destroy(registry);
        wl_display_disconnect(display);
        if (r < 0) {
            door_close(&door);
            error_set(r, error, error_size, "no security context: %s", strerror(-r));
        }
    }
    if (r == 0) {
        if (listing.manager) {
            compositor_stands(c, &door, &names);
        } else {
            bool known = c->tried && !c->made;
            compositor_context_finish(c);
            if (!known)
                log_info(
                    c->subject,
                    "the compositor has no wp_security_context_v1: its clients are not tagged");
        }
        c->tried = true;
        c->pid = pid;
    }
    for (size_t i = 0; i < names.n; i++)
        free(names.at[i]);
    return r;
}

/* Nobody gets around the context of a compositor that has them, for whatever reason; one that was
 * not asked may have them. */
static int connect_tagged(struct compositor_context *c, char *error, size_t error_size)
{
    bool ask = !c->tried || (!c->made && !c->pid);
    for (int tries = 0; tries < 2; tries++, ask = true) {
        int r = ask ? make_context(c, error, error_size) : 0;
        if (r < 0)
            return r;
        int fd = c->made ? connect_context(c) : connect_display(c, error, error_size);
        if (c->made && fd >= 0)
            return fd;
        if (!c->made && (fd < 0 || compositor_pid(fd) == c->pid))
            return fd;
        /* It was restarted, and knows of no context, or is another now, which may have them. */
        if (c->made && fd != -ECONNREFUSED && fd != -ENOENT)
            return error_set(fd, error, error_size,
                             "cannot connect through the security context: %s", strerror(-fd));
        fd_close(fd);
    }
    return error_set(-ECONNREFUSED, error, error_size,
                     "it is not the one that was asked for a security context");
}

int compositor_connect(struct compositor_context *c, char *error, size_t error_size)
{
    /* A connection that we were given says nothing of others. */
    bool given = !c->display && getenv("WAYLAND_SOCKET");
    if (c->vm->security_context && !given)
        return connect_tagged(c, error, error_size);
    return connect_display(c, error, error_size);
}
