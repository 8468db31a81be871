/* SPDX-License-Identifier: MIT */
/* The X server's tunnel, and the roles of its surfaces, between any bytes of either side. The input
 * is records: a byte that says whose (FROM_COMPOSITOR), whether a descriptor comes along (WITH_FD),
 * what the window manager does first (its upper four bits); a byte with the number of 4-byte words;
 * those. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "guest-proxy/x11/roles.h"
#include "guest-proxy/x11/tunnel.h"
#include "tests/support/send_fds.h"
#include "tests/support/wl_build.h"

enum { FROM_COMPOSITOR = 1, WITH_FD = 2 };
#define WINDOWS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A window that X would have told of. */
struct window {
    struct role *role;
};

static struct {
    struct loop *loop;
    struct loop_timer *timer;
    unsigned turns;
    struct tunnel *tunnel;
    struct roles *roles;
    int server, compositor; /* our ends */
    struct window windows[WINDOWS_MAX];
    unsigned n;
} F;

static void fuzz_timer(void *user)
{
    (void)user;
    if (F.turns-- == 0)
        loop_stop(F.loop);
    else
        loop_timer_arm(F.timer, 0);
}

static void drain(int fd)
{
    static uint8_t bytes[64 << 10];
    char control[CMSG_SPACE(253 * sizeof(int))];
    struct iovec iov = {bytes, sizeof(bytes)};
    for (;;) {
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof(control)};
        if (recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
            return;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
            for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                int got;
                memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                close(got);
            }
    }
}

static void turn(void)
{
    F.turns = 3;
    loop_timer_arm(F.timer, 0);
    if (loop_run(F.loop) < 0)
        abort();
    drain(F.server);
    drain(F.compositor);
}

static void say(int to, const void *bytes, size_t n, int fd)
{
    if (n)
        send_fds(to, bytes, n, &fd, fd >= 0);
    fd_close(fd);
    turn();
}

/* --- a window manager to whom each surface is a window, every second one a menu of the first's ---
 */

static void on_surface(void *user, uint32_t servers)
{
    (void)user;
    if (F.n == WINDOWS_MAX)
        return;
    struct window *w = &F.windows[F.n];
    struct role *parent = F.windows[0].role;
    w->role = F.n % 2 && parent ? roles_popup(F.roles, servers, w, parent, 5, 5, 16, 16)
                                : roles_toplevel(F.roles, servers, w, 16, 16);
    if (!w->role)
        return;
    F.n++;
    role_set_title(w->role, "title");
    role_begun(w->role);
}

static void on_configured(void *user, void *window, int width, int height, unsigned states)
{
    struct window *w = window;
    (void)user, (void)states;
    if (width && height)
        role_resized(w->role, width, height);
}

static void on_window(void *user, void *window)
{
    (void)user, (void)window;
}

static void on_gone(void *user, void *window)
{
    (void)user;
    ((struct window *)window)->role = NULL;
}

static const struct roles_ops roles_ops = {.surface = on_surface,
                                           .configured = on_configured,
                                           .close = on_window,
                                           .gone = on_gone,
                                           .pointer = on_window,
                                           .keyboard = on_window};

static void manage(unsigned what)
{
    struct role *role = F.n ? F.windows[what % F.n].role : NULL;
    struct role *first = F.windows[0].role;
    if (!role)
        return;
    switch (what) {
    case 1:
    case 2:
        role_abandon(role);
        F.windows[what % F.n].role = NULL;
        break;
    case 3:
        role_set_states(role, ROLE_FULLSCREEN);
        break;
    case 4:
        role_set_parent(role, first == role ? NULL : first);
        break;
    case 5:
        role_resized(role, 32, 8);
        break;
    case 6:
        role_place(role, 3, 4);
        break;
    case 7:
        role_move(role);
        break;
    case 8:
        role_set_frame(role, false);
        break;
    case 9:
        role_set_area(role, (const int16_t[2][4]){{0, 0, 5, 5}, {-1, 3, 2, INT16_MAX}}, 2);
    }
    tunnel_flush(F.tunnel);
}

/* --- the tunnel --- */

static bool on_request(void *user, uint32_t id, const struct wl_message *m)
{
    (void)user;
    return roles_request(F.roles, id, m);
}

static bool on_event(void *user, uint32_t id, const struct wl_message *m)
{
    (void)user;
    if (tunnel_is(m, MSG_REGISTRY_GLOBAL))
        return !roles_global(F.roles, id, m->args[0].u, m->args[1].s.text, m->args[2].u);
    return roles_event(F.roles, id, m);
}

static void on_settled(void *user)
{
    (void)user;
    if (F.roles)
        roles_settled(F.roles);
}

static void on_ended(void *user, const char *why)
{
    (void)user, (void)why;
}

static const struct tunnel_ops tunnel_ops = {
    .request = on_request, .event = on_event, .settled = on_settled, .ended = on_ended};

/* As with any X server and compositor: globals, and what the X server binds of them. */
static void begin(void)
{
    static const char *const globals[] = {"wl_compositor", "wl_shm",
                                          "wl_seat",       "wl_data_device_manager",
                                          "xdg_wm_base",   "zxdg_decoration_manager_v1",
                                          "wl_output"};
    int server[2], compositor[2];
    uint8_t bytes[2048];
    size_t n = wl_build(bytes, 1, 1, "u", 2);
    signal(SIGPIPE, SIG_IGN);
    log_init("fuzz", LOG_LEVEL_ERROR);
    F.loop = loop_create();
    F.timer = loop_timer_create(F.loop, fuzz_timer, NULL);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, server) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, compositor) < 0)
        abort();
    F.server = server[0];
    F.compositor = compositor[0];
    F.tunnel = tunnel_create(F.loop, server[1], compositor[1], &tunnel_ops, NULL);
    F.roles = roles_create(F.loop, F.tunnel, &roles_ops, NULL);
    say(F.server, bytes, n, -1);
    n = 0;
    for (uint32_t i = 0; i < sizeof(globals) / sizeof(*globals); i++)
        n += wl_build(bytes + n, 2, 0, "usu", i + 1, globals[i], 4);
    say(F.compositor, bytes, n, -1);
    n = 0;
    for (uint32_t i = 0, id = 3; i < 4; i++, id++)
        n += wl_build(bytes + n, 2, 0, "uN", i + 1, globals[i], i == 1 ? 1 : 3, id);
    say(F.server, bytes, n, -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(&F, 0, sizeof(F));
    begin();
    for (unsigned records = 0; size >= 2 && records < 64; records++) {
        size_t n = data[1] * 4u;
        if (n > size - 2)
            n = size - 2;
        manage(data[0] >> 4);
        say(data[0] & FROM_COMPOSITOR ? F.compositor : F.server, data + 2, n,
            data[0] & WITH_FD ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1);
        data += 2 + n;
        size -= 2 + n;
    }
    for (unsigned i = 0; i < F.n; i++)
        if (F.windows[i].role)
            role_abandon(F.windows[i].role);
    roles_destroy(F.roles);
    F.roles = NULL;
    tunnel_destroy(F.tunnel);
    loop_timer_destroy(F.timer);
    loop_destroy(F.loop);
    close(F.server);
    close(F.compositor);
    return 0;
}
