/* SPDX-License-Identifier: MIT */
#pragma once
/* dmabufs: buffers that one client's compositor gets as dmabufs (linux-dmabuf), while the guest
 * daemon speaks of a wl_shm_pool on the memory of an import. */
#include <stdbool.h>
#include <stdint.h>

#include "common/wayland/relay.h"

struct trials;

struct dmabufs {
    uint32_t registry, name, version; /* the compositor's global; @name 0: none */
    uint32_t id;                      /* our zwp_linux_dmabuf_v1; 0: none (yet) */
};

/* For relay_ops.hidden: remembers the compositor's linux-dmabuf. */
void dmabufs_global(struct dmabufs *dmabufs, const struct wl_message *message,
                    const struct wl_iface *iface);
/* For relay_ops.hidden_gone. */
void dmabufs_global_gone(struct dmabufs *dmabufs, uint32_t registry, uint32_t name);
/* For relay_ops.keep_id. True: @id is our zwp_linux_dmabuf_v1 now, so that dmabufs can be given. */
bool dmabufs_keep_id(struct dmabufs *dmabufs, struct relay *relay, uint32_t id);
/* For relay_ops.own_event. */
enum relay_verdict dmabufs_event(const struct dmabufs *dmabufs, struct relay *relay,
                                 const struct wl_message *message);

/* Requests of a pool whose memory is late: tells the compositor the same in the words of
 * linux-dmabuf, where it takes that, or of wl_shm. PASS: it is to be told this message. */
enum relay_verdict dmabufs_create_pool(struct dmabufs *dmabufs, struct relay *relay,
                                       struct wl_message *message);
enum relay_verdict dmabufs_create_buffer(struct dmabufs *dmabufs, struct trials *trials,
                                         struct relay *relay, struct wl_message *message);
enum relay_verdict dmabufs_resize_pool(struct relay *relay, struct wl_message *message);
enum relay_verdict dmabufs_destroy_pool(struct dmabufs *dmabufs, struct relay *relay,
                                        struct wl_message *message);
/* wl_fixes.destroy_registry */
void dmabufs_destroy_registry(struct dmabufs *dmabufs, const struct wl_message *message);
