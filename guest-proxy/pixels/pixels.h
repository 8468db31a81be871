/* SPDX-License-Identifier: MIT */
#pragma once
/* pixels: what the guest daemon keeps for the buffers of one client (struct relay's pixels). */
#include <stdbool.h>
#include <stddef.h>

#include "guest-proxy/pixels/shadows.h"

#define DMABUF_FORMATS_MAX 32

struct dmabuf_format;
struct gpu;

struct pixels {
    struct shadows shadows;
    struct { /* linux-dmabuf */
        const struct dmabuf_format
            *formats[DMABUF_FORMATS_MAX]; /* that the compositor's wl_shm has, too */
        size_t n;
        bool heard; /* the compositor has told all of its own */
        int table;  /* for feedback; -1: not made yet */
        size_t table_n;
    } dmabuf;
};

/* @gpu: borrowed; NULL: there is none. */
void pixels_init(struct pixels *pixels, struct gpu *gpu);
/* After the relay, which is gone then. */
void pixels_finish(struct pixels *pixels);
