/* SPDX-License-Identifier: MIT */
#pragma once
/* renderer_fake: a renderer that draws nothing: it keeps the books, aborts when it is told to do
 * what makes no sense, and reads and writes every byte that it may. */
#include <stdbool.h>
#include <stdint.h>

#include "host-proxy/gpu/renderer.h"

#define FAKE_THINGS 1024
#define FAKE_SIDE 64 /* of its one picture, which every resource shows */

extern struct fake_renderer {
    struct renderer renderer;
    struct renderer_capset capsets[2];
    uint32_t contexts[FAKE_THINGS], resources[FAKE_THINGS];
    unsigned n_contexts, n_resources;
    struct {
        uint32_t id; /* 0: free */
        struct iovec *iov;
        unsigned n;
    } memory[FAKE_THINGS];
    uint32_t picture[FAKE_SIDE][FAKE_SIDE];
    /* What it does. */
    bool refuses;
    uint32_t pixel; /* bytes */
    int (*make_fd)(void);
    struct renderer_layout layout;
    /* What it saw. */
    uint32_t init; /* capset of the last context */
    struct renderer_resource made;
    struct renderer_transfer moved;
    uint32_t last_fence, words;
    uint32_t first_word, sum;
    unsigned attached, transfers, fences;
} fake;

/* Makes everything of it anew. */
struct renderer *fake_renderer(void);

/* Where in @memory that of resource @id is (0: a free place); FAKE_THINGS: it has none. */
unsigned fake_memory(uint32_t id);
