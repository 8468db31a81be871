/* SPDX-License-Identifier: MIT */
#pragma once
/* gpu-sandbox: what is left of the device's rights once it serves. */

struct gpu_options;

/* Files and system calls. @export_path: where is exported, or "". 0 or -errno, with a line in the
 * log. */
int gpu_sandbox_enter(const struct gpu_options *options, const char *export_path);
