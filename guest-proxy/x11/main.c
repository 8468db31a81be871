/* SPDX-License-Identifier: MIT */
/* wayvsock-x11: an X display on a Wayland one. Owns the display's sockets, and listens there while
 * there is no X server; the first program that connects has one started, which listens by itself
 * then. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/sd.h"
#include "guest-proxy/x11/x-options.h"
#include "guest-proxy/x11/x-session.h"
#include "guest-proxy/x11/x-sockets.h"

#define PAUSE_MS 1000 /* after a server that did not serve */

struct x11 {
    struct loop *loop;
    struct x_sockets sockets;
    struct loop_io *watches[X_SOCKETS_MAX];
    struct loop_io *owner; /* the pipe of --display-fd */
    bool leaves;           /* that is gone: we go with the server's last program */
    struct x_session *session;
    pid_t pid; /* the server's, until it was waited for */
    struct loop_job over;
    struct loop_timer *pause;
};

static void watch(struct x11 *x, bool on)
{
    for (unsigned i = 0; i < x->sockets.n; i++)
        loop_io_set(x->watches[i], on ? LOOP_READ : 0);
}

static void listen_again(void *user)
{
    struct x11 *x = user;
    if (!x->session && !x->pid)
        watch(x, true);
}

static void failed(struct x11 *x, const char *why)
{
    log_error(NULL, "%s", why);
    x_sockets_turn_away(&x->sockets);
    watch(x, false);
    loop_timer_arm(x->pause, PAUSE_MS);
}

/* The session is over, or its server has ended, whichever is first. */
static void session_ends(void *user)
{
    struct x11 *x = user;
    bool served = !x->session || x_session_served(x->session);
    x_session_destroy(x->session);
    x->session = NULL;
    if (x->pid)
        kill(x->pid, SIGTERM);
    if (x->leaves)
        loop_stop(x->loop);
    else if (!served)
        failed(x, "there is no X server for X programs; is Xwayland installed?");
    else
        listen_again(x);
}

static void session_is_over(void *user, const char *why)
{
    struct x11 *x = user;
    if (why)
        log_warn(NULL, "the X server's end: %s", why);
    loop_later(x->loop, &x->over);
}

static const struct x_session_ops session_ops = {.over = session_is_over};

static void program_comes(void *user, unsigned events)
{
    struct x11 *x = user;
    char error[512];
    (void)events;
    if (x->session || x->pid)
        return;
    watch(x, false);
    x->session = x_session_create(x->loop, &x->sockets, &session_ops, x, error, sizeof(error));
    if (!x->session)
        return failed(x, error);
    x->pid = x_session_pid(x->session);
}

static void child_ended(void *user, int signo)
{
    struct x11 *x = user;
    pid_t pid;
    (void)signo;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        if (pid == x->pid) {
            x->pid = 0;
            if (x->session)
                loop_later(x->loop, &x->over);
            else if (!x->over.at)
                listen_again(x);
        }
}

/* Nothing comes out of our end but this. */
static void owner_is_gone(void *user, unsigned events)
{
    struct x11 *x = user;
    (void)events;
    loop_io_destroy(x->owner);
    x->owner = NULL;
    x->leaves = true;
    watch(x, false);
    if (x->session)
        x_session_leave(x->session);
    else
        loop_stop(x->loop);
}

static int begin(struct x11 *x, const struct x_options *options)
{
    char error[512], number[16];
    int r = sd_catch_signals(x->loop);
    if (r == 0)
        r = loop_signal(x->loop, SIGCHLD, child_ended, x);
    x->pause = loop_timer_create(x->loop, listen_again, x);
    if (r < 0 || !x->pause) {
        log_error(NULL, "cannot catch signals: %s", strerror(r < 0 ? -r : ENOMEM));
        return r < 0 ? r : -ENOMEM;
    }
    r = x_sockets_open(&x->sockets, options->display, error, sizeof(error));
    if (r < 0) {
        log_error(NULL, "%s", error);
        return r;
    }
    for (unsigned i = 0; i < x->sockets.n; i++) {
        x->watches[i] = loop_io_create(x->loop, x->sockets.fds[i], LOOP_READ, program_comes, x);
        if (!x->watches[i])
            return -ENOMEM;
    }
    if (options->display_fd >= 0) {
        int n = snprintf(number, sizeof(number), "%d\n", x->sockets.number);
        if (write(options->display_fd, number, (size_t)n) != n)
            log_warn(NULL, "--display-fd: nobody takes the display's number");
        x->owner = loop_io_create(x->loop, options->display_fd, LOOP_READ, owner_is_gone, x);
        if (!x->owner)
            return -EINVAL;
    }
    log_info(NULL, "X display :%d", x->sockets.number);
    return 0;
}

int main(int argc, char **argv)
{
    struct x_options options;
    struct x11 x = {.sockets.number = -1};
    int r = x_options_parse(argc, argv, &options);
    if (r != 0)
        return r == OPTIONS_DONE ? 0 : 2;
    log_init("wayvsock-x11", options.log_level);
    signal(SIGPIPE, SIG_IGN);
    fd_raise_limit();
    x.loop = loop_create();
    x.over = (struct loop_job){.run = session_ends, .user = &x};
    if (!x.loop) {
        log_error(NULL, "cannot make an event loop: %s", strerror(errno));
        return 1;
    }
    r = begin(&x, &options);
    if (r == 0)
        r = sd_run(x.loop);
    loop_later_cancel(x.loop, &x.over);
    x_session_destroy(x.session);
    if (x.pid)
        kill(x.pid, SIGTERM);
    for (unsigned i = 0; i < x.sockets.n; i++)
        loop_io_destroy(x.watches[i]);
    loop_io_destroy(x.owner);
    x_sockets_close(&x.sockets);
    loop_timer_destroy(x.pause);
    loop_destroy(x.loop);
    return r < 0 ? 1 : 0;
}
