/* SPDX-License-Identifier: MIT */
#pragma once
/* egl: a texture's memory as a descriptor; the only user of EGL. */
#include <stdint.h>

struct render_layout;

/* Of a 2D texture of the thread's current context: a descriptor (owned) with all of the layout, or
 * -ENOTSUP: the driver has none to give, or memory of several planes. */
int egl_export(uint32_t texture, struct render_layout *ret_layout);
