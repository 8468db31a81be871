/* SPDX-License-Identifier: MIT */
#pragma once
/* pipewire_build: messages of PipeWire's native protocol, one at a time. */
#include <stddef.h>
#include <stdint.h>

#include "common/services/pipewire-messages.h"
#include "common/services/pod.h"

extern uint8_t pw_bytes[80 << 10]; /* the message */
extern struct pod_writer pw_w;     /* what is behind its head, in a struct */

/* A new one begins, whose values follow. */
void pw_message(void);
void pw_ints(const uint32_t *values, size_t n);
#define PW_INTS(...)                                                                               \
    pw_ints((const uint32_t[]){__VA_ARGS__},                                                       \
            sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))
void pw_fd(int64_t i);
void pw_id(uint32_t value);
/* Pairs of strings, ended by NULL. */
void pw_properties(const char *const *strings);
/* It is complete: its size in bytes. */
size_t pw_finish(uint32_t object, uint8_t opcode, uint32_t fds);
