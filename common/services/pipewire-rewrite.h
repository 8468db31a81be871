/* SPDX-License-Identifier: MIT */
#pragma once
/* pipewire-rewrite: a message of PipeWire's that is written anew: its values, one by one. */
#include "common/services/pipewire-session.h"

struct pipewire_rewrite {
    struct pod_reader in, all; /* the values in its struct; behind that: a footer */
    struct pod_writer out;
    uint8_t bytes[SERVICE_LOOK_MAX + 4096];
    size_t begin;
};

/* The struct that a message is. False: it is none. */
bool pipewire_begin(struct pod_reader *in, const uint8_t *bytes, size_t size);
/* Of a message; NULL: it is no struct. There is one at a time. */
struct pipewire_rewrite *pipewire_rewrite_begin(const uint8_t *bytes, size_t size);
/* The next @n values as they are. */
bool pipewire_rewrite_keep(struct pod_reader *in, struct pod_writer *out, uint32_t n);
/* Puts it in the message's place, with what is left of it and its footer. As message() of
 * service_helper_ops. */
int pipewire_rewrite_end(struct service_helper *helper, struct pipewire_rewrite *rewrite,
                         uint8_t *bytes, size_t *size, size_t room);
