/* SPDX-License-Identifier: MIT */
#pragma once
/* local-reader: reads from a local socket so that it is known with which byte descriptors came. */
#include <stdint.h>
#include <sys/types.h>

struct local_socket;

#define LOCAL_FDS_MAX 253 /* with one byte: the kernel's SCM_MAX_FD */

/* What one reading brought; @bytes lives until the next one, of any socket. */
struct local_piece {
    uint8_t *bytes;
    size_t size;
    size_t fds_at; /* the byte that they belong to */
    unsigned fds_n;
    int fds[LOCAL_FDS_MAX]; /* owned by the caller */
};

/* Reads up to @max bytes (at least 1) of a stream, with at most one set of descriptors, or one
 * whole packet. 1: *ret; 0: the end; -EAGAIN; -EMFILE: the kernel could not hand over all
 * descriptors; -EMSGSIZE: a packet above PACKET_MAX; or -errno. */
int local_socket_read(struct local_socket *ws, size_t max, struct local_piece *ret);
/* Closes what is left of them. */
void local_piece_close(struct local_piece *piece);
