/* SPDX-License-Identifier: MIT */
/* start-command: the command has a session of its own, so that what stops the daemon does not stop
 * a VM. */
#include "host-proxy/start-command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"

/* In the new process. */
static void command_execute(const char *command)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, 0);
    setsid();
    signal(SIGPIPE, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (null < 0 || dup2(null, 0) < 0)
        _exit(126);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

int start_command_run(const char *command, int channel)
{
    _cleanup_(fd_closep) int owned = channel;
    sigset_t child;
    int status;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    _cleanup_(fd_closep) int children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    pid_t pid = children < 0 ? -1 : fork();
    if (pid == 0)
        command_execute(command);
    if (pid < 0)
        return 126;
    for (;;) {
        struct pollfd polls[] = {{.fd = children, .events = POLLIN}, {.fd = owned}};
        poll(polls, 2, -1);
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (polls[1].revents)
            return 0;
        struct signalfd_siginfo info;
        while (read(children, &info, sizeof(info)) > 0)
            continue;
    }
}
