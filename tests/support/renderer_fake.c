/* SPDX-License-Identifier: MIT */
/* What makes no sense ends the program, so that a fuzz target sees it too. */
#include "tests/support/renderer_fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fake_renderer fake;

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
    return fake_find(fake.resources, fake.n_resources, resource) < fake.n_resources;
}

static bool fake_has_context(uint32_t context)
{
    return fake_find(fake.contexts, fake.n_contexts, context) < fake.n_contexts;
}

static void fake_capset(struct renderer *r, uint32_t id, uint32_t version, void *bytes)
{
    fake_expect(r == &fake.renderer && id >= 1 && id <= 2 &&
                version <= fake.capsets[id - 1].version);
    memset(bytes, (int)(0xa0 + id), fake.capsets[id - 1].size);
}

static int fake_context_create(struct renderer *r, uint32_t id, uint32_t capset)
{
    fake_expect(r == &fake.renderer && id != 0 && capset <= 2 && !fake_has_context(id));
    if (fake.refuses)
        return -ENOMEM;
    fake_expect(fake.n_contexts < FAKE_THINGS);
    fake.contexts[fake.n_contexts++] = id;
    fake.init = capset;
    return 0;
}

static void fake_context_destroy(struct renderer *r, uint32_t id)
{
    (void)r;
    unsigned i = fake_find(fake.contexts, fake.n_contexts, id);
    fake_expect(i < fake.n_contexts);
    fake.contexts[i] = fake.contexts[--fake.n_contexts];
}

static void fake_context_attach(struct renderer *r, uint32_t id, uint32_t resource)
{
    (void)r;
    fake_expect(fake_has_context(id) && fake_has(resource));
    fake.attached++;
}

static void fake_context_detach(struct renderer *r, uint32_t id, uint32_t resource)
{
    (void)r;
    fake_expect(fake_has_context(id) && fake_has(resource));
    fake.attached--;
}

static int fake_create(struct renderer *r, const struct renderer_resource *resource)
{
    (void)r;
    fake_expect(resource->id != 0 && !fake_has(resource->id));
    if (fake.refuses)
        return -EINVAL;
    fake_expect(fake.n_resources < FAKE_THINGS);
    fake.resources[fake.n_resources++] = resource->id;
    fake.made = *resource;
    return 0;
}

unsigned fake_memory(uint32_t id)
{
    for (unsigned i = 0; i < FAKE_THINGS; i++) {
        if (fake.memory[i].id == id)
            return i;
    }
    return FAKE_THINGS;
}

static void fake_resource_destroy(struct renderer *r, uint32_t id)
{
    (void)r;
    unsigned i = fake_find(fake.resources, fake.n_resources, id);
    fake_expect(i < fake.n_resources && fake_memory(id) == FAKE_THINGS);
    fake.resources[i] = fake.resources[--fake.n_resources];
}

static int fake_attach(struct renderer *r, uint32_t id, struct iovec *iov, unsigned n_iov)
{
    (void)r;
    fake_expect(fake_has(id) && fake_memory(id) == FAKE_THINGS && n_iov > 0);
    if (fake.refuses)
        return -EINVAL;
    unsigned i = fake_memory(0);
    fake_expect(i < FAKE_THINGS);
    fake.memory[i].id = id;
    fake.memory[i].iov = iov;
    fake.memory[i].n = n_iov;
    return 0;
}

static void fake_detach(struct renderer *r, uint32_t id)
{
    (void)r;
    unsigned i = fake_memory(id);
    fake_expect(i < FAKE_THINGS);
    fake.memory[i].id = 0;
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
    fake.moved = *t;
    fake.transfers++;
    if (n == 0) {
        unsigned i = fake_memory(t->id);
        fake_expect(i < FAKE_THINGS);
        iov = fake.memory[i].iov;
        n = fake.memory[i].n;
        /* Where its last row begins is in there. */
        fake_expect(fake_byte(iov, n,
                              t->offset + (uint64_t)(t->box.height - 1) * t->stride +
                                  (uint64_t)(t->box.depth - 1) * t->layer_stride) != NULL);
    }
    if (fake.refuses)
        return -EINVAL;
    for (uint32_t y = 0; y < t->box.height && y < FAKE_SIDE; y++) {
        for (uint32_t i = 0; i < t->box.width * fake.pixel && i < sizeof(fake.picture[0]); i++) {
            uint8_t *there = fake_byte(iov, n, t->offset + (uint64_t)y * t->stride + i);
            uint8_t *here = (uint8_t *)&fake.picture[(t->box.y + y) % FAKE_SIDE] +
                            (t->box.x % FAKE_SIDE * fake.pixel + i) % sizeof(fake.picture[0]);
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
    fake.words = words;
    memcpy(&fake.first_word, commands, 4);
    fake.sum = 0; /* all of them are there */
    for (uint32_t i = 0; i < words; i++)
        fake.sum += ((uint32_t *)commands)[i];
    return fake.refuses ? -EINVAL : 0;
}

static int fake_fence(struct renderer *r, uint32_t context, uint32_t number)
{
    (void)r;
    (void)context;
    if (fake.refuses)
        return -ENOMEM;
    fake.last_fence = number;
    fake.fences++;
    return 0;
}

static int fake_dmabuf(struct renderer *r, uint32_t id, struct renderer_layout *ret_layout)
{
    (void)r;
    fake_expect(fake_has(id));
    if (!fake.make_fd)
        return -ENOTSUP;
    *ret_layout = fake.layout;
    return fake.make_fd();
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

struct renderer *fake_renderer(void)
{
    fake = (struct fake_renderer){.capsets = {{1, 1, 308}, {2, 2, 1376}}, .pixel = 4};
    fake.renderer = (struct renderer){.ops = &fake_ops, .capsets = fake.capsets, .n_capsets = 2};
    return &fake.renderer;
}
