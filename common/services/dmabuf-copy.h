/* SPDX-License-Identifier: MIT */
#pragma once
/* dmabuf-copy: what is in a dmabuf now. */
#include <stdint.h>

/* A memfd with the @size bytes of the dmabuf @fd: owned, -EFBIG: they are more than @max, or
 * another -errno. */
int dmabuf_copy(int fd, uint64_t size, uint64_t max);
