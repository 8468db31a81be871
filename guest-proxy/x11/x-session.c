/* SPDX-License-Identifier: MIT */
/* Owns what there is of one X server: the tunnel that its surfaces go through, its window manager,
 * the selections. What X says may be asked for in the middle of something, so it is taken when that
 * is done. */
#include "guest-proxy/x11/x-session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/transport/address.h"
#include "guest-proxy/x11/offers.h"
#include "guest-proxy/x11/roles.h"
#include "guest-proxy/x11/selections.h"
#include "guest-proxy/x11/tunnel.h"
#include "guest-proxy/x11/wm.h"
#include "guest-proxy/x11/x-clients.h"
#include "guest-proxy/x11/xwayland.h"

#define CONNECT_MS 5000

struct x_session {
    struct loop *loop;
    const struct x_session_ops *ops;
    void *user;
    struct xwayland server;
    struct tunnel *tunnel;
    struct roles *roles;
    struct offers *offers;
    struct selections *selections;
    struct wm *wm;
    struct loop_io *ready, *x;
    struct loop_job drain;
    bool served, over;
    bool leaves; /* with the last program */
};

static void end(struct x_session *s, const char *why)
{
    if (s->over)
        return;
    s->over = true;
    s->ops->over(s->user, why);
}

static void drain(void *user)
{
    struct x_session *s = user;
    if (s->over || !s->x)
        return;
    if (wm_receive(s->wm) < 0)
        return end(s, NULL);
    tunnel_flush(s->tunnel);
    /* Something may have been a program's end, which X tells of its windows alone. */
    if (s->leaves && x_clients_are_gone(wm_connection(s->wm)))
        end(s, NULL);
}

static void x_is_ready(void *user, unsigned events)
{
    (void)events;
    drain(user);
}

/* What the compositor offers that is not for the X server: windows are made by us, as is what needs
 * descriptors or rights that it has no use for. */
static bool hidden(const char *interface)
{
    static const char *const names[] = {"xwayland_shell_v1", "wp_drm_lease_device_v1",
                                        "xdg_activation_v1"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(interface, names[i]) == 0)
            return true;
    return false;
}

static bool on_request(void *user, uint32_t id, const struct wl_message *m)
{
    struct x_session *s = user;
    return roles_request(s->roles, id, m);
}

static bool on_event(void *user, uint32_t id, const struct wl_message *m)
{
    struct x_session *s = user;
    if (tunnel_is(m, MSG_DISPLAY_ERROR))
        log_error(NULL, "the compositor ended the X server: %s", m->args[2].s.text);
    if (tunnel_is(m, MSG_REGISTRY_GLOBAL)) {
        const char *interface = m->args[1].s.text;
        return !hidden(interface) &&
               !roles_global(s->roles, id, m->args[0].u, interface, m->args[2].u) &&
               !offers_global(s->offers, id, m->args[0].u, interface, m->args[2].u);
    }
    return roles_event(s->roles, id, m);
}

static void on_settled(void *user)
{
    struct x_session *s = user;
    if (s->over)
        return;
    roles_settled(s->roles);
    offers_seat(s->offers, roles_seat(s->roles));
    if (s->x)
        loop_later(s->loop, &s->drain);
}

static void on_ended(void *user, const char *why)
{
    end(user, why);
}

static const struct tunnel_ops tunnel_ops = {
    .request = on_request, .event = on_event, .settled = on_settled, .ended = on_ended};

static void other_event(void *user, const xcb_generic_event_t *event)
{
    struct x_session *s = user;
    selections_event(s->selections, event);
}

static const struct wm_ops wm_ops = {.other = other_event};

static uint32_t last_serial(void *user)
{
    struct x_session *s = user;
    return roles_serial(s->roles);
}

static void asked(void *user)
{
    struct x_session *s = user;
    loop_later(s->loop, &s->drain);
}

/* The server has written its number, of which the line's end comes by itself, or is gone. */
static void server_is_ready(void *user, unsigned events)
{
    struct x_session *s = user;
    char text[16];
    (void)events;
    ssize_t n = read(s->server.ready, text, sizeof(text));
    if (n > 0 && !memchr(text, '\n', (size_t)n))
        return;
    loop_io_destroy(s->ready);
    s->ready = NULL;
    s->server.ready = fd_close(s->server.ready);
    if (n <= 0)
        return end(s, "the X server did not start");
    int r = wm_connect(s->wm, fd_steal(&s->server.wm), s->roles);
    if (r < 0)
        return end(s, "the X server takes no window manager");
    if (!roles_usable(s->roles))
        return end(s, "the compositor has no xdg_wm_base: there are no windows");
    s->x = loop_io_create(s->loop, xcb_get_file_descriptor(wm_connection(s->wm)), LOOP_READ,
                          x_is_ready, s);
    if (!s->x)
        return end(s, "out of memory");
    selections_begin(s->selections, s->wm, s->offers);
    wm_open(s->wm);
    s->served = true;
    log_debug(NULL, "the X server serves");
    drain(s);
}

static int begin(struct x_session *s, const struct x_sockets *sockets, char *error,
                 size_t error_size)
{
    int compositor = address_connect_display(NULL, CONNECT_MS, error, error_size);
    if (compositor < 0)
        return compositor;
    int r = xwayland_start(&s->server, sockets, error, error_size);
    if (r < 0) {
        fd_close(compositor);
        return r;
    }
    s->tunnel = tunnel_create(s->loop, fd_steal(&s->server.wayland), compositor, &tunnel_ops, s);
    if (s->tunnel) {
        s->wm = wm_create(&wm_ops, s);
        s->roles = roles_create(s->loop, s->tunnel, &wm_roles_ops, s->wm);
        s->selections = selections_create(s->loop, last_serial, asked, s);
        s->offers = offers_create(s->tunnel, &selections_offers_ops, s->selections);
        s->ready = loop_io_create(s->loop, s->server.ready, LOOP_READ, server_is_ready, s);
    }
    if (!s->tunnel || !s->wm || !s->roles || !s->selections || !s->offers || !s->ready)
        return error_set(-ENOMEM, error, error_size, "out of memory");
    return 0;
}

struct x_session *x_session_create(struct loop *loop, const struct x_sockets *sockets,
                                   const struct x_session_ops *ops, void *user, char *error,
                                   size_t error_size)
{
    struct x_session *s = calloc(1, sizeof(*s));
    if (!s) {
        error_set(-ENOMEM, error, error_size, "out of memory");
        return NULL;
    }
    *s = (struct x_session){.loop = loop, .ops = ops, .user = user};
    s->server = (struct xwayland){.wayland = -1, .wm = -1, .ready = -1};
    s->drain = (struct loop_job){.run = drain, .user = s};
    if (begin(s, sockets, error, error_size) < 0) {
        x_session_destroy(s);
        return NULL;
    }
    return s;
}

void x_session_destroy(struct x_session *s)
{
    if (!s)
        return;
    s->over = true;
    loop_later_cancel(s->loop, &s->drain);
    loop_io_destroy(s->ready);
    loop_io_destroy(s->x);
    selections_destroy(s->selections);
    wm_destroy(s->wm);
    roles_destroy(s->roles);
    offers_destroy(s->offers);
    tunnel_destroy(s->tunnel);
    xwayland_close(&s->server);
    free(s);
}

void x_session_leave(struct x_session *s)
{
    s->leaves = true;
    loop_later(s->loop, &s->drain);
}

pid_t x_session_pid(const struct x_session *s)
{
    return s->server.pid;
}

bool x_session_served(const struct x_session *s)
{
    return s->served;
}
