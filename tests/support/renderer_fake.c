/* SPDX-License-Identifier: MIT */
/* What makes no sense ends the program, so that a fuzz target sees it too. */
#include "tests/support/renderer_fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/loop.h"

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

/* As an engine. */

static void engine_capset(struct engine *e, uint32_t id, uint32_t version, void *bytes)
{
    fake_expect(e == &fake.engine && id >= 1 && id <= 2 && version <= fake.capsets[id - 1].version);
    memset(bytes, (int)(0xa0 + id), fake.capsets[id - 1].size);
}

static int engine_context_create(struct engine *e, uint32_t id, uint32_t capset)
{
    fake_expect(e == &fake.engine && id != 0 && capset <= 2 && !fake_has_context(id));
    if (fake.refuses)
        return -ENOMEM;
    fake_expect(fake.n_contexts < FAKE_THINGS);
    fake.contexts[fake.n_contexts++] = id;
    fake.init = capset;
    return 0;
}

static void engine_context_destroy(struct engine *e, uint32_t id)
{
    (void)e;
    unsigned i = fake_find(fake.contexts, fake.n_contexts, id);
    fake_expect(i < fake.n_contexts);
    fake.contexts[i] = fake.contexts[--fake.n_contexts];
}

static void engine_context_attach(struct engine *e, uint32_t id, uint32_t resource)
{
    (void)e;
    fake_expect(fake_has_context(id) && fake_has(resource));
    fake.attached++;
}

static void engine_context_detach(struct engine *e, uint32_t id, uint32_t resource)
{
    (void)e;
    fake_expect(fake_has_context(id) && fake_has(resource));
    fake.attached--;
}

static int engine_create(struct engine *e, const struct render_resource *resource)
{
    (void)e;
    fake_expect(resource->id != 0 && !fake_has(resource->id));
    if (fake.refuses)
        return -EINVAL;
    fake_expect(fake.n_resources < FAKE_THINGS);
    fake.resources[fake.n_resources++] = resource->id;
    fake.made = *resource;
    return 0;
}

static void engine_resource_destroy(struct engine *e, uint32_t id)
{
    (void)e;
    unsigned i = fake_find(fake.resources, fake.n_resources, id);
    fake_expect(i < fake.n_resources);
    fake.resources[i] = fake.resources[--fake.n_resources];
}

static int engine_transfer(struct engine *e, const struct render_transfer *t, void *memory)
{
    uint8_t *bytes = memory;
    (void)e;
    fake_expect(fake_has(t->resource) && (t->context == 0 || fake_has_context(t->context)));
    fake.moved = *t;
    fake.transfers++;
    /* Where its last row begins is in there, and so is the last byte. */
    fake_expect((uint64_t)(t->box.height - 1) * t->stride +
                    (uint64_t)(t->box.depth - 1) * t->layer_stride <
                t->range.size);
    if (t->to_renderer)
        *(volatile uint8_t *)&bytes[t->range.size - 1];
    else
        bytes[t->range.size - 1] = bytes[t->range.size - 1];
    if (fake.refuses)
        return -EINVAL;
    for (uint32_t y = 0; y < t->box.height && y < FAKE_SIDE; y++) {
        for (uint32_t i = 0; i < t->box.width * fake.pixel && i < sizeof(fake.picture[0]); i++) {
            uint64_t at = (uint64_t)y * t->stride + i;
            uint8_t *here = (uint8_t *)&fake.picture[(t->box.y + y) % FAKE_SIDE] +
                            (t->box.x % FAKE_SIDE * fake.pixel + i) % sizeof(fake.picture[0]);
            if (at < t->range.size)
                *(t->to_renderer ? here : bytes + at) = *(t->to_renderer ? bytes + at : here);
        }
    }
    return 0;
}

static int engine_submit(struct engine *e, uint32_t context, void *commands, uint32_t words)
{
    (void)e;
    fake_expect(fake_has_context(context) && (uintptr_t)commands % 8 == 0 && words > 0);
    fake.words = words;
    memcpy(&fake.first_word, commands, 4);
    fake.sum = 0; /* all of them are there */
    for (uint32_t i = 0; i < words; i++)
        fake.sum += ((uint32_t *)commands)[i];
    return fake.refuses ? -EINVAL : 0;
}

static int engine_fence(struct engine *e, uint32_t context, uint32_t number)
{
    (void)e;
    (void)context;
    if (fake.refuses)
        return -ENOMEM;
    fake.last_fence = number;
    fake.fences++;
    return 0;
}

static int engine_dmabuf(struct engine *e, uint32_t id, struct render_layout *ret_layout)
{
    (void)e;
    fake_expect(fake_has(id));
    if (!fake.make_fd)
        return -ENOTSUP;
    *ret_layout = fake.layout;
    return fake.make_fd();
}

static void engine_destroy(struct engine *e)
{
    (void)e;
}

static const struct engine_ops engine_ops = {
    .capset = engine_capset,
    .context_create = engine_context_create,
    .context_destroy = engine_context_destroy,
    .context_attach = engine_context_attach,
    .context_detach = engine_context_detach,
    .resource_create = engine_create,
    .resource_destroy = engine_resource_destroy,
    .transfer = engine_transfer,
    .submit = engine_submit,
    .fence = engine_fence,
    .export = engine_dmabuf,
    .destroy = engine_destroy,
};

/* As a renderer. */

static void fake_capset(struct renderer *r, uint32_t id, uint32_t version, void *bytes)
{
    (void)r;
    engine_capset(&fake.engine, id, version, bytes);
}

static int fake_context_create(struct renderer *r, uint32_t id, uint32_t capset)
{
    (void)r;
    return fake.is_gone ? -ENODEV : engine_context_create(&fake.engine, id, capset);
}

static void fake_context_destroy(struct renderer *r, uint32_t id)
{
    (void)r;
    engine_context_destroy(&fake.engine, id);
}

static void fake_context_attach(struct renderer *r, uint32_t id, uint32_t resource)
{
    (void)r;
    engine_context_attach(&fake.engine, id, resource);
}

static void fake_context_detach(struct renderer *r, uint32_t id, uint32_t resource)
{
    (void)r;
    engine_context_detach(&fake.engine, id, resource);
}

static int fake_create(struct renderer *r, const struct render_resource *resource)
{
    (void)r;
    return fake.is_gone ? -ENODEV : engine_create(&fake.engine, resource);
}

static void fake_resource_destroy(struct renderer *r, uint32_t id)
{
    (void)r;
    engine_resource_destroy(&fake.engine, id);
}

static int fake_stage(struct renderer *r, uint64_t size, struct renderer_stage *ret)
{
    (void)r;
    if (fake.is_gone)
        return -ENODEV;
    fake_expect(size > 0);
    *ret = (struct renderer_stage){.bytes = calloc(1, size), .range = {1, 0, size}};
    return ret->bytes ? 0 : -ENOMEM;
}

static void fake_answer(const struct fake_answer *a)
{
    if (a->is_export)
        fake.renderer.listener->exported(fake.renderer.user, a->transfer.ticket, a->fd, &a->layout);
    else
        fake.renderer.listener->transferred(fake.renderer.user, &a->transfer, a->result);
    free(a->transfer.stage.bytes);
}

static void fake_answer_all(void *user)
{
    (void)user;
    for (unsigned i = 0; i < fake.n_answers; i++) {
        struct fake_answer a = fake.answers[i];
        fake_answer(&a);
    }
    fake.n_answers = 0;
}

static void fake_answer_later(const struct fake_answer *a)
{
    if (!fake.loop) {
        fake_answer(a);
        return;
    }
    fake_expect(fake.n_answers < FAKE_ANSWERS);
    fake.answers[fake.n_answers++] = *a;
    loop_timer_arm(fake.timer, 0);
}

static int fake_transfer(struct renderer *r, const struct renderer_transfer *t)
{
    uint8_t *bytes = t->stage.bytes;
    (void)r;
    if (!bytes) {
        fake_expect(t->what.range.memory > 1 && t->what.range.memory < FAKE_THINGS);
        bytes = fake.memories[t->what.range.memory].bytes + t->what.range.offset;
        fake_expect(t->what.range.offset + t->what.range.size <=
                    fake.memories[t->what.range.memory].size);
    }
    struct fake_answer a = {.transfer = *t,
                            .result = engine_transfer(&fake.engine, &t->what, bytes)};
    fake_answer_later(&a);
    return 0;
}

static int fake_submit(struct renderer *r, uint32_t context, const void *commands, uint32_t words)
{
    (void)r;
    return fake.is_gone ? -ENODEV : engine_submit(&fake.engine, context, (void *)commands, words);
}

static int fake_fence(struct renderer *r, uint32_t context, uint32_t number)
{
    (void)r;
    return fake.is_gone ? -ENODEV : engine_fence(&fake.engine, context, number);
}

static int fake_export(struct renderer *r, uint32_t id, uint64_t ticket)
{
    struct fake_answer a = {.is_export = true, .transfer = {.ticket = ticket}};
    (void)r;
    a.fd = engine_dmabuf(&fake.engine, id, &a.layout);
    fake_answer_later(&a);
    return 0;
}

static int fake_memory_add(struct renderer *r, int fd, uint64_t size, uint32_t *ret_id)
{
    (void)r;
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    fake_expect(bytes != MAP_FAILED && fake.n_memories + 2 < FAKE_THINGS);
    *ret_id = ++fake.n_memories + 1;
    fake.memories[*ret_id].bytes = bytes;
    fake.memories[*ret_id].size = size;
    return 0;
}

static void fake_memory_forget(struct renderer *r, uint32_t id)
{
    (void)r;
    fake_expect(id > 1 && id < FAKE_THINGS && fake.memories[id].bytes);
    munmap(fake.memories[id].bytes, fake.memories[id].size);
    fake.memories[id].bytes = NULL;
}

static bool fake_busy(const struct renderer *r)
{
    (void)r;
    return fake.is_busy;
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
    .stage = fake_stage,
    .transfer = fake_transfer,
    .submit = fake_submit,
    .fence = fake_fence,
    .export = fake_export,
    .memory_add = fake_memory_add,
    .memory_forget = fake_memory_forget,
    .busy = fake_busy,
    .destroy = fake_destroy,
};

struct engine *fake_engine(void)
{
    fake = (struct fake_renderer){.capsets = {{1, 1, 308}, {2, 2, 1376}},
                                  .engine_capsets = {{1, 1, 308}, {2, 2, 1376}},
                                  .pixel = 4};
    fake.engine =
        (struct engine){.ops = &engine_ops, .capsets = fake.engine_capsets, .n_capsets = 2};
    return &fake.engine;
}

struct renderer *fake_renderer(void)
{
    fake_engine();
    fake.renderer =
        (struct renderer){.ops = &fake_ops, .capsets = fake.capsets, .n_capsets = 2, .life = 1};
    return &fake.renderer;
}

void fake_attach_loop(struct loop *loop)
{
    fake.loop = loop;
    fake.timer = loop_timer_create(loop, fake_answer_all, NULL);
    fake_expect(fake.timer != NULL);
}

void fake_detach_loop(void)
{
    loop_timer_destroy(fake.timer);
    for (unsigned i = 0; i < fake.n_answers; i++) {
        free(fake.answers[i].transfer.stage.bytes);
        if (fake.answers[i].is_export && fake.answers[i].fd >= 0)
            close(fake.answers[i].fd);
    }
    fake.n_answers = 0;
    fake.loop = NULL;
}

void fake_lose(void)
{
    fake.renderer.life++;
    fake.n_contexts = fake.n_resources = 0;
    for (unsigned i = 0; i < fake.n_answers; i++) {
        fake.answers[i].result = -ECANCELED;
        if (fake.answers[i].is_export && fake.answers[i].fd >= 0)
            close(fake.answers[i].fd);
        fake.answers[i].fd = -ECANCELED;
    }
    fake_answer_all(NULL);
    fake.renderer.listener->lost(fake.renderer.user);
}
