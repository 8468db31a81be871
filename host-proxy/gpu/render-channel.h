/* SPDX-License-Identifier: MIT */
#pragma once
/* render-channel: the device's end of the connection to one renderer, which is not believed. */
#include <stdbool.h>
#include <stdint.h>

#include "host-proxy/gpu/renderer.h"

struct loop;
struct render_channel;

#define RENDER_CHANNEL_PENDING_MAX 4096u     /* requests without an answer, before it is busy */
#define RENDER_CHANNEL_HELD_MAX (128u << 20) /* bytes on their way, before it is busy */
#define RENDER_CHANNEL_QUEUE_MAX 65536u      /* packets that it has not read, before it is ended */

struct render_channel_ops {
    /* It has told what it can draw. False: not with this one. */
    bool (*ready)(void *user, const struct renderer_capset *capsets, unsigned n);
    void (*finished)(void *user, uint32_t number);
    void (*transferred)(void *user, const struct renderer_transfer *transfer, int result);
    void (*exported)(void *user, uint64_t ticket, int fd, const struct render_layout *layout);
    /* Something has been answered. */
    void (*answered)(void *user);
    /* The connection is over; @text (or NULL) says why in its words. It is destroyed later. */
    void (*ended)(void *user, const char *text);
};

/* Takes @fd. Numbers of memories go on after @last_id. NULL: errno. */
struct render_channel *render_channel_create(struct loop *loop, int fd, uint32_t last_id,
                                             const struct render_channel_ops *ops, void *user);
/* What was asked and not answered is told as failed (-ECANCELED), in its order. Accepts NULL. */
void render_channel_destroy(struct render_channel *channel);
/* Copies the set of capabilities, of one that ready() was told of. */
void render_channel_capset(const struct render_channel *channel, uint32_t id, uint32_t version,
                           void *bytes);
uint32_t render_channel_last_id(const struct render_channel *channel);
bool render_channel_busy(const struct render_channel *channel);
/* Whether anything waits for an answer, READY included. */
bool render_channel_waits(const struct render_channel *channel);

/* Something without an answer. */
void render_channel_tell(struct render_channel *channel, unsigned type,
                         const union render_message *message);
/* As in renderer_ops. */
int render_channel_stage(struct render_channel *channel, uint64_t size, struct renderer_stage *ret);
int render_channel_transfer(struct render_channel *channel,
                            const struct renderer_transfer *transfer);
int render_channel_submit(struct render_channel *channel, uint32_t context, const void *commands,
                          uint32_t words);
void render_channel_fence(struct render_channel *channel, uint32_t context, uint32_t number);
int render_channel_export(struct render_channel *channel, uint32_t id, uint64_t ticket);
int render_channel_memory(struct render_channel *channel, int fd, uint64_t size, uint32_t *ret_id);
void render_channel_forget(struct render_channel *channel, uint32_t id);
