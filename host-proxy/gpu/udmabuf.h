/* SPDX-License-Identifier: MIT */
#pragma once
/* udmabuf: descriptors for the guest's pages themselves, without handing out its memory's file. */
#include <stdint.h>

struct guest_ram;
struct guest_run;

struct udmabuf_limits {
    uint64_t size; /* bytes; 0: unknown */
    uint32_t list; /* runs; 0: unknown */
};

/* Opens /dev/udmabuf. Returns an owned fd or -errno. */
int udmabuf_open(void);
/* What the kernel allows now (an administrator may change it at any time). */
void udmabuf_read_limits(struct udmabuf_limits *ret_limits);

/* A dmabuf of these runs, in their order. Returns an owned fd; -ENODEV: @device is -1; -EINVAL: not
 * whole pages; -E2BIG: more pieces than list_limit; -EFBIG: larger than size_limit_mb; -EPERM: the
 * kernel refuses this memory; or -errno. */
int udmabuf_create(int device, const struct guest_ram *ram, const struct guest_run *runs,
                   uint32_t n);
