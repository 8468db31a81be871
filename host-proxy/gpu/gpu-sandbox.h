/* SPDX-License-Identifier: MIT */
#pragma once
/* gpu-sandbox: what is left of the device's rights once it serves. Two steps, as the driver that
 * draws starts between them. */

struct gpu_options;

/* The files, for threads that start from now on. @export_path: where is exported, or "". 0 or
 * -errno, with a line in the log. */
int gpu_sandbox_enter(const struct gpu_options *options, const char *export_path);
/* The system calls of all threads. 0 or -errno, with a line in the log. */
int gpu_sandbox_filter(const struct gpu_options *options);
