/* SPDX-License-Identifier: MIT */
/* The folder belongs to all users, so nobody may be able to put others' sockets away there: it has
 * to be root's or ours, and sticky. Who may connect is the server's business, which asks the kernel
 * who it is. */
#include "guest-proxy/x11/x-sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/transport/address.h"

#define FOLDER "/tmp/.X11-unix"
#define NUMBERS 64 /* that are tried */
#define BACKLOG 128
#define TURNED_AWAY_MAX 256

static int folder_ready(char *error, size_t error_size)
{
    struct stat st;
    if (mkdir(FOLDER, 01777) == 0)
        chmod(FOLDER, 01777); /* whatever the mask is */
    if (lstat(FOLDER, &st) < 0)
        return error_set(-errno, error, error_size, "cannot make %s: %s", FOLDER, strerror(errno));
    bool others_write = st.st_mode & 022 && !(st.st_mode & S_ISVTX);
    if (!S_ISDIR(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) || others_write)
        return error_set(-EPERM, error, error_size,
                         "%s is another user's, or anybody may remove what is in it", FOLDER);
    return 0;
}

/* True: the lock is of a process that is gone, and it is removed. */
static bool lock_is_stale(const char *lock)
{
    char text[16] = "";
    _cleanup_(fd_closep) int fd = open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    long pid = n == 11 ? strtol(text, NULL, 10) : 0;
    return pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH && unlink(lock) == 0;
}

static int take_lock(const char *lock)
{
    for (int tries = 0; tries < 2; tries++) {
        int fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
        if (fd >= 0) {
            int written = dprintf(fd, "%10d\n", (int)getpid());
            fd_close(fd);
            if (written == 11)
                return 0;
            unlink(lock);
            return -EIO;
        }
        if (errno != EEXIST)
            return -errno;
        if (!lock_is_stale(lock))
            return -EADDRINUSE;
    }
    return -EADDRINUSE;
}

/* A listening socket, or -errno. */
static int listen_at(const char *path, bool abstract)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    memcpy(sun.sun_path + abstract, path, n + !abstract);
    if (!abstract)
        unlink(path); /* we have the lock */
    mode_t mask = umask(077);
    int r = bind(fd, (struct sockaddr *)&sun,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1)) < 0
                ? -errno
                : 0;
    umask(mask);
    if (r < 0)
        return r;
    return listen(fd, BACKLOG) < 0 ? -errno : fd_steal(&fd);
}

static int open_number(struct x_sockets *s, int number)
{
    *s = (struct x_sockets){.number = number};
    snprintf(s->lock, sizeof(s->lock), "/tmp/.X%d-lock", number);
    int r = take_lock(s->lock);
    if (r < 0) {
        s->lock[0] = 0;
        return r;
    }
    snprintf(s->path, sizeof(s->path), "%s/X%d", FOLDER, number);
    for (int abstract = 1; abstract >= 0; abstract--) {
        r = listen_at(s->path, abstract);
        if (r < 0) {
            if (abstract)
                s->path[0] = 0; /* somebody else's may be there */
            x_sockets_close(s);
            return r;
        }
        s->fds[s->n++] = r;
    }
    return 0;
}

static int inherit(struct x_sockets *s, char *error, size_t error_size)
{
    int first, n = address_inherited(&first);
    struct sockaddr_un sun;
    if (n <= 0)
        return n < 0 ? error_set(n, error, error_size, "LISTEN_FDS is malformed") : 0;
    *s = (struct x_sockets){.number = -1};
    for (int i = 0; i < n; i++) {
        socklen_t size = sizeof(sun);
        memset(&sun, 0, sizeof(sun));
        int number, end = 0, known = getsockname(first + i, (struct sockaddr *)&sun, &size);
        const char *path = sun.sun_path + (sun.sun_path[0] == 0);
        if (known < 0 || sun.sun_family != AF_UNIX || i >= X_SOCKETS_MAX ||
            sscanf(path, FOLDER "/X%9d%n", &number, &end) != 1 || path[end] ||
            (s->number >= 0 && number != s->number))
            return error_set(-EINVAL, error, error_size,
                             "the socket handed over as descriptor %d is none of an X display, "
                             "or of another one",
                             first + i);
        s->number = number;
        s->fds[s->n++] = first + i;
    }
    return 1;
}

int x_sockets_open(struct x_sockets *s, int number, char *error, size_t error_size)
{
    int r = inherit(s, error, error_size);
    if (r != 0)
        return r < 0 ? r : 0;
    r = folder_ready(error, error_size);
    if (r < 0)
        return r;
    int last = number >= 0 ? number : NUMBERS - 1;
    for (int i = number >= 0 ? number : 0; i <= last; i++) {
        r = open_number(s, i);
        if (r != -EADDRINUSE)
            break;
    }
    if (r == 0)
        return 0;
    if (number >= 0)
        return error_set(r, error, error_size, "cannot offer X display :%d: %s", number,
                         strerror(-r));
    return error_set(r, error, error_size, "cannot offer an X display: %s", strerror(-r));
}

void x_sockets_close(struct x_sockets *s)
{
    for (unsigned i = 0; i < s->n; i++)
        fd_close(s->fds[i]);
    if (s->path[0])
        unlink(s->path);
    if (s->lock[0])
        unlink(s->lock);
    *s = (struct x_sockets){.number = -1};
}

void x_sockets_turn_away(const struct x_sockets *s)
{
    for (unsigned i = 0; i < s->n; i++)
        for (int n = 0; n < TURNED_AWAY_MAX; n++) {
            int fd = accept4(s->fds[i], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (fd < 0)
                break;
            fd_close(fd);
        }
}
