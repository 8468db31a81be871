/* SPDX-License-Identifier: MIT */
/* vfd-event: owns an eventfd of each that crossed: the program's own, or one that we made, as long
 * as their connection, since nothing tells when nobody has one any more. On the side where it is
 * written to, what is in it is taken and sent; on the other, added. Whoever waits there would be
 * robbed of wake-ups if it were taken on both.
 *
 * Signals that come faster than they go are one, with their sum, as in the eventfd itself. */
#include "common/carrier/vfd-event.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/base/budget.h"
#include "common/base/counter.h"
#include "common/carrier/ends.h"
#include "common/carrier/tree.h"
#include "common/carrier/vfd-mirror.h"

struct event {
    struct vfds *vfds;
    struct known *known;
    int fd;             /* owned, paid for */
    struct loop_io *io; /* it is written to here; NULL: it is waited for here */
    uint64_t pending;   /* taken from it, and not sent yet */
    bool waits;         /* for the link, or for others' changes to be sent */
    LIST_ENTRY(event) entry;
};

static void event_pass(struct event *e)
{
    struct vfds *v = e->vfds;
    struct link *link = v->ends->link;
    uint64_t more;
    if (!e->pending && !link->high && counter_take(e->fd, &more) == 0)
        e->pending = v->events->hook && v->events->hook(v->events->user, e->known, true) ? 0 : more;
    if (e->pending && !link->high) {
        int r = vfd_mirrors_sync(v, e);
        if (r < 0)
            return; /* the connection ends */
        if (r == 0) {
            struct link_event said = {e->known->id, e->pending};
            link_queue(link, link_event_encode, &said);
            e->pending = 0;
        }
    }
    link_flush(link);
    e->waits = e->pending || link->high;
    loop_io_set(e->io, e->waits ? 0 : LOOP_READ);
}

static void event_ready(void *user, unsigned events)
{
    (void)events;
    event_pass(user);
}

static void event_destroy(struct event *e)
{
    vfd_mirrors_forget(e->vfds, e);
    LIST_REMOVE(e, entry);
    loop_io_destroy(e->io);
    budget_give(e->vfds->ends->party->budget, BUDGET_FDS, 1);
    fd_close(e->fd);
    free(e);
}

static void event_dropped(void *user)
{
    event_destroy(user);
}

/* Takes @fd. 0, as budget_take(), or another -errno. */
static int event_create(struct vfds *v, int fd, bool written_here, struct event **ret)
{
    struct budget *budget = v->ends->party->budget;
    int r = budget_take(budget, BUDGET_FDS, 1);
    struct event *e = r == 0 ? calloc(1, sizeof(*e)) : NULL;
    if (e && written_here &&
        !(e->io = loop_io_create(v->ends->loop, fd, LOOP_READ, event_ready, e))) {
        free(e);
        e = NULL;
    }
    if (!e) {
        if (r == 0)
            budget_give(budget, BUDGET_FDS, 1);
        fd_close(fd);
        return r < 0 ? r : -ENOMEM;
    }
    e->vfds = v;
    e->fd = fd;
    LIST_INSERT_HEAD(&v->events->all, e, entry);
    *ret = e;
    return 0;
}

/* @known NULL: errno says why, and @e goes. */
static int event_known(struct event *e, struct known *known)
{
    int error = errno;
    if (!known) {
        event_destroy(e);
        return -error;
    }
    e->known = known;
    known->user = e;
    known->dropped = event_dropped;
    return 0;
}

int vfd_event_send(struct vfds *v, struct vfd_offer *o, bool waits_here)
{
    struct identity identity = identity_of(o->fd, &o->info);
    struct counter_info now;
    int flags = fcntl(o->fd, F_GETFL), r = counter_inspect(o->fd, &now);
    struct event *e;
    struct link_vfd vfd = {.id = vfds_new_id(v), .kind = LINK_VFD_EVENT};
    if (r < 0) {
        o->fd = fd_close(o->fd);
        snprintf(o->problem, sizeof(o->problem), "%s", strerror(-r));
        return VFD_UNFIT;
    }
    vfd.flags = (waits_here ? LINK_VFD_SINK : LINK_VFD_SOURCE) |
                (now.semaphore ? LINK_VFD_SEMAPHORE : 0) |
                (flags >= 0 && flags & O_NONBLOCK ? LINK_VFD_NONBLOCK : 0);
    if (!waits_here && counter_take(o->fd, &vfd.size) < 0)
        vfd.size = 0;
    r = event_create(v, fd_steal(&o->fd), !waits_here, &e);
    if (r == 0)
        r = event_known(e, tree_sent(v->branch, vfd.id, LINK_VFD_EVENT, &identity, -1));
    if (r < 0)
        return ends_scarce(v->ends, o->what, r);
    link_queue(v->ends->link, link_vfd_encode, &vfd);
    return 0;
}

static bool event_classify(struct vfd_offer *o)
{
    struct counter_info info;
    return counter_inspect(o->fd, &info) == 0;
}

static int event_send(struct vfds *v, struct vfd_offer *o)
{
    return vfd_event_send(v, o, false);
}

static int event_frame(struct vfds *v, const struct link_vfd *said)
{
    struct fd_info info;
    struct event *event;
    int e = vfds_peer_id(v, said->id);
    if (e < 0)
        return e;
    if (!v->events || !v->branch)
        return ends_broken(v->ends, "an eventfd where none may be", said->id);
    int fd = eventfd(0, EFD_CLOEXEC | (said->flags & LINK_VFD_SEMAPHORE ? EFD_SEMAPHORE : 0) |
                            (said->flags & LINK_VFD_NONBLOCK ? EFD_NONBLOCK : 0));
    if (fd < 0)
        return ends_scarce(v->ends, "VFD", -errno);
    if (said->size)
        counter_add(fd, said->size);
    e = event_create(v, fd, said->flags & LINK_VFD_SINK, &event);
    if (e == 0) {
        struct identity identity = {0};
        if (fd_inspect(fd, &info) == 0)
            identity = identity_of(fd, &info);
        e = event_known(event, tree_received(v->branch, said->id, LINK_VFD_EVENT, &identity));
    }
    if (e == 0 && (fd = vfd_event_open(event->known)) < 0)
        e = fd;
    if (e < 0)
        return ends_scarce(v->ends, "VFD", e);
    return vfds_arrive_paid(v, (struct vfd){.kind = LINK_VFD_EVENT, .id = said->id, .fd = fd});
}

int vfd_event_open(const struct known *known)
{
    const struct event *e = known->user;
    int fd = fcntl(e->fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

void vfd_event_signal(const struct known *known)
{
    const struct event *e = known->user;
    counter_add(e->fd, 1);
}

static int event_take(struct vfds *v, struct vfd *vfd)
{
    (void)v;
    return fd_steal(&vfd->fd);
}

const struct vfd_kind vfd_kind_event = {.name = "eventfd",
                                        .classify = event_classify,
                                        .send = event_send,
                                        .frame = event_frame,
                                        .take = event_take};

int vfd_event_frame(struct vfds *v, const uint8_t *payload, size_t size)
{
    struct link_event said;
    int e = link_event_decode(payload, size, &said);
    if (e != LINK_OK)
        return ends_malformed(v->ends, LINK_EVENT, e);
    const struct known *known = tree_find(v->branch->tree, v->branch->ticket, said.id);
    if (!known)
        return vfds_was_made(v, said.id)
                   ? 0
                   : ends_broken(v->ends, "EVENT of an id that never was", said.id);
    const struct event *event = known->kind == LINK_VFD_EVENT ? known->user : NULL;
    if (!event || event->io)
        return ends_broken(v->ends, "EVENT of what is not waited for here", said.id);
    if (!v->events->hook || !v->events->hook(v->events->user, known, false))
        counter_add(event->fd, said.value);
    return 0;
}

void vfd_events_resume(struct vfds *v)
{
    struct event *e, *after;
    if (!v->events)
        return;
    LIST_FOREACH_SAFE (e, &v->events->all, entry, after)
        if (e->waits)
            event_pass(e);
}
