/* SPDX-License-Identifier: MIT */
/* pipewire-context: a client that asks for one thing: that another socket be listened on, whose
 * clients are the VM's. It lasts until the other end of a pipe is closed; who asked may leave. */
#include "common/services/pipewire-context.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/services/pipewire-messages.h"
#include "common/services/pod.h"
#include "common/transport/address.h"

#define ANSWER_MS 5000
#define MESSAGE_MAX (256u << 10) /* that the server may send at once */
#define TYPE "PipeWire:Interface:SecurityContext"
#define ENGINE "wayvsock"

enum { CLIENT = 1, REGISTRY = 2, CONTEXT = 3 }; /* our numbers for objects; the core is 0 */
enum { CONTEXT_CREATE = 1 };

struct asker {
    int fd;
    int64_t deadline;
    uint32_t seq;
    uint8_t in[MESSAGE_MAX];
    size_t n;
    uint32_t global; /* the security context's, when the server has told of it */
    bool refused;    /* an error came */
    uint32_t done;   /* the last sync that was answered */
    char *error;
    size_t error_size;
};

/* A message, whose values are in @w, with two descriptors, or none. */
static int asker_say(struct asker *a, uint32_t object, uint8_t opcode, struct pod_writer *w,
                     size_t all, const int fds[2])
{
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {.iov_base = w->bytes - PIPEWIRE_HEAD};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    pod_end_struct(w, all);
    iov.iov_len = PIPEWIRE_HEAD + w->n;
    struct pipewire_head head = {object, opcode, (uint32_t)w->n, a->seq++, fds ? 2 : 0};
    pipewire_head_write(iov.iov_base, &head);
    if (fds) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(2 * sizeof(int));
        memcpy(CMSG_DATA(c), fds, 2 * sizeof(int));
    }
    if (w->full || sendmsg(a->fd, &m, MSG_NOSIGNAL) != (ssize_t)iov.iov_len)
        return error_set(-EPIPE, a->error, a->error_size, "PipeWire takes nothing from us");
    return 0;
}

/* What follows is written behind a head. */
#define BEGIN(w, bytes)                                                                            \
    uint8_t bytes[2048];                                                                           \
    struct pod_writer w = {bytes + PIPEWIRE_HEAD, sizeof(bytes) - PIPEWIRE_HEAD, 0, false};        \
    size_t all = pod_begin_struct(&w)

static int say_numbers(struct asker *a, uint8_t opcode, const uint32_t *numbers, size_t n)
{
    BEGIN(w, bytes);
    for (size_t i = 0; i < n; i++)
        pod_write_int(&w, numbers[i]);
    return asker_say(a, 0, opcode, &w, all, NULL);
}

static void write_properties(struct pod_writer *w, const char *const *strings)
{
    size_t dict = pod_begin_struct(w);
    uint32_t n = 0;
    while (strings[2 * n])
        n++;
    pod_write_int(w, n);
    for (uint32_t i = 0; i < 2 * n; i++)
        pod_write_string(w, strings[i]);
    pod_end_struct(w, dict);
}

static void asker_hear(struct asker *a, const struct pipewire_head *head, struct pod_reader all)
{
    struct pod_reader in;
    uint32_t id, permissions, seq;
    const char *type;
    if (!pod_read_struct(&all, &in) || !pod_read_int(&in, &id))
        return;
    if (head->id == 0 && head->opcode == CORE_DONE_EVENT && pod_read_int(&in, &seq))
        a->done = seq;
    else if (head->id == 0 && head->opcode == CORE_ERROR_EVENT)
        a->refused = true;
    else if (head->id == REGISTRY && head->opcode == REGISTRY_GLOBAL_EVENT &&
             pod_read_int(&in, &permissions) && pod_read_string(&in, &type) &&
             strcmp(type, TYPE) == 0)
        a->global = id;
}

/* All whole messages that are there. */
static int asker_take(struct asker *a)
{
    struct pipewire_head head;
    size_t at = 0;
    while (a->n - at >= PIPEWIRE_HEAD) {
        pipewire_head_read(a->in + at, &head);
        if (head.size > MESSAGE_MAX - PIPEWIRE_HEAD)
            return error_set(-EMSGSIZE, a->error, a->error_size, "PipeWire says too much at once");
        if (a->n - at < PIPEWIRE_HEAD + head.size)
            break;
        at += PIPEWIRE_HEAD;
        asker_hear(a, &head, (struct pod_reader){a->in + at, a->in + at + head.size});
        at += head.size;
    }
    memmove(a->in, a->in + at, a->n - at);
    a->n -= at;
    return 0;
}

/* Until the server has answered all that was said. Descriptors that come are closed by the kernel:
 * there is no room for any. */
static int asker_sync(struct asker *a, uint32_t mark)
{
    int e = say_numbers(a, CORE_SYNC, (const uint32_t[]){0, mark}, 2);
    while (e == 0 && a->done != mark) {
        struct pollfd p = {.fd = a->fd, .events = POLLIN};
        int64_t left = a->deadline - loop_now_ms();
        if (left <= 0 || poll(&p, 1, (int)left) <= 0)
            return error_set(-ETIMEDOUT, a->error, a->error_size, "PipeWire does not answer");
        ssize_t n = recv(a->fd, a->in + a->n, sizeof(a->in) - a->n, 0);
        if (n <= 0)
            return error_set(-EPIPE, a->error, a->error_size, "PipeWire has closed the connection");
        a->n += (size_t)n;
        e = asker_take(a);
    }
    return e;
}

/* Greets, and finds out whether there are security contexts. */
static int asker_begin(struct asker *a)
{
    int e = say_numbers(a, CORE_HELLO, (const uint32_t[]){3}, 1);
    if (e == 0) {
        BEGIN(w, bytes);
        write_properties(&w, (const char *const[]){"application.name", "wayvsock-host", NULL});
        e = asker_say(a, CLIENT, CLIENT_UPDATE_PROPERTIES, &w, all, NULL);
    }
    if (e == 0)
        e = say_numbers(a, CORE_GET_REGISTRY, (const uint32_t[]){3, REGISTRY}, 2);
    return e == 0 ? asker_sync(a, 1) : e;
}

static int asker_create(struct asker *a, const char *vm, const int fds[2])
{
    int e;
    {
        BEGIN(w, bytes);
        pod_write_int(&w, a->global);
        pod_write_string(&w, TYPE);
        pod_write_int(&w, 3);
        pod_write_int(&w, CONTEXT);
        e = asker_say(a, REGISTRY, REGISTRY_BIND, &w, all, NULL);
    }
    if (e == 0) {
        static const int64_t numbers[2] = {0, 1}; /* of the descriptors */
        BEGIN(w, bytes);
        pod_write(&w, POD_FD, &numbers[0], sizeof(numbers[0]));
        pod_write(&w, POD_FD, &numbers[1], sizeof(numbers[1]));
        write_properties(&w,
                         (const char *const[]){"pipewire.sec.engine", ENGINE, "pipewire.sec.app-id",
                                               vm, "pipewire.access", "restricted", NULL});
        e = asker_say(a, CONTEXT, CONTEXT_CREATE, &w, all, fds);
    }
    if (e == 0)
        e = asker_sync(a, 2);
    if (e == 0 && a->refused)
        e = error_set(-EACCES, a->error, a->error_size, "PipeWire refuses a security context");
    return e;
}

/* A socket at @path that listens. Owned, or -errno. */
static int listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (strlen(path) >= sizeof(at.sun_path)) {
        fd_close(fd);
        return -ENAMETOOLONG;
    }
    memcpy(at.sun_path, path, strlen(path));
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 1) < 0) {
        int e = -errno;
        fd_close(fd);
        return e;
    }
    return fd;
}

static int connect_inside(struct asker *a, const char *vm, const char *path, int *ret_kept)
{
    int ends[2] = {-1, -1}, listener = listen_at(path);
    int fd = listener < 0 || pipe2(ends, O_CLOEXEC) < 0
                 ? error_set(-EIO, a->error, a->error_size, "no socket at %s", path)
                 : asker_create(a, vm, (const int[]){listener, ends[0]});
    if (fd == 0)
        fd = address_connect_type(path, SOCK_STREAM, a->error, a->error_size);
    unlink(path);
    fd_close(listener);
    fd_close(ends[0]);
    if (fd < 0)
        fd_close(ends[1]);
    else
        *ret_kept = ends[1];
    return fd;
}

int pipewire_context_connect(const char *path, const char *vm, const char *listen, int *ret_kept,
                             char *error, size_t error_size)
{
    static struct asker a;
    *ret_kept = -1;
    a = (struct asker){.deadline = loop_now_ms() + ANSWER_MS,
                       .global = PIPEWIRE_NO_ID,
                       .error = error,
                       .error_size = error_size};
    a.fd = address_connect_type(path, SOCK_STREAM, error, error_size);
    int fd = a.fd < 0 ? a.fd : asker_begin(&a);
    if (fd == 0 && a.global != PIPEWIRE_NO_ID)
        fd = connect_inside(&a, vm, listen, ret_kept);
    else if (fd == 0)
        fd = address_connect_type(path, SOCK_STREAM, error, error_size);
    fd_close(a.fd);
    return fd;
}
