/* SPDX-License-Identifier: MIT */
#pragma once
/* guest-pages: descriptors for the guest's pages themselves, without handing out its memory's file.
 */
#include <stdint.h>

#include "common/base/udmabuf.h"

struct guest_ram;
struct guest_run;

/* A dmabuf of these runs, in their order. Returns an owned fd; -ENODEV: @device is -1; -EINVAL: not
 * whole pages; -E2BIG: more pieces than list_limit; -EFBIG: larger than size_limit_mb; -EPERM: the
 * kernel refuses this memory; or -errno. */
int udmabuf_of_runs(int device, const struct guest_ram *ram, const struct guest_run *runs,
                    uint32_t n);
