/* SPDX-License-Identifier: MIT */
/* The spawner's process owns the others, and their assistants, which end by themselves when nobody
 * waits for them any more, whatever has become of the process that asked for them. It has no event
 * loop, whose descriptors those would share, and waits for a request or for the end of a child. */
#include "common/base/spawner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/ancillary.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/loop.h"

#define END_MS 5000   /* for processes to end by themselves */
#define STOP_MS 10000 /* for the spawner: more than that */

struct child {
    pid_t pid;
    bool runs, told; /* told: of its end, or nothing is to be told */
    int status;
};

struct assistant {
    LIST_ENTRY(assistant) entry;
    pid_t pid; /* 0: it has ended, which is to be told */
    uint32_t number, what;
    int status;
};

struct spawning {
    const struct spawner_ops *ops;
    void *user;
    int socket; /* owned; -1: the parent is gone */
    struct child *children;
    uint32_t n;
    LIST_HEAD(, assistant) assistants;
    sigset_t before; /* the mask that processes start with */
};

/* Returns the process's exit status, in the process. */
static int spawner_run(struct spawning *s, uint32_t number, int channel)
{
    signal(SIGCHLD, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &s->before, NULL);
    s->socket = fd_close(s->socket);
    return s->ops->run(s->user, number, channel);
}

enum started { STARTED, STARTED_PROCESS };

/* STARTED_PROCESS in the process that ends, with its status. Takes @channel. */
static enum started spawner_start(struct spawning *s, uint32_t number, int channel, int *ret_status)
{
    struct child *c = &s->children[number];
    pid_t spawner = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != spawner)
            _exit(1);
        *ret_status = spawner_run(s, number, channel);
        return STARTED_PROCESS;
    }
    int error = errno;
    fd_close(channel);
    *c = (struct child){.pid = pid, .runs = pid > 0, .status = pid > 0 ? 0 : -error};
    if (pid > 0)
        s->ops->started(s->user, number);
    return STARTED;
}

/* Whether process @number may have one more for that. */
static bool spawner_may_assist(struct spawning *s, uint32_t number, uint32_t what)
{
    uint32_t beside = 0, same = 0;
    const struct assistant *a;
    LIST_FOREACH (a, &s->assistants, entry) {
        beside += a->number == number;
        same += a->pid && a->number == number && a->what == what;
    }
    return beside < SPAWNER_ASSISTANTS_MAX && same < s->ops->assistants(s->user, number, what);
}

/* As spawner_start(). Takes @fd, whose end tells that there is none. */
static enum started spawner_assist(struct spawning *s, uint32_t number, uint32_t what, int fd,
                                   int *ret_status)
{
    struct assistant *a = calloc(1, sizeof(*a));
    if (!a) {
        fd_close(fd);
        return STARTED;
    }
    *a = (struct assistant){.number = number, .what = what, .status = -EAGAIN};
    if (spawner_may_assist(s, number, what)) {
        a->pid = fork();
        if (a->pid == 0) {
            free(a);
            s->socket = fd_close(s->socket);
            *ret_status = s->ops->assist(s->user, number, what, fd);
            return STARTED_PROCESS;
        }
        if (a->pid < 0)
            *a = (struct assistant){.number = number, .what = what, .status = -errno};
    }
    fd_close(fd);
    LIST_INSERT_HEAD(&s->assistants, a, entry);
    return STARTED;
}

static void assistant_ended(struct spawning *s, pid_t pid, int status)
{
    struct assistant *a;
    LIST_FOREACH (a, &s->assistants, entry) {
        if (a->pid != pid)
            continue;
        a->pid = 0;
        a->status = status;
        return;
    }
}

static void spawner_reap(struct spawning *s)
{
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        assistant_ended(s, pid, status);
        for (uint32_t i = 0; i < s->n; i++) {
            struct child *c = &s->children[i];
            if (!c->runs || c->pid != pid)
                continue;
            c->runs = c->told = false;
            c->status = status;
            s->ops->ended(s->user, i);
        }
    }
}

/* The socket of a parent that is stopped may be full: false. Where there is nobody to tell, the
 * next read will show it. */
static bool spawner_report(const struct spawning *s, enum spawner_kind kind, uint32_t number,
                           int status)
{
    struct spawner_report report = {.kind = kind, .number = number, .status = status};
    return s->socket < 0 ||
           send(s->socket, &report, sizeof(report), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ||
           errno != EAGAIN;
}

/* Whether all was said. */
static bool spawner_tell(struct spawning *s)
{
    struct assistant *a, *after;
    for (uint32_t i = 0; i < s->n; i++) {
        struct child *c = &s->children[i];
        if (c->runs || c->told)
            continue;
        if (!spawner_report(s, SPAWNER_START, i, c->status))
            return false;
        c->told = true;
    }
    LIST_FOREACH_SAFE (a, &s->assistants, entry, after) {
        if (a->pid)
            continue;
        if (!spawner_report(s, SPAWNER_ASSIST, a->number, a->status))
            return false;
        LIST_REMOVE(a, entry);
        free(a);
    }
    return true;
}

/* One packet of at most one descriptor. 1, 0: nothing that is a request, -ECONNRESET: the end. */
static int spawner_receive(int socket, struct spawner_request *ret, int *ret_fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {ret, sizeof(*ret)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    *ret_fd = -1;
    ssize_t n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n <= 0)
        return n == 0 || (errno != EAGAIN && errno != EINTR) ? -ECONNRESET : 0;
    ancillary_take_fds(&m, ret_fd, 1, NULL);
    return n == sizeof(*ret) && !(m.msg_flags & MSG_TRUNC);
}

static enum started spawner_hear(struct spawning *s, int *ret_status)
{
    struct spawner_request request;
    int fd, r = spawner_receive(s->socket, &request, &fd);
    if (r < 0)
        s->socket = fd_close(s->socket);
    if (r <= 0 || request.number >= s->n) {
        fd_close(fd);
        return STARTED;
    }
    struct child *c = &s->children[request.number];
    if (request.kind == SPAWNER_START && fd >= 0 && !c->runs && c->told)
        return spawner_start(s, request.number, fd, ret_status);
    if (request.kind == SPAWNER_ASSIST && fd >= 0 && s->ops->assist)
        return spawner_assist(s, request.number, request.what, fd, ret_status);
    if (request.kind == SPAWNER_KILL && c->runs)
        kill(c->pid, SIGKILL);
    fd_close(fd);
    return STARTED;
}

static bool any_runs(const struct spawning *s)
{
    const struct assistant *a;
    LIST_FOREACH (a, &s->assistants, entry)
        if (a->pid)
            return true;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->children[i].runs)
            return true;
    return false;
}

/* A child's end interrupts the wait. */
static void spawner_wait(const struct spawning *s, bool all_said, int64_t deadline)
{
    sigset_t mask = s->before;
    struct pollfd p = {.fd = s->socket, .events = (short)(POLLIN | (all_said ? 0 : POLLOUT))};
    int64_t left = deadline ? deadline - loop_now_ms() : 0;
    struct timespec time = {.tv_sec = left > 0 ? left / 1000 : 0,
                            .tv_nsec = left > 0 ? left % 1000 * 1000000 : 0};
    sigdelset(&mask, SIGCHLD);
    ppoll(&p, 1, deadline ? &time : NULL, &mask);
}

static int spawner_serve(struct spawning *s)
{
    const struct assistant *a;
    int status = 0;
    int64_t deadline = 0; /* once the parent is gone */
    for (;;) {
        spawner_reap(s);
        bool all_said = spawner_tell(s);
        if (s->socket < 0 && !any_runs(s))
            break;
        if (s->socket < 0 && !deadline)
            deadline = loop_now_ms() + END_MS;
        if (deadline && loop_now_ms() >= deadline) {
            for (uint32_t i = 0; i < s->n; i++)
                if (s->children[i].runs)
                    kill(s->children[i].pid, SIGKILL);
            LIST_FOREACH (a, &s->assistants, entry)
                if (a->pid)
                    kill(a->pid, SIGKILL);
            deadline += END_MS; /* what the kernel holds may take its time */
        }
        spawner_wait(s, all_said, deadline);
        if (s->socket >= 0 && spawner_hear(s, &status) == STARTED_PROCESS)
            return status;
    }
    s->ops->finished(s->user);
    return 0;
}

static void on_child(int signo)
{
    (void)signo; /* it is enough that waiting ends */
}

/* In its process, where all signals are blocked yet. */
static int spawner_main(struct spawning *s)
{
    struct sigaction action = {.sa_handler = on_child};
    sigset_t child = s->before;
    /* It ends with its parent, not before: who sends these to all of us means all. */
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    sigaction(SIGCHLD, &action, NULL);
    sigaddset(&child, SIGCHLD); /* comes only while we wait */
    sigprocmask(SIG_SETMASK, &child, NULL);
    prctl(PR_SET_NAME, "wayvsock-spawn");
    s->ops->begun(s->user, s->socket);
    s->children = calloc(s->n ? s->n : 1, sizeof(*s->children));
    for (uint32_t i = 0; s->children && i < s->n; i++)
        s->children[i].told = true;
    int status = s->children ? spawner_serve(s) : 1;
    while (!LIST_EMPTY(&s->assistants)) {
        struct assistant *a = LIST_FIRST(&s->assistants);
        LIST_REMOVE(a, entry);
        free(a);
    }
    free(s->children);
    fd_close(s->socket);
    return status;
}

int spawner_fork(uint32_t numbers, const struct spawner_ops *ops, void *user,
                 struct spawner *ret_spawner, int *ret_status)
{
    int ends[2];
    struct spawning s = {.ops = ops, .user = user, .n = numbers};
    sigset_t all;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &s.before);
    pid_t pid = fork();
    if (pid == 0) {
        s.socket = ends[1];
        fd_close(ends[0]);
        *ret_status = spawner_main(&s);
        return SPAWNER_OVER;
    }
    int error = errno;
    sigprocmask(SIG_SETMASK, &s.before, NULL);
    fd_close(ends[1]);
    if (pid < 0) {
        fd_close(ends[0]);
        return -error;
    }
    *ret_spawner = (struct spawner){.pid = pid, .fd = ends[0]};
    return SPAWNER_PARENT;
}

void spawner_stop(struct spawner *s)
{
    struct spawner_report report;
    int64_t deadline = loop_now_ms() + STOP_MS, left;
    bool ended = false;
    shutdown(s->fd, SHUT_WR);
    while (!ended && (left = deadline - loop_now_ms()) > 0) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        if (poll(&p, 1, (int)left) > 0) {
            ssize_t n = recv(s->fd, &report, sizeof(report), MSG_DONTWAIT);
            ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
        }
    }
    s->fd = fd_close(s->fd);
    if (ended) /* or it is stopped itself: then it goes on by itself once it may */
        waitpid(s->pid, NULL, 0);
}
