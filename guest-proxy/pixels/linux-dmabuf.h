/* SPDX-License-Identifier: MIT */
#pragma once
/* linux-dmabuf: zwp_linux_dmabuf_v1 for one client, offered by us on top of the host's wl_shm. */
#include "common/wayland/registry.h"

/* A row for relay_ops.own_globals; for relays that have pixels. */
extern const struct own_global linux_dmabuf_global;

relay_hook linux_dmabuf_destroy, linux_dmabuf_create_params, linux_dmabuf_feedback,
    linux_dmabuf_feedback_destroy, linux_dmabuf_params_destroy, linux_dmabuf_add_plane,
    linux_dmabuf_create, linux_dmabuf_create_immed;
#define LINUX_DMABUF_HOOKS                                                                         \
    [WL_HOOK_DMABUF_DESTROY] = linux_dmabuf_destroy,                                               \
    [WL_HOOK_DMABUF_CREATE_PARAMS] = linux_dmabuf_create_params,                                   \
    [WL_HOOK_DMABUF_FEEDBACK] = linux_dmabuf_feedback,                                             \
    [WL_HOOK_DMABUF_FEEDBACK_DESTROY] = linux_dmabuf_feedback_destroy,                             \
    [WL_HOOK_PARAMS_DESTROY] = linux_dmabuf_params_destroy,                                        \
    [WL_HOOK_PARAMS_ADD] = linux_dmabuf_add_plane, [WL_HOOK_PARAMS_CREATE] = linux_dmabuf_create,  \
    [WL_HOOK_PARAMS_CREATE_IMMED] = linux_dmabuf_create_immed
