/* SPDX-License-Identifier: MIT */
/* vsock-message: owns the bytes. Their number is asked for first, so that a message that is too
 * large for the guest costs no memory. */
#include "host-proxy/vsock/vsock-message.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

int vsock_message_receive(struct vsock_message *m, int fd, size_t max)
{
    ssize_t size = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    if (size <= 0)
        return size < 0 ? -errno : 0;
    if ((size_t)size > max)
        return -EMSGSIZE;
    m->bytes = malloc((size_t)size);
    if (!m->bytes)
        return -ENOMEM;
    m->size = (size_t)size;
    m->done = 0;
    if (recv(fd, m->bytes, m->size, MSG_DONTWAIT) == size)
        return 1;
    vsock_message_drop(m);
    return -EIO;
}

void vsock_message_drop(struct vsock_message *m)
{
    free(m->bytes);
    *m = (struct vsock_message){0};
}
