/* SPDX-License-Identifier: MIT */
/* remote-renderer: owns the channel to the process there is, and the clock that it is watched by. A
 * process that is gone is one that never answers: whatever waits is told so at once, so that nobody
 * in the guest waits for it, and the next one begins with nothing. What is asked while it starts
 * waits in its socket. One that ends soon after it began would do so again, so there is a pause
 * before the next, and who asks meanwhile is refused. */
#include "host-proxy/gpu/remote-renderer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "host-proxy/gpu/render-channel.h"
#include "host-proxy/gpu/renderer-spawner.h"

#define LOOK_MS 1000    /* how often it is looked at while something waits */
#define BACKOFF_TIMES 6 /* doublings */

const struct remote_times remote_times_default = {
    .stuck_ms = 10000, .silent_ms = 120000, .steady_ms = 10000, .backoff_ms = 1000};

struct remote {
    struct renderer renderer;
    struct renderer_capset capsets[RENDER_CAPSETS_MAX];
    struct loop *loop;
    struct remote_source source;
    struct remote_times times;
    struct render_channel *channel; /* NULL: there is none */
    uint32_t last_id;               /* of memory, in all lives */
    struct loop_timer *look, *again;
    bool looking, busy;
    uint64_t answers, answers_seen;
    int64_t began_ms, since_ms,
        used_since_ms; /* this life; the last answer, and what was used then */
    unsigned failures; /* lives in a row that were short */
    bool starting;     /* the first life: somebody runs the loop for it */
    char text[RENDER_TEXT_SIZE];
    struct log_subject subject;
};

static struct remote *remote_of(struct renderer *r)
{
    return (struct remote *)r;
}

static void remote_start(struct remote *w);

/* Something waits now: it is watched from here on. */
static void remote_watch(struct remote *w)
{
    if (w->looking || !w->channel || !render_channel_waits(w->channel))
        return;
    w->looking = true;
    w->answers_seen = w->answers;
    w->since_ms = loop_now_ms();
    w->used_since_ms = w->source.used_ms(w->source.user);
    loop_timer_arm(w->look, w->times.stuck_ms < LOOK_MS ? w->times.stuck_ms : LOOK_MS);
}

/* Drawing may take its time, above all where others need the processors, too. One that does nothing
 * at all waits for something that does not come (or is stopped), and one that has had that much
 * does not come to an end. */
static bool is_stuck(const struct remote *w)
{
    int64_t time = loop_now_ms() - w->since_ms, now = w->source.used_ms(w->source.user);
    int64_t used = now - (w->used_since_ms < 0 ? 0 : w->used_since_ms);
    if (now < 0 || time < w->times.stuck_ms)
        return time >= w->times.silent_ms;
    return time >= w->times.silent_ms || used == 0 || used >= w->times.stuck_ms;
}

static void remote_lose(struct remote *w)
{
    struct render_channel *channel = w->channel;
    w->channel = NULL;
    w->looking = false;
    loop_timer_disarm(w->look);
    w->last_id = render_channel_last_id(channel);
    w->renderer.life++;
    render_channel_destroy(channel);
    if (w->starting)
        return;
    uint64_t pause = 0; /* the first of a row is not known to be one */
    if (loop_now_ms() - w->began_ms >= w->times.steady_ms)
        w->failures = 0;
    else if (w->failures++ > 0)
        pause = (uint64_t)w->times.backoff_ms
                << (w->failures - 2 < BACKOFF_TIMES ? w->failures - 2 : BACKOFF_TIMES);
    log_warn(&w->subject, "the renderer is gone, with what was drawn; the next one starts %s",
             pause ? "after a pause" : "now");
    if (pause == 0)
        remote_start(w);
    else
        loop_timer_arm(w->again, pause);
    w->busy = false;
    w->renderer.listener->lost(w->renderer.user);
    w->renderer.listener->rested(w->renderer.user);
}

static void remote_look(void *user)
{
    struct remote *w = user;
    w->looking = false;
    if (!w->channel || !render_channel_waits(w->channel))
        return;
    if (w->answers != w->answers_seen) {
        remote_watch(w);
    } else if (is_stuck(w)) {
        log_warn(&w->subject, "the renderer does not answer: it is ended");
        w->source.stop(w->source.user);
        snprintf(w->text, sizeof(w->text), "it does not answer");
        if (w->starting)
            loop_stop(w->loop);
        remote_lose(w);
    } else {
        w->looking = true;
        loop_timer_arm(w->look, LOOK_MS);
    }
}

static bool remote_ready(void *user, const struct renderer_capset *capsets, unsigned n)
{
    struct remote *w = user;
    if (w->starting) {
        memcpy(w->capsets, capsets, n * sizeof(*capsets));
        w->renderer.n_capsets = n;
        w->starting = false;
        loop_stop(w->loop);
        return true;
    }
    /* The guest has been told. */
    bool same = n == w->renderer.n_capsets;
    for (unsigned i = 0; i < n && same; i++)
        same = capsets[i].id == w->capsets[i].id && capsets[i].version == w->capsets[i].version &&
               capsets[i].size == w->capsets[i].size;
    if (same)
        log_info(&w->subject, "there is a renderer again");
    else
        log_warn(&w->subject, "the renderer can do something else than the one before");
    return same;
}

static void remote_finished(void *user, uint32_t number)
{
    struct remote *w = user;
    w->renderer.listener->finished(w->renderer.user, number);
}

static void remote_transferred(void *user, const struct renderer_transfer *transfer, int result)
{
    struct remote *w = user;
    if (w->renderer.listener)
        w->renderer.listener->transferred(w->renderer.user, transfer, result);
}

static void remote_exported(void *user, uint64_t ticket, int fd, const struct render_layout *layout)
{
    struct remote *w = user;
    if (w->renderer.listener)
        w->renderer.listener->exported(w->renderer.user, ticket, fd, layout);
    else
        fd_close(fd);
}

static void remote_answered(void *user)
{
    struct remote *w = user;
    w->answers++;
    if (w->busy && !render_channel_busy(w->channel)) {
        w->busy = false;
        w->renderer.listener->rested(w->renderer.user);
    }
}

static void remote_ended(void *user, const char *text)
{
    struct remote *w = user;
    if (text) {
        snprintf(w->text, sizeof(w->text), "%s", text);
        if (!w->starting)
            log_warn(&w->subject, "the renderer: %s", text);
    }
    w->source.stop(w->source.user); /* it may have been ended for what it said */
    if (w->starting)
        loop_stop(w->loop);
    remote_lose(w);
}

static const struct render_channel_ops channel_ops = {
    .ready = remote_ready,
    .finished = remote_finished,
    .transferred = remote_transferred,
    .exported = remote_exported,
    .answered = remote_answered,
    .ended = remote_ended,
};

static int remote_try(struct remote *w)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    w->channel = render_channel_create(w->loop, ends[0], w->last_id, &channel_ops, w);
    if (!w->channel) {
        fd_close(ends[1]);
        return -ENOMEM;
    }
    w->began_ms = loop_now_ms();
    int r = w->source.renew(w->source.user, ends[1]);
    if (r < 0) {
        render_channel_destroy(w->channel);
        w->channel = NULL;
        return r;
    }
    remote_watch(w);
    return 0;
}

static void remote_start(struct remote *w)
{
    int r = remote_try(w);
    if (r == 0)
        return;
    log_error(&w->subject, "cannot start a renderer: %s", strerror(-r));
    loop_timer_arm(w->again, (uint64_t)w->times.backoff_ms << BACKOFF_TIMES);
}

static void remote_again(void *user)
{
    remote_start(user);
}

static void remote_capset(struct renderer *r, uint32_t id, uint32_t version, void *bytes)
{
    struct remote *w = remote_of(r);
    if (w->channel)
        render_channel_capset(w->channel, id, version, bytes);
}

/* Something without an answer. 0 or -ENODEV. */
static int remote_tell(struct renderer *r, unsigned type, const union render_message *message)
{
    struct remote *w = remote_of(r);
    if (!w->channel)
        return -ENODEV;
    render_channel_tell(w->channel, type, message);
    return 0;
}

static int remote_context_create(struct renderer *r, uint32_t id, uint32_t capset)
{
    return remote_tell(r, RENDER_CONTEXT_CREATE, &(union render_message){.context = {id, capset}});
}

static void remote_context_destroy(struct renderer *r, uint32_t id)
{
    remote_tell(r, RENDER_CONTEXT_DESTROY, &(union render_message){.id = {id}});
}

static void remote_context_attach(struct renderer *r, uint32_t id, uint32_t resource)
{
    remote_tell(r, RENDER_CONTEXT_ATTACH, &(union render_message){.attachment = {id, resource}});
}

static void remote_context_detach(struct renderer *r, uint32_t id, uint32_t resource)
{
    remote_tell(r, RENDER_CONTEXT_DETACH, &(union render_message){.attachment = {id, resource}});
}

static int remote_resource_create(struct renderer *r, const struct render_resource *resource)
{
    return remote_tell(r, RENDER_RESOURCE_CREATE, &(union render_message){.resource = *resource});
}

static void remote_resource_destroy(struct renderer *r, uint32_t id)
{
    remote_tell(r, RENDER_RESOURCE_DESTROY, &(union render_message){.id = {id}});
}

static int remote_stage(struct renderer *r, uint64_t size, struct renderer_stage *ret)
{
    struct remote *w = remote_of(r);
    return w->channel ? render_channel_stage(w->channel, size, ret) : -ENODEV;
}

static int remote_transfer(struct renderer *r, const struct renderer_transfer *transfer)
{
    struct remote *w = remote_of(r);
    int e = w->channel ? render_channel_transfer(w->channel, transfer) : -ENODEV;
    remote_watch(w);
    return e;
}

static int remote_submit(struct renderer *r, uint32_t context, const void *commands, uint32_t words)
{
    struct remote *w = remote_of(r);
    int e = w->channel ? render_channel_submit(w->channel, context, commands, words) : -ENODEV;
    remote_watch(w);
    return e;
}

static int remote_fence(struct renderer *r, uint32_t context, uint32_t number)
{
    struct remote *w = remote_of(r);
    if (!w->channel)
        return -ENODEV;
    render_channel_fence(w->channel, context, number);
    remote_watch(w);
    return 0;
}

static int remote_export(struct renderer *r, uint32_t id, uint64_t ticket)
{
    struct remote *w = remote_of(r);
    int e = w->channel ? render_channel_export(w->channel, id, ticket) : -ENODEV;
    remote_watch(w);
    return e;
}

static int remote_memory_add(struct renderer *r, int fd, uint64_t size, uint32_t *ret_id)
{
    struct remote *w = remote_of(r);
    return w->channel ? render_channel_memory(w->channel, fd, size, ret_id) : -ENODEV;
}

static void remote_memory_forget(struct renderer *r, uint32_t id)
{
    struct remote *w = remote_of(r);
    if (w->channel)
        render_channel_forget(w->channel, id);
}

static bool remote_busy(const struct renderer *r)
{
    struct remote *w = (struct remote *)r;
    return w->busy = w->channel && render_channel_busy(w->channel);
}

static void remote_destroy(struct renderer *r)
{
    struct remote *w = remote_of(r);
    struct render_channel *channel = w->channel;
    w->renderer.listener = NULL; /* whoever waits is not there any more */
    w->channel = NULL;
    render_channel_destroy(channel);
    loop_timer_destroy(w->look);
    loop_timer_destroy(w->again);
    free(w);
}

static const struct renderer_ops remote_ops = {
    .capset = remote_capset,
    .context_create = remote_context_create,
    .context_destroy = remote_context_destroy,
    .context_attach = remote_context_attach,
    .context_detach = remote_context_detach,
    .resource_create = remote_resource_create,
    .resource_destroy = remote_resource_destroy,
    .stage = remote_stage,
    .transfer = remote_transfer,
    .submit = remote_submit,
    .fence = remote_fence,
    .export = remote_export,
    .memory_add = remote_memory_add,
    .memory_forget = remote_memory_forget,
    .busy = remote_busy,
    .destroy = remote_destroy,
};

struct renderer *remote_renderer_create(struct loop *loop, const struct remote_source *source,
                                        const struct remote_times *times, char *error,
                                        size_t error_size)
{
    struct remote *w = calloc(1, sizeof(*w));
    int r = w ? 0 : -ENOMEM;
    if (w) {
        *w = (struct remote){.loop = loop,
                             .source = *source,
                             .times = *times,
                             .starting = true,
                             .subject = {.name = "3D"}};
        w->renderer = (struct renderer){.ops = &remote_ops, .capsets = w->capsets};
        w->look = loop_timer_create(loop, remote_look, w);
        w->again = loop_timer_create(loop, remote_again, w);
        r = w->look && w->again ? remote_try(w) : -ENOMEM;
    }
    if (r == 0)
        r = loop_run(loop);
    if (r == 0 && !w->starting)
        return &w->renderer;
    if (r == 0 && *w->text)
        error_set(0, error, error_size, "%s", w->text);
    else
        error_set(0, error, error_size, "the renderer does not start%s%s", r < 0 ? ": " : "",
                  r < 0 ? strerror(-r) : "");
    if (w)
        remote_destroy(&w->renderer);
    errno = r < 0 ? -r : ENODEV;
    return NULL;
}

static int source_renew(void *user, int connection)
{
    return renderer_spawner_renew(user, connection);
}

static void source_stop(void *user)
{
    renderer_spawner_stop(user);
}

static int64_t source_used_ms(void *user)
{
    return renderer_spawner_used_ms(user);
}

struct renderer *remote_renderer_spawn(struct loop *loop, struct renderer_spawner *spawner,
                                       char *error, size_t error_size)
{
    const struct remote_source source = {source_renew, source_stop, source_used_ms, spawner};
    return remote_renderer_create(loop, &source, &remote_times_default, error, error_size);
}
