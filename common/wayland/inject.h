/* SPDX-License-Identifier: MIT */
#pragma once
/* inject: messages of our own, of whole words, to Wayland objects on either side of a relay. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/wayland/relay.h"

/* Opcodes of what we say, and of what stands for something else at the host. */
enum { REGISTRY_BIND = 0, DISPLAY_SYNC = 0, DISPLAY_DELETE_ID = 1 };
enum { SHM_CREATE_POOL = 0, SHM_FORMAT = 0 };
enum { POOL_CREATE_BUFFER = 0, POOL_DESTROY = 1, POOL_RESIZE = 2 };
enum { DMABUF_CREATE_PARAMS = 1, DMABUF_FORMAT = 0, DMABUF_MODIFIER = 1 };
enum { PARAMS_DESTROY = 0, PARAMS_ADD = 1, PARAMS_CREATE_IMMED = 3 };
enum { PARAMS_CREATED = 0, PARAMS_FAILED = 1 };

#define INJECT_WORDS_MAX 24

/* @at has room for INJECT_WORDS_MAX words and the header. Returns the message's size in bytes. */
static inline size_t inject_message(uint32_t *at, uint32_t object, uint16_t opcode, size_t n,
                                    const uint32_t *words)
{
    at[0] = object;
    at[1] = (uint32_t)(WL_HEADER_SIZE + 4 * n) << 16 | opcode;
    if (n)
        memcpy(at + 2, words, 4 * n);
    return WL_HEADER_SIZE + 4 * n;
}

#define WORDS(...)                                                                                 \
    (sizeof((uint32_t[]){__VA_ARGS__}) / 4), (const uint32_t[])                                    \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
/* guest: @object is named as the application does, ids among the words as the host does. */
#define TO_HOST(r, object, opcode, ...)                                                            \
    do {                                                                                           \
        uint32_t message_[2 + INJECT_WORDS_MAX];                                                   \
        relay_inject_link(                                                                         \
            r, message_, inject_message(message_, relay_host_id(r, object), opcode, __VA_ARGS__)); \
    } while (0)
/* To whoever is at this end: the guest's client, the host's compositor. */
#define TO_LOCAL(r, object, opcode, ...)                                                           \
    do {                                                                                           \
        uint32_t message_[2 + INJECT_WORDS_MAX];                                                   \
        relay_inject_local(r, message_, inject_message(message_, object, opcode, __VA_ARGS__));    \
    } while (0)
