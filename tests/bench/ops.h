/* SPDX-License-Identifier: MIT */
#pragma once
/* How the benchmark's client steers the benchmark's compositor: wl_region.add(op, arg, 0, 0), which
 * every proxy carries as plain bytes. */
#include <stddef.h>
#include <stdint.h>

enum bench_op {
    BENCH_OP_NONE,   /* nothing: the message whose rate is measured */
    BENCH_OP_EVENTS, /* sends @arg wl_pointer.motion events to the client's pointers */
    BENCH_OP_OFFER,  /* offers a selection of @arg bytes */
    BENCH_OP_CHECK,  /* ends the client unless what its last surface shows hashes to @arg */
};

#define BENCH_MIME "application/octet-stream"
#define BENCH_MIB ((size_t)1 << 20)

/* What a service is asked (bench_service). */
enum bench_request_op {
    BENCH_REQUEST_NONE,    /* nothing */
    BENCH_REQUEST_ANSWER,  /* the request back */
    BENCH_REQUEST_SWALLOW, /* that many bytes follow; then the request back */
    BENCH_REQUEST_PIPE,    /* a pipe has come with it: BENCH_PIPE bytes into that, and its end */
};
struct bench_request {
    uint64_t op, bytes;
    uint8_t rest[48];
};

#define BENCH_PIPE ((size_t)64)

/* A hash that sees order and position, fast enough for a 4K frame; @size is a multiple of 4. */
static inline int32_t bench_hash(const void *data, size_t size)
{
    const uint32_t *word = data;
    uint32_t a = 1, b = 0;

    for (size_t i = 0; i < size / sizeof(*word); i++) {
        a += word[i];
        b += a;
    }
    return (int32_t)(b ^ (a << 16 | a >> 16));
}
