/* SPDX-License-Identifier: MIT */
#pragma once
/* allocated: how much of a memory's file the kernel has. */
#include <stdint.h>
#include <sys/stat.h>

#include "common/base/memory.h"

static inline uint64_t memory_allocated(const struct memory *m)
{
    struct stat st;
    return fstat(m->fd, &st) < 0 ? UINT64_MAX : (uint64_t)st.st_blocks * 512;
}
