/* SPDX-License-Identifier: MIT */
#pragma once
/* policy: which way a VM's clipboard flows, and how its windows are marked. */
#include "common/wayland/relay.h"
#include "host-proxy/config.h"

/* Clipboard, titles and application ids: the hooks of a client of @vm. */
enum relay_verdict policy_hook(const struct vm_config *vm, struct relay *relay,
                               struct wl_message *message);
