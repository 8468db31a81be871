/* SPDX-License-Identifier: MIT */
#pragma once
/* shadows: resources of the GPU that the host has a number for: a client's buffers there. */
#include <stdbool.h>
#include <stdint.h>

#include "common/wayland/wl-shm.h"
#include "guest-proxy/pixels/virtgpu.h"

struct gpu;
struct memory;
struct relay;
struct shadows;

struct shadow {
    struct buffer_backing backing; /* of the wl_buffer that has it (shadow_ops) */
    struct shadows *owner;
    struct relay *relay;
    LIST_ENTRY(shadow) entry;
    struct virtgpu_buffer gpu; /* its map is NULL where it is the client's own memory */
    unsigned long serial;      /* of the binding */
    uint32_t import;
    struct memory *memory; /* what it is for the host (one use of it); NULL: only copied from */
    struct memory *file;   /* then: the client's file that has the bytes (a reference); NULL */
    uint64_t start;        /* where the buffer begins in it */
    uint8_t *tail;    /* a page of ours in place of the one in which the client's file ends; NULL */
    uint64_t tail_at; /* where that is */
    bool idle;        /* no buffer has it; one at the same place of the client's file may */
    bool released;    /* nobody uses it here any more */
};

/* All of one client. */
struct shadows {
    struct gpu *gpu; /* borrowed; NULL: none */
    LIST_HEAD(, shadow) all;
    unsigned n, released_n, idle_n;
    uint64_t bytes;
    bool complained;
};

void shadows_init(struct shadows *shadows, struct gpu *gpu);
/* After the relay, which is gone then. */
void shadows_finish(struct shadows *shadows);
/* The host does not look into the resource any more. */
void shadows_released(struct shadows *shadows, uint32_t import);
/* Drops idle ones that nobody will come back for. */
void shadows_sweep(struct shadows *shadows);

/* A resource of our own of @size bytes; the one behind a dmabuf (borrowed); or one that is @size
 * bytes of a client's sealed memfd from @base on. NULL: none is to be had. */
struct shadow *shadow_create(struct shadows *shadows, struct relay *relay, uint64_t size);
struct shadow *shadow_import(struct shadows *shadows, struct relay *relay, int fd, uint64_t size);
struct shadow *shadow_share(struct shadows *shadows, struct relay *relay, const struct memory *file,
                            uint64_t base, uint64_t size);
/* From now on it is memory for the host: with bytes of @file, whose byte @base is the buffer's
 * first, or (NULL) of our own. 0 or -errno. */
int shadow_become_memory(struct shadow *shadow, struct memory *file, uint64_t base);
/* An idle one of @size bytes that begins at @base of @file; NULL: there is none. */
struct shadow *shadow_find(struct shadows *shadows, const struct memory *file, uint64_t base,
                           uint64_t size);
void shadow_drop(struct shadow *shadow);
/* As shadow_drop(), but a copy may be kept as an idle one. */
void shadow_retire(struct shadow *shadow);
/* False: it belongs to a binding that is over. */
bool shadow_serves(const struct shadow *shadow);
