/* SPDX-License-Identifier: MIT */
/* keeper: the parent owns what it keeps, and does nothing but wait for its child's messages and
 * end. They are the service manager's (FDSTORE=1, sd_notify(3)), one datagram each, so that both
 * are spoken to in the same way. Our names begin with a word of their own: a service manager hands
 * over sockets too that it listens on. */
#include "common/base/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/ancillary.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/number.h"
#include "common/base/sd.h"

#define PREFIX "wayvsock-"
#define MESSAGE_MAX 128
#define RESTART_MS 100 /* not sooner after a start */

/* Of the parent. */
static volatile pid_t child;
static volatile sig_atomic_t ending; /* a signal asked for it */

/* As a service manager reads it; 0 or -EINVAL. */
static int read_message(const char *text, const char **ret_name, bool *ret_store)
{
    static const char store[] = "FDSTORE=1\nFDPOLL=0\nFDNAME=" PREFIX,
                      remove[] = "FDSTOREREMOVE=1\nFDNAME=" PREFIX;
    *ret_store = strncmp(text, store, sizeof(store) - 1) == 0;
    if (!*ret_store && strncmp(text, remove, sizeof(remove) - 1) != 0)
        return -EINVAL;
    *ret_name = text + (*ret_store ? sizeof(store) : sizeof(remove)) - 1;
    return strlen(*ret_name) < KEEPER_NAME_MAX ? 0 : -EINVAL;
}

int keeper_keep(const char *name, int fd)
{
    char message[MESSAGE_MAX];
    snprintf(message, sizeof(message), "FDSTORE=1\nFDPOLL=0\nFDNAME=" PREFIX "%s", name);
    int r = sd_send(message, fd);
    return r == 0 ? -ENOTCONN : r < 0 ? r : 0;
}

void keeper_forget(const char *name)
{
    char message[MESSAGE_MAX];
    snprintf(message, sizeof(message), "FDSTOREREMOVE=1\nFDNAME=" PREFIX "%s", name);
    sd_send(message, -1);
}

int keeper_take(struct keeper *keeper, const char *name)
{
    for (size_t i = 0; i < keeper->n; i++) {
        if (keeper->kept[i].fd >= 0 && strcmp(keeper->kept[i].name, name) == 0)
            return fd_steal(&keeper->kept[i].fd);
    }
    return -1;
}

void keeper_finish(struct keeper *keeper)
{
    for (size_t i = 0; i < keeper->n; i++)
        fd_close(keeper->kept[i].fd);
    keeper->n = 0;
}

/* Takes @fd. */
static void keeper_add(struct keeper *keeper, const char *name, int fd)
{
    int before = keeper_take(keeper, name);
    size_t i = 0;
    fd_close(before);
    while (i < keeper->n && keeper->kept[i].fd >= 0)
        i++;
    if (i == KEEPER_MAX) {
        fd_close(fd);
        return;
    }
    snprintf(keeper->kept[i].name, KEEPER_NAME_MAX, "%s", name);
    keeper->kept[i].fd = fd;
    if (i == keeper->n)
        keeper->n++;
}

/* One message of the child. False: there is no child any more. */
static bool keeper_hear(struct keeper *keeper, int socket)
{
    char text[MESSAGE_MAX];
    const char *name;
    bool store;
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {text, sizeof(text) - 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    text[n] = '\0';
    int fd = -1;
    ancillary_take_fds(&m, &fd, 1, NULL);
    if (read_message(text, &name, &store) < 0)
        fd_close(fd);
    else if (store && fd >= 0)
        keeper_add(keeper, name, fd);
    else
        fd_close(keeper_take(keeper, name));
    return true;
}

static void pass_on(int signo)
{
    ending = 1;
    if (child > 0)
        kill(child, signo);
}

/* Returns in a child. */
static int keeper_parent(struct keeper *keeper)
{
    const struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    struct sigaction before_term, before_int;
    sigset_t both, before;
    sigemptyset(&both);
    sigaddset(&both, SIGTERM);
    sigaddset(&both, SIGINT);
    sigaction(SIGTERM, &action, &before_term);
    sigaction(SIGINT, &action, &before_int);
    for (;;) {
        int ends[2], status = 0;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
            return -errno;
        sigprocmask(SIG_BLOCK, &both,
                    &before); /* one now is for the child, as soon as it is there */
        pid_t parent = getpid(), pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(1);
            sigaction(SIGTERM, &before_term, NULL);
            sigaction(SIGINT, &before_int, NULL);
            fd_close(ends[0]);
            sd_connect(ends[1]);
        } else {
            child = pid;
        }
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (pid == 0)
            return 0;
        fd_close(ends[1]);
        while (pid > 0 && keeper_hear(keeper, ends[0]))
            ;
        fd_close(ends[0]);
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        child = 0;
        if (pid < 0 || WIFEXITED(status))
            _exit(pid > 0 ? WEXITSTATUS(status) : 1);
        if (!ending)
            log_warn(NULL, "ended by signal %d; starting again", WTERMSIG(status));
        if (!ending)
            poll(NULL, 0, RESTART_MS);
        if (ending)
            _exit(1);
    }
}

void keeper_inherit(struct keeper *keeper)
{
    const char *names = getenv("LISTEN_FDNAMES"), *pid_text = getenv("LISTEN_PID");
    uint64_t pid;
    *keeper = (struct keeper){0};
    if (!names || !pid_text || !number_parse(pid_text, strlen(pid_text), INT32_MAX, &pid) ||
        (pid_t)pid != getpid())
        return;
    for (int fd = 3; *names; fd++) {
        size_t n = strcspn(names, ":"), prefix = sizeof(PREFIX) - 1;
        char name[KEEPER_NAME_MAX];
        if (n > prefix && n - prefix < sizeof(name) && strncmp(names, PREFIX, prefix) == 0) {
            snprintf(name, sizeof(name), "%.*s", (int)(n - prefix), names + prefix);
            fcntl(fd, F_SETFD, FD_CLOEXEC);
            keeper_add(keeper, name, fd);
        }
        names += n + (names[n] == ':');
    }
}

int keeper_start(struct keeper *keeper)
{
    return getenv("NOTIFY_SOCKET") ? 0 : keeper_parent(keeper);
}
