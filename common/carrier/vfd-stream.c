/* SPDX-License-Identifier: MIT */
/* vfd-stream: owns the streams of a connection until each has ended. Frames for one that has ended
 * may be late; they are dropped. */
#include "common/carrier/vfd-stream.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/carrier/deliveries.h"
#include "common/carrier/ends.h"
#include "common/carrier/file-reader.h"
#include "common/carrier/tree.h"
#include "common/carrier/stream.h"

static int by_id(const void *a, const void *b)
{
    const struct stream *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static struct stream *vfd_stream_find(const struct vfds *v, uint32_t id)
{
    const struct stream key = {.id = id};
    struct stream *const *s = tfind(&key, &v->streams_by_id, by_id);
    return s ? *s : NULL;
}

/* Out of the table. */
static void vfd_stream_forget(struct vfds *v, struct stream *s)
{
    tdelete(s, &v->streams_by_id, by_id);
    LIST_REMOVE(s, entry);
    v->streams_n--;
    tree_over(v->branch, s->id);
}

static void stream_ended(void *user, struct stream *s)
{
    struct vfds *v = user;
    vfd_stream_forget(v, s);
    link_forget_sink(v->ends->link, &s->sink);
    s->link = NULL;
    stream_destroy_later(s);
    if (!v->streams_n)
        v->ends->ops->settle(v->ends);
}

/* Takes @fd and what stream_afford() took; see stream_create(). 0 or -errno. */
static int vfd_stream_add(struct vfds *v, uint32_t id, int fd, bool out, bool ours)
{
    struct budget *budget = v->ends->party->budget;
    struct waiters *waiters = ours ? NULL : vfds_waiters(v);
    if (!ours && !waiters) {
        stream_unafford(budget, out);
        fd_close(fd);
        return -ENOMEM;
    }
    struct stream *s =
        stream_create(v->ends->loop, v->ends->link, id, fd, out, waiters, budget, stream_ended, v);
    if (!s)
        return -errno;
    if (!tsearch(s, &v->streams_by_id, by_id)) {
        stream_destroy(s);
        return -ENOMEM;
    }
    s->sent = &v->ends->sent.streams;
    LIST_INSERT_HEAD(&v->streams, s, entry);
    v->streams_n++;
    return 0;
}

/* Whatever it is: the one who writes to it at the other side hears if nobody can. */
static bool stream_classify(struct vfd_offer *o)
{
    (void)o;
    return true;
}

static int stream_send(struct vfds *v, struct vfd_offer *o)
{
    bool writable = o->info.writable || !o->info.readable; /* neither: O_PATH */
    int e = stream_afford(v->ends->party->budget, !writable);
    if (e < 0) {
        vfds_discard(v, o->fd);
        return ends_scarce(v->ends, o->what, e);
    }
    struct link_vfd vfd = {.id = vfds_new_id(v),
                           .kind = LINK_VFD_STREAM,
                           .flags = writable ? LINK_VFD_SINK : LINK_VFD_SOURCE};
    link_queue(v->ends->link, link_vfd_encode, &vfd);
    e = vfd_stream_add(v, vfd.id, o->fd, !writable, false);
    if (e == -EPIPE || e == -ENXIO || e == -EBADF) {
        /* Its reader left before it began, or never was: the writer at the other side finds that
         * out. */
        link_queue(v->ends->link, link_id_encode, LINK_VFD_CLOSE, vfd.id);
        return 0;
    }
    if (e < 0) {
        snprintf(o->problem, sizeof(o->problem), "%s",
                 e == -EMFILE ? too_many_waiters : strerror(-e));
        return VFD_SCARCE;
    }
    return 0;
}

/* What is handed out may come home. */
static int stream_known(struct vfds *v, uint32_t id, int fd)
{
    struct fd_info info;
    int e = v->branch ? fd_inspect(fd, &info) : 0;
    if (!v->branch || e < 0)
        return e;
    struct identity identity = identity_of(fd, &info);
    return tree_received(v->branch, id, LINK_VFD_STREAM, &identity) ? 0 : -errno;
}

static int stream_frame(struct vfds *v, const struct link_vfd *said)
{
    /* A sink: what the application here writes goes to the sender. */
    bool out = said->flags == LINK_VFD_SINK;
    int ends[2], e = vfds_peer_id(v, said->id);
    if (e < 0)
        return e;
    e = stream_afford(v->ends->party->budget, out);
    if (e < 0)
        return ends_scarce(v->ends, "VFD", e);
    if (pipe2(ends, O_CLOEXEC) < 0) {
        e = -errno;
        stream_unafford(v->ends->party->budget, out);
        return ends_failf(v->ends, LINK_ERROR_INTERNAL, "no pipe: %s", strerror(-e));
    }
    int ours = out ? ends[0] : ends[1];
    struct vfd vfd = {.kind = LINK_VFD_STREAM, .id = said->id, .fd = out ? ends[1] : ends[0]};
    fd_set_nonblock(ours);
    e = vfd_stream_add(v, said->id, ours, out, true);
    if (e == 0)
        e = stream_known(v, said->id, vfd.fd);
    if (e < 0) {
        vfd_release(&vfd);
        return ends_failf(v->ends, LINK_ERROR_INTERNAL, "no stream: %s", strerror(-e));
    }
    return vfds_arrive(v, vfd);
}

static int stream_take(struct vfds *v, struct vfd *vfd)
{
    (void)v;
    return fd_steal(&vfd->fd);
}

static int stream_close(struct vfds *v, uint32_t id)
{
    struct stream *s = vfd_stream_find(v, id);
    if (!s)
        return -ENOENT;
    if (!s->out)
        return ends_broken(v->ends, "VFD_CLOSE of a stream that the sender writes to", id);
    stream_reader_gone(s);
    return 0;
}

const struct vfd_kind vfd_kind_stream = {.name = "stream",
                                         .classify = stream_classify,
                                         .send = stream_send,
                                         .frame = stream_frame,
                                         .take = stream_take,
                                         .close = stream_close};

/* --- frames about streams --- */

static int credit_stream(struct vfds *v, const struct link_stream_credit *credit)
{
    struct stream *s = vfd_stream_find(v, credit->id);
    if (!s)
        return vfds_was_made(v, credit->id)
                   ? 0
                   : ends_broken(v->ends, "STREAM_CREDIT for an id that never was", credit->id);
    if (!s->out)
        return ends_broken(v->ends, "STREAM_CREDIT from the writer", credit->id);
    if (!stream_add_credit(s, credit->bytes))
        return ends_broken(v->ends, "STREAM_CREDIT overflows the window", credit->id);
    return 0;
}

static int end_stream(struct vfds *v, uint32_t id)
{
    struct stream *s = vfd_stream_find(v, id);
    if (!s)
        return vfds_was_made(v, id)
                   ? 0
                   : ends_broken(v->ends, "STREAM_END for an id that never was", id);
    if (s->out || s->peer_done)
        return ends_broken(v->ends, "STREAM_END from the reader, or twice", id);
    if (stream_holds(s)) { /* the connection need not wait for a slow reader */
        vfd_stream_forget(v, s);
        deliveries_add(v->ends->party->deliveries, s);
        v->ends->ops->settle(v->ends);
    } else {
        stream_end(s);
    }
    return 0;
}

int vfd_stream_frame(struct vfds *v, enum link_type type, const uint8_t *payload, size_t size)
{
    struct link_stream_credit credit;
    uint32_t id;
    int e;
    if (type == LINK_STREAM_CREDIT) {
        e = link_stream_credit_decode(payload, size, &credit);
        return e == LINK_OK ? credit_stream(v, &credit) : ends_malformed(v->ends, type, e);
    }
    e = link_id_decode(payload, size, &id);
    return e == LINK_OK ? end_stream(v, id) : ends_malformed(v->ends, type, e);
}

int vfd_stream_data(struct vfds *v, uint32_t id, size_t size, struct link_sink **ret_sink)
{
    struct stream *s = vfd_stream_find(v, id);
    if (!s)
        return vfds_was_made(v, id)
                   ? 0
                   : ends_broken(v->ends, "STREAM_DATA for an id that never was", id);
    if (s->out || s->peer_done)
        return ends_broken(v->ends, "STREAM_DATA from the reader, or after the end", id);
    if (!stream_take_credit(s, size))
        return ends_broken(v->ends, "STREAM_DATA beyond its credit", id);
    v->ends->got.streams += size;
    *ret_sink = &s->sink;
    return 0;
}

bool vfd_stream_let_go(struct vfds *v, uint32_t id)
{
    struct stream *s = vfd_stream_find(v, id);
    return !s || (!s->out && stream_look(s));
}

void vfd_streams_resume(struct vfds *v)
{
    struct stream *s, *after;
    LIST_FOREACH_SAFE (s, &v->streams, entry, after)
        stream_resume(s);
}

void vfd_streams_finish(struct vfds *v)
{
    unsigned cut = 0;
    sendq_finish(&v->ends->link->out); /* before the pipes that it may still refer to */
    while (!LIST_EMPTY(&v->streams)) {
        struct stream *s = LIST_FIRST(&v->streams);
        vfd_stream_forget(v, s);
        cut += !s->over;
        if (stream_holds(s))
            deliveries_add(v->ends->party->deliveries, s);
        else
            stream_destroy(s);
    }
    if (cut)
        log_info(v->ends->subject, "%u transfers were cut short: their connection ended", cut);
}
