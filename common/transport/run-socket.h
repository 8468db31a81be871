/* SPDX-License-Identifier: MIT */
#pragma once
/* run-socket: one end of a connection on which protocol/run.h is spoken, with the descriptors that
 * come on it. */
#include <stddef.h>
#include <stdint.h>

#include "protocol/run.h"

struct run_socket {
    int fd; /* owned */
    uint8_t *bytes;
    size_t have, used;
    int fds[RUN_FDS]; /* that have come, owned */
    unsigned fds_n;
};

/* Takes @fd. 0 or -ENOMEM. */
int run_socket_init(struct run_socket *s, int fd);
void run_socket_finish(struct run_socket *s);
/* Reads what is there, without waiting. 1, 0: nothing is there now, -ECONNRESET: it is over,
 * -EPROTO: more descriptors than anybody needs. */
int run_socket_read(struct run_socket *s);
/* The next message of what was read: 1 (*ret_data is valid until the next read), 0: it is not
 * whole yet, -EPROTO: it is none. */
int run_socket_next(struct run_socket *s, unsigned *ret_type, union run_message *ret,
                    const uint8_t **ret_data, uint32_t *ret_data_size);
/* Waits for the next message, for @timeout_ms at most (-1: as long as it takes). 1, -ETIMEDOUT, or
 * as above. */
int run_socket_wait(struct run_socket *s, int timeout_ms, unsigned *ret_type,
                    union run_message *ret, const uint8_t **ret_data, uint32_t *ret_data_size);
/* Sends a message, with @n descriptors (borrowed), and waits until it is taken. @message NULL: it
 * has no fields. 0 or -errno. */
int run_socket_send(const struct run_socket *s, unsigned type, const union run_message *message,
                    const void *data, uint32_t size, const int *fds, unsigned n);
/* FAILED, with that text, to whoever is behind @fd (borrowed); waits for nobody. */
void run_fail(int fd, uint32_t status, const char *text);
