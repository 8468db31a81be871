/* SPDX-License-Identifier: MIT */
#pragma once
/* gpu-memory: resources of the guest's GPU, by the numbers (imports) that the guest gives them,
 * memory that they are, and rows that are copied from there and back. Who looks into the GPU is the
 * business of whoever has the ops. */
#include <stdbool.h>
#include <stdint.h>

#include "protocol/frames.h"

struct memory;
struct vfds;

/* Those that return int: 0, or negative after the connection was ended. */
struct gpu_memory_ops {
    /* host: what the guest says of its GPU's resources, checked as far as that needs no GPU. */
    int (*import)(void *user, const struct link_import *import);
    int (*release)(void *user, uint32_t import);
    /* host: memory that is an import (a new reference), or NULL. */
    struct memory *(*memory)(void *user, const struct link_mem_import *said);
    int (*copy)(void *user, struct memory *memory, const struct link_mem_copy *copy);
    /* host: false: a frame of that type is to wait for the GPU; link_resume(). */
    bool (*may_go_on)(void *user, enum link_type type);
    /* guest: the host does not look into the resource any more. */
    int (*released)(void *user, uint32_t import);
    /* guest: rows that the host was let write (carrier_ops.writable) are in the resource. */
    int (*copied_back)(void *user, struct memory *memory, const struct link_mem_copy *copy);
};

struct gpu_memory {
    struct vfds *vfds;
    const struct gpu_memory_ops *ops; /* NULL: there is nothing of the kind */
    void *user;
    uint32_t next; /* the number that the next IMPORT has (guest: will have) */
};

/* guest: gives @resource a number, until gpu_memory_release() and then ops->released(). */
uint32_t gpu_memory_import(struct gpu_memory *gpu, uint32_t resource, uint64_t size);
void gpu_memory_release(struct gpu_memory *gpu, uint32_t import);
/* host: so that the guest may reuse it. */
void gpu_memory_released(struct gpu_memory *gpu, uint32_t import);
/* guest: memory, with one use of it, that the host finds in @import: @size bytes of @file from
 * @base on (NULL: bytes of our own). No VFD yet. NULL: errno. */
struct memory *gpu_memory_make(struct gpu_memory *gpu, uint32_t import, uint64_t size,
                               struct memory *file, uint64_t base);
/* Rows of @memory that are in @import, at @source_offset, @source_stride apart. */
void gpu_memory_copy(struct gpu_memory *gpu, const struct memory *memory,
                     struct link_mem_write rows, uint32_t import, uint64_t source_offset,
                     uint32_t source_stride);

/* The frame types that are of this module. */
bool gpu_memory_has(enum link_type type);
int gpu_memory_frame(struct gpu_memory *gpu, enum link_type type, const uint8_t *payload,
                     size_t size);
