/* SPDX-License-Identifier: MIT */
#pragma once
/* commands-3d: what the guest's driver asks for drawing, checked, and handed to a renderer. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_gpu.h>

#include "host-proxy/gpu/resources.h"

struct renderer;
struct renderer_transfer;

#define COMMANDS_3D_CONTEXTS_MAX 256u
#define COMMANDS_3D_CAPSET_MAX 4096u        /* bytes */
#define COMMANDS_3D_BYTES_MAX (4ull << 30)  /* of all resources, estimated */
#define COMMANDS_3D_BUFFER_MAX (1ull << 30) /* bytes of one without a picture */
#define COMMANDS_3D_LAYERS_MAX 2048u        /* of one resource */
#define COMMANDS_3D_LEVELS_MAX 16u
#define COMMANDS_3D_SAMPLES_MAX 32u
#define COMMANDS_3D_FEATURES ((1ull << VIRTIO_GPU_F_VIRGL) | (1ull << VIRTIO_GPU_F_CONTEXT_INIT))

struct commands_3d {
    struct renderer *renderer; /* borrowed; NULL: there is no 3D */
    struct {
        uint32_t id;
        uint64_t life; /* of the renderer that has it */
    } contexts[COMMANDS_3D_CONTEXTS_MAX];
    unsigned n_contexts;
    uint64_t bytes; /* of all resources, estimated */
    uint64_t cuts;  /* what the guest asked for before the last one is nobody's any more */
};

/* How long a command of this type is, without what may follow (*ret_more). 0: not 3D. */
size_t commands_3d_size(uint32_t type, bool *ret_more);
/* Executes one, whose size commands_3d_size() allows. Returns the answer's type; what follows its
 * header is written behind it, and *length changed. What the renderer makes of it shows later. */
uint32_t commands_3d_execute(struct commands_3d *c, struct resources *table,
                             const struct guest_ram *ram, uint64_t features, uint8_t *request,
                             size_t size, uint8_t *response, size_t *length);
/* Whether the guest's memory is complete only when the renderer is done. */
bool commands_3d_fills_memory(uint32_t type);
/* The renderer is done with a transfer (0 or -errno); copies what the guest asked for. */
void commands_3d_transferred(struct commands_3d *c, const struct resources *table,
                             const struct guest_ram *ram, const struct renderer_transfer *transfer,
                             int result);
/* Nothing is written into the guest's memory any more for what it has asked so far. */
void commands_3d_cut(struct commands_3d *c);
const char *commands_3d_name(uint32_t type); /* NULL: not 3D */
/* The answer's type for 0 or -errno, in 2D as well. */
uint32_t commands_3d_error(int error);

/* The renderer forgets it. */
void commands_3d_forget(struct commands_3d *c, struct resource *resource);
/* It forgets everything. */
void commands_3d_reset(struct commands_3d *c, const struct resources *table);
/* The renderer has it, and is the one that made it. */
bool commands_3d_has(const struct commands_3d *c, const struct resource *resource);
