/* SPDX-License-Identifier: MIT */
#pragma once
/* vsock-message: a message of SEQPACKET that left its socket as a whole, and that a guest gets in
 * parts. */
#include <stddef.h>
#include <stdint.h>

struct vsock_message {
    uint8_t *bytes; /* NULL: there is none */
    size_t size, done;
};

/* The next one of @fd, where there is none. 1; 0: the end; or -errno (-EAGAIN; -EMSGSIZE: it has
 * more than @max bytes). */
int vsock_message_receive(struct vsock_message *message, int fd, size_t max);
void vsock_message_drop(struct vsock_message *message);
