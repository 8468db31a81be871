/* SPDX-License-Identifier: MIT */
/* svg-icon: a process for each, so that a broken file harms nobody but its icon. Its end is heard
 * by that of a pipe. */
#include "guest-proxy/run/svg-icon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "protocol/run.h"

#define DRAW_MS 5000
#define DRAW_S (DRAW_MS / 1000) /* of a processor */
#define PNG_MAX (1u << 20)      /* bytes that may come of it */
#define NOT_INSTALLED 127

#define TEXT_OF(number) #number
#define EDGE_OF(number) TEXT_OF(number)
#define EDGE EDGE_OF(RUN_ICON_EDGE_MAX)
#define HERE NULL /* where the path goes */

/* The first one that is installed is asked. */
static const char *const programs[][8] = {
    {"rsvg-convert", "--keep-aspect-ratio", "--width=" EDGE, "--height=" EDGE, "--format=png",
     HERE},
    {"gdk-pixbuf-thumbnailer", "-s", EDGE, HERE, "/proc/self/fd/1"},
};
#define PROGRAMS_N (sizeof(programs) / sizeof(*programs))

/* In the new process. */
static void draw_execute(const char *const program[8], const char *path, int png, int lives)
{
    const char *words[9] = {NULL};
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool named = false;
    for (int i = 0; i < 8 && (program[i] || !named); i++) {
        words[i] = program[i] ? program[i] : path;
        named |= !program[i];
    }
    setrlimit(RLIMIT_CPU, &(struct rlimit){DRAW_S, DRAW_S});
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){PNG_MAX, PNG_MAX});
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (null < 0 || dup2(null, 0) < 0 || dup2(png, 1) < 0 || dup2(null, 2) < 0 ||
        fcntl(lives, F_SETFD, 0) < 0)
        _exit(1);
    execvp(words[0], (char **)words);
    _exit(NOT_INSTALLED);
}

/* Its exit status, or -1: it was ended, by us or otherwise. *ret_late: it took too long. */
static int draw_wait(pid_t pid, int lives, bool *ret_late)
{
    struct pollfd poll_fd = {.fd = lives, .events = POLLIN};
    int status, n;
    while ((n = poll(&poll_fd, 1, DRAW_MS)) < 0 && errno == EINTR)
        continue;
    *ret_late = n == 0;
    if (n <= 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int draw_by(const char *const program[8], const char *path, int png, bool *ret_late)
{
    int lives[2];
    if (pipe2(lives, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        draw_execute(program, path, png, lives[1]);
    fd_close(lives[1]);
    int status = pid < 0 ? -1 : draw_wait(pid, lives[0], ret_late);
    fd_close(lives[0]);
    return status;
}

int svg_icon_draw(const char *path)
{
    static size_t program; /* which is asked; PROGRAMS_N: none is, any more */
    _cleanup_(fd_closep) int png = -1;
    int status = NOT_INSTALLED;
    bool late = false;
    while (program < PROGRAMS_N && status == NOT_INSTALLED) {
        fd_close(png);
        png = fd_memfd("icon", 0);
        status = png < 0 ? -1 : draw_by(programs[program], path, png, &late);
        program += status == NOT_INSTALLED;
    }
    if (late)
        program = PROGRAMS_N;
    return status == 0 && lseek(png, 0, SEEK_SET) == 0 ? fd_steal(&png) : -ENOENT;
}
