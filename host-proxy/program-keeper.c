/* SPDX-License-Identifier: MIT */
/* The keeper owns the command's process group, and the folder of its socket. It reads nothing from
 * anybody: of @asker only that it is closed. The command's first process is not waited for until
 * its group has been ended, so that the group's number is nobody else's before that. */
#include "host-proxy/program-keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/base/ancillary.h"
#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/sandbox/sandbox.h"
#include "common/services/command.h"
#include "common/services/helper.h"
#include "common/services/settings-text.h"
#include "common/services/settings.h"
#include "common/transport/address.h"

#define SOCKET_MS 10000 /* for a command to make its socket */
#define END_MS 2000     /* for it to end by itself, and again after SIGTERM */
#define STEP_MS 50      /* between two looks, at most */
#define CONNECTION 3    /* the command's descriptor, where it makes no socket */

struct keeper {
    const struct service_settings *service;
    const char *vm;
    int asker;       /* owned */
    int kept;        /* owned: of a service that has no command; -1 */
    pid_t pid;       /* of the command, and its group */
    char **words;    /* owned */
    char folder[80]; /* of the socket; "": none */
    char path[sizeof(((struct address *)0)->path)];
    char error[PROGRAM_ANSWER_MAX];
};

static const char *const not_the_command_s[] = {
    "LISTEN_FDS",   "LISTEN_PID",    "LISTEN_FDNAMES", "NOTIFY_SOCKET",
    "WATCHDOG_PID", "WATCHDOG_USEC", "WAYLAND_SOCKET",
};

/* Becomes the command, with nothing of ours but words, environment and log. Does not return. */
_Noreturn static void command_become(const struct keeper *k, int connection, pid_t keeper)
{
    sigset_t none;
    sigemptyset(&none);
    for (int signo = 1; signo < NSIG; signo++)
        signal(signo, SIG_DFL); /* what can be ignored might be */
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (size_t i = 0; i < sizeof(not_the_command_s) / sizeof(*not_the_command_s); i++)
        unsetenv(not_the_command_s[i]);
    setenv("WAYVSOCK_VM", k->vm, 1);
    setenv("WAYVSOCK_SERVICE", k->service->name, 1);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool good = setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
                getppid() == keeper && null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
                dup2(STDERR_FILENO, STDOUT_FILENO) >= 0;
    int flags = connection == CONNECTION ? fcntl(connection, F_GETFD) : 0;
    if (good && connection == CONNECTION)
        good = flags >= 0 && fcntl(connection, F_SETFD, flags & ~FD_CLOEXEC) == 0;
    else if (good && connection >= 0)
        good = dup2(connection, CONNECTION) == CONNECTION;
    if (good && sandbox_close_inherited(connection >= 0 ? CONNECTION : -1) == 0)
        execvp(k->words[0], k->words);
    _exit(127);
}

/* Where the command is told to make its socket. */
static int keeper_make_folder(struct keeper *k)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (!base || *base != '/' || strlen(base) > sizeof(k->folder) - sizeof("/wayvsock-exec-XXXXXX"))
        base = "/tmp";
    snprintf(k->folder, sizeof(k->folder), "%s/wayvsock-exec-XXXXXX", base);
    if (!mkdtemp(k->folder)) {
        int e = -errno;
        error_set(e, k->error, sizeof(k->error), "cannot make %s: %s", k->folder, strerror(-e));
        *k->folder = '\0';
        return e;
    }
    snprintf(k->path, sizeof(k->path), "%s/socket", k->folder);
    return 0;
}

static int keeper_start(struct keeper *k, int connection)
{
    pid_t keeper = getpid();
    k->pid = fork();
    if (k->pid == 0)
        command_become(k, connection, keeper);
    if (k->pid < 0)
        return error_set(-errno, k->error, sizeof(k->error), "cannot start a process: %s",
                         strerror(errno));
    setpgid(k->pid, k->pid); /* both do, so that it is done whoever is first */
    return 0;
}

/* Whether the command's first process has ended; it is not waited for. */
static bool command_has_ended(const struct keeper *k, siginfo_t *ret)
{
    *ret = (siginfo_t){0};
    return waitid(P_PID, (id_t)k->pid, ret, WEXITED | WNOHANG | WNOWAIT) < 0 || ret->si_pid;
}

/* Waits for the end of @asker. */
static bool asker_has_left(const struct keeper *k, int ms)
{
    struct pollfd p = {.fd = k->asker, .events = POLLIN};
    return poll(&p, 1, ms) > 0 && p.revents & (POLLHUP | POLLERR);
}

/* The command's socket, as soon as there is one. Owned, or negative with a message. */
static int keeper_connect(struct keeper *k)
{
    int64_t deadline = loop_now_ms() + SOCKET_MS;
    char why[256];
    for (int step = 1; loop_now_ms() < deadline; step = 2 * step < STEP_MS ? 2 * step : STEP_MS) {
        siginfo_t end;
        bool ended = command_has_ended(k, &end);
        int fd =
            address_connect_type(k->path, service_type_socket(k->service->type), why, sizeof(why));
        if (fd >= 0)
            return fd;
        if (fd != -ENOENT && fd != -ECONNREFUSED && fd != -EAGAIN)
            return error_set(fd, k->error, sizeof(k->error), "its socket: %s", strerror(-fd));
        if (ended)
            return error_set(-ECHILD, k->error, sizeof(k->error),
                             "%s ended with %s %d before its socket (%%s) was there", k->words[0],
                             end.si_code == CLD_EXITED ? "status" : "signal", end.si_status);
        if (asker_has_left(k, step))
            return error_set(-ECANCELED, k->error, sizeof(k->error), "nobody waits for it");
    }
    return error_set(-ETIMEDOUT, k->error, sizeof(k->error),
                     "%s has made no socket (%%s) within %d s", k->words[0], SOCKET_MS / 1000);
}

/* The connection to a service that knows one VM from another. Owned, or negative with a message. */
static int keeper_connect_as(struct keeper *k)
{
    char path[sizeof(k->path)];
    int r = service_path(k->service->path, k->vm, path, sizeof(path), k->error, sizeof(k->error));
    if (r == 0)
        r = keeper_make_folder(k);
    return r < 0 ? r
                 : k->service->helper->connect(path, k->vm, k->path, &k->kept, k->error,
                                               sizeof(k->error));
}

/* The connection to the command, which runs. Owned, or negative with a message. */
static int keeper_reach(struct keeper *k)
{
    bool makes = command_makes_socket(k->service->exec);
    int ends[2] = {-1, -1}, r = makes ? keeper_make_folder(k) : 0;
    if (r < 0)
        return r;
    k->words =
        command_fill(k->service->exec, k->vm, makes ? k->path : NULL, k->error, sizeof(k->error));
    r = k->words ? command_check(k->service->exec, k->vm, k->error, sizeof(k->error)) : -EINVAL;
    if (r < 0)
        return r;
    if (!makes &&
        socketpair(AF_UNIX, service_type_socket(k->service->type) | SOCK_CLOEXEC, 0, ends) < 0)
        return error_set(-errno, k->error, sizeof(k->error), "no sockets: %s", strerror(errno));
    r = keeper_start(k, ends[1]);
    fd_close(ends[1]);
    if (r == 0)
        r = makes ? keeper_connect(k) : fd_steal(&ends[0]);
    fd_close(ends[0]);
    return r;
}

static void keeper_answer(const struct keeper *k, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {(void *)(fd >= 0 ? "+" : k->error), fd >= 0 ? 1 : strlen(k->error)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = control.bytes;
        ancillary_add_fds(&m, &fd, 1);
    }
    sendmsg(k->asker, &m, MSG_NOSIGNAL); /* who has left does not hear it */
}

/* Whether the command has ended within END_MS. */
static bool command_ends(const struct keeper *k)
{
    int64_t deadline = loop_now_ms() + END_MS;
    siginfo_t end;
    bool ended;
    for (int step = 1; !(ended = command_has_ended(k, &end)) && loop_now_ms() < deadline;
         step = 2 * step < STEP_MS ? 2 * step : STEP_MS)
        poll(NULL, 0, step);
    return ended;
}

/* One that has the connection itself sees its end, and may do what it does then. */
static void keeper_end(const struct keeper *k, bool sees_it)
{
    if (k->pid > 0 && !(sees_it && command_ends(k))) {
        kill(-k->pid, SIGTERM);
        command_ends(k);
    }
    if (k->pid > 0) {
        kill(-k->pid, SIGKILL); /* also what it left */
        waitpid(k->pid, NULL, 0);
    }
    if (*k->folder) {
        unlink(k->path);
        rmdir(k->folder);
    }
}

int program_keep(const struct service_settings *service, const char *vm, int asker)
{
    struct keeper k = {.service = service, .vm = vm, .asker = asker, .kept = -1};
    prctl(PR_SET_NAME, "wayvsock-exec");
    int fd = service->exec ? keeper_reach(&k) : keeper_connect_as(&k);
    keeper_answer(&k, fd);
    bool reached = fd >= 0;
    fd_close(fd); /* the command's end shows its other end now */
    while (reached && !asker_has_left(&k, -1))
        continue;
    keeper_end(&k, reached && !*k.folder);
    command_free(k.words);
    fd_close(k.kept);
    fd_close(k.asker);
    return 0;
}
