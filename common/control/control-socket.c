/* SPDX-License-Identifier: MIT */
/* control-socket: owns the listener, and connections that have not said yet what they want. Only
 * the daemon's user and root may: the file's mode says so, and we look again. A line is taken from
 * its socket and nothing behind it, since whoever answers may have more to read. */
#include "common/control/control-socket.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/control/control-answer.h"
#include "common/control/control-request.h"
#include "common/transport/address.h"
#include "common/transport/inherited.h"
#include "common/transport/listener.h"

#define REQUEST_MS 5000  /* for a line to be complete */
#define ENTRIES_MAX 4096 /* of a folder that are looked at */
#define CALLERS_MAX 64   /* that have not said what they want; the oldest makes room */

struct caller {
    struct control_socket *socket;
    TAILQ_ENTRY(caller) entry;
    int fd;
    struct loop_io *io;
    struct loop_timer *timer;
    size_t n;
    char line[CONTROL_REQUEST_MAX];
};

struct control_socket {
    struct loop *loop;
    struct listener *listener;
    struct log_subject subject;
    TAILQ_HEAD(, caller) callers;
    unsigned n;
    control_requested *requested;
    void *user;
    char path[CONTROL_PATH_MAX];
};

int control_folder(char path[CONTROL_PATH_MAX])
{
    const char *base = getenv("XDG_RUNTIME_DIR"), *below = "/wayvsock";
    if (!base || *base != '/') {
        base = getenv("RUNTIME_DIRECTORY"); /* several have colons between */
        below = "";
    }
    if (!base || *base != '/' || strchr(base, ':'))
        return -ENOENT;
    return snprintf(path, CONTROL_PATH_MAX, "%s%s", base, below) < CONTROL_PATH_MAX ? 0
                                                                                    : -ENAMETOOLONG;
}

static bool is_guests(const char *name)
{
    size_t n = strlen(name), suffix = strlen(CONTROL_SUFFIX);
    return strcmp(name, CONTROL_GUEST) == 0 ||
           (strncmp(name, CONTROL_GUEST_PREFIX, strlen(CONTROL_GUEST_PREFIX)) == 0 && n > suffix &&
            strcmp(name + n - suffix, CONTROL_SUFFIX) == 0);
}

void control_guests(const char *folder, void (*found)(void *user, const char *path), void *user)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    for (unsigned i = 0; dir && i < ENTRIES_MAX && (entry = readdir(dir)); i++) {
        char path[CONTROL_PATH_MAX];
        if (is_guests(entry->d_name) &&
            (size_t)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) < sizeof(path))
            found(user, path);
    }
    if (dir)
        closedir(dir);
}

/* What a process that was killed has left. */
static void remove_stale(void *user, const char *path)
{
    (void)user;
    address_remove_stale(path);
}

/* Gives up the caller, not its connection. */
static int caller_leave(struct caller *c)
{
    int fd = c->fd;
    TAILQ_REMOVE(&c->socket->callers, c, entry);
    c->socket->n--;
    loop_io_destroy(c->io);
    loop_timer_destroy(c->timer);
    free(c);
    return fd;
}

static void caller_expired(void *user)
{
    control_refuse(caller_leave(user), "no request came");
}

/* Reads on, to the end of the line at most. 1: it is complete; 0: not yet; or -errno. */
static int caller_read(struct caller *c)
{
    char *at = c->line + c->n;
    size_t room = sizeof(c->line) - c->n;
    ssize_t n = recv(c->fd, at, room, MSG_PEEK | MSG_DONTWAIT);
    if (n <= 0)
        return n == 0 ? -ECONNRESET : errno == EAGAIN || errno == EINTR ? 0 : -errno;
    const char *end = memchr(at, '\n', (size_t)n);
    size_t wanted = end ? (size_t)(end - at) + 1 : (size_t)n;
    n = recv(c->fd, at, wanted, MSG_DONTWAIT);
    if (n < (ssize_t)wanted)
        return n < 0 ? -errno : -ECONNRESET; /* nobody else reads there */
    c->n += wanted;
    if (end)
        return 1;
    return c->n == sizeof(c->line) ? -EMSGSIZE : 0;
}

static void caller_ready(void *user, unsigned events)
{
    struct caller *c = user;
    struct control_socket *s = c->socket;
    struct control_request request;
    char line[CONTROL_REQUEST_MAX], error[128];
    (void)events;
    int r = caller_read(c);
    if (r == 0)
        return;
    size_t n = c->n - (r == 1);
    memcpy(line, c->line, n);
    int fd = caller_leave(c);
    if (r == -EMSGSIZE)
        control_refuse(fd, "the request is too long");
    else if (r < 0)
        fd_close(fd);
    else if (control_request_parse(line, n, &request, error, sizeof(error)) < 0)
        control_refuse(fd, error);
    else
        s->requested(s->user, &request, line, n, fd);
}

static bool is_ours(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static void socket_accepted(void *user, int fd)
{
    struct control_socket *s = user;
    struct caller *c = is_ours(fd) ? calloc(1, sizeof(*c)) : NULL;
    if (!c) {
        fd_close(fd);
        return;
    }
    if (s->n >= CALLERS_MAX)
        control_refuse(caller_leave(TAILQ_FIRST(&s->callers)), "too many ask at a time");
    c->socket = s;
    c->fd = fd;
    TAILQ_INSERT_TAIL(&s->callers, c, entry);
    s->n++;
    c->timer = loop_timer_create(s->loop, caller_expired, c);
    c->io = c->timer ? loop_io_create(s->loop, fd, LOOP_READ, caller_ready, c) : NULL;
    if (c->io)
        loop_timer_arm(c->timer, REQUEST_MS);
    else
        fd_close(caller_leave(c));
}

/* An owned listener, or -errno with a message. */
static int socket_listen(struct control_socket *s, const char *folder, const char *name,
                         char *error, size_t error_size)
{
    if ((size_t)snprintf(s->path, sizeof(s->path), "%s/%s", folder, name) >= sizeof(s->path))
        return error_set(-ENAMETOOLONG, error, error_size, "%s is too long for a socket's path",
                         folder);
    return address_listen_path(s->path, SOCK_STREAM, 0600, error, error_size);
}

static struct control_socket *socket_new(struct loop *loop, control_requested *requested,
                                         void *user)
{
    struct control_socket *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    *s = (struct control_socket){
        .loop = loop, .subject = {.name = "control"}, .requested = requested, .user = user};
    TAILQ_INIT(&s->callers);
    json_begin();
    return s;
}

bool control_socket_is(int fd, const char *name)
{
    char folder[CONTROL_PATH_MAX], path[CONTROL_PATH_MAX], bound[CONTROL_PATH_MAX];
    return control_folder(folder) == 0 &&
           snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path) &&
           inherited_path(fd, SOCK_STREAM, bound, sizeof(bound)) == 0 && strcmp(path, bound) == 0;
}

struct control_socket *control_socket_take(struct loop *loop, int fd, control_requested *requested,
                                           void *user)
{
    struct control_socket *s = socket_new(loop, requested, user);
    if (!s) {
        fd_close(fd);
        return NULL;
    }
    inherited_path(fd, SOCK_STREAM, s->path, sizeof(s->path));
    s->listener = listener_create(loop, fd, &s->subject, socket_accepted, s);
    if (s->listener)
        return s;
    free(s);
    return NULL;
}

struct control_socket *control_socket_create(struct loop *loop, const char *name, const char *other,
                                             control_requested *requested, void *user, char *error,
                                             size_t error_size)
{
    char folder[CONTROL_PATH_MAX];
    struct control_socket *s = socket_new(loop, requested, user);
    if (!s) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    int r = control_folder(folder);
    if (r < 0)
        error_set(r, error, error_size, "XDG_RUNTIME_DIR is not set, or too long");
    else if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        r = error_set(-errno, error, error_size, "cannot make %s: %s", folder, strerror(errno));
    if (r == 0)
        r = socket_listen(s, folder, name, error, error_size);
    if (r == -EADDRINUSE && other)
        control_guests(folder, remove_stale, NULL);
    if (r == -EADDRINUSE && other)
        r = socket_listen(s, folder, other, error, error_size);
    if (r >= 0)
        s->listener = listener_create(loop, r, &s->subject, socket_accepted, s);
    if (s->listener)
        return s;
    if (r >= 0)
        snprintf(error, error_size, "out of memory");
    free(s);
    return NULL;
}

const char *control_socket_path(const struct control_socket *s)
{
    return s->path;
}

void control_socket_destroy(struct control_socket *s)
{
    if (!s)
        return;
    while (!TAILQ_EMPTY(&s->callers))
        fd_close(caller_leave(TAILQ_FIRST(&s->callers)));
    listener_destroy(s->listener);
    free(s);
}
