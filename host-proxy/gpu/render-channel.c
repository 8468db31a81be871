/* SPDX-License-Identifier: MIT */
/* render-channel: owns the connection, the memory in common, and what waits for an answer, a ring
 * in the order of asking. A renderer draws for a guest, so it may have become the guest's: it is
 * given nothing that it was not asked to draw, and what it says has to fit what is waited for. What
 * does not fit ends it. */
#include "host-proxy/gpu/render-channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/transport/packets.h"
#include "host-proxy/gpu/staging.h"

#define DMA_BUF_MAGIC 0x444d4142 /* of the file system that dmabufs are in */
#define RING (2 * RENDER_CHANNEL_PENDING_MAX)

struct pending {
    uint32_t serial, next_fence;       /* of the first fence that was asked for after it */
    unsigned type;                     /* RENDER_TRANSFER, _SUBMIT, _EXPORT */
    struct renderer_transfer transfer; /* of SUBMIT: the stage, of EXPORT: the ticket */
};

struct set {
    struct renderer_capset capset;
    uint32_t next_version;
    uint8_t *bytes; /* of all versions */
};

struct render_channel {
    struct loop *loop;
    struct packets *packets;
    struct log_subject subject;
    const struct render_channel_ops *ops;
    void *user;
    struct staging staging;
    struct pending *ring;
    unsigned first, n;
    uint32_t serial;
    uint32_t asked, fenced; /* fences */
    struct set sets[RENDER_CAPSETS_MAX];
    unsigned n_sets, expected; /* packets CAPSET that are to come */
    bool greeted, ready, ended;
    char text[RENDER_TEXT_SIZE];
    struct loop_job end_job;
};

static void channel_tell_end(void *user)
{
    struct render_channel *c = user;
    c->ops->ended(c->user, *c->text ? c->text : NULL);
}

static void channel_end(struct render_channel *c)
{
    if (c->ended)
        return;
    c->ended = true;
    packets_stop(c->packets);
    loop_later(c->loop, &c->end_job);
}

static void channel_send(struct render_channel *c, unsigned type, uint32_t serial,
                         const union render_message *m, int fd)
{
    uint8_t packet[RENDER_PACKET_MAX];
    packets_send(c->packets, packet, render_encode(packet, type, serial, m, NULL, 0), fd);
}

/* NULL: no such request is next. */
static struct pending *next_pending(struct render_channel *c, uint32_t serial, bool is_export)
{
    struct pending *p = &c->ring[c->first];
    return c->n > 0 && p->serial == serial && (p->type == RENDER_EXPORT) == is_export ? p : NULL;
}

static struct pending *add_pending(struct render_channel *c, unsigned type)
{
    if (c->n == RING || c->ended)
        return NULL;
    struct pending *p = &c->ring[(c->first + c->n++) % RING];
    if (++c->serial == 0)
        c->serial = 1;
    *p = (struct pending){.serial = c->serial, .next_fence = c->asked + 1, .type = type};
    return p;
}

/* Ends the oldest request. @result: of a transfer. */
static void finish(struct render_channel *c, int result, int fd, const struct render_layout *layout)
{
    struct pending p = c->ring[c->first];
    c->first = (c->first + 1) % RING;
    c->n--;
    if (p.type == RENDER_TRANSFER)
        c->ops->transferred(c->user, &p.transfer, result);
    else if (p.type == RENDER_EXPORT)
        c->ops->exported(c->user, p.transfer.ticket, fd, layout);
    else if (result == -EINVAL)
        log_debug(&c->subject, "the renderer refuses drawing commands of context %u",
                  p.transfer.what.context);
    if (!p.transfer.stage.bytes)
        return;
    if (p.transfer.stage.whole && !c->ended)
        render_channel_forget(c, p.transfer.stage.range.memory);
    staging_give(&c->staging, &p.transfer.stage);
}

static bool channel_done(struct render_channel *c, uint32_t serial, const struct render_done *done)
{
    if (!next_pending(c, serial, false))
        return false;
    finish(c, done->status == RENDER_OK ? 0 : -EINVAL, -1, NULL);
    return true;
}

/* Takes @fd. */
static bool channel_exported(struct render_channel *c, uint32_t serial,
                             const struct render_exported *e, int fd)
{
    _cleanup_(fd_closep) int owned = fd;
    struct statfs fs;
    bool ok = e->status == RENDER_OK;
    if (!next_pending(c, serial, true) || ok != (owned >= 0))
        return false;
    if (ok && (fstatfs(owned, &fs) < 0 || fs.f_type != DMA_BUF_MAGIC))
        return false;
    finish(c, 0, ok ? fd_steal(&owned) : -ENOTSUP, &e->layout);
    return true;
}

/* A number that was asked for, and nothing before it without an answer. */
static bool channel_fenced(struct render_channel *c, uint32_t number)
{
    if ((int32_t)(number - c->fenced) <= 0 || (int32_t)(number - c->asked) > 0)
        return false;
    if (c->n > 0 && (int32_t)(number - c->ring[c->first].next_fence) >= 0)
        return false;
    c->fenced = number;
    c->ops->finished(c->user, number);
    return true;
}

/* Versions of a set come one after the other, all of one size. */
static bool channel_capset(struct render_channel *c, const struct render_capset *m,
                           const uint8_t *bytes, uint32_t size)
{
    struct set *s = c->n_sets > 0 ? &c->sets[c->n_sets - 1] : NULL;
    if (c->expected == 0)
        return false;
    if (!s || s->next_version > s->capset.version) {
        for (unsigned i = 0; i < c->n_sets; i++)
            if (c->sets[i].capset.id == m->id)
                return false;
        if (c->n_sets == RENDER_CAPSETS_MAX || m->version != 0)
            return false;
        s = &c->sets[c->n_sets];
        *s = (struct set){.capset = {m->id, m->version_max, size},
                          .bytes = malloc((size_t)(m->version_max + 1) * size)};
        if (!s->bytes)
            return false;
        c->n_sets++;
    }
    if (m->id != s->capset.id || m->version_max != s->capset.version || size != s->capset.size ||
        m->version != s->next_version)
        return false;
    memcpy(s->bytes + (size_t)s->next_version++ * size, bytes, size);
    c->expected--;
    return true;
}

static bool channel_ready(struct render_channel *c)
{
    struct renderer_capset capsets[RENDER_CAPSETS_MAX];
    if (c->ready || !c->greeted || c->expected > 0)
        return false;
    for (unsigned i = 0; i < c->n_sets; i++) {
        capsets[i] = c->sets[i].capset;
        if (c->sets[i].next_version <= capsets[i].version)
            return false;
    }
    c->ready = true;
    return c->ops->ready(c->user, capsets, c->n_sets);
}

/* False: it makes no sense. */
static bool channel_dispatch(struct render_channel *c, const struct render_header *h,
                             const union render_message *m, const uint8_t *data, uint32_t data_size,
                             int *fd)
{
    bool answers = h->type == RENDER_DONE || h->type == RENDER_FENCED || h->type == RENDER_EXPORTED;
    if (!render_is_renderers(h->type) || (*fd >= 0 && h->type != RENDER_EXPORTED) ||
        answers != c->ready)
        return false;
    switch (h->type) {
    case RENDER_HELLO:
        if (c->greeted)
            return false;
        c->greeted = true;
        c->expected = m->hello.capsets;
        return true;
    case RENDER_CAPSET:
        return channel_capset(c, &m->capset, data, data_size);
    case RENDER_READY:
        return channel_ready(c);
    case RENDER_FAILED:
        memcpy(c->text, m->failed.text, sizeof(c->text));
        channel_end(c);
        return true;
    case RENDER_DONE:
        return channel_done(c, h->serial, &m->done);
    case RENDER_EXPORTED:
        return channel_exported(c, h->serial, &m->exported, fd_steal(fd));
    default:
        return channel_fenced(c, m->fenced.number);
    }
}

static void channel_received(void *user, const uint8_t *bytes, size_t size, int taken)
{
    struct render_channel *c = user;
    struct render_header h = {0};
    union render_message m;
    const uint8_t *data;
    uint32_t data_size;
    _cleanup_(fd_closep) int fd = taken;
    bool sense = render_decode(bytes, size, &h, &m, &data, &data_size) == RENDER_E_OK &&
                 channel_dispatch(c, &h, &m, data, data_size, &fd);
    if (!sense) {
        log_warn(&c->subject, "malformed or misplaced %s (%zu bytes): it is ended",
                 render_type_name(h.type), size);
        channel_end(c);
        return;
    }
    if (!c->ended)
        c->ops->answered(c->user);
}

static void channel_closed(void *user, int reason)
{
    struct render_channel *c = user;
    if (reason < 0)
        log_warn(&c->subject, "the connection is lost: %s", strerror(-reason));
    channel_end(c);
}

struct render_channel *render_channel_create(struct loop *loop, int fd, uint32_t last_id,
                                             const struct render_channel_ops *ops, void *user)
{
    static const struct packets_ops packets = {.received = channel_received,
                                               .closed = channel_closed};
    _cleanup_(fd_closep) int memory = -1;
    struct render_channel *c = calloc(1, sizeof(*c));
    if (!c) {
        fd_close(fd);
        errno = ENOMEM;
        return NULL;
    }
    c->loop = loop;
    c->ops = ops;
    c->user = user;
    c->subject.name = "renderer";
    c->end_job = (struct loop_job){.run = channel_tell_end, .user = c};
    c->ring = calloc(RING, sizeof(*c->ring));
    c->packets = packets_create(loop, fd, RENDER_PACKET_MAX, RENDER_CHANNEL_QUEUE_MAX, &packets, c);
    memory = staging_init(&c->staging, last_id);
    if (!c->ring || !c->packets || memory < 0) {
        render_channel_destroy(c);
        errno = ENOMEM;
        return NULL;
    }
    const union render_message m = {.memory = {c->staging.id, STAGING_SIZE}};
    channel_send(c, RENDER_MEMORY, 0, &m, fd_steal(&memory));
    return c;
}

void render_channel_destroy(struct render_channel *c)
{
    if (!c)
        return;
    c->ended = true;
    loop_later_cancel(c->loop, &c->end_job);
    packets_destroy(c->packets);
    while (c->n > 0)
        finish(c, -ECANCELED, -ECANCELED, NULL);
    for (unsigned i = 0; i < c->n_sets; i++)
        free(c->sets[i].bytes);
    staging_finish(&c->staging);
    free(c->ring);
    free(c);
}

void render_channel_capset(const struct render_channel *c, uint32_t id, uint32_t version,
                           void *bytes)
{
    for (unsigned i = 0; i < c->n_sets; i++) {
        const struct set *s = &c->sets[i];
        if (s->capset.id == id && version < s->next_version)
            memcpy(bytes, s->bytes + (size_t)version * s->capset.size, s->capset.size);
    }
}

uint32_t render_channel_last_id(const struct render_channel *c)
{
    return c->staging.last_id;
}

bool render_channel_busy(const struct render_channel *c)
{
    return c->n >= RENDER_CHANNEL_PENDING_MAX || c->staging.held >= RENDER_CHANNEL_HELD_MAX;
}

bool render_channel_waits(const struct render_channel *c)
{
    return !c->ready || c->n > 0 || c->fenced != c->asked;
}

void render_channel_tell(struct render_channel *c, unsigned type,
                         const union render_message *message)
{
    channel_send(c, type, 0, message, -1);
}

int render_channel_stage(struct render_channel *c, uint64_t size, struct renderer_stage *ret)
{
    int result, fd = staging_take(&c->staging, size, ret, &result);
    if (fd >= 0) {
        const union render_message m = {.memory = {ret->range.memory, size}};
        channel_send(c, RENDER_MEMORY, 0, &m, fd);
    }
    return result;
}

/* It was not used. */
static int drop_stage(struct render_channel *c, const struct renderer_stage *stage)
{
    if (stage->bytes && stage->whole)
        render_channel_forget(c, stage->range.memory);
    if (stage->bytes)
        staging_undo(&c->staging, stage);
    return -ENOMEM;
}

int render_channel_transfer(struct render_channel *c, const struct renderer_transfer *transfer)
{
    struct pending *p = add_pending(c, RENDER_TRANSFER);
    if (!p)
        return drop_stage(c, &transfer->stage);
    p->transfer = *transfer;
    const union render_message m = {.transfer = transfer->what};
    channel_send(c, RENDER_TRANSFER, p->serial, &m, -1);
    return 0;
}

int render_channel_submit(struct render_channel *c, uint32_t context, const void *commands,
                          uint32_t words)
{
    struct renderer_stage stage;
    int r = render_channel_stage(c, (uint64_t)words * 4, &stage);
    if (r < 0)
        return r;
    memcpy(stage.bytes, commands, (size_t)words * 4);
    struct pending *p = add_pending(c, RENDER_SUBMIT);
    if (!p)
        return drop_stage(c, &stage);
    p->transfer.stage = stage;
    p->transfer.what.context = context;
    const union render_message m = {.submit = {context, stage.range}};
    channel_send(c, RENDER_SUBMIT, p->serial, &m, -1);
    return 0;
}

void render_channel_fence(struct render_channel *c, uint32_t context, uint32_t number)
{
    const union render_message m = {.fence = {.context = context, .number = number}};
    if (c->asked == c->fenced) /* whatever the numbers were in another life */
        c->fenced = number - 1;
    c->asked = number;
    channel_send(c, RENDER_FENCE, 0, &m, -1);
}

int render_channel_export(struct render_channel *c, uint32_t id, uint64_t ticket)
{
    struct pending *p = add_pending(c, RENDER_EXPORT);
    if (!p)
        return -ENOMEM;
    p->transfer.ticket = ticket;
    channel_send(c, RENDER_EXPORT, p->serial, &(union render_message){.id = {id}}, -1);
    return 0;
}

int render_channel_memory(struct render_channel *c, int fd, uint64_t size, uint32_t *ret_id)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return -errno;
    const union render_message m = {.memory = {staging_next_id(&c->staging), size}};
    *ret_id = m.memory.id;
    channel_send(c, RENDER_MEMORY, 0, &m, copy);
    return 0;
}

void render_channel_forget(struct render_channel *c, uint32_t id)
{
    if (id >= c->staging.id) /* not of an earlier renderer */
        channel_send(c, RENDER_FORGET, 0, &(union render_message){.id = {id}}, -1);
}
