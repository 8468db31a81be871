/* SPDX-License-Identifier: MIT */
#pragma once
/* fourcc: DRM formats that differ in nothing but whether there is alpha (drm_fourcc.h). */
#include <stdbool.h>
#include <stdint.h>

/* @fourcc with alpha or without, channels and their order being the same; where there is only one
 * of the two, that. 0: not one of those that pictures of a GPU have. */
uint32_t fourcc_with_alpha(uint32_t fourcc, bool alpha);
bool fourcc_has_alpha(uint32_t fourcc);
/* Bytes per pixel; 0 as above. */
uint32_t fourcc_cpp(uint32_t fourcc);
/* True if the channels have as many bits in both, in whatever order; alpha does not count. */
bool fourcc_alike(uint32_t a, uint32_t b);
