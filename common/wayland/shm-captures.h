/* SPDX-License-Identifier: MIT */
#pragma once
/* shm-captures: screen copies into buffers of shared memory. */
#include <stdbool.h>
#include <stdint.h>

#include "common/wayland/relay.h"
#include "common/wayland/wl-shm.h"

/* A screen copy: the frame object, and the buffer it fills. */
struct shm_capture {
    struct wl_data data;
    struct memory_buffer *buffer; /* a reference */
};
extern const struct wl_data_type shm_capture_type;

/* True if a screen copy into these bytes is under way, and the client's file can take it. */
bool shm_captured(const struct memory *memory, uint64_t offset, uint64_t end);

/* The relay's own hooks. */
relay_hook shm_capture_buffer, shm_capture_ready;
#define SHM_CAPTURES_HOOKS                                                                         \
    [WL_HOOK_CAPTURE_BUFFER] = shm_capture_buffer, [WL_HOOK_CAPTURE_READY] = shm_capture_ready
