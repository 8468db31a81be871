/* SPDX-License-Identifier: MIT */
#pragma once
/* renderer_fake: a renderer that draws nothing: it keeps the books, aborts when it is told to do
 * what makes no sense, and reads and writes every byte that it may. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-proxy/gpu/renderer.h"

#define FAKE_THINGS 1024
#define FAKE_SIDE 64 /* of its one picture, which every resource shows */

static struct fake_renderer {
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
} R;

static void fake_expect(bool condition)
{
    if (!condition)
        abort();
}

static unsigned fake_find(const uint32_t *ids, unsigned n, uint32_t id)
{
    unsigned i = 0;
    while (i < n && ids[i] != id)
        i++;
    return i;
}

static bool fake_has(uint32_t resource)
{
    return fake_find(R.resources, R.n_resources, resource) < R.n_resources;
}

static bool fake_has_context(uint32_t context)
{
    return fake_find(R.contexts, R.n_contexts, context) < R.n_contexts;
}

static void fake_capset(struct renderer *r, uint32_t id, uint32_t version, void *bytes)
{
    fake_expect(r == &R.renderer && id >= 1 && id <= 2 && version <= R.capsets[id - 1].version);
    memset(bytes, (int)(0xa0 + id), R.capsets[id - 1].size);
}

static int fake_context_create(struct renderer *r, uint32_t id, uint32_t capset)
{
    fake_expect(r == &R.renderer && id != 0 && capset <= 2 && !fake_has_context(id));
    if (R.refuses)
        return -ENOMEM;
    fake_expect(R.n_contexts < FAKE_THINGS);
    R.contexts[R.n_contexts++] = id;
    R.init = capset;
    return 0;
}

static void fake_context_destroy(struct renderer *r, uint32_t id)
{
    (void)r;
    unsigned i = fake_find(R.contexts, R.n_contexts, id);
    fake_expect(i < R.n_contexts);
    R.contexts[i] = R.contexts[--R.n_contexts];
}

static void fake_context_attach(struct renderer *r, uint32_t id, uint32_t resource)
{
    (void)r;
    fake_expect(fake_has_context(id) && fake_has(resource));
    R.attached++;
}

static void fake_context_detach(struct renderer *r, uint32_t id, uint32_t resource)
{
    (void)r;
    fake_expect(fake_has_context(id) && fake_has(resource));
    R.attached--;
}

static int fake_create(struct renderer *r, const struct renderer_resource *resource)
{
    (void)r;
    fake_expect(resource->id != 0 && !fake_has(resource->id));
    if (R.refuses)
        return -EINVAL;
    fake_expect(R.n_resources < FAKE_THINGS);
    R.resources[R.n_resources++] = resource->id;
    R.made = *resource;
    return 0;
}

static unsigned fake_memory(uint32_t id)
{
    for (unsigned i = 0; i < FAKE_THINGS; i++) {
        if (R.memory[i].id == id)
            return i;
    }
    return FAKE_THINGS;
}

static void fake_resource_destroy(struct renderer *r, uint32_t id)
{
    (void)r;
    unsigned i = fake_find(R.resources, R.n_resources, id);
    fake_expect(i < R.n_resources && fake_memory(id) == FAKE_THINGS);
    R.resources[i] = R.resources[--R.n_resources];
}

static int fake_attach(struct renderer *r, uint32_t id, struct iovec *iov, unsigned n_iov)
{
    (void)r;
    fake_expect(fake_has(id) && fake_memory(id) == FAKE_THINGS && n_iov > 0);
    if (R.refuses)
        return -EINVAL;
    unsigned i = fake_memory(0);
    fake_expect(i < FAKE_THINGS);
    R.memory[i].id = id;
    R.memory[i].iov = iov;
    R.memory[i].n = n_iov;
    return 0;
}

static void fake_detach(struct renderer *r, uint32_t id)
{
    (void)r;
    unsigned i = fake_memory(id);
    fake_expect(i < FAKE_THINGS);
    R.memory[i].id = 0;
}

static uint8_t *fake_byte(const struct iovec *iov, unsigned n, uint64_t at)
{
    for (unsigned i = 0; i < n; i++) {
        if (at < iov[i].iov_len)
            return (uint8_t *)iov[i].iov_base + at;
        at -= iov[i].iov_len;
    }
    return NULL;
}

static int fake_transfer(struct renderer *r, const struct renderer_transfer *t)
{
    const struct iovec *iov = t->iov;
    unsigned n = t->n_iov;
    (void)r;
    fake_expect(fake_has(t->id) && (t->context == 0 || fake_has_context(t->context)));
    R.moved = *t;
    R.transfers++;
    if (n == 0) {
        unsigned i = fake_memory(t->id);
        fake_expect(i < FAKE_THINGS);
        iov = R.memory[i].iov;
        n = R.memory[i].n;
        /* Where its last row begins is in there. */
        fake_expect(fake_byte(iov, n,
                              t->offset + (uint64_t)(t->box.height - 1) * t->stride +
                                  (uint64_t)(t->box.depth - 1) * t->layer_stride) != NULL);
    }
    if (R.refuses)
        return -EINVAL;
    for (uint32_t y = 0; y < t->box.height && y < FAKE_SIDE; y++) {
        for (uint32_t i = 0; i < t->box.width * R.pixel && i < sizeof(R.picture[0]); i++) {
            uint8_t *there = fake_byte(iov, n, t->offset + (uint64_t)y * t->stride + i);
            uint8_t *here = (uint8_t *)&R.picture[(t->box.y + y) % FAKE_SIDE] +
                            (t->box.x % FAKE_SIDE * R.pixel + i) % sizeof(R.picture[0]);
            fake_expect(there || t->n_iov == 0);
            if (there)
                *(t->to_renderer ? here : there) = *(t->to_renderer ? there : here);
        }
    }
    return 0;
}

static int fake_submit(struct renderer *r, uint32_t context, void *commands, uint32_t words)
{
    (void)r;
    fake_expect(fake_has_context(context) && (uintptr_t)commands % 8 == 0 && words > 0);
    R.words = words;
    memcpy(&R.first_word, commands, 4);
    R.sum = 0; /* all of them are there */
    for (uint32_t i = 0; i < words; i++)
        R.sum += ((uint32_t *)commands)[i];
    return R.refuses ? -EINVAL : 0;
}

static int fake_fence(struct renderer *r, uint32_t context, uint32_t number)
{
    (void)r;
    (void)context;
    if (R.refuses)
        return -ENOMEM;
    R.last_fence = number;
    R.fences++;
    return 0;
}

static int fake_dmabuf(struct renderer *r, uint32_t id, struct renderer_layout *ret_layout)
{
    (void)r;
    fake_expect(fake_has(id));
    if (!R.make_fd)
        return -ENOTSUP;
    *ret_layout = R.layout;
    return R.make_fd();
}

static void fake_destroy(struct renderer *r)
{
    (void)r;
}

static const struct renderer_ops fake_ops = {
    .capset = fake_capset,
    .context_create = fake_context_create,
    .context_destroy = fake_context_destroy,
    .context_attach = fake_context_attach,
    .context_detach = fake_context_detach,
    .resource_create = fake_create,
    .resource_destroy = fake_resource_destroy,
    .attach = fake_attach,
    .detach = fake_detach,
    .transfer = fake_transfer,
    .submit = fake_submit,
    .fence = fake_fence,
    .export = fake_dmabuf,
    .destroy = fake_destroy,
};

static struct renderer *fake_renderer(void)
{
    R = (struct fake_renderer){.capsets = {{1, 1, 308}, {2, 2, 1376}}, .pixel = 4};
    R.renderer = (struct renderer){.ops = &fake_ops, .capsets = R.capsets, .n_capsets = 2};
    return &R.renderer;
}
