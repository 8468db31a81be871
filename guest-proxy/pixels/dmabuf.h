/* SPDX-License-Identifier: MIT */
#pragma once
/* dmabuf: a client's GPU buffer that the host knows as shared memory: its pixels are in the
 * client's own memory, from which the host takes them. */
#include <stdbool.h>
#include <stdint.h>

#define DMABUF_PLANES_MAX 4

struct damage_rect;
struct loop;
struct memory;
struct memory_buffer;
struct relay;
struct shadows;

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
/* Makes @layout that of a buffer whose pixels are in @planes (their descriptors are taken), with a
 * reference in its shadow. Its memory is that of the one plane, with the offset there; or it stays
 * NULL, and the owner has to give it some. 0; -ENOTSUP: nobody can read the planes; -ENOMEM. */
int dmabuf_create(struct shadows *shadows, struct relay *relay, struct dmabuf_plane *planes,
                  unsigned n_planes, struct memory_buffer *layout);
bool dmabuf_is(const struct memory_buffer *buffer);
/* As pools_send(). */
int dmabuf_send(struct memory_buffer *buffer, const struct damage_rect *rect);
/* A screen copy came in, where it is not in the client's own memory yet. */
void dmabuf_captured(struct memory_buffer *buffer);
/* True: the client's GPU is still writing; relay_wait() was said, and it will be over in a bounded
 * time. */
bool dmabuf_wait(struct memory_buffer *buffer);
