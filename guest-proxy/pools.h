/* SPDX-License-Identifier: MIT */
#pragma once
/* pools: the pixels of one client's buffers in resources of the GPU, where the host takes them
 * from, so that the link carries none. */
#include <stdbool.h>
#include <stdint.h>

#include "guest-proxy/virtgpu.h"
#include "protocol/link.h"

struct damage_rect;
struct gpu;
struct memory_buffer;
struct relay;

/* A resource that the host has a number for. */
struct shadow {
    struct pools *pools;
    struct relay *relay;
    struct shadow *prev, *next;
    struct virtgpu_buffer memory;
    unsigned long serial; /* of the binding */
    uint32_t import;
    bool released; /* nobody uses it here any more */
};

struct pools {
    struct gpu *gpu;        /* borrowed; NULL: none */
    struct shadow *shadows; /* all of them */
    unsigned n, released_n; /* of these, so many wait for the host to let go */
    uint64_t bytes;
    bool complained;
};

void pools_init(struct pools *pools, struct gpu *gpu);
/* After the relay, which is gone then. */
void pools_finish(struct pools *pools);

/* Has the host take @rect of @buffer's file from a resource. 0; -ENOTSUP: it has to go as bytes
 * (@pools may be NULL); -EFAULT: the client's file is shorter than that. */
int pools_send(struct pools *pools, struct relay *relay, struct memory_buffer *buffer,
               const struct damage_rect *rect);
/* The host does not look into the resource any more. */
void pools_released(struct pools *pools, uint32_t import);

/* A resource of our own of @size bytes, or the one behind a client's dmabuf (borrowed). NULL: none
 * is to be had. */
struct shadow *pools_shadow(struct pools *pools, struct relay *relay, uint64_t size);
struct shadow *pools_shadow_import(struct pools *pools, struct relay *relay, int fd, uint64_t size);
void pools_shadow_drop(struct shadow *shadow);
/* False: it belongs to a binding that is over. */
bool pools_shadow_serves(const struct shadow *shadow);
