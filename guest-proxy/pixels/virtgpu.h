/* SPDX-License-Identifier: MIT */
#pragma once
/* virtgpu: one of the guest's virtio-gpu devices: memory that both the guest and its host can see.
 * The only user of libdrm. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sandbox/filter.h"

#define VIRTGPU_BUFFER_MAX (128u << 20) /* bytes */

struct virtgpu;

/* The requests that are made of render nodes. */
extern const struct filter_rule virtgpu_calls[];

/* A resource in guest memory, mapped. */
struct virtgpu_buffer {
    struct virtgpu *gpu; /* NULL: none */
    uint32_t handle;     /* GEM */
    uint32_t resource;   /* what the host calls it */
    uint8_t *map;        /* NULL: an import */
    uint64_t size;       /* whole pages */
};

/* The virtio-gpu behind a render node. NULL: errno, with a message. */
struct virtgpu *virtgpu_open(const char *path, char *error, size_t error_size);
void virtgpu_close(struct virtgpu *gpu); /* accepts NULL; it ends with the last of its buffers */
/* False once its driver has left it; another open may find it again. */
bool virtgpu_alive(const struct virtgpu *gpu);
const char *virtgpu_path(const struct virtgpu *gpu);
uint64_t virtgpu_device(const struct virtgpu *gpu); /* dev_t of the render node */
/* True if its memory comes as blobs, false if as classic 2D resources. */
bool virtgpu_has_blobs(const struct virtgpu *gpu);
/* The host draws for it. */
bool virtgpu_has_3d(const struct virtgpu *gpu);

/* At least @size bytes, zeroed, marked as shared. 0 or -errno. */
int virtgpu_buffer_create(struct virtgpu *gpu, uint64_t size, struct virtgpu_buffer *ret);
/* The resource behind a client's dmabuf (borrowed): this device's own, or made of another's memory
 * where the kernel can. 0 or -errno. */
int virtgpu_buffer_import(struct virtgpu *gpu, int fd, uint64_t size, struct virtgpu_buffer *ret);
void virtgpu_buffer_destroy(
    struct virtgpu_buffer *buffer); /* leaves it empty; accepts an empty one */

/* Calls @found with the path of every render node of the system, whatever drives it. */
void virtgpu_each_node(void (*found)(void *user, const char *path), void *user);
