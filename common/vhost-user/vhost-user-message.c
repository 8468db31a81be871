/* SPDX-License-Identifier: MIT */
/* vhost-user-message: a message owns the descriptors that came with it until they are taken or it
 * is cleared, also while it is not complete. What a message means is not looked at here. */
#include "common/vhost-user/vhost-user-message.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/base/ancillary.h"
#include "common/base/fd.h"

const char *vhost_user_request_name(uint32_t request)
{
    static const char *const names[_VHOST_USER_REQUEST_N] = {
        [VHOST_USER_GET_FEATURES] = "GET_FEATURES",
        [VHOST_USER_SET_FEATURES] = "SET_FEATURES",
        [VHOST_USER_SET_OWNER] = "SET_OWNER",
        [VHOST_USER_RESET_OWNER] = "RESET_OWNER",
        [VHOST_USER_SET_MEM_TABLE] = "SET_MEM_TABLE",
        [VHOST_USER_SET_VRING_NUM] = "SET_VRING_NUM",
        [VHOST_USER_SET_VRING_ADDR] = "SET_VRING_ADDR",
        [VHOST_USER_SET_VRING_BASE] = "SET_VRING_BASE",
        [VHOST_USER_GET_VRING_BASE] = "GET_VRING_BASE",
        [VHOST_USER_SET_VRING_KICK] = "SET_VRING_KICK",
        [VHOST_USER_SET_VRING_CALL] = "SET_VRING_CALL",
        [VHOST_USER_SET_VRING_ERR] = "SET_VRING_ERR",
        [VHOST_USER_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
        [VHOST_USER_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
        [VHOST_USER_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
        [VHOST_USER_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
        [VHOST_USER_SET_BACKEND_REQ_FD] = "SET_BACKEND_REQ_FD",
        [VHOST_USER_GET_CONFIG] = "GET_CONFIG",
        [VHOST_USER_SET_CONFIG] = "SET_CONFIG",
        [VHOST_USER_GPU_SET_SOCKET] = "GPU_SET_SOCKET",
        [VHOST_USER_RESET_DEVICE] = "RESET_DEVICE",
        [VHOST_USER_GET_MAX_MEM_SLOTS] = "GET_MAX_MEM_SLOTS",
        [VHOST_USER_ADD_MEM_REG] = "ADD_MEM_REG",
        [VHOST_USER_REM_MEM_REG] = "REM_MEM_REG",
    };
    return request < _VHOST_USER_REQUEST_N && names[request] ? names[request] : "unknown";
}

/* All descriptors of a piece. They come with its first byte, but nothing forbids more with later
 * ones. */
static int message_collect(struct vhost_user_message *m, struct msghdr *header)
{
    bool more;
    m->n_fds += ancillary_take_fds(header, m->fds + m->n_fds, VHOST_USER_FDS_MAX - m->n_fds, &more);
    return more || header->msg_flags & MSG_CTRUNC ? -EPROTO : 0;
}

int vhost_user_message_receive(struct vhost_user_message *m, int socket)
{
    for (;;) {
        union {
            char bytes[CMSG_SPACE((VHOST_USER_FDS_MAX + 1) * sizeof(int))];
            struct cmsghdr align;
        } control;
        bool in_header = m->received < VHOST_USER_HEADER_SIZE;
        size_t end = VHOST_USER_HEADER_SIZE + (in_header ? 0 : m->size);
        struct iovec iov = {
            .iov_base = in_header ? m->header + m->received
                                  : m->payload + (m->received - VHOST_USER_HEADER_SIZE),
            .iov_len = end - m->received,
        };
        struct msghdr header = {
            .msg_iov = &iov,
            .msg_iovlen = 1,
            .msg_control = control.bytes,
            .msg_controllen = sizeof(control.bytes),
        };
        if (!in_header && m->received == end)
            return 1;
        ssize_t n = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        int result = message_collect(m, &header);
        if (n == 0 || result < 0)
            return result;
        m->received += (size_t)n;
        if (in_header && m->received == VHOST_USER_HEADER_SIZE) {
            memcpy(&m->request, m->header, 4);
            memcpy(&m->flags, m->header + 4, 4);
            memcpy(&m->size, m->header + 8, 4);
            if (m->size > VHOST_USER_PAYLOAD_MAX || m->flags & VHOST_USER_REPLY ||
                (m->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION)
                return -EPROTO;
        }
    }
}

void vhost_user_message_clear(struct vhost_user_message *m)
{
    for (size_t i = 0; i < m->n_fds; i++)
        fd_close(m->fds[i]);
    m->n_fds = 0;
    m->received = 0;
}

int vhost_user_message_take_fd(struct vhost_user_message *m)
{
    if (m->n_fds != 1)
        return -1;
    m->n_fds = 0;
    return m->fds[0];
}

int vhost_user_message_reply(int socket, uint32_t request, const void *payload, uint32_t size)
{
    uint32_t words[3] = {request, VHOST_USER_VERSION | VHOST_USER_REPLY, size};
    struct iovec iov[2] = {
        {.iov_base = words, .iov_len = sizeof(words)},
        {.iov_base = (void *)payload, .iov_len = size},
    };
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t n;
    do
        n = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    /* A frontend that lets its answers pile up is not one. */
    return n == (ssize_t)(sizeof(words) + size) ? 0 : -EAGAIN;
}
