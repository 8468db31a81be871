/* SPDX-License-Identifier: MIT */
#pragma once
/* linux-dmabuf: zwp_linux_dmabuf_v1 for one client, offered by us on top of the host's wl_shm. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wayland/relay.h"

struct shadows;

#define LINUX_DMABUF_FORMATS_MAX 32

struct linux_dmabuf {
    struct shadows *shadows;
    const struct dmabuf_format
        *formats[LINUX_DMABUF_FORMATS_MAX]; /* that the compositor's wl_shm has, too */
    size_t n;
    int table; /* for feedback; -1: not made yet */
    size_t table_n;
};

void linux_dmabuf_init(struct linux_dmabuf *dmabuf, struct shadows *shadows);
void linux_dmabuf_finish(struct linux_dmabuf *dmabuf);
/* Hooks of its interfaces, of wl_registry.global (to offer it) and of bind. */
enum relay_verdict linux_dmabuf_hook(struct linux_dmabuf *dmabuf, struct relay *relay,
                                     struct wl_message *message);
/* The host's messages to objects that are something else there. */
bool linux_dmabuf_intercept(struct linux_dmabuf *dmabuf, struct relay *relay,
                            const struct wl_message *message);
