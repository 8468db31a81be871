/* SPDX-License-Identifier: MIT */
#pragma once
/* gpu_guest: a table of resources with a guest's memory, and the commands that its driver sends. */
#include "tests/unit/support.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/fd.h"
#include "host-proxy/gpu/commands.h"

#define PAGE 4096u
#define LOW 0x10000u        /* gpa of the first region: 256 pages */
#define HIGH 0x100000000ull /* gpa of the second one: 256 pages */
#define REGION (256u * PAGE)

struct world {
    struct commands commands;
    struct guest_ram ram;
    uint8_t *bytes; /* of both regions: what the guest sees */
    struct resource *last_gone;
    unsigned n_gone;
};

/* *state: a struct world. */
int commands_setup(void **state);
int commands_teardown(void **state);

/* To the last command. */
extern uint8_t guest_response[COMMANDS_RESPONSE_MAX];

/* Executes a command that is exactly so long, in memory of exactly that size. Returns the type of
 * the answer. */
uint32_t execute_held(struct world *w, const void *command, size_t size,
                      struct resource **ret_doomed);

/* The same, which no resource is to wait for. */
uint32_t execute(struct world *w, const void *command, size_t size);

#define HDR(t) .hdr = {.type = VIRTIO_GPU_CMD_##t}
#define OK VIRTIO_GPU_RESP_OK_NODATA
#define ERR_UNSPEC VIRTIO_GPU_RESP_ERR_UNSPEC
#define ERR_ID VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define ERR_PARAM VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define ERR_SCANOUT VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID
#define ERR_MEMORY VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY

/* One command each; its answer's type. */
uint32_t create_2d(struct world *w, uint32_t id, uint32_t width, uint32_t height, uint32_t format);
uint32_t unref(struct world *w, uint32_t id);
uint32_t detach(struct world *w, uint32_t id);

/* @listed entries follow, @claimed are announced. */
uint32_t attach_claiming(struct world *w, uint32_t id, const struct virtio_gpu_mem_entry *entries,
                         uint32_t listed, uint32_t claimed);

/* @n entries. */
uint32_t attach(struct world *w, uint32_t id, const struct virtio_gpu_mem_entry *entries,
                uint32_t n);
uint32_t create_blob(struct world *w, struct virtio_gpu_resource_create_blob c,
                     const struct virtio_gpu_mem_entry *entries, uint32_t n);
