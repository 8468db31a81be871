/* SPDX-License-Identifier: MIT */
#pragma once
/* dmabuf: a client's GPU buffer that the host knows as shared memory: its pixels are in the
 * client's own memory, from which the host takes them. */
#include <stdbool.h>
#include <stdint.h>

#define DMABUF_PLANES_MAX 4

struct memory_buffer;
struct relay;

struct dmabuf_plane {
    int fd; /* -1: none */
    uint32_t offset, stride;
    uint64_t size; /* bytes of the whole dmabuf */
    /* What of it is shown, and where that is in the shared memory. */
    uint32_t row, rows, to_stride;
    uint64_t to;
};

/* A format that is carried: DRM fourcc, one of wl_shm's, and its planes: bytes per pixel, and by
 * how much rows and columns of the second are fewer. */
struct dmabuf_format {
    uint32_t fourcc, shm;
    unsigned planes, cpp[2];
};
/* NULL: not carried. */
const struct dmabuf_format *dmabuf_format(uint32_t fourcc);
const struct dmabuf_format *dmabuf_format_of_shm(uint32_t shm);

/* How large a dmabuf is; 0: it is none, or nobody says. Never waits, whatever the descriptor is. */
uint64_t dmabuf_size(int fd);
/* Makes @layout that of a buffer whose pixels are in @planes (their descriptors are taken), with
 * that as its backing. Its memory is that of the one plane, with the offset there; or it stays
 * NULL, and the owner has to give it some. A commit waits for the client's GPU, a bounded time. 0;
 * -ENOTSUP: nobody can read the planes; -ENOMEM. */
int dmabuf_create(struct relay *relay, struct dmabuf_plane *planes, unsigned n_planes,
                  struct memory_buffer *layout);
