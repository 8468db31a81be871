/* SPDX-License-Identifier: MIT */
#pragma once
/* renderer_fake: a renderer that draws nothing: it keeps the books, aborts when it is told to do
 * what makes no sense, and reads and writes every byte that it may. It is an engine, and, without a
 * process between, a device's renderer. */
#include <stdbool.h>
#include <stdint.h>

#include "host-proxy/gpu/renderer.h"
#include "host-proxy/gpu/renderer/engine.h"

#define FAKE_THINGS 1024
#define FAKE_SIDE 64 /* of its one picture, which every resource shows */
#define FAKE_ANSWERS 1024

struct loop;

extern struct fake_renderer {
    struct renderer renderer;
    struct engine engine;
    struct renderer_capset capsets[2];
    struct engine_capset engine_capsets[2];
    uint32_t contexts[FAKE_THINGS], resources[FAKE_THINGS];
    unsigned n_contexts, n_resources;
    uint32_t picture[FAKE_SIDE][FAKE_SIDE];
    struct {
        uint8_t *bytes;
        uint64_t size;
    } memories[FAKE_THINGS]; /* that it was given; numbers from 1 */
    /* What it does. */
    bool refuses;
    bool is_gone; /* as a renderer: there is none for a while */
    bool is_busy;
    uint32_t pixel; /* bytes */
    int (*make_fd)(void);
    struct render_layout layout;
    /* What it saw. */
    uint32_t init; /* capset of the last context */
    struct render_resource made;
    struct render_transfer moved;
    uint32_t last_fence, words;
    uint32_t first_word, sum;
    unsigned attached, transfers, fences, n_memories;
    /* As a renderer: answers that wait, while it has a loop. */
    struct fake_answer {
        struct renderer_transfer transfer;
        int result, fd;
        bool is_export;
        struct render_layout layout;
    } answers[FAKE_ANSWERS];
    unsigned n_answers;
    struct loop *loop;
    struct loop_timer *timer;
} fake;

/* Makes everything of it anew. */
struct engine *fake_engine(void);
struct renderer *fake_renderer(void);
/* Its answers come from @loop from now on, until fake_detach_loop(). */
void fake_attach_loop(struct loop *loop);
void fake_detach_loop(void);
/* It is gone with all that it had; what waits for an answer gets none. */
void fake_lose(void);
