/* SPDX-License-Identifier: MIT */
/* Owns nothing: descriptors that come along are proof, and closed at once. */
#include "host-proxy/hello-reader.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/ancillary.h"
#include "common/base/fd.h"

/* recv() that sees descriptors. */
static ssize_t hello_receive(struct hello_reader *r, int fd, size_t size)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec iov = {r->bytes + r->n, size};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0)
        return -errno;
    bool any;
    ancillary_take_fds(&message, NULL, 0, &any);
    r->got_descriptor |= any;
    return n;
}

/* How many bytes the frame has as far as is known now. 0: it is none that is read. */
static size_t hello_size(struct hello_reader *r, enum hello_state *ret_state)
{
    struct link_header header;
    if (r->n < LINK_HEADER_SIZE)
        return LINK_HEADER_SIZE;
    r->error = link_header_decode(r->bytes, &header);
    r->type = r->error == LINK_OK ? header.type : (uint16_t)(r->bytes[4] | r->bytes[5] << 8);
    *ret_state = r->error != LINK_OK ? HELLO_MALFORMED : HELLO_OTHER;
    if (r->error == LINK_OK && r->type != LINK_HELLO)
        r->error = LINK_E_TYPE;
    return r->error == LINK_OK ? LINK_HEADER_SIZE + header.size : 0;
}

int hello_reader_read(struct hello_reader *r, int fd)
{
    for (;;) {
        enum hello_state state = HELLO_PARTIAL;
        size_t size = hello_size(r, &state);
        if (size > sizeof(r->bytes)) /* it cannot be, as frames.h has it */
            r->error = LINK_E_SIZE;
        if (!size || size > sizeof(r->bytes))
            return state;
        if (r->n == size && size > LINK_HEADER_SIZE)
            break;
        ssize_t n = hello_receive(r, fd, size - r->n);
        if (n == -EINTR)
            continue;
        if (n == -EAGAIN)
            return HELLO_PARTIAL;
        if (n <= 0)
            return n < 0 ? (int)n : -ECONNRESET;
        r->n += (size_t)n;
    }
    struct link_hello hello;
    r->error = link_hello_decode(r->bytes + LINK_HEADER_SIZE, r->n - LINK_HEADER_SIZE, &hello);
    return r->error == LINK_OK ? HELLO_WHOLE : HELLO_OTHER;
}

void hello_reader_get(const struct hello_reader *r, struct link_hello *ret)
{
    link_hello_decode(r->bytes + LINK_HEADER_SIZE, r->n - LINK_HEADER_SIZE, ret);
}
