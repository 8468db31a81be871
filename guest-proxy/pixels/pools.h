/* SPDX-License-Identifier: MIT */
#pragma once
/* pools: where the pixels of one client's shared memory are for the host: in resources of the GPU,
 * so that the link carries none. */
#include <stdbool.h>
#include <stdint.h>

#include "common/wayland/relay.h"
#include "guest-proxy/pixels/shadows.h"

struct damage_rect;
struct link_mem_copy;
struct memory_buffer;

/* wl_shm_pool.create_buffer is about to pass, with @layout (NULL: none that a compositor accepts):
 * gives the buffer a resource that is its memory for the host, if there is one to be had. */
enum relay_verdict pools_place(struct shadows *shadows, struct relay *relay,
                               struct wl_message *message, struct shm_pool *pool,
                               struct memory_buffer *layout);
/* The host's object @pool gets @memory, @size bytes of it, in place of what it has; @shm: any
 * wl_shm. */
void pools_swap(struct relay *relay, uint32_t shm, uint32_t pool, const struct memory *memory,
                uint64_t size);
/* Has the host take @rect of @buffer's memory from a resource. 0; -ENOTSUP: it has to go as bytes
 * (@shadows may be NULL); -EFAULT: the client's file is shorter than that. */
int pools_send(struct shadows *shadows, struct relay *relay, struct memory_buffer *buffer,
               const struct damage_rect *rect);
/* A screen copy is in the resource that @memory is: brings it to the client's file. */
void pools_copied_back(struct shadows *shadows, struct memory *memory,
                       const struct link_mem_copy *copy);
