/* SPDX-License-Identifier: MIT */
/* service-messages: owns the beginning of a message that its helper has to see as a whole, and what
 * the helper wants to say between two of them. All else passes from the buffer that it is in. */
#include "common/services/service-messages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fd.h"

#define LATER_MAX (1u << 20) /* bytes that a helper may have to say */

static int messages_sink_say(void *user, enum service_way way, const void *bytes, size_t size)
{
    struct messages *m = user;
    struct message_way *w = &m->way[way];
    uint8_t *grown = size <= LATER_MAX - w->later_n ? realloc(w->later, w->later_n + size) : NULL;
    if (!grown) {
        m->fail(m->user, "more answers wait than may");
        return -EPROTO;
    }
    w->later = grown;
    memcpy(w->later + w->later_n, bytes, size);
    w->later_n += size;
    if (!(m->at_work & 1u << way))
        m->said(m->user, way);
    return 0;
}

static int messages_sink_fail(void *user, const char *text)
{
    struct messages *m = user;
    m->fail(m->user, text);
    return -EPROTO;
}

static int messages_sink_role(void *user, const struct service_role *role)
{
    struct messages *m = user;
    return m->role ? m->role(m->user, role) : 0;
}

int messages_init(struct messages *m, const struct service_helper_ops *ops,
                  const struct service_settings *settings, struct log_subject *subject,
                  void (*fail)(void *user, const char *text),
                  void (*said)(void *user, enum service_way way), void *user)
{
    *m = (struct messages){.ops = ops, .fail = fail, .said = said, .user = user};
    m->sink = (struct service_sink){messages_sink_say, messages_sink_fail, messages_sink_role, m};
    if (ops)
        m->helper = ops->create(settings, &m->sink, subject);
    return ops && !m->helper ? -ENOMEM : 0;
}

/* The first @n of those that came. */
static void give_fds(struct message_way *w, unsigned n, struct service_piece *ret)
{
    memcpy(w->given, w->fds, n * sizeof(int));
    w->fds_n -= n;
    memmove(w->fds, w->fds + n, w->fds_n * sizeof(int));
    ret->fds = w->given;
    ret->fds_n = n;
}

static void close_fds(int *fds, unsigned *n)
{
    while (*n)
        fd_close(fds[--*n]);
}

void messages_finish(struct messages *m)
{
    if (m->helper)
        m->ops->destroy(m->helper);
    m->helper = NULL;
    for (int i = 0; i < _SERVICE_WAY_N; i++) {
        close_fds(m->way[i].fds, &m->way[i].fds_n);
        free(m->way[i].buffer);
        free(m->way[i].later);
        free(m->way[i].saying);
        m->way[i] = (struct message_way){0};
    }
}

/* Off the front, with the descriptors. */
static void piece_take(struct service_piece *in, size_t n, struct service_piece *ret)
{
    *ret = (struct service_piece){in->bytes, n, in->fds, in->fds_n};
    in->bytes += n;
    in->size -= n;
    in->fds_n = 0;
}

static int no_such_protocol(struct messages *m)
{
    m->fail(m->user, "what it says is no message of the service's protocol");
    return -EPROTO;
}

/* Moves @n bytes behind the beginning that we have. 0 or negative. */
static int gather(struct messages *m, struct message_way *w, struct service_piece *in, size_t n)
{
    if (!w->buffer && !(w->buffer = malloc(MESSAGE_ROOM))) {
        m->fail(m->user, "out of memory");
        return -ENOMEM;
    }
    memcpy(w->buffer + w->have, in->bytes, n);
    w->have += n;
    in->bytes += n;
    in->size -= n;
    return 0;
}

/* Asks for the frame of the message that begins here. 1: known; 0: more bytes are needed, and those
 * that there were are taken; or negative. */
static int find_frame(struct messages *m, enum service_way way, struct service_piece *in)
{
    struct message_way *w = &m->way[way];
    struct service_frame f = {0};
    int r = 0;
    if (!w->have) {
        r = m->ops->frame(m->helper, way, in->bytes, in->size, &f);
        if (r == 0 && in->size >= SERVICE_HEAD_MAX)
            r = no_such_protocol(m);
        if (r == 0)
            return gather(m, w, in, in->size);
    }
    while (r == 0 && in->size) {
        r = gather(m, w, in, 1); /* no byte of the next message may get in here */
        if (r == 0)
            r = m->ops->frame(m->helper, way, w->buffer, w->have, &f);
        if (r == 0 && w->have >= SERVICE_HEAD_MAX)
            r = no_such_protocol(m);
    }
    if (r < 0)
        return no_such_protocol(m);
    if (r == 0)
        return 0;
    if (f.size == 0 || f.look > SERVICE_LOOK_MAX || f.look > f.size || w->have > f.size)
        return no_such_protocol(m);
    w->frame = f;
    w->framed = true;
    return 1;
}

/* The look is complete: what becomes of the message. 1: *ret, 0: it is dropped, or negative. */
static int show(struct messages *m, enum service_way way, struct service_piece *ret)
{
    struct message_way *w = &m->way[way];
    size_t size = w->have;
    int verdict = SERVICE_PASS;
    if (w->frame.look && m->ops->message)
        verdict = m->ops->message(m->helper, way, w->buffer, &size, MESSAGE_ROOM);
    if (verdict < 0 || size > MESSAGE_ROOM)
        return no_such_protocol(m);
    w->left = w->frame.size - w->have;
    w->have = 0;
    w->framed = false;
    w->dropping = verdict == SERVICE_DROP;
    *ret = (struct service_piece){.bytes = w->buffer, .size = size};
    if (m->ops->counts_fds && w->frame.fds > w->fds_n) {
        m->fail(m->user, "a message lacks descriptors that it says it has");
        return -EPROTO;
    }
    give_fds(w, m->ops->counts_fds ? w->frame.fds : w->fds_n, ret);
    if (w->dropping)
        close_fds(ret->fds, &ret->fds_n);
    return !w->dropping && size > 0;
}

/* The descriptors of a message that is being gathered wait for it. */
static int take_fds(struct messages *m, struct message_way *w, struct service_piece *in)
{
    if (in->fds_n > LINK_DATA_VFDS_MAX - w->fds_n) {
        close_fds(in->fds, &in->fds_n);
        m->fail(m->user, "more descriptors than a message may have");
        return -EPROTO;
    }
    if (in->fds_n)
        memcpy(w->fds + w->fds_n, in->fds, in->fds_n * sizeof(int));
    w->fds_n += in->fds_n;
    in->fds_n = 0;
    return 0;
}

/* The next piece of the message that is on its way, or nothing of one that is dropped. */
static int pass_on(struct message_way *w, struct service_piece *in, struct service_piece *ret)
{
    size_t n = in->size < w->left ? in->size : (size_t)w->left;
    w->left -= n;
    piece_take(in, n, ret);
    if (w->dropping)
        close_fds(ret->fds, &ret->fds_n);
    return !w->dropping;
}

static int say_later(struct message_way *w, struct service_piece *ret)
{
    free(w->saying);
    w->saying = w->later;
    *ret = (struct service_piece){.bytes = w->saying, .size = w->later_n};
    w->later = NULL;
    w->later_n = 0;
    return 1;
}

static int next(struct messages *m, enum service_way way, struct service_piece *in,
                struct service_piece *ret)
{
    struct message_way *w = &m->way[way];
    int r = 0;
    for (;;) {
        if (!w->left && w->later_n && !w->have)
            return say_later(w, ret);
        if (!in->size)
            return 0;
        if (w->left) {
            if (m->ops->counts_fds && (r = take_fds(m, w, in)) < 0)
                return r;
            if ((r = pass_on(w, in, ret)) != 0)
                return r;
            continue;
        }
        if ((r = take_fds(m, w, in)) < 0)
            return r;
        bool whole = !w->have && !w->framed; /* it may pass from where it is */
        if (!w->framed && (r = find_frame(m, way, in)) <= 0) {
            if (r < 0)
                return r;
            continue;
        }
        if (whole && !w->have && !w->frame.look) {
            w->framed = w->dropping = false;
            w->left = w->frame.size;
            in->fds = w->fds;
            in->fds_n = w->fds_n;
            w->fds_n = 0;
            continue;
        }
        size_t want = w->frame.look > w->have ? w->frame.look - w->have : 0;
        if ((r = gather(m, w, in, in->size < want ? in->size : want)) < 0)
            return r;
        if (w->have >= w->frame.look && (r = show(m, way, ret)) != 0)
            return r;
    }
}

int messages_next(struct messages *m, enum service_way way, struct service_piece *in,
                  struct service_piece *ret)
{
    if (!m->helper) {
        if (!in->size)
            return 0;
        piece_take(in, in->size, ret);
        return 1;
    }
    m->at_work |= 1u << way;
    int r = next(m, way, in, ret);
    m->at_work &= ~(1u << way);
    return r;
}

void messages_descriptor(struct messages *m, enum service_way way, unsigned i,
                         struct service_descriptor *ret)
{
    *ret = (struct service_descriptor){0};
    if (m->helper && m->ops->descriptor)
        m->ops->descriptor(m->helper, way, i, ret);
}

void messages_sent(struct messages *m, enum service_way way, unsigned i, uint32_t vfd)
{
    if (m->helper && m->ops->sent)
        m->ops->sent(m->helper, way, i, vfd);
}

int messages_passing(struct messages *m, enum service_way way)
{
    return m->helper && m->ops->passing ? m->ops->passing(m->helper, way) : 0;
}
