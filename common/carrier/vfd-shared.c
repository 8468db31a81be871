/* SPDX-License-Identifier: MIT */
/* vfd-shared: owns, in the guest, the resource of each memory that is shared, from the question to
 * the host's word that it looks no more; on the host, a descriptor of it. The guest may use its
 * pages for something else once the resource is gone. So the host says that nobody has the memory
 * only when that is so: the kernel counts who has a dmabuf, of which nobody is told, and which is
 * therefore looked at from time to time. */
#include "common/carrier/vfd-shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/budget.h"
#include "common/base/fdinfo.h"
#include "common/base/loop.h"
#include "common/carrier/ends.h"
#include "common/carrier/tree.h"

#define SHARED_MAX 512 /* of a connection, in the guest; the host has limits of its own */
#define LOOK_MS 250

struct shared {
    struct vfds *vfds;
    struct known *known; /* NULL: it has no VFD, or none any more */
    uint32_t import;
    enum { SHARED_ASKED, SHARED_ANSWERED, SHARED_RELEASED } state; /* guest */
    enum link_imported_as how;                                     /* guest: the answer */
    void *resource;                                                /* guest */
    int fd; /* host: owned, and paid for, as are its bytes; -1 */
    uint64_t size;
    uint32_t passes, homes; /* host: the last that was said to be idle */
    LIST_ENTRY(shared) entry;
};

static struct shared *shared_create(struct vfds *v, uint32_t import)
{
    struct shared *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    *s = (struct shared){.vfds = v, .import = import, .fd = -1};
    LIST_INSERT_HEAD(&v->sharing->all, s, entry);
    v->sharing->n++;
    return s;
}

static void shared_destroy(struct shared *s)
{
    struct vfd_sharing *all = s->vfds->sharing;
    struct budget *budget = s->vfds->ends->party->budget;
    LIST_REMOVE(s, entry);
    all->n--;
    if (all->asked == s)
        all->asked = NULL;
    if (s->resource)
        all->ops->drop(all->user, s->resource);
    if (s->fd >= 0) {
        budget_give(budget, BUDGET_FDS, 1);
        budget_give(budget, BUDGET_MEMORY, s->size);
        fd_close(s->fd);
    }
    free(s);
}

/* --- guest --- */

/* Nobody names it any more; the host says when it looks no more. */
static void shared_release(struct shared *s)
{
    s->known = NULL;
    s->state = SHARED_RELEASED;
    if (s->vfds->sharing->stopped)
        return; /* the link is closed, which says it all */
    gpu_memory_release(s->vfds->sharing->gpu, s->import);
    link_flush(s->vfds->ends->link);
}

static void shared_dropped(void *user)
{
    shared_release(user);
}

bool vfd_shared_ask(struct vfds *v, const struct vfd_offer *o, bool file)
{
    struct vfd_sharing *all = v->sharing;
    uint32_t resource;
    uint64_t size = o->info.size;
    if (!all || !all->ops->make || all->n >= SHARED_MAX || !size || size > LINK_MEMORY_MAX)
        return false;
    void *made = all->ops->make(all->user, o->fd, size, file, &resource);
    struct shared *s = made ? shared_create(v, 0) : NULL;
    if (!s) {
        if (made)
            all->ops->drop(all->user, made);
        return false;
    }
    s->resource = made;
    s->import = gpu_memory_import(all->gpu, resource, size);
    all->asked = s;
    ends_hold(v->ends, CARRIER_HOLD_USER);
    return true;
}

int vfd_shared_imported(struct vfds *v, const uint8_t *payload, size_t size)
{
    struct shared *s = v->sharing ? v->sharing->asked : NULL;
    struct link_imported said;
    int e = link_imported_decode(payload, size, &said);
    if (e != LINK_OK)
        return ends_malformed(v->ends, LINK_IMPORTED, e);
    if (!s || s->state != SHARED_ASKED || s->import != said.id)
        return ends_broken(v->ends, "IMPORTED of what was not asked for", said.id);
    s->state = SHARED_ANSWERED;
    s->how = (enum link_imported_as)said.how;
    ends_resume(v->ends, CARRIER_HOLD_USER);
    return 0;
}

static bool shared_classify(struct vfd_offer *o)
{
    struct dmabuf_info info;
    if (o->info.kind == FD_KIND_SHMEM || dmabuf_inspect(o->fd, &info) == 0)
        return true;
    snprintf(o->problem, sizeof(o->problem), "%s must be shared memory or a dmabuf", o->role);
    return false;
}

/* What the host was asked about, and has. */
static int shared_send(struct vfds *v, struct vfd_offer *o)
{
    struct shared *s = v->sharing->asked;
    struct identity identity = identity_of(o->fd, &o->info);
    struct link_vfd vfd = {.id = vfds_new_id(v), .kind = LINK_VFD_SHARED, .size = s->import};
    v->sharing->asked = NULL;
    s->known = tree_sent(v->branch, vfd.id, LINK_VFD_SHARED, &identity, fd_steal(&o->fd));
    if (!s->known)
        return ends_scarce(v->ends, o->what, -errno);
    s->known->user = s;
    s->known->dropped = shared_dropped;
    link_queue(v->ends->link, link_vfd_encode, &vfd);
    v->ends->sent.shared += o->info.size;
    return 0;
}

int vfd_shared_send(struct vfds *v, struct vfd_offer *o, enum link_imported_as *ret_how)
{
    struct shared *s = v->sharing->asked;
    *ret_how = s->how;
    if (s->how == LINK_IMPORTED_SHARED) {
        int e = shared_send(v, o);
        return e < 0 ? e : 1;
    }
    v->sharing->asked = NULL;
    shared_release(s);
    return 0;
}

static int guest_released(void *user, uint32_t import)
{
    struct vfds *v = user;
    struct shared *s;
    LIST_FOREACH (s, &v->sharing->all, entry) {
        if (s->import != import)
            continue;
        if (s->state != SHARED_RELEASED)
            break;
        shared_destroy(s);
        return 0;
    }
    return ends_broken(v->ends, "IMPORT_RELEASED of what was not released", import);
}

/* --- host --- */

static int host_import(void *user, const struct link_import *import)
{
    const struct vfds *v = user;
    return v->sharing->ops->ask(v->sharing->user, import);
}

static int host_release(void *user, uint32_t import)
{
    const struct vfds *v = user;
    return v->sharing->ops->release(v->sharing->user, import);
}

void vfd_shared_answer(struct vfds *v, uint32_t import, enum link_imported_as how)
{
    struct link_imported said = {import, (uint16_t)how};
    link_queue(v->ends->link, link_imported_encode, &said);
    link_flush(v->ends->link);
}

/* Besides us. Where the kernel does not count, there may be. */
static bool somebody_has(const struct shared *s)
{
    struct dmabuf_info info;
    return s->fd >= 0 && (dmabuf_inspect(s->fd, &info) < 0 || info.users > 1);
}

bool vfd_shared_in_use(const struct vfds *v)
{
    const struct shared *s;
    if (!v->sharing || !v->sharing->ops->open)
        return false;
    LIST_FOREACH (s, &v->sharing->all, entry)
        if (somebody_has(s))
            return true;
    return false;
}

static void look(void *user)
{
    struct vfd_sharing *all = user;
    struct ends *ends = all->vfds->ends;
    struct shared *s;
    LIST_FOREACH (s, &all->all, entry) {
        const struct known *k = s->known;
        if (!k || (s->passes == k->passes && s->homes == k->homes) || somebody_has(s))
            continue;
        s->passes = k->passes;
        s->homes = k->homes;
        known_idle(s->known);
    }
    link_flush(ends->link);
    all->looks = all->n > 0;
    if (all->looks)
        loop_timer_arm(all->timer, LOOK_MS);
    ends->ops->settle(ends);
}

static void host_dropped(void *user)
{
    shared_destroy(user);
}

/* Pays for it, and knows it as what came. Takes @fd. 0, as budget_take(), or another -errno. */
static int host_keep(struct vfds *v, const struct link_vfd *said, int fd, uint64_t size,
                     struct shared **ret)
{
    struct vfd_sharing *all = v->sharing;
    struct budget *budget = v->ends->party->budget;
    struct fd_info info;
    int e = fd_inspect(fd, &info);
    if (e == 0 && !all->timer && !(all->timer = loop_timer_create(v->ends->loop, look, all)))
        e = -ENOMEM;
    if (e == 0 && (e = budget_take(budget, BUDGET_FDS, 1)) == 0 &&
        (e = budget_take(budget, BUDGET_MEMORY, size)) < 0)
        budget_give(budget, BUDGET_FDS, 1);
    struct shared *s = e == 0 ? shared_create(v, (uint32_t)said->size) : NULL;
    if (!s) {
        if (e == 0) {
            budget_give(budget, BUDGET_FDS, 1);
            budget_give(budget, BUDGET_MEMORY, size);
        }
        fd_close(fd);
        return e < 0 ? e : -ENOMEM;
    }
    s->fd = fd;
    s->size = size;
    struct identity identity = identity_of(fd, &info);
    s->known = tree_received(v->branch, said->id, LINK_VFD_SHARED, &identity);
    if (!s->known) {
        e = -errno;
        shared_destroy(s);
        return e;
    }
    s->known->user = s;
    s->known->dropped = host_dropped;
    if (!all->looks) /* or one that is always new would have it never look */
        loop_timer_arm(all->timer, LOOK_MS);
    all->looks = true;
    *ret = s;
    return 0;
}

static int shared_frame(struct vfds *v, const struct link_vfd *said)
{
    struct vfd_sharing *all = v->sharing;
    struct shared *s = NULL;
    uint64_t size;
    int e = vfds_peer_id(v, said->id);
    if (e < 0)
        return e;
    if (!all || !all->ops->open || !v->branch)
        return ends_broken(v->ends, "shared memory where none may be", said->id);
    int fd = all->ops->open(all->user, (uint32_t)said->size, &size);
    if (fd < 0)
        return ends_broken(v->ends, "a VFD of an import that cannot be shared, or twice", said->id);
    e = host_keep(v, said, fd, size, &s);
    fd = e == 0 ? vfd_shared_open(s->known) : e;
    if (fd < 0)
        return ends_scarce(v->ends, "VFD", fd);
    v->ends->sent.shared += size;
    log_debug(v->ends->subject, "%llu bytes of the VM's memory are shared",
              (unsigned long long)size);
    return vfds_arrive_paid(v, (struct vfd){.kind = LINK_VFD_SHARED, .id = said->id, .fd = fd});
}

int vfd_shared_open(const struct known *known)
{
    const struct shared *s = known->user;
    int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int shared_take(struct vfds *v, struct vfd *vfd)
{
    (void)v;
    return fd_steal(&vfd->fd);
}

const struct vfd_kind vfd_kind_shared = {.name = "shared",
                                         .classify = shared_classify,
                                         .send = shared_send,
                                         .frame = shared_frame,
                                         .take = shared_take};

/* --- both --- */

void vfd_sharing_init(struct vfd_sharing *all, struct vfds *v, struct gpu_memory *gpu,
                      const struct vfd_sharing_ops *ops, void *user)
{
    static const struct gpu_memory_ops guest = {.released = guest_released},
                                       host = {.import = host_import, .release = host_release};
    *all = (struct vfd_sharing){.vfds = v, .gpu = gpu, .ops = ops, .user = user};
    gpu->ops = ops->make ? &guest : &host;
    gpu->user = v;
    v->sharing = all;
}

void vfd_sharing_stop(struct vfd_sharing *all)
{
    all->stopped = true;
}

void vfd_sharing_finish(struct vfd_sharing *all)
{
    while (!LIST_EMPTY(&all->all))
        shared_destroy(LIST_FIRST(&all->all));
    loop_timer_destroy(all->timer);
    all->timer = NULL;
    if (all->vfds)
        all->vfds->sharing = NULL;
}
