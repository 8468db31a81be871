/* SPDX-License-Identifier: MIT */
/* bench_forward: one hop that only moves bytes. Two of them are the least that two proxies can
 * cost: per arrival one epoll_wait, one read and one write, and no look at what passes. It carries
 * no descriptors. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define BUFFER 65536
#define EVENTS 64

struct pair;

struct end {
    struct pair *pair;
    struct end *other;
    int fd;
    uint32_t events;
    uint8_t *pending; /* bytes that this end had no room for */
    size_t n_pending;
};

struct pair {
    struct end ends[2];
    struct pair *next_dead;
    bool dead;
};

static uint8_t buffer[BUFFER];
static struct pair *dead_pairs;
static int epoll_fd;

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_vm vm;
    };
    socklen_t size;
};

/* "vsock:CID:PORT" or a path. */
static int address_parse(struct address *address, const char *text)
{
    unsigned cid, port;

    *address = (struct address){0};
    if (sscanf(text, "vsock:%u:%u", &cid, &port) == 2) {
        address->vm =
            (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
        address->size = sizeof(address->vm);
        return 0;
    }
    if (strlen(text) >= sizeof(address->un.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    address->un.sun_family = AF_UNIX;
    strcpy(address->un.sun_path, text);
    address->size = sizeof(address->un);
    return 0;
}

static int socket_at(const struct address *address, bool server)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r;

    if (fd < 0)
        return -1;
    r = server ? bind(fd, &address->any, address->size) : connect(fd, &address->any, address->size);
    if (r < 0 || (server && listen(fd, 512) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void end_want(struct end *end, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = end};

    if (events == end->events)
        return;
    end->events = events;
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, end->fd, &event);
}

/* Closed at once, freed after the batch of events that may still name it. */
static void pair_kill(struct pair *pair)
{
    if (pair->dead)
        return;
    pair->dead = true;
    for (int i = 0; i < 2; i++) {
        close(pair->ends[i].fd);
        free(pair->ends[i].pending);
    }
    pair->next_dead = dead_pairs;
    dead_pairs = pair;
}

static void end_readable(struct end *end)
{
    struct end *to = end->other;
    ssize_t n, written;

    n = recv(end->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        pair_kill(end->pair);
        return;
    }
    written = send(to->fd, buffer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written < 0 && errno == EAGAIN)
        written = 0;
    if (written == n)
        return;
    if (written >= 0)
        to->pending = malloc((size_t)(n - written));
    if (written < 0 || !to->pending) {
        pair_kill(end->pair);
        return;
    }
    to->n_pending = (size_t)(n - written);
    memcpy(to->pending, buffer + written, to->n_pending);
    end_want(to, to->events | EPOLLOUT);
    end_want(end, end->events & ~(uint32_t)EPOLLIN);
}

static void end_writable(struct end *end)
{
    ssize_t n = send(end->fd, end->pending, end->n_pending, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0) {
        pair_kill(end->pair);
        return;
    }
    end->n_pending -= (size_t)n;
    memmove(end->pending, end->pending + n, end->n_pending);
    if (end->n_pending > 0)
        return;
    free(end->pending);
    end->pending = NULL;
    end_want(end, end->events & ~(uint32_t)EPOLLOUT);
    end_want(end->other, end->other->events | EPOLLIN);
}

static void pair_accept(int listener, const struct address *to)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    int fds[2] = {accept4(listener, NULL, NULL, SOCK_CLOEXEC), -1};

    if (pair && fds[0] >= 0)
        fds[1] = socket_at(to, false);
    if (fds[1] < 0) {
        if (fds[0] >= 0)
            close(fds[0]);
        free(pair);
        return;
    }
    for (int i = 0; i < 2; i++) {
        struct end *end = &pair->ends[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = end};

        *end =
            (struct end){.pair = pair, .other = &pair->ends[!i], .fd = fds[i], .events = EPOLLIN};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &event);
    }
}

static void end_handle(struct end *end, uint32_t events)
{
    if (!end->pair->dead && events & EPOLLOUT && end->pending)
        end_writable(end);
    if (!end->pair->dead && events & EPOLLIN)
        end_readable(end);
    else if (!end->pair->dead && events & (EPOLLHUP | EPOLLERR))
        pair_kill(end->pair);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN};
    struct address listen_at, connect_to;
    struct rlimit limit;
    int listener = -1;

    if (argc != 3) {
        fprintf(stderr, "usage: bench_forward LISTEN CONNECT\n");
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (address_parse(&listen_at, argv[1]) == 0 && address_parse(&connect_to, argv[2]) == 0)
        listener = socket_at(&listen_at, true);
    if (epoll_fd < 0 || listener < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0) {
        fprintf(stderr, "bench_forward: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                end_handle(events[i].data.ptr, events[i].events);
            else
                pair_accept(listener, &connect_to);
        }
        while (dead_pairs) {
            struct pair *next = dead_pairs->next_dead;

            free(dead_pairs);
            dead_pairs = next;
        }
    }
}
