/* SPDX-License-Identifier: MIT */
#pragma once
/* pools: the pixels of one client's buffers in resources of the GPU, where the host takes them
 * from, so that the link carries none. */
#include <stdbool.h>
#include <stdint.h>

struct damage_rect;
struct gpu;
struct memory_buffer;
struct relay;
struct shadow;

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
