/* SPDX-License-Identifier: MIT */
#pragma once
/* shm-pools: the wl_shm_pools of one connection, as both proxies keep them, and buffers made of
 * them. */
#include <stdint.h>

#include "common/wayland/relay.h"
#include "common/wayland/wl-shm.h"

struct shm_pool {
    struct wl_data data;
    struct relay *relay;
    struct memory *memory; /* one use of it */
    int32_t size;
    uint32_t shm; /* the wl_shm that made it */
    int told;     /* the owner's: what it has told the compositor instead; 0: nothing else */
};
extern const struct wl_data_type shm_pool_type;

/* wl_shm.create_pool(id, fd, size) whose descriptor is @memory: the new object gets its data. */
enum relay_verdict shm_pool_create(struct relay *relay, const struct wl_message *message,
                                   struct memory *memory);

/* The relay's own hooks. */
relay_hook shm_pool_format, shm_pool_create_buffer, shm_pool_resize;
#define SHM_POOLS_HOOKS                                                                            \
    [WL_HOOK_SHM_FORMAT] = shm_pool_format, [WL_HOOK_POOL_CREATE_BUFFER] = shm_pool_create_buffer, \
    [WL_HOOK_POOL_RESIZE] = shm_pool_resize
