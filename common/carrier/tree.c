/* SPDX-License-Identifier: MIT */
/* tree: owns an entry for each VFD that may be meant again, by its number and by what it is
 * here. An entry lives as long as the other side may name it, and no longer than the connection
 * that it crossed on: what was sent is kept until the other side says that nobody there has it any
 * more (known_idle), for which both count, as names for it may be on their way on other links. */
#include "common/carrier/tree.h"

#include <errno.h>
#include <poll.h>
#include <search.h>
#include <stdlib.h>

#include "common/base/budget.h"
#include "common/base/closings.h"
#include "common/base/counter.h"
#include "common/base/fdinfo.h"
#include "common/carrier/ends.h"
#include "common/carrier/vfds.h"

#define COST 1024 /* bytes that one is charged for: its own, and the kernel's for it */

struct tree {
    unsigned refs;
    LIST_HEAD(, branch) branches;
    /* Trees (search.h): all by number; by what they are; sockets by their ticket. */
    void *by_id, *sent, *received, *sockets;
};

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int by_id(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    int c = compare(x->branch->ticket, y->branch->ticket);
    return c ? c : compare(x->id, y->id);
}

static int by_identity(const void *a, const void *b)
{
    const struct identity *x = &((const struct known *)a)->identity,
                          *y = &((const struct known *)b)->identity;
    int c = compare(x->what, y->what);
    if (!c)
        c = compare(x->dev, y->dev);
    return c ? c : compare(x->ino, y->ino);
}

static int by_ticket(const void *a, const void *b)
{
    return compare(((const struct known *)a)->ticket, ((const struct known *)b)->ticket);
}

static struct known *find(void *const *index, const struct known *key,
                          int (*order)(const void *, const void *))
{
    struct known *const *at = tfind(key, index, order);
    return at ? *at : NULL;
}

/* Its original, or what stands for it. */
static void known_close(struct known *k)
{
    if (k->original < 0)
        return;
    budget_give(k->branch->vfds->ends->party->budget, BUDGET_FDS, 1);
    vfds_discard(k->branch->vfds, fd_steal(&k->original));
}

struct tree *tree_create(void)
{
    struct tree *t = calloc(1, sizeof(*t));
    if (t) {
        t->refs = 1;
        closings_hold();
    }
    return t;
}

struct tree *tree_ref(struct tree *t)
{
    t->refs++;
    return t;
}

void tree_unref(struct tree *t)
{
    if (!t || --t->refs)
        return;
    closings_release();
    free(t); /* entries are branches', and each has a reference */
}

void branch_init(struct branch *b, struct tree *tree, uint64_t ticket, struct vfds *vfds)
{
    const struct known key = {.ticket = ticket};
    struct known *k = ticket ? find(&tree->sockets, &key, by_ticket) : NULL;
    *b = (struct branch){.tree = tree_ref(tree), .ticket = ticket, .vfds = vfds};
    LIST_INSERT_HEAD(&tree->branches, b, entry);
    if (!k)
        return;
    b->went_home = !k->ours && k->homes;
    b->stop = k->ours && k->left;
    if (!k->ours)
        known_close(k); /* the connection has it */
}

void branch_finish(struct branch *b)
{
    struct tree *t = b->tree;
    if (!t)
        return;
    while (!LIST_EMPTY(&b->all))
        known_drop(LIST_FIRST(&b->all));
    LIST_REMOVE(b, entry);
    b->tree = NULL;
    tree_unref(t);
}

struct branch *tree_branch(const struct tree *t, uint64_t ticket)
{
    struct branch *b;
    LIST_FOREACH (b, &t->branches, entry)
        if (b->ticket == ticket)
            return b;
    return NULL;
}

struct identity identity_of(int fd, const struct fd_info *info)
{
    struct identity i = {info->dev, info->ino, IDENTITY_NONE};
    struct counter_info counter;
    struct dmabuf_info dmabuf;
    switch (info->kind) {
    case FD_KIND_SHMEM:
        i.what = IDENTITY_FILE;
        break;
    case FD_KIND_FILE: /* as some kernels have dmabufs, and others do not */
        i.what = dmabuf_inspect(fd, &dmabuf) == 0 ? IDENTITY_DMABUF : IDENTITY_FILE;
        break;
    case FD_KIND_PIPE:
        if (info->readable != info->writable)
            i.what = info->readable ? IDENTITY_READ : IDENTITY_WRITE;
        break;
    case FD_KIND_SOCKET:
    case FD_KIND_PACKETS:
        i.what = IDENTITY_SOCKET;
        break;
    default:
        if (counter_inspect(fd, &counter) == 0)
            i = (struct identity){0, counter.id, IDENTITY_EVENT};
        else if (dmabuf_inspect(fd, &dmabuf) == 0)
            i.what = IDENTITY_DMABUF;
    }
    return i;
}

/* --- entries --- */

static void **index_of(struct tree *t, const struct known *k)
{
    return k->ours ? &t->sent : &t->received;
}

/* The last one of several that are the same is found. */
static bool index_add(struct tree *t, struct known *k)
{
    if (k->identity.what == IDENTITY_NONE)
        return true;
    struct known **at = tsearch(k, index_of(t, k), by_identity);
    if (at)
        *at = k;
    return at != NULL;
}

static void index_remove(void **index, const struct known *k,
                         int (*order)(const void *, const void *))
{
    struct known *const *at = tfind(k, index, order);
    if (at && *at == k)
        tdelete(k, index, order);
}

static struct known *known_add(struct branch *b, const struct known *model)
{
    struct budget *budget = b->vfds->ends->party->budget;
    struct tree *t = b->tree;
    int e = budget_take(budget, BUDGET_MEMORY, COST);
    struct known *k = e == 0 ? malloc(sizeof(*k)) : NULL;
    if (e == 0 && !k) {
        budget_give(budget, BUDGET_MEMORY, COST);
        e = -ENOMEM;
    }
    if (e < 0) {
        errno = -e;
        return NULL;
    }
    *k = *model;
    k->branch = b;
    LIST_INSERT_HEAD(&b->all, k, entry);
    if (tsearch(k, &t->by_id, by_id) && index_add(t, k))
        return k;
    k->original = -1;
    known_drop(k);
    errno = ENOMEM;
    return NULL;
}

struct known *tree_sent(struct branch *b, uint32_t id, uint16_t kind,
                        const struct identity *identity, int fd)
{
    struct budget *budget = b->vfds->ends->party->budget;
    int e = fd >= 0 ? budget_take(budget, BUDGET_FDS, 1) : 0;
    struct known *k = NULL;
    if (e == 0)
        k = known_add(b, &(struct known){.id = id,
                                         .kind = kind,
                                         .ours = true,
                                         .original = fd,
                                         .identity = *identity,
                                         .passes = 1});
    if (!k) {
        int error = e < 0 ? -e : errno;
        if (e == 0 && fd >= 0)
            budget_give(budget, BUDGET_FDS, 1);
        vfds_discard(b->vfds, fd);
        errno = error;
    }
    return k;
}

struct known *tree_received(struct branch *b, uint32_t id, uint16_t kind,
                            const struct identity *identity)
{
    return known_add(
        b, &(struct known){
               .id = id, .kind = kind, .original = -1, .identity = *identity, .passes = 1});
}

struct known *tree_find_sent(const struct tree *t, const struct identity *identity)
{
    const struct known key = {.identity = *identity};
    return identity->what == IDENTITY_NONE ? NULL : find(&t->sent, &key, by_identity);
}

struct known *tree_find_received(const struct tree *t, const struct identity *identity)
{
    const struct known key = {.identity = *identity};
    return identity->what == IDENTITY_NONE ? NULL : find(&t->received, &key, by_identity);
}

struct known *tree_find(const struct tree *t, uint64_t ticket, uint32_t id)
{
    struct branch branch = {.ticket = ticket};
    const struct known key = {.branch = &branch, .id = id};
    return find(&t->by_id, &key, by_id);
}

void known_drop(struct known *k)
{
    struct branch *b = k->branch;
    struct tree *t = b->tree;
    struct budget *budget = b->vfds->ends->party->budget;
    index_remove(&t->by_id, k, by_id);
    index_remove(index_of(t, k), k, by_identity);
    index_remove(&t->sockets, k, by_ticket);
    LIST_REMOVE(k, entry);
    closing_destroy(k->closing);
    known_close(k);
    budget_give(budget, BUDGET_MEMORY, COST);
    if (k->dropped)
        k->dropped(k->user);
    free(k);
}

/* --- the end of one --- */

static void say_idle(struct link *link, const struct known *k)
{
    struct link_vfd_idle idle = {
        .id = k->id, .passes = k->passes, .homes = k->homes, .ticket = k->branch->ticket};
    link_queue(link, link_vfd_idle_encode, &idle);
}

/* Another name for it may be on its way. */
static bool may_come_again(const struct known *k)
{
    return k->kind == LINK_VFD_MIRROR || k->kind == LINK_VFD_SHARED;
}

void known_idle(struct known *k)
{
    say_idle(k->branch->vfds->ends->link, k);
    if (!may_come_again(k))
        known_drop(k);
}

void known_settle(struct known *k)
{
    if (!k->idle || k->passes != k->idle_passes || k->homes != k->idle_homes)
        return;
    if (may_come_again(k)) {
        struct link_vfd_gone gone = {.id = k->id, .ticket = k->branch->ticket};
        link_queue(k->branch->vfds->ends->link, link_vfd_gone_encode, &gone);
        link_flush(k->branch->vfds->ends->link);
    }
    known_drop(k);
}

void tree_over(struct branch *b, uint32_t id)
{
    struct known *k = b ? tree_find(b->tree, b->ticket, id) : NULL;
    if (k && !k->ours)
        known_idle(k);
}

int tree_socket(struct known *k, uint64_t ticket)
{
    k->ticket = ticket;
    return tsearch(k, &k->branch->tree->sockets, by_ticket) ? 0 : -ENOMEM;
}

bool tree_socket_leaves(struct known *k)
{
    struct branch *b = tree_branch(k->branch->tree, k->ticket);
    struct pollfd p = {.fd = k->original};
    if (b) {
        b->went_home = true;
        p.fd = ends_has_local(b->vfds->ends) ? b->vfds->ends->local.fd : -1;
    }
    return p.fd >= 0 && poll(&p, 1, 0) > 0 && p.revents & POLLHUP;
}

void tree_socket_returns(struct known *k, bool last)
{
    struct branch *b = tree_branch(k->branch->tree, k->ticket);
    k->left |= last;
    if (b)
        b->stop |= last;
}

void tree_socket_ends(struct branch *b)
{
    const struct known key = {.ticket = b->ticket};
    const struct known *k = b->ticket ? find(&b->tree->sockets, &key, by_ticket) : NULL;
    if (k && !k->ours && k->homes)
        say_idle(b->vfds->ends->link, k);
}

void tree_socket_over(struct tree *t, uint64_t ticket)
{
    const struct known key = {.ticket = ticket};
    struct known *k = t && ticket ? find(&t->sockets, &key, by_ticket) : NULL;
    if (k && !(k->ours && k->idle && k->homes != k->idle_homes))
        known_drop(k);
}

int tree_idle(struct branch *b, const uint8_t *payload, size_t size)
{
    struct link_vfd_idle idle;
    int e = link_vfd_idle_decode(payload, size, &idle);
    if (e != LINK_OK)
        return ends_malformed(b->vfds->ends, LINK_VFD_IDLE, e);
    struct known *k = tree_find(b->tree, idle.ticket, idle.id);
    if (!k) /* its connection is over */
        return 0;
    if (!k->ours || idle.passes > k->passes)
        return ends_broken(b->vfds->ends, "VFD_IDLE of what was not sent, or not so often",
                           idle.id);
    k->idle = true;
    k->idle_passes = idle.passes;
    k->idle_homes = idle.homes;
    known_settle(k);
    return 0;
}

int tree_gone(struct branch *b, const uint8_t *payload, size_t size)
{
    struct link_vfd_gone gone;
    int e = link_vfd_gone_decode(payload, size, &gone);
    if (e != LINK_OK)
        return ends_malformed(b->vfds->ends, LINK_VFD_GONE, e);
    struct known *k = tree_find(b->tree, gone.ticket, gone.id);
    if (!k)
        return 0;
    if (k->ours)
        return ends_broken(b->vfds->ends, "VFD_GONE of what was not received", gone.id);
    known_drop(k);
    return 0;
}
