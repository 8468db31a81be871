/* SPDX-License-Identifier: MIT */
/* renderer-spawner: owns at most one renderer, its child. It reads nothing but one byte and a
 * descriptor of the device, and starts nothing but this program's own file, anew: no byte of the
 * device's memory is in a renderer, and none knows the layout of another. Whatever ends first takes
 * along what it has started: the kernel kills a child whose parent is gone. */
#include "host-proxy/gpu/renderer-spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/ancillary.h"
#include "common/base/fd.h"
#include "common/sandbox/sandbox.h"
#include "host-proxy/gpu/renderer/renderer-process.h"

#define CONTROL_FD 3
#define PROGRAM_FD 4

enum { STOP = 'x', RENEW = 'r' };

static void on_child(int signo)
{
    (void)signo; /* it ends ppoll() */
}

/* Leaves 0 to @keep - 1. */
static void close_from(unsigned keep)
{
    if (syscall(SYS_close_range, keep, ~0u, 0) == 0)
        return;
    long n = sysconf(_SC_OPEN_MAX);
    for (int fd = (int)keep; fd < (n > 0 ? n : 1024); fd++)
        close(fd);
}

/* Both at their places, in whatever order they come. */
static void place(int a, int to_a, int b, int to_b)
{
    int high_a = fcntl(a, F_DUPFD, 64), high_b = fcntl(b, F_DUPFD, 64);
    dup2(high_a, to_a);
    dup2(high_b, to_b);
    close_from((unsigned)(to_a > to_b ? to_a : to_b) + 1);
}

static void tell_end(pid_t pid, int status)
{
    if (WIFSIGNALED(status))
        log_warn(NULL, "the renderer (process %d) was ended by signal %d (%s)", (int)pid,
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        log_debug(NULL, "the renderer (process %d) ended with status %d", (int)pid,
                  WEXITSTATUS(status));
}

/* Those that have ended; @child is 0 once it has. */
static void reap(pid_t *child)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        tell_end(pid, status);
        if (pid == *child)
            *child = 0;
    }
}

static void end_child(pid_t *child)
{
    int status;
    if (*child > 0 && kill(*child, SIGKILL) == 0 && waitpid(*child, &status, 0) == *child)
        log_debug(NULL, "the renderer (process %d) is stopped", (int)*child);
    *child = 0;
}

/* In the new process. */
static void become_renderer(int connection, pid_t parent, char *const *arguments)
{
    sigset_t none;
    sigemptyset(&none);
    place(connection, RENDERER_FD, PROGRAM_FD, PROGRAM_FD);
    fcntl(PROGRAM_FD, F_SETFD, FD_CLOEXEC);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        syscall(SYS_execveat, PROGRAM_FD, "", arguments, environ, 0x1000 /* AT_EMPTY_PATH */);
    _exit(127);
}

/* A request. 0 at the device's end. */
static ssize_t receive(int *ret_fd, char *ret_what)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {ret_what, 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(CONTROL_FD, &message, MSG_CMSG_CLOEXEC);
    *ret_fd = -1;
    if (n > 0)
        ancillary_take_fds(&message, ret_fd, 1, NULL);
    return n;
}

static void renderer_spawner_run(char *const *arguments)
{
    sigset_t blocked, before;
    pid_t child = 0, self = getpid();
    struct sigaction action = {.sa_handler = on_child};
    sigaction(SIGCHLD, &action, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    for (;;) {
        struct pollfd wait = {.fd = CONTROL_FD, .events = POLLIN};
        char what = 0;
        int connection;
        bool asked = ppoll(&wait, 1, NULL, &before) > 0; /* or a child has ended */
        reap(&child);
        if (!asked)
            continue;
        if (receive(&connection, &what) <= 0)
            break;
        end_child(&child);
        if (what != RENEW) {
            fd_close(connection);
            continue;
        }
        pid_t pid = connection >= 0 ? fork() : -1;
        if (pid == 0)
            become_renderer(connection, self, arguments);
        child = pid > 0 ? pid : 0;
        fd_close(connection);
        int32_t answer = pid > 0 ? (int32_t)pid : -errno;
        if (send(CONTROL_FD, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
            break;
    }
    end_child(&child);
}

/* In the new process. */
static void renderer_spawner_become(int control, int program, const char *render_node,
                                    enum log_level level, pid_t parent)
{
    char number[12];
    struct rlimit none = {0};
    snprintf(number, sizeof(number), "%d", (int)level);
    char *const arguments[] = {(char *)RENDERER_PROGRAM, number,
                               (char *)(render_node ? render_node : ""), NULL};
    place(control, CONTROL_FD, program, PROGRAM_FD);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "wayvsock-spawn");
    sandbox_hide();
    if (getppid() != parent || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        setrlimit(RLIMIT_CORE, &none) < 0)
        _exit(1);
    /* Who ends the device ends this, too, and in order. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    renderer_spawner_run(arguments);
    _exit(0);
}

int renderer_spawner_start(struct renderer_spawner *ret, const char *render_node,
                           enum log_level level)
{
    int ends[2];
    pid_t self = getpid();
    _cleanup_(fd_closep) int program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    *ret = (struct renderer_spawner){.fd = -1};
    if (program < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        renderer_spawner_become(ends[1], program, render_node, level, self);
    int r = pid < 0 ? -errno : fd_set_nonblock(ends[0]);
    close(ends[1]);
    if (r < 0)
        close(ends[0]);
    else
        ret->fd = ends[0];
    return r;
}

void renderer_spawner_finish(struct renderer_spawner *s)
{
    fd_close(s->fd);
    *s = (struct renderer_spawner){.fd = -1};
}

static int renderer_spawner_ask(const struct renderer_spawner *s, char what, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {&what, 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = control.bytes;
        ancillary_add_fds(&message, &fd, 1);
    }
    return sendmsg(s->fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Answers come in the order of requests; the last one counts. */
static void renderer_spawner_take(struct renderer_spawner *s)
{
    int32_t answer;
    while (recv(s->fd, &answer, sizeof(answer), MSG_DONTWAIT) == sizeof(answer))
        s->renderer = answer > 0 ? answer : 0;
}

int renderer_spawner_renew(struct renderer_spawner *s, int connection)
{
    _cleanup_(fd_closep) int owned = connection;
    renderer_spawner_take(s);
    s->renderer = 0;
    return renderer_spawner_ask(s, RENEW, owned);
}

void renderer_spawner_stop(struct renderer_spawner *s)
{
    renderer_spawner_take(s);
    s->renderer = 0;
    renderer_spawner_ask(s, STOP, -1);
}

int64_t renderer_spawner_used_ms(struct renderer_spawner *s)
{
    clockid_t clock;
    struct timespec used;
    renderer_spawner_take(s);
    if (s->renderer == 0 || clock_getcpuclockid(s->renderer, &clock) != 0 ||
        clock_gettime(clock, &used) < 0)
        return -1;
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}
