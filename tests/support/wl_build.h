/* SPDX-License-Identifier: MIT */
#pragma once
/* wl_build: Wayland messages for tests of every kind, with the arguments written out. */
#include <stddef.h>
#include <stdint.h>

/* Appends a message to @at, which has room: one letter per argument: u (also i, o, n), s, N
 * (string, version, id). Returns its size. */
size_t wl_build(uint8_t *at, uint32_t object, uint16_t opcode, const char *signature, ...);
