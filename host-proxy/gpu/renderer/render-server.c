/* SPDX-License-Identifier: MIT */
/* render-server: owns the connection, the memory that the device gave, and what the engine has by
 * the device's numbers. The device goes on without waiting for answers, so what the engine refuses
 * to make is kept as refused, and whatever is done with it is refused, too. Anything else that does
 * not fit is a device that has been taken over, or a bug: the connection ends, and this process
 * with it. */
#include "host-proxy/gpu/renderer/render-server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/transport/packets.h"
#include "host-proxy/gpu/renderer/engine.h"
#include "host-proxy/gpu/renderer/id-map.h"
#include "protocol/render.h"

#define QUEUE_MAX 65536u /* answers that wait; the device waits with more before that */

struct memory {
    struct id_map_entry entry;
    uint8_t *bytes;
    uint64_t size;
};

/* A context or a resource. */
struct thing {
    struct id_map_entry entry;
    bool refused;
};

struct render_server {
    struct loop *loop;
    struct packets *packets;
    struct engine *engine;
    struct id_map memories, contexts, resources;
    uint64_t *commands; /* of the SUBMIT at hand: nobody else writes there */
    size_t commands_size;
    int reason;
    struct loop_job end_job;
    void (*ended)(void *user, int reason);
    void *user;
};

static void render_server_send(struct render_server *s, unsigned type, uint32_t serial,
                               const union render_message *m, int fd)
{
    uint8_t packet[RENDER_PACKET_MAX];
    packets_send(s->packets, packet, render_encode(packet, type, serial, m, NULL, 0), fd);
}

static void render_server_tell_end(void *user)
{
    struct render_server *s = user;
    s->ended(s->user, s->reason);
}

static void render_server_end(struct render_server *s, int reason)
{
    s->reason = reason;
    packets_stop(s->packets);
    loop_later(s->loop, &s->end_job);
}

static int add_memory(struct render_server *s, const struct render_memory *m, int fd)
{
    _cleanup_(fd_closep) int owned = fd;
    struct stat st;
    int seals = fcntl(owned, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(owned, &st) < 0 ||
        (uint64_t)st.st_size < m->size)
        return -EPROTO;
    struct memory *memory = id_map_add(&s->memories, m->id, sizeof(*memory));
    if (!memory)
        return errno == ENOMEM ? -ENOMEM : -EPROTO;
    void *bytes = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, owned, 0);
    if (bytes == MAP_FAILED) {
        int r = -errno;
        free(id_map_take(&s->memories, m->id));
        return r;
    }
    memory->bytes = bytes;
    memory->size = m->size;
    return 0;
}

/* Accepts NULL. */
static void free_memory(struct memory *memory)
{
    if (memory)
        munmap(memory->bytes, memory->size);
    free(memory);
}

/* NULL: not within memory that is there. */
static uint8_t *find_range(const struct render_server *s, const struct render_range *range)
{
    const struct memory *m = id_map_find(&s->memories, range->memory);
    return m && range->offset <= m->size && range->size <= m->size - range->offset
               ? m->bytes + range->offset
               : NULL;
}

static void answer(struct render_server *s, uint32_t serial, int result)
{
    union render_message m = {.done = {.status = result < 0 ? RENDER_REFUSED : RENDER_OK}};
    render_server_send(s, RENDER_DONE, serial, &m, -1);
}

static int add_thing(struct id_map *map, uint32_t id, struct thing **ret)
{
    *ret = id_map_add(map, id, sizeof(**ret));
    return *ret ? 0 : errno == ENOMEM ? -ENOMEM : -EPROTO;
}

static int context_create(struct render_server *s, const struct render_context *c)
{
    struct thing *thing;
    bool known = c->capset == 0;
    for (unsigned i = 0; i < s->engine->n_capsets; i++)
        known |= s->engine->capsets[i].id == c->capset;
    int r = known ? add_thing(&s->contexts, c->id, &thing) : -EPROTO;
    if (r == 0)
        thing->refused = s->engine->ops->context_create(s->engine, c->id, c->capset) < 0;
    return r;
}

static int resource_create(struct render_server *s, const struct render_resource *resource)
{
    struct thing *thing;
    int r = add_thing(&s->resources, resource->id, &thing);
    if (r == 0)
        thing->refused = s->engine->ops->resource_create(s->engine, resource) < 0;
    return r;
}

static int destroy_thing(struct render_server *s, struct id_map *map, uint32_t id,
                         void (*destroy)(struct engine *e, uint32_t id))
{
    struct thing *thing = id_map_take(map, id);
    if (!thing)
        return -EPROTO;
    if (!thing->refused)
        destroy(s->engine, id);
    free(thing);
    return 0;
}

static int context_resource(struct render_server *s, const struct render_attachment *a, bool attach)
{
    const struct thing *context = id_map_find(&s->contexts, a->context),
                       *resource = id_map_find(&s->resources, a->resource);
    if (!context || !resource)
        return -EPROTO;
    if (context->refused || resource->refused)
        return 0;
    if (attach)
        s->engine->ops->context_attach(s->engine, a->context, a->resource);
    else
        s->engine->ops->context_detach(s->engine, a->context, a->resource);
    return 0;
}

static int transfer(struct render_server *s, uint32_t serial, const struct render_transfer *t)
{
    static const struct thing none;
    const struct thing *resource = id_map_find(&s->resources, t->resource),
                       *context = t->context ? id_map_find(&s->contexts, t->context) : &none;
    uint8_t *bytes = find_range(s, &t->range);
    if (!resource || !context || !bytes)
        return -EPROTO;
    bool refused = resource->refused || context->refused;
    answer(s, serial, refused ? -EINVAL : s->engine->ops->transfer(s->engine, t, bytes));
    return 0;
}

static int submit(struct render_server *s, uint32_t serial, const struct render_submit *submit)
{
    const struct thing *context = id_map_find(&s->contexts, submit->context);
    const uint8_t *bytes = find_range(s, &submit->range);
    size_t size = submit->range.size;
    if (!context || !bytes)
        return -EPROTO;
    if (size > s->commands_size) {
        free(s->commands);
        s->commands = malloc(size);
        s->commands_size = s->commands ? size : 0;
        if (!s->commands)
            return -ENOMEM;
    }
    memcpy(s->commands, bytes, size);
    answer(s, serial,
           context->refused ? -EINVAL
                            : s->engine->ops->submit(s->engine, submit->context, s->commands,
                                                     (uint32_t)(size / 4)));
    return 0;
}

static void export(struct render_server *s, uint32_t serial, bool refused, uint32_t id)
{
    union render_message m = {.exported = {.status = RENDER_REFUSED}};
    struct render_layout layout;
    int fd = refused ? -1 : s->engine->ops->export(s->engine, id, &layout);
    if (fd >= 0)
        m.exported = (struct render_exported){.status = RENDER_OK, .layout = layout};
    render_server_send(s, RENDER_EXPORTED, serial, &m, fd < 0 ? -1 : fd);
}

static void render_server_finished(void *user, uint32_t number)
{
    struct render_server *s = user;
    render_server_send(s, RENDER_FENCED, 0, &(union render_message){.fenced = {number}}, -1);
}

/* 0, or -errno: the end. */
static int render_server_dispatch(struct render_server *s, const struct render_header *h,
                                  const union render_message *m, int *fd)
{
    const struct engine_ops *ops = s->engine->ops;
    const struct thing *thing;
    struct memory *memory;
    if (render_is_renderers(h->type) || (*fd >= 0) != (h->type == RENDER_MEMORY))
        return -EPROTO;
    switch (h->type) {
    case RENDER_MEMORY:
        return add_memory(s, &m->memory, fd_steal(fd));
    case RENDER_FORGET:
        memory = id_map_take(&s->memories, m->id.id);
        free_memory(memory);
        return memory ? 0 : -EPROTO;
    case RENDER_CONTEXT_CREATE:
        return context_create(s, &m->context);
    case RENDER_CONTEXT_DESTROY:
        return destroy_thing(s, &s->contexts, m->id.id, ops->context_destroy);
    case RENDER_CONTEXT_ATTACH:
    case RENDER_CONTEXT_DETACH:
        return context_resource(s, &m->attachment, h->type == RENDER_CONTEXT_ATTACH);
    case RENDER_RESOURCE_CREATE:
        return resource_create(s, &m->resource);
    case RENDER_RESOURCE_DESTROY:
        return destroy_thing(s, &s->resources, m->id.id, ops->resource_destroy);
    case RENDER_TRANSFER:
        return transfer(s, h->serial, &m->transfer);
    case RENDER_SUBMIT:
        return submit(s, h->serial, &m->submit);
    case RENDER_FENCE:
        if (ops->fence(s->engine, m->fence.context, m->fence.number) < 0)
            return -ENOMEM; /* nobody would tell of it */
        return 0;
    default:
        thing = id_map_find(&s->resources, m->id.id);
        if (thing)
            export(s, h->serial, thing->refused, m->id.id);
        return thing ? 0 : -EPROTO;
    }
}

static void render_server_received(void *user, const uint8_t *bytes, size_t size, int taken)
{
    struct render_server *s = user;
    struct render_header h = {0};
    union render_message m;
    const uint8_t *data;
    uint32_t data_size;
    _cleanup_(fd_closep) int fd = taken;
    int r = render_decode(bytes, size, &h, &m, &data, &data_size) == RENDER_E_OK ? 0 : -EPROTO;
    if (r == 0)
        r = render_server_dispatch(s, &h, &m, &fd);
    if (r == 0)
        return;
    log_warn(NULL, "%s of the device, %zu bytes: %s; nothing more is drawn for it",
             render_type_name(h.type), size, strerror(-r));
    render_server_end(s, r);
}

static void render_server_closed(void *user, int reason)
{
    render_server_end(user, reason);
}

/* What there is to draw with. */
static void render_server_introduce(struct render_server *s)
{
    uint8_t packet[RENDER_PACKET_MAX], bytes[RENDER_CAPSET_SIZE_MAX];
    union render_message m = {.hello = {.version = RENDER_VERSION}};
    for (unsigned i = 0; i < s->engine->n_capsets; i++)
        m.hello.capsets += s->engine->capsets[i].version + 1;
    render_server_send(s, RENDER_HELLO, 0, &m, -1);
    for (unsigned i = 0; i < s->engine->n_capsets; i++) {
        const struct engine_capset *c = &s->engine->capsets[i];
        for (uint32_t version = 0; version <= c->version; version++) {
            memset(bytes, 0, c->size);
            s->engine->ops->capset(s->engine, c->id, version, bytes);
            m.capset = (struct render_capset){c->id, version, c->version};
            packets_send(s->packets, packet,
                         render_encode(packet, RENDER_CAPSET, 0, &m, bytes, c->size), -1);
        }
    }
    render_server_send(s, RENDER_READY, 0, &m, -1);
}

/* What cannot be told is nothing to draw with. */
static bool capsets_fit(const struct engine *engine)
{
    if (engine->n_capsets == 0 || engine->n_capsets > RENDER_CAPSETS_MAX)
        return false;
    for (unsigned i = 0; i < engine->n_capsets; i++) {
        const struct engine_capset *c = &engine->capsets[i];
        if (c->size == 0 || c->size > RENDER_CAPSET_SIZE_MAX ||
            c->version > RENDER_CAPSET_VERSION_MAX)
            return false;
    }
    return true;
}

struct render_server *render_server_create(struct loop *loop, int fd, struct engine *engine,
                                           void (*ended)(void *user, int reason), void *user)
{
    static const struct packets_ops ops = {.received = render_server_received,
                                           .closed = render_server_closed};
    struct render_server *s = capsets_fit(engine) ? calloc(1, sizeof(*s)) : NULL;
    if (!s) {
        errno = capsets_fit(engine) ? ENOMEM : ENOTSUP;
        fd_close(fd);
        return NULL;
    }
    s->loop = loop;
    s->engine = engine;
    s->ended = ended;
    s->user = user;
    s->end_job = (struct loop_job){.run = render_server_tell_end, .user = s};
    s->memories.max = RENDER_MEMORIES_MAX;
    s->contexts.max = RENDER_CONTEXTS_MAX;
    s->resources.max = RENDER_RESOURCES_MAX;
    engine->finished = render_server_finished;
    engine->user = s;
    s->packets = packets_create(loop, fd, RENDER_PACKET_MAX, QUEUE_MAX, &ops, s);
    if (!s->packets) {
        render_server_destroy(s);
        errno = ENOMEM;
        return NULL;
    }
    render_server_introduce(s);
    return s;
}

void render_server_destroy(struct render_server *s)
{
    struct thing *thing;
    struct memory *memory;
    if (!s)
        return;
    s->engine->finished = NULL;
    loop_later_cancel(s->loop, &s->end_job);
    packets_destroy(s->packets);
    while ((thing = id_map_take_any(&s->contexts))) {
        if (!thing->refused)
            s->engine->ops->context_destroy(s->engine, thing->entry.id);
        free(thing);
    }
    while ((thing = id_map_take_any(&s->resources))) {
        if (!thing->refused)
            s->engine->ops->resource_destroy(s->engine, thing->entry.id);
        free(thing);
    }
    while ((memory = id_map_take_any(&s->memories)))
        free_memory(memory);
    free(s->commands);
    free(s);
}

void render_server_refuse(int fd, const char *text)
{
    uint8_t packet[RENDER_PACKET_MAX];
    union render_message m = {0};
    snprintf(m.failed.text, sizeof(m.failed.text), "%s", text);
    /* What is not read when a socket is closed takes the last words along. */
    while (recv(fd, packet, sizeof(packet), MSG_DONTWAIT) > 0)
        ;
    size_t n = render_encode(packet, RENDER_FAILED, 0, &m, NULL, 0);
    while (send(fd, packet, n, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}
