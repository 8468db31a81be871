/* SPDX-License-Identifier: MIT */
/* The program lies beside ours. It may do all that its user may, as the X server and X programs do:
 * so it is started before the daemon limits itself, and shares nothing with it but a pipe, out of
 * which the number comes, and whose end says that no more programs are waited for: no signal leaves
 * a limited daemon. */
#include "guest-proxy/x-display.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/checks.h"
#include "common/base/error.h"
#include "common/base/fd.h"
#include "guest-proxy/child.h"

#define PROGRAM "wayvsock-x11"
#define START_MS 20000

static int program_path(char *path, size_t room)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return -errno;
    self[n] = 0;
    *strrchr(self, '/') = 0;
    int length = snprintf(path, room, "%s/" PROGRAM, self);
    if (length < 0 || (size_t)length >= room)
        return -ENAMETOOLONG;
    return access(path, X_OK) < 0 ? -errno : 0;
}

/* In the new process. */
static void become(const char *path, const char *wayland, int fd, enum log_level log_level)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    char number[16];
    if (fcntl(fd, F_SETFD, 0) < 0)
        _exit(126);
    snprintf(number, sizeof(number), "%d", fd);
    setenv("WAYLAND_DISPLAY", wayland, 1);
    unsetenv("WAYLAND_SOCKET");
    unsetenv("NOTIFY_SOCKET");
    execl(path, PROGRAM, "--display-fd", number, "--log-level", levels[log_level], (char *)NULL);
    fprintf(stderr, "wayvsock-guest: cannot run %s: %s\n", path, strerror(errno));
    _exit(126);
}

int x_display_start(struct x_display *d, const char *wayland, enum log_level log_level, char *error,
                    size_t error_size)
{
    char path[PATH_MAX], text[16] = "";
    int ends[2], r = program_path(path, sizeof(path));
    if (r < 0)
        return error_set(r, error, error_size,
                         PROGRAM " is not beside this program: %s; it is what X programs need",
                         strerror(-r));
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set(-errno, error, error_size, "cannot make a pipe: %s", strerror(errno));
    d->pid = child_fork();
    if (d->pid == 0)
        become(path, wayland, ends[1], log_level);
    r = d->pid < 0 ? -errno : 0;
    fd_close(ends[1]);
    _cleanup_(fd_closep) int fd = ends[0];
    if (r < 0) {
        d->pid = 0;
        return error_set(r, error, error_size, "cannot start " PROGRAM ": %s", strerror(-r));
    }
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while ((r = poll(&p, 1, START_MS)) < 0 && errno == EINTR)
        continue;
    if (r <= 0 || read(fd, text, sizeof(text) - 1) <= 0)
        return error_set(-ECHILD, error, error_size, PROGRAM " offers no display");
    d->number = atoi(text);
    d->fd = fd_steal(&fd);
    return 0;
}

void x_display_export(const struct x_display *d)
{
    char text[16];
    if (!d->pid)
        return;
    snprintf(text, sizeof(text), ":%d", d->number);
    setenv("DISPLAY", text, 1);
    unsetenv("XAUTHORITY"); /* the server knows its user */
}

void x_display_leave(struct x_display *d)
{
    if (d->pid)
        d->fd = fd_close(d->fd);
}

bool x_display_check(void)
{
    char path[PATH_MAX];
    bool beside = program_path(path, sizeof(path)) == 0;
    bool server = false;
    const char *search = getenv("PATH");
    for (search = search ? search : "/bin:/usr/bin"; *search && !server;) {
        size_t n = strcspn(search, ":");
        snprintf(path, sizeof(path), "%.*s/Xwayland", (int)n, search);
        server = access(path, X_OK) == 0;
        search += n + (search[n] == ':');
    }
    checks_line(beside, "--x11: " PROGRAM, "it is not beside this program");
    checks_line(server, "--x11: Xwayland", "it is not there: install the package xwayland");
    return beside && server;
}
