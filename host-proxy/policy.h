/* SPDX-License-Identifier: MIT */
#pragma once
/* policy: which way a VM's clipboard flows, and how its windows are marked. Each is a hook of a
 * client of @vm. */
#include "common/wayland/relay.h"
#include "host-proxy/config.h"

enum relay_verdict policy_new_toplevel(const struct vm_config *vm, struct relay *relay,
                                       struct wl_message *message);
/* A message with a string that a person may read, or that tells of the host's screens, by enum
 * wl_text. */
enum relay_verdict policy_text(const struct vm_config *vm, struct relay *relay,
                               struct wl_message *message);
/* What a screen copy could be made into on the host. */
enum relay_verdict policy_capture_dmabuf(const struct vm_config *vm, struct relay *relay,
                                         struct wl_message *message);
/* A type of an offer, or a transfer. */
enum relay_verdict policy_offer(const struct vm_config *vm, struct relay *relay,
                                struct wl_message *message);
enum relay_verdict policy_set_selection(const struct vm_config *vm, struct relay *relay,
                                        struct wl_message *message);
enum relay_verdict policy_start_drag(const struct vm_config *vm, struct relay *relay,
                                     struct wl_message *message);
