/* SPDX-License-Identifier: MIT */
#pragma once
/* udmabuf: dmabufs of pages that a memfd has, where the kernel has /dev/udmabuf. */
#include <stdint.h>

struct udmabuf_create_list;

struct udmabuf_limits {
    uint64_t size; /* bytes; 0: unknown */
    uint32_t list; /* pieces; 0: unknown */
};

/* Opens /dev/udmabuf. Returns an owned fd or -errno. */
int udmabuf_open(void);
/* What the kernel allows now (an administrator may change it at any time). */
void udmabuf_read_limits(struct udmabuf_limits *ret_limits);
/* A dmabuf of the pieces in @list, in their order. Returns an owned fd or -errno. */
int udmabuf_create(int device, struct udmabuf_create_list *list);
