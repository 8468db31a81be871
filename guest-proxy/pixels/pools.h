/* SPDX-License-Identifier: MIT */
#pragma once
/* pools: where the pixels of one client's shared memory are for the host: in resources of the GPU,
 * so that the link carries none. */
#include <stdbool.h>
#include <stdint.h>

#include "common/wayland/relay.h"

struct link_mem_copy;
struct shadow;
struct link_mem_write;

/* For relay_ops.place: gives the buffer a resource that is its memory for the host, if there is one
 * to be had. */
enum relay_verdict pools_place(struct relay *relay, struct wl_message *message,
                               struct shm_pool *pool, struct memory_buffer *layout);
/* The host's object @pool gets @memory, @size bytes of it, in place of what it has; @shm: any
 * wl_shm. Both by the application's ids. */
void pools_swap(struct relay *relay, uint32_t shm, uint32_t pool, const struct memory *memory,
                uint64_t size);
/* Has the host take @rows of @buffer's memory from a resource. 0; -ENOTSUP: they have to go as
 * bytes; -EFAULT: the client's file is shorter than that. */
int pools_send(struct relay *relay, struct memory_buffer *buffer,
               const struct link_mem_write *rows);
/* @shadow has the pixels of @buffer from now on. */
void pools_back(struct memory_buffer *buffer, struct shadow *shadow);
/* A screen copy is in the resource that @memory is: brings it to the client's file. */
void pools_copied_back(struct relay *relay, struct memory *memory,
                       const struct link_mem_copy *copy);

relay_hook pools_resize, pools_shm_release;
#define POOLS_HOOKS [WL_HOOK_POOL_RESIZE] = pools_resize, [WL_HOOK_SHM_RELEASE] = pools_shm_release
