/* SPDX-License-Identifier: MIT */
/* run-socket: its buffer holds the largest message, and so always a whole one. */
#include "common/transport/run-socket.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/ancillary.h"
#include "common/base/fd.h"
#include "common/base/loop.h"

#define ROOM (RUN_HEADER_SIZE + RUN_PAYLOAD_MAX)

int run_socket_init(struct run_socket *s, int fd)
{
    *s = (struct run_socket){.fd = fd, .bytes = malloc(ROOM)};
    if (s->bytes)
        return 0;
    s->fd = fd_close(fd);
    return -ENOMEM;
}

void run_socket_finish(struct run_socket *s)
{
    while (s->fds_n)
        fd_close(s->fds[--s->fds_n]);
    s->fd = fd_close(s->fd);
    free(s->bytes);
    s->bytes = NULL;
}

/* Whether all could be kept. */
static bool take_fds(struct run_socket *s, struct msghdr *m)
{
    bool more;
    s->fds_n += (unsigned)ancillary_take_fds(m, s->fds + s->fds_n, RUN_FDS - s->fds_n, &more);
    return !more && !(m->msg_flags & MSG_CTRUNC);
}

int run_socket_read(struct run_socket *s)
{
    union {
        char bytes[CMSG_SPACE(RUN_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    if (s->used) {
        memmove(s->bytes, s->bytes + s->used, s->have - s->used);
        s->have -= s->used;
        s->used = 0;
    }
    if (s->have == ROOM)
        return 1;
    struct iovec iov = {s->bytes + s->have, ROOM - s->have};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(s->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -ECONNRESET;
    s->have += (size_t)n;
    return take_fds(s, &m) ? 1 : -EPROTO;
}

int run_socket_next(struct run_socket *s, unsigned *ret_type, union run_message *ret,
                    const uint8_t **ret_data, uint32_t *ret_data_size)
{
    const uint8_t *at = s->bytes + s->used;
    size_t left = s->have - s->used;
    unsigned type;
    uint32_t size;
    if (left < RUN_HEADER_SIZE)
        return 0;
    if (run_decode_header(at, &type, &size) != RUN_E_OK)
        return -EPROTO;
    if (left - RUN_HEADER_SIZE < size)
        return 0;
    if (run_decode(type, at + RUN_HEADER_SIZE, size, ret, ret_data, ret_data_size) != RUN_E_OK)
        return -EPROTO;
    *ret_type = type;
    s->used += RUN_HEADER_SIZE + size;
    return 1;
}

int run_socket_wait(struct run_socket *s, int timeout_ms, unsigned *ret_type,
                    union run_message *ret, const uint8_t **ret_data, uint32_t *ret_data_size)
{
    int64_t deadline = loop_now_ms() + timeout_ms;
    for (;;) {
        int r = run_socket_next(s, ret_type, ret, ret_data, ret_data_size);
        if (r != 0)
            return r;
        int64_t left = timeout_ms < 0 ? -1 : deadline - loop_now_ms();
        if (timeout_ms >= 0 && left <= 0)
            return -ETIMEDOUT;
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
            return -errno;
        r = run_socket_read(s);
        if (r < 0)
            return r;
    }
}

int run_socket_send(const struct run_socket *s, unsigned type, const union run_message *message,
                    const void *data, uint32_t size, const int *fds, unsigned n)
{
    union {
        char bytes[CMSG_SPACE(RUN_FDS * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    uint8_t *bytes = malloc(RUN_FIXED_MAX + (size_t)size);
    if (!bytes)
        return -ENOMEM;
    struct iovec iov = {bytes, run_encode(bytes, type, message, data, size)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n) {
        m.msg_control = control.bytes;
        ancillary_add_fds(&m, fds, n);
    }
    int r = 0;
    while (iov.iov_len && r == 0) {
        ssize_t sent = sendmsg(s->fd, &m, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = s->fd, .events = POLLOUT};
            poll(&p, 1, -1);
        } else if (sent < 0 && errno != EINTR) {
            r = -errno;
        } else if (sent > 0) {
            iov.iov_base = (uint8_t *)iov.iov_base + sent;
            iov.iov_len -= (size_t)sent;
            m.msg_control = NULL;
            m.msg_controllen = 0;
        }
    }
    free(bytes);
    return r;
}

void run_fail(int fd, uint32_t status, const char *text)
{
    uint8_t bytes[RUN_FIXED_MAX + RUN_TEXT_MAX];
    union run_message m = {.failed = {.status = status}};
    char copy[RUN_TEXT_MAX];
    size_t n = strnlen(text, sizeof(copy) - 1);
    memcpy(copy, text, n);
    copy[n] = 0;
    size_t size = run_encode(bytes, RUN_FAILED, &m, copy, (uint32_t)n + 1);
    /* It is the last word, so nothing is lost if nobody takes it. */
    if (send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return;
}
