/* SPDX-License-Identifier: MIT */
/* A plain sendmsg(), so that no queue of the proxies' is between a test and what it tests. */
#include "tests/support/send_fds.h"

#include <string.h>
#include <sys/socket.h>

ssize_t send_fds(int to, const void *bytes, size_t n, const int *fds, size_t n_fds)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(SEND_FDS_MAX * sizeof(int))];
    } control = {.header = {CMSG_LEN(n_fds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec iov = {(void *)bytes, n};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n_fds) {
        memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
    }
    return sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}
