/* SPDX-License-Identifier: MIT */
#pragma once
/* surfaces: what each wl_surface shows, so that a commit is preceded by the pixels that the host
 * lacks. */
#include "common/wayland/relay.h"

/* The host dropped, or wrote, these bytes of @memory: what we knew of them is void. */
void surfaces_forget(struct memory *memory, uint64_t offset, uint64_t length);

/* wl_surface, wp_viewport, and whatever else lets the compositor read a buffer. */
relay_hook surfaces_create, surfaces_get_viewport, surfaces_viewport_source,
    surfaces_viewport_destination, surfaces_buffer_read, surfaces_capture_ready, surfaces_attach,
    surfaces_offset, surfaces_damage, surfaces_damage_buffer, surfaces_transform, surfaces_scale,
    surfaces_commit;
#define SURFACES_HOOKS                                                                             \
    [WL_HOOK_CREATE_SURFACE] = surfaces_create, [WL_HOOK_GET_VIEWPORT] = surfaces_get_viewport,    \
    [WL_HOOK_VIEWPORT_SOURCE] = surfaces_viewport_source,                                          \
    [WL_HOOK_VIEWPORT_DESTINATION] = surfaces_viewport_destination,                                \
    [WL_HOOK_BUFFER_READ] = surfaces_buffer_read,                                                  \
    [WL_HOOK_CAPTURE_READY] = surfaces_capture_ready, [WL_HOOK_SURFACE_ATTACH] = surfaces_attach,  \
    [WL_HOOK_SURFACE_OFFSET] = surfaces_offset, [WL_HOOK_SURFACE_DAMAGE] = surfaces_damage,        \
    [WL_HOOK_SURFACE_DAMAGE_BUFFER] = surfaces_damage_buffer,                                      \
    [WL_HOOK_SURFACE_TRANSFORM] = surfaces_transform, [WL_HOOK_SURFACE_SCALE] = surfaces_scale,    \
    [WL_HOOK_SURFACE_COMMIT] = surfaces_commit
