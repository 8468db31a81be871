/* SPDX-License-Identifier: MIT */
/* The server has its descriptors by their numbers on the command line, and everything else closed.
 * It ends when its last program does, but for two seconds that a shell script with one program
 * after the other may need. */
#include "guest-proxy/x11/xwayland.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "guest-proxy/x11/x-sockets.h"

#define PROGRAM "Xwayland"

enum { WAYLAND = 3, WM, READY, LISTEN }; /* descriptors there */

/* In the new process: @fds become 3, 4, …; does not return. */
static void become(const int *fds, unsigned n, int number)
{
    char display[16], listeners[X_SOCKETS_MAX][16];
    char *argv[24];
    unsigned a = 0;
    int moved[LISTEN + X_SOCKETS_MAX];
    sigset_t none;
    for (unsigned i = 0; i < n; i++) /* out of the way of each other */
        moved[i] = fcntl(fds[i], F_DUPFD, 64);
    for (unsigned i = 0; i < n; i++)
        if (moved[i] < 0 || dup2(moved[i], WAYLAND + (int)i) < 0)
            _exit(126);
    close_range(WAYLAND + n, ~0u, 0);
    snprintf(display, sizeof(display), ":%d", number);
    char *const fixed[] = {PROGRAM, display,      "-rootless", "-terminate", "2",  "-wm",
                           "4",     "-displayfd", "5",         "-nolisten",  "tcp"};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
        argv[a++] = fixed[i];
    for (unsigned i = 0; i + READY - WM + 2 < n; i++) {
        snprintf(listeners[i], sizeof(listeners[i]), "%u", LISTEN + i);
        argv[a++] = "-listenfd";
        argv[a++] = listeners[i];
    }
    argv[a] = NULL;
    setenv("WAYLAND_SOCKET", "3", 1);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("DISPLAY");
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execvp(argv[0], argv);
    fprintf(stderr, "wayvsock-x11: cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

int xwayland_start(struct xwayland *s, const struct x_sockets *sockets, char *error,
                   size_t error_size)
{
    int wayland[2] = {-1, -1}, wm[2] = {-1, -1}, ready[2] = {-1, -1}, r = 0;
    sigset_t all, before;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wayland) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wm) < 0 || pipe2(ready, O_CLOEXEC) < 0)
        r = -errno;
    if (r == 0)
        r = fd_set_nonblock(wayland[0]);
    int fds[LISTEN + X_SOCKETS_MAX] = {wayland[1], wm[1], ready[1]};
    unsigned n = 3;
    for (unsigned i = 0; i < sockets->n; i++)
        fds[n++] = sockets->fds[i];
    fflush(NULL);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = r == 0 ? fork() : -1;
    if (pid == 0)
        become(fds, n, sockets->number);
    if (r == 0 && pid < 0)
        r = -errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    fd_close(wayland[1]);
    fd_close(wm[1]);
    fd_close(ready[1]);
    *s = (struct xwayland){.pid = pid, .wayland = wayland[0], .wm = wm[0], .ready = ready[0]};
    if (r < 0) {
        s->pid = 0;
        xwayland_close(s);
        return error_set(r, error, error_size, "cannot start an X server: %s", strerror(-r));
    }
    return 0;
}

void xwayland_close(struct xwayland *s)
{
    s->wayland = fd_close(s->wayland);
    s->wm = fd_close(s->wm);
    s->ready = fd_close(s->ready);
}
