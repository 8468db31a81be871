/* SPDX-License-Identifier: MIT */
/* run-child: the program begins a session, so that signals reach all that it starts and nobody
 * else. Whether it could be executed is heard over a pipe that execve() closes. */
#include "guest-proxy/run/run-child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"

static int open_terminal(const struct run_child_spec *spec, int *ret_slave)
{
    char name[64];
    _cleanup_(fd_closep) int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
        ptsname_r(master, name, sizeof(name)) != 0)
        return -errno;
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return -errno;
    struct winsize size = {.ws_row = spec->rows, .ws_col = spec->columns};
    ioctl(master, TIOCSWINSZ, &size);
    *ret_slave = slave;
    return fd_steal(&master);
}

/* In the new process. */
static void child_execute(const struct run_child_spec *spec, const int fds[3])
{
    static const int changed[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                                  SIGCHLD, SIGPIPE, SIGUSR1, SIGUSR2};
    const char *home = getenv("HOME");
    sigset_t none;
    int copies[3];
    setsid();
    for (size_t i = 0; i < sizeof(changed) / sizeof(*changed); i++)
        signal(changed[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 0; i < 3; i++) /* above all three, or one would be closed by another */
        if ((copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3)) < 0)
            return;
    for (int i = 0; i < 3; i++)
        if (dup2(copies[i], i) < 0)
            return;
    if (spec->terminal && ioctl(0, TIOCSCTTY, 0) < 0)
        return;
    for (char *const *v = spec->variables; v && *v; v++)
        putenv(*v);
    if ((!spec->folder || chdir(spec->folder) < 0) && (!home || chdir(home) < 0) && chdir("/") < 0)
        return;
    execvp(spec->words[0], spec->words);
}

int run_child_start(const struct run_child_spec *spec, struct run_child *ret)
{
    _cleanup_(fd_closep) int master = -1, slave = -1;
    int fds[3], said[2], error = 0;
    if (spec->terminal && (master = open_terminal(spec, &slave)) < 0)
        return master;
    for (int i = 0; i < 3; i++)
        fds[i] = spec->terminal ? slave : spec->fds[i];
    if (pipe2(said, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        child_execute(spec, fds);
        error = errno;
        _exit(write(said[1], &error, sizeof(error)) == sizeof(error) ? 127 : 126);
    }
    error = pid < 0 ? errno : 0;
    fd_close(said[1]);
    while (pid > 0 && read(said[0], &error, sizeof(error)) < 0 && errno == EINTR)
        continue;
    fd_close(said[0]);
    if (error) {
        if (pid > 0)
            waitpid(pid, NULL, 0);
        return -error;
    }
    *ret = (struct run_child){.pid = pid, .terminal = fd_steal(&master)};
    return 0;
}

void run_child_signal(const struct run_child *child, int number)
{
    kill(-child->pid, number);
}

void run_child_resize(const struct run_child *child, uint16_t rows, uint16_t columns)
{
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    if (child->terminal >= 0)
        ioctl(child->terminal, TIOCSWINSZ, &size);
}
