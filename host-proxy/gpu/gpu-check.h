/* SPDX-License-Identifier: MIT */
#pragma once
/* gpu-check: wayvsock-gpu --check. */
struct gpu_options;

/* Tells line by line what is in place. The exit status: 0 if the device would serve. */
int gpu_check_run(const struct gpu_options *options);
