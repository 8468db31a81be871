/* SPDX-License-Identifier: MIT */
/* wayvsock-guest: a Wayland display in a VM whose windows appear on the host. Owns the display, the
 * uplink and the clients, and the command where there is one: then the daemon ends with it, when
 * its last client has left, and with its status. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/guard.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/sd.h"
#include "common/sandbox/sandbox.h"
#include "common/transport/inherited.h"
#include "common/transport/token.h"
#include "guest-proxy/approach.h"
#include "guest-proxy/child.h"
#include "guest-proxy/guest-check.h"
#include "guest-proxy/guest-client.h"
#include "guest-proxy/guest-control.h"
#include "guest-proxy/display.h"
#include "guest-proxy/pixels/gpu.h"
#include "guest-proxy/guest-options.h"
#include "guest-proxy/guest-runs.h"
#include "guest-proxy/guest-sandbox.h"
#include "guest-proxy/guest-services.h"
#include "guest-proxy/run/run-service.h"
#include "guest-proxy/uplink.h"
#include "guest-proxy/x-display.h"

struct daemon {
    struct loop *loop;
    struct guest_options options;
    struct display *display;
    struct approaches approaches;
    struct clients clients;
    struct services services;
    struct guest_view view;
    struct guest_control *control; /* NULL: nobody can ask */
    struct guest_runs runs;
    const struct gpu *gpu;
    struct x_display x_display;
    pid_t command; /* 0: none, or it ended */
    bool ran;
    int status; /* of the command, or our own */
};

static void uplink_is_ready(void *user)
{
    struct daemon *d = user;
    d->view.since = json_now();
    sd_notify_status("connected to the host");
    approaches_go(&d->approaches);
}

static void uplink_is_lost(void *user, const char *reason)
{
    struct daemon *d = user;
    sd_notify_status("the host is gone, trying to reach it");
    clients_disconnect(&d->clients, reason);
    services_disconnect(&d->services, reason);
}

static void uplink_failed(void *user, const char *reason)
{
    (void)user;
    sd_notify_status(reason);
}

static void uplink_incoming(void *user, const struct link_incoming *incoming)
{
    struct daemon *d = user;
    services_incoming(&d->services, incoming);
}

static const struct uplink_ops uplink_ops = {.ready = uplink_is_ready,
                                             .lost = uplink_is_lost,
                                             .incoming = uplink_incoming,
                                             .failed = uplink_failed};

static void main_accepted(void *user, int fd)
{
    struct daemon *d = user;
    clients_accept(&d->clients, fd);
}

/* The command has ended: we stay for what it left behind: wl-copy's server, a paste whose reader is
 * slow. */
static void leave_when_alone(void *user)
{
    struct daemon *d = user;
    if (d->ran && !d->command && clients_are_done(&d->clients) && services_are_done(&d->services))
        loop_stop(d->loop);
}

/* Of a command that failed without a word to us: it may not know Wayland. */
static void advise(const struct daemon *d)
{
    const char *x11 = getenv("DISPLAY");
    bool ran = d->status != 0 && d->status < 126; /* else it was not found, or a signal ended it */
    if (ran && d->clients.serial == 0 && !d->options.x11 && (!x11 || !*x11))
        log_info(NULL,
                 "%s failed and never came to the Wayland display; an X11 application needs an X "
                 "server here, such as --x11 brings: see X11 in wayvsock-guest(1)",
                 d->options.command[0]);
}

static void child_ended(void *user, int signo)
{
    struct daemon *d = user;
    int status;
    pid_t pid;
    (void)signo;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == d->x_display.pid) {
            if (d->x_display.fd >= 0)
                log_error(NULL, "wayvsock-x11 has ended: no X program shows windows any more");
            d->x_display.pid = 0;
        }
        if (pid != d->command)
            continue;
        d->command = 0;
        x_display_leave(&d->x_display);
        d->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        log_debug(NULL, "the command ended with status %d", d->status);
        advise(d);
    }
    leave_when_alone(d);
}

static void main_terminate(void *user, int signo)
{
    struct daemon *d = user;
    if (d->command > 0)
        kill(d->command, signo);
    if (d->ran)
        d->status = 128 + signo;
    loop_stop(d->loop);
}

/* What a program here finds. */
static void set_environment(void *user)
{
    const struct daemon *d = user;
    if (d->display)
        setenv("WAYLAND_DISPLAY", display_path(d->display), 1);
    else
        unsetenv("WAYLAND_DISPLAY");
    services_export(&d->services);
    x_display_export(&d->x_display);
}

/* 0 or -errno; or MAIN_OVER in the other processes, when they are to end with d->status. */
enum { MAIN_OVER = 1 };

static int allow_run(struct daemon *d)
{
    int r = guest_runs_fork(&d->runs, set_environment, d, &d->status);
    if (r == SPAWNER_OVER)
        return MAIN_OVER;
    if (r == SPAWNER_PARENT)
        r = guest_runs_begin(&d->runs, d->loop);
    if (r < 0)
        log_error(NULL, "--allow-run: cannot start the process that starts others: %s",
                  strerror(-r));
    else
        d->services.runs = &d->runs;
    return r;
}

static int run_command(struct daemon *d)
{
    pid_t pid = child_fork();
    if (pid < 0) {
        int error = errno;
        log_error(NULL, "cannot start the command: %s", strerror(error));
        return -error;
    }
    if (pid == 0) {
        set_environment(d);
        unsetenv("WAYLAND_SOCKET");
        unsetenv("NOTIFY_SOCKET");
        execvp(d->options.command[0], d->options.command);
        fprintf(stderr, "wayvsock-guest: cannot run %s: %s\n", d->options.command[0],
                strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
    }
    d->command = pid;
    d->ran = true;
    return 0;
}

static bool has_no_display(const struct daemon *d)
{
    return d->options.display && strcmp(d->options.display, "none") == 0;
}

/* Services first: what is left of the sockets handed over is the display's. */
static int main_listen(struct daemon *d, struct inherited *inherited)
{
    char error[512];
    int r = 0;
    for (unsigned i = 0; i < d->options.forward_n && r == 0; i++) {
        r = services_forward(&d->services, d->options.forward[i], inherited, error, sizeof(error));
        if (r < 0)
            log_error(NULL, "--forward: %s", error);
    }
    for (unsigned i = 0; i < d->options.serve_n && r == 0; i++) {
        r = services_serve(&d->services, d->options.serve[i], error, sizeof(error));
        if (r < 0)
            log_error(NULL, "--serve: %s", error);
    }
    if (r < 0 || has_no_display(d))
        return r;
    d->display = display_create(d->loop, inherited, d->options.display, d->options.command != NULL,
                                main_accepted, d, error, sizeof(error));
    if (!d->display) {
        log_error(NULL, "%s", error);
        return -EADDRINUSE;
    }
    uplink_set_display(d->approaches.uplink, display_path(d->display));
    return 0;
}

static int main_start(struct daemon *d)
{
    char error[512];
    struct inherited inherited;
    /* Before there is anything to see, or to be removed. */
    int r = loop_signal(d->loop, SIGTERM, main_terminate, d);
    if (r == 0)
        r = loop_signal(d->loop, SIGINT, main_terminate, d);
    if (r == 0)
        r = loop_signal(d->loop, SIGCHLD, child_ended, d);
    if (r < 0) {
        log_error(NULL, "cannot catch signals: %s", strerror(-r));
        return r;
    }
    r = inherited_get(&inherited, error, sizeof(error));
    if (r < 0) {
        log_error(NULL, "%s", error);
        return r;
    }
    r = main_listen(d, &inherited);
    inherited_finish(&inherited);
    if (r < 0)
        return r;
    d->view.display = d->display;
    d->control = guest_control_create(d->loop, &d->view);
    if (d->options.x11) {
        r = x_display_start(&d->x_display, display_path(d->display), d->options.log_level, error,
                            sizeof(error));
        if (r < 0) {
            log_error(NULL, "--x11: %s", error);
            return r;
        }
    }
    if (d->options.allow_run)
        r = allow_run(d);
    if (r == 0 && d->options.command)
        r = run_command(d);
    if (r == 0) /* the command is not limited */
        r = guest_sandbox_enter(
            d->display, &d->services, d->control ? guest_control_path(d->control) : NULL, d->gpu,
            d->command, d->command > 0 || d->x_display.pid > 0 || d->options.allow_run);
    if (r != 0)
        return r;
    if (d->display)
        log_info(NULL, "serving %s", display_path(d->display));
    sd_notify_ready();
    return 0;
}

static const struct token *load_token(const struct guest_options *options, struct token *token,
                                      bool *ret_failed)
{
    char path[512], error[512];
    const char *file =
        options->token_file ? options->token_file : token_default(path, sizeof(path));
    *ret_failed = false;
    if (!file)
        return NULL;
    if (token_read(file, token, error, sizeof(error)) < 0) {
        log_error(NULL, "%s", error);
        *ret_failed = true;
        return NULL;
    }
    return token;
}

/* wayvsock-run@.service: not limited, as what it starts is not. */
static int run_service(void)
{
    int first, n = address_inherited(&first);
    if (n > 0)
        return run_service_serve(first, n);
    log_error(NULL, "--run-service: no socket was handed over; wayvsock-run@USER.socket does that");
    return 2;
}

int main(int argc, char **argv)
{
    struct daemon d = {.runs = {.spawner = {.fd = -1}}};
    int r = guest_options_parse(argc, argv, &d.options);
    if (r != 0)
        return r == OPTIONS_DONE ? 0 : 2;
    log_init("wayvsock-guest", d.options.check && d.options.log_level < LOG_LEVEL_DEBUG
                                   ? LOG_LEVEL_ERROR
                                   : d.options.log_level);
    signal(SIGPIPE, SIG_IGN);
    if (d.options.run_service)
        return run_service();
    fd_raise_limit();
    sandbox_hide(); /* tokens, clipboards */
    guard_init();   /* without it, a client's file that shrinks is our end */
    bool failed;
    struct token token;
    struct uplink_config config = {.address = &d.options.connect, .no_auth = d.options.no_auth};
    config.token = load_token(&d.options, &token, &failed);
    if (failed)
        return d.options.check ? 1 : 2;
    if (d.options.no_auth)
        log_warn(NULL, "--no-auth: nothing proves to the host that this is the VM's daemon; for "
                       "development only");
    struct gpu gpu;
    char error[512];
    if (gpu_init(&gpu, d.options.gpu, error, sizeof(error)) < 0) {
        log_error(NULL, "--gpu: %s", error);
        return d.options.check ? 1 : 2;
    }
    config.gpu = &gpu;
    d.gpu = &gpu;
    if (d.options.check) {
        r = check_run(&d.options, &config);
        gpu_finish(&gpu);
        return r;
    }

    d.loop = loop_create();
    if (!d.loop) {
        log_error(NULL, "cannot make an event loop: %s", strerror(errno));
        return 1;
    }
    d.approaches.loop = d.loop;
    r = clients_init(&d.clients, d.loop, &d.approaches, leave_when_alone, &d);
    if (r == 0)
        services_init(&d.services, d.loop, &d.approaches, d.clients.whole, leave_when_alone, &d);
    config.services = d.options.forward_n + d.options.serve_n > 0 || d.options.allow_run;
    if (r == 0)
        d.approaches.uplink = uplink_create(d.loop, &config, &uplink_ops, &d);
    d.view.clients = &d.clients;
    d.view.services = &d.services;
    d.view.uplink = d.approaches.uplink;
    d.clients.subject.refused = d.services.subject.refused = &d.view.refused;
    r = d.approaches.uplink ? main_start(&d) : -ENOMEM;
    if (r == MAIN_OVER) { /* nothing here is that process's to take down */
        fflush(NULL);
        _exit(d.status);
    }
    if (r == 0)
        loop_run(d.loop);
    sd_notify_stopping();
    guest_control_destroy(d.control);
    services_finish(&d.services);
    guest_runs_finish(&d.runs);
    clients_finish(&d.clients);
    uplink_destroy(d.approaches.uplink);
    gpu_finish(&gpu);
    display_destroy(d.display);
    loop_destroy(d.loop);
    token_finish(&token);
    return r < 0 ? 1 : d.status;
}
