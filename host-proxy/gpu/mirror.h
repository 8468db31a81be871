/* SPDX-License-Identifier: MIT */
#pragma once
/* mirror: a memfd of the client that COPY fills (or empties) where the pages themselves cannot be
 * handed out. */
#include <stdbool.h>
#include <stdint.h>

#include "protocol/export.h"

struct guest_ram;
struct resource;

struct mirror {
    uint8_t *bytes; /* NULL: none */
    uint64_t size;
};

/* Whether @fd is a memfd of at least @size bytes that cannot shrink. */
enum export_status mirror_check(int fd, uint64_t size);
/* Maps @fd (taken): a memfd of at least @size bytes that cannot shrink; replaces what was there. */
enum export_status mirror_set(struct mirror *mirror, int fd, uint64_t size);
void mirror_finish(struct mirror *mirror);
/* Row 0 begins at @base: does the rectangle lie within @size bytes? */
bool mirror_within(const struct export_rect *rect, uint64_t base, uint64_t stride, uint64_t size);
/* Copies all rectangles, or none if one of them is out of range. */
enum export_status mirror_copy(const struct mirror *mirror, const struct resource *resource,
                               const struct guest_ram *ram, const struct export_copy *copy);
