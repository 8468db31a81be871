/* SPDX-License-Identifier: MIT */
/* bench_service: what is behind the benchmark's service: a socket whose requests it answers,
 * swallows, or writes into the pipe of. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/ops.h"

#define BUFFER 65536
#define EVENTS 64

struct peer {
    int fd, pipe;
    struct bench_request request; /* as far as it has come */
    size_t n;
    uint64_t swallow; /* bytes that belong to the request before */
};

static uint8_t buffer[BUFFER];

static int peer_answer(const struct peer *p)
{
    return send(p->fd, &p->request, sizeof(p->request), MSG_NOSIGNAL) == sizeof(p->request) ? 0
                                                                                            : -1;
}

static int peer_request(struct peer *p)
{
    static const uint8_t content[BENCH_PIPE];
    bool written;

    switch (p->request.op) {
    case BENCH_REQUEST_NONE:
        return 0;
    case BENCH_REQUEST_ANSWER:
        return peer_answer(p);
    case BENCH_REQUEST_SWALLOW:
        p->swallow = p->request.bytes;
        return p->swallow ? 0 : peer_answer(p);
    case BENCH_REQUEST_PIPE:
        written = p->pipe >= 0 && write(p->pipe, content, sizeof(content)) == sizeof(content);
        if (p->pipe >= 0)
            close(p->pipe);
        p->pipe = -1;
        return written ? 0 : -1;
    default:
        return -1;
    }
}

static int peer_bytes(struct peer *p, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t n = p->swallow ? p->swallow : sizeof(p->request) - p->n;

        n = n < size ? n : size;
        if (p->swallow) {
            p->swallow -= n;
            if (!p->swallow && peer_answer(p) < 0)
                return -1;
        } else {
            memcpy((uint8_t *)&p->request + p->n, bytes, n);
            p->n = (p->n + n) % sizeof(p->request);
            if (!p->n && peer_request(p) < 0)
                return -1;
        }
        bytes += n;
        size -= n;
    }
    return 0;
}

/* 0, or -1: it is over. */
static int peer_readable(struct peer *p)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {buffer, sizeof(buffer)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(p->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;

    if (n < 0 && errno == EAGAIN)
        return 0;
    if (c && c->cmsg_type == SCM_RIGHTS)
        memcpy(&p->pipe, CMSG_DATA(c), sizeof(int));
    return n > 0 ? peer_bytes(p, buffer, (size_t)n) : -1;
}

static void peer_end(struct peer *p)
{
    close(p->fd);
    if (p->pipe >= 0)
        close(p->pipe);
    free(p);
}

static void peer_accept(int epoll_fd, int listener)
{
    struct peer *p = calloc(1, sizeof(*p));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};

    if (!p)
        return;
    p->pipe = -1;
    p->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (p->fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, p->fd, &event) < 0)
        peer_end(p);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct rlimit limit;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) {
        fprintf(stderr, "usage: bench_service SOCKET\n");
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    strcpy(address.sun_path, argv[1]);
    if (epoll_fd < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, 512) < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0) {
        fprintf(stderr, "bench_service: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (!events[i].data.ptr)
                peer_accept(epoll_fd, listener);
            else if (peer_readable(events[i].data.ptr) < 0)
                peer_end(events[i].data.ptr);
        }
    }
}
