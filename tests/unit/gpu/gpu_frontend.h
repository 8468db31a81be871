/* SPDX-License-Identifier: MIT */
#pragma once
/* gpu_frontend: a hypervisor whose guest has a virtio-gpu, and what its driver asks for. */
#include "tests/unit/vhost-user/fake_frontend.h"

#include <errno.h>
#include <sys/eventfd.h>

#include <linux/virtio_gpu.h>

#include "common/base/fd.h"
#include "host-proxy/gpu/device.h"

#define ALL_FEATURES                                                                               \
    (FRONTEND_FEATURES | FEATURE(VIRTIO_GPU_F_RESOURCE_UUID) | FEATURE(VIRTIO_GPU_F_RESOURCE_BLOB))

void gpu_frontend_init(struct fake_frontend *f, struct loop *loop, struct device *device);

struct virtio_gpu_ctrl_hdr driver_answer(struct fake_frontend *f, unsigned i, unsigned slot);
/* Executes one command; the type of its answer. */
uint32_t driver_command(struct fake_frontend *f, const void *command, size_t size);
uint32_t driver_create(struct fake_frontend *f, uint32_t id, uint32_t width, uint32_t height);
uint32_t driver_attach(struct fake_frontend *f, uint32_t id,
                       const struct virtio_gpu_mem_entry *entries, uint32_t n);
uint32_t driver_simple(struct fake_frontend *f, uint32_t type, uint32_t id);
/* A 2D resource of 64 × 32 with its 2 pages, not neighbours, shared. */
void driver_make(struct fake_frontend *f, uint32_t id, uint64_t first, uint64_t second);
