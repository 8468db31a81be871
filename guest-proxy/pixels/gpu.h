/* SPDX-License-Identifier: MIT */
#pragma once
/* gpu: which of the guest's GPUs is the one that the host looks into, and whether it does. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-proxy/pixels/virtgpu.h"
#include "protocol/frames.h"

#define GPU_DEVICES_MAX 8

struct gpu {
    struct virtgpu *devices[GPU_DEVICES_MAX];
    size_t n;
    size_t at;                   /* which one is being probed, or bound */
    const char *choice;          /* "auto" or a render node; borrowed; NULL: off */
    struct virtgpu_buffer probe; /* with the host's nonce in it */
    int udmabuf;                 /* /dev/udmabuf; -1: not to be had */
    bool bound;
    bool takes_files;            /* it makes resources of clients' sealed memfds */
    unsigned long serial;        /* counts changes of @bound: what was imported before is void */
    char why[LINK_TEXT_MAX + 1]; /* why it is not bound */
};

/* Opens what @choice (borrowed) names: "auto" (every virtio-gpu), "off", or a render node. 0;
 * -errno, with a message, if a node that was named does not serve. "auto" always works out. */
int gpu_init(struct gpu *gpu, const char *choice, char *error, size_t error_size);
void gpu_finish(struct gpu *gpu);

/* The host's nonce: it is in this resource; 0: there is none. A device whose driver has left and
 * returned is opened anew. */
uint32_t gpu_probe(struct gpu *gpu, const uint8_t nonce[LINK_NONCE_SIZE]);
/* True while a device is without its driver, which may return. */
bool gpu_is_away(const struct gpu *gpu);
/* The host's answer. Returns the next resource to try, or 0: that was it. */
uint32_t gpu_answer(struct gpu *gpu, bool bound, const char *why);
/* The host is gone, or does not look any more. */
void gpu_unbind(struct gpu *gpu, const char *why);
/* The device whose resources the host knows; NULL: none. */
struct virtgpu *gpu_device(const struct gpu *gpu);
/* What becomes of shared memory, in words; only while bound. */
const char *gpu_how(const struct gpu *gpu);
