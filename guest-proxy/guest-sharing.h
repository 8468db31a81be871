/* SPDX-License-Identifier: MIT */
#pragma once
/* guest-sharing: what makes memory of a program here one that the host's programs can have, too: a
 * resource of the GPU that the host looks into. */
#include <stdbool.h>
#include <stdint.h>

struct gpu;

/* As vfd_sharing_ops.make and drop. @gpu NULL: there is none. */
void *guest_sharing_make(struct gpu *gpu, int fd, uint64_t size, bool file, uint32_t *ret_resource);
void guest_sharing_drop(void *resource);
