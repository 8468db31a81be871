/* SPDX-License-Identifier: MIT */
/* The measures of a service: a socket that both daemons carry, without Wayland. */
#include "tests/bench/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/ops.h"

#define BATCH 5000
#define REQUESTS_PER_SEND                                                                          \
    48 /* of 64 bytes: as many bytes as of requests of Wayland's (messages.c) */

struct service {
    const struct bench *bench;
    int fd;
};

static int service_open(struct service *s, const struct bench *bench)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *s = (struct service){bench, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", bench->display);
    return connect(s->fd, (struct sockaddr *)&address, sizeof(address));
}

static int send_all(int fd, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    while (size > 0) {
        ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

        if (n < 0)
            return -1;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

static int await_answer(const struct service *s)
{
    struct bench_request answer;

    if (recv(s->fd, &answer, sizeof(answer), MSG_WAITALL) == sizeof(answer))
        return 0;
    errno = EPROTO;
    return -1;
}

static int round_trip_step(void *data)
{
    const struct service *s = data;
    const struct bench_request request = {.op = BENCH_REQUEST_ANSWER};

    return send_all(s->fd, &request, sizeof(request)) < 0 ? -1 : await_answer(s);
}

static int one_way_step(void *data)
{
    static const struct bench_request requests[REQUESTS_PER_SEND]; /* none is to be answered */
    const struct service *s = data;

    for (size_t left = BATCH; left > 0;) {
        size_t n = left < REQUESTS_PER_SEND ? left : REQUESTS_PER_SEND;

        if (send_all(s->fd, requests, n * sizeof(*requests)) < 0)
            return -1;
        left -= n;
    }
    return round_trip_step(data);
}

static int bulk_step(void *data)
{
    static const uint8_t chunk[65536];
    const struct service *s = data;
    size_t left = s->bench->mib * BENCH_MIB;
    const struct bench_request request = {.op = BENCH_REQUEST_SWALLOW, .bytes = left};

    if (send_all(s->fd, &request, sizeof(request)) < 0)
        return -1;
    for (; left > 0; left -= sizeof(chunk))
        if (send_all(s->fd, chunk, sizeof(chunk)) < 0)
            return -1;
    return await_answer(s);
}

static int pipe_step(void *data)
{
    const struct service *s = data;
    struct bench_request request = {.op = BENCH_REQUEST_PIPE};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS}};
    struct iovec iov = {&request, sizeof(request)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    memcpy(CMSG_DATA(&control.header), &fds[1], sizeof(int));
    ssize_t sent = sendmsg(s->fd, &message, MSG_NOSIGNAL);
    close(fds[1]);
    return sent < 0 ? -1 : pipe_read_all(fds[0], BENCH_PIPE);
}

static int service_run(const struct bench *bench, bench_step step, unsigned ops)
{
    struct service s;
    int r = service_open(&s, bench);

    if (r == 0)
        r = bench_run(bench, step, &s, ops);
    close(s.fd);
    return r;
}

int measure_service_round_trip(const struct bench *bench)
{
    return service_run(bench, round_trip_step, 1);
}

int measure_service_one_way(const struct bench *bench)
{
    return service_run(bench, one_way_step, BATCH);
}

int measure_service_bulk(const struct bench *bench)
{
    return service_run(bench, bulk_step, 1);
}

int measure_service_pipe(const struct bench *bench)
{
    return service_run(bench, pipe_step, 1);
}

int measure_service_idle(const struct bench *bench)
{
    struct service *all = calloc(bench->clients, sizeof(*all));
    unsigned open = 0;
    int r = all ? 0 : -1;

    while (r == 0 && open < bench->clients) {
        r = service_open(&all[open], bench);
        if (r == 0)
            r = round_trip_step(&all[open]);
        open++;
    }
    if (r == 0) {
        printf("ready\n");
        fflush(stdout);
        while (getchar() != EOF)
            ;
    }
    while (open > 0)
        close(all[--open].fd);
    free(all);
    return r;
}
