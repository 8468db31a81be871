/* SPDX-License-Identifier: MIT */
#pragma once
/* registry: which globals a client may see and bind. */
#include <stdbool.h>
#include <stdint.h>

#include "common/wayland/relay.h"

/* guest: a global that is served here, though the compositor's is hidden. What its objects are at
 * the host, and what is said to them there, is its objects' data's business (wl_data_type). */
struct own_global {
    const char *interface;
    const char *beside; /* offered where the compositor has this one */
    bool (*offered)(struct relay *relay);
    /* Bound as @message says. DROP (the host knows nothing of it), or END. */
    enum relay_verdict (*bind)(struct relay *relay, const struct wl_message *message);
};

/* The interface and version that a bind gets, or NULL after relay_fail(). */
const struct relay_global *registry_bound(struct relay *relay, const struct wl_message *message);
/* A global of that interface that the compositor has now, or NULL. */
const struct relay_global *registry_find(const struct relay *relay, const char *interface);

/* The relay's own hooks. */
relay_hook registry_global, registry_global_remove, registry_bind, registry_destroy;
#define REGISTRY_HOOKS                                                                             \
    [WL_HOOK_REGISTRY_GLOBAL] = registry_global,                                                   \
    [WL_HOOK_REGISTRY_GLOBAL_REMOVE] = registry_global_remove,                                     \
    [WL_HOOK_REGISTRY_BIND] = registry_bind, [WL_HOOK_DESTROY_REGISTRY] = registry_destroy
