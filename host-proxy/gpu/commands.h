/* SPDX-License-Identifier: MIT */
#pragma once
/* commands: what the guest's driver asks of its virtio-gpu, one command at a time, without queues.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_gpu.h>

#include "host-proxy/gpu/commands-3d.h"
#include "host-proxy/gpu/resources.h"

/* The longest command: a blob with its list of pages. */
#define COMMANDS_REQUEST_MAX                                                                       \
    (sizeof(struct virtio_gpu_resource_create_blob) +                                              \
     RESOURCE_ENTRIES_MAX * sizeof(struct virtio_gpu_mem_entry))
#define COMMANDS_RESPONSE_MAX (sizeof(struct virtio_gpu_ctrl_hdr) + COMMANDS_3D_CAPSET_MAX)
#define COMMANDS_FEATURES                                                                          \
    ((1ull << VIRTIO_GPU_F_RESOURCE_UUID) | (1ull << VIRTIO_GPU_F_RESOURCE_BLOB))

struct commands {
    struct resources table;
    struct guest_ram *ram; /* borrowed; NULL while there is none */
    uint64_t features;     /* accepted by the driver */
    bool changed; /* something may have become possible to export since the caller cleared this */
    /* The resource has been destroyed or has no more memory. It is valid during the call, and
     * longer while it is held. */
    void (*gone)(void *user, struct resource *resource);
    void *user;
    struct resource_entry *entries; /* of the command at hand */
    struct commands_3d drawing;     /* without a renderer unless the caller sets it */
};

int commands_init(struct commands *commands, void (*gone)(void *user, struct resource *resource),
                  void *user);
void commands_finish(struct commands *commands);

/* Executes a command of the control queue (@request is aligned to 8 bytes); @size may be above
 * COMMANDS_REQUEST_MAX (then only so much of it is there, and it is refused). Writes at most
 * COMMANDS_RESPONSE_MAX bytes to @response and returns how many, at least a header. *ret_doomed: a
 * destroyed resource that is still held (or NULL): the caller's from now on, to be destroyed before
 * the guest sees the response. */
size_t commands_control(struct commands *commands, uint8_t *request, size_t size, uint8_t *response,
                        struct resource **ret_doomed);
/* The same for the cursor queue. Nothing is displayed. */
size_t commands_cursor(struct commands *commands, const uint8_t *request, size_t size,
                       uint8_t *response);
