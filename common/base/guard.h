/* SPDX-License-Identifier: MIT */
#pragma once
/* guard: reading a mapping of a client's file, which the client may shrink at any time. */
#include <stddef.h>
#include <stdint.h>

/* Handles SIGBUS from now on. 0 or -errno. */
int guard_init(void);
/* Calls @read, which may load from the mapping @map of @map_size bytes, and does nothing else. 0,
 * or -EFAULT: the file is shorter now; all of the mapping has become zeros of ours, for whoever
 * looks at it until it goes. For one thread of the process, after guard_init(). */
int guard_read(void (*read)(void *user), void *user, uint8_t *map, size_t map_size);
/* The same for copying @size bytes that lie within the mapping. */
int guard_copy(void *to, const uint8_t *from, size_t size, uint8_t *map, size_t map_size);
