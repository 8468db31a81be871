/* SPDX-License-Identifier: MIT */
/* run-service: a process for each connection; when many are there, others wait to be accepted. */
#include "guest-proxy/run/run-service.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "guest-proxy/run/runner.h"

#define LISTENERS_MAX 8
#define CONNECTIONS_MAX 256 /* at a time */

static void on_child(int signo)
{
    (void)signo; /* it is enough that waiting ends */
}

/* 1 in the new process. Takes @connection. */
static int service_fork(int connection, const sigset_t *before)
{
    pid_t pid = fork();
    if (pid < 0)
        log_warn(NULL, "cannot start a process for a program of the host's");
    if (pid != 0) {
        fd_close(connection);
        return 0;
    }
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, before, NULL);
    fd_close_others(connection);
    return 1;
}

/* The session's bus, where nobody said which: a service of the system is not told. */
static void find_bus(void)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char address[160], *path = address + sizeof("unix:path=") - 1;
    struct stat st;
    if (!runtime || getenv("DBUS_SESSION_BUS_ADDRESS"))
        return;
    int n = snprintf(address, sizeof(address), "unix:path=%s/bus", runtime);
    if (n > 0 && (size_t)n < sizeof(address) && stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        setenv("DBUS_SESSION_BUS_ADDRESS", address, 1);
}

int run_service_serve(int first, int n)
{
    struct pollfd polls[LISTENERS_MAX];
    struct sigaction action = {.sa_handler = on_child};
    sigset_t child, before;
    unsigned alive = 0;
    uint32_t serial = 0;
    n = n < LISTENERS_MAX ? n : LISTENERS_MAX;
    runner_clean_environment();
    find_bus();
    sigaction(SIGCHLD, &action, NULL);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD); /* comes only while we wait */
    sigprocmask(SIG_BLOCK, &child, &before);
    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            alive--;
        for (int i = 0; i < n; i++)
            polls[i] =
                (struct pollfd){.fd = first + i, .events = alive < CONNECTIONS_MAX ? POLLIN : 0};
        if (ppoll(polls, (nfds_t)n, NULL, &before) < 0)
            continue;
        for (int i = 0; i < n; i++) {
            if (polls[i].revents & (POLLERR | POLLNVAL))
                return 1;
            int fd = polls[i].revents ? accept4(first + i, NULL, NULL, SOCK_CLOEXEC) : -1;
            if (fd < 0)
                continue;
            alive++;
            if (service_fork(fd, &before))
                return runner_serve(serial, fd);
            serial++;
        }
    }
}
