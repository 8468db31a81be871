/* SPDX-License-Identifier: MIT */
#pragma once
/* file-udmabuf: a client's shared memory as a dmabuf, which a GPU's driver can make a resource of.
 */
#include <stdint.h>

#include "common/base/udmabuf.h"

/* The pages of a memfd from @offset on, @size bytes of them, which all have to be within it and
 * whole; and behind them the first page of another one, if @tail is not -1. The kernel wants both
 * sealed against shrinking and not against writing. Returns an owned fd; -EINVAL: it refuses this
 * file; or -errno. */
int udmabuf_of_file(int device, int file, uint64_t offset, uint64_t size, int tail);
