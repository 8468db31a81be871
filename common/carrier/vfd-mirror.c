/* SPDX-License-Identifier: MIT */
/* vfd-mirror: owns the memory of both sides of each mirror, and a shadow of it: the bytes that both
 * are known to have (delta). Where the memory was sent from, it is the program's own file, which
 * may shrink; on the other side it is a file of ours, which may not.
 *
 * What was handed out there is gone when nobody has a descriptor of it or a mapping. The kernel
 * says that somebody has closed one (closings); whether it was the last is told by a lock that each
 * of them has, far behind the file's end. Who opens the file anew by its path in /proc has none:
 * such a mirror stays as long as its connection. */
#include "common/carrier/vfd-mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/budget.h"
#include "common/base/closings.h"
#include "common/base/guard.h"
#include "common/base/loop.h"
#include "common/base/memory.h"
#include "common/carrier/delta.h"
#include "common/carrier/ends.h"
#include "common/carrier/tree.h"

#define LOCK_AT (INT64_MAX - 1)
#define LOOK_AGAIN_MS 1000 /* the kernel tells of a close before it lets go of the lock */

struct mirror {
    struct vfds *vfds;
    struct known *known;
    struct memory *memory;
    struct delta_shadow shadow;
    uint64_t charged;
    bool ours;            /* the memory is a program's of this side */
    bool stays;           /* it is known not to become smaller */
    bool sends, receives; /* what changes here, there */
    bool sealed;          /* it looks as it is to look */
    struct loop_timer *timer;
    LIST_ENTRY(mirror) entry;
};

/* Pages, which is what the smallest costs. */
static uint64_t cost_of(uint64_t size)
{
    return (size + pages_size() - 1) / pages_size() * pages_size();
}

static void mirror_destroy(struct mirror *m)
{
    struct vfd_mirrors *all = m->vfds->mirrors;
    if (all->at == m) {
        all->at = LIST_NEXT(m, entry);
        all->looked = false;
    }
    LIST_REMOVE(m, entry);
    all->size -= cost_of(m->memory->size);
    budget_give(m->vfds->ends->party->budget, BUDGET_MEMORY, m->charged);
    if (!m->ours)
        memory_unreserve(m->memory, 0, m->memory->size);
    loop_timer_destroy(m->timer);
    memory_unref(m->memory);
    delta_shadow_finish(&m->shadow);
    free(m);
}

static void mirror_dropped(void *user)
{
    mirror_destroy(user);
}

/* Takes @memory, which has @size bytes. NULL: errno, of budget_take() as well. */
static struct mirror *mirror_create(struct vfds *v, struct memory *memory, bool ours)
{
    struct budget *budget = v->ends->party->budget;
    uint64_t size = delta_shadow_cost(memory->size);
    int e = budget_take(budget, BUDGET_MEMORY, size);
    struct mirror *m = e == 0 ? calloc(1, sizeof(*m)) : NULL;
    if (m && delta_shadow_init(&m->shadow, memory->size) < 0) {
        free(m);
        m = NULL;
    }
    if (m && !ours && (e = memory_reserve(memory, 0, memory->size)) < 0) {
        budget_give(budget, BUDGET_MEMORY, size);
        delta_shadow_finish(&m->shadow);
        free(m);
        m = NULL;
    } else if (!m && e == 0) {
        budget_give(budget, BUDGET_MEMORY, size);
    }
    if (!m) {
        memory_unref(memory);
        errno = e < 0 ? -e : ENOMEM;
        return NULL;
    }
    m->vfds = v;
    m->ours = ours;
    m->memory = memory;
    m->charged = size;
    v->mirrors->size += cost_of(memory->size);
    LIST_INSERT_HEAD(&v->mirrors->all, m, entry);
    return m;
}

/* @known NULL: errno says why, and @m goes. */
static int mirror_known(struct mirror *m, struct known *known)
{
    int error = errno;
    if (!known) {
        mirror_destroy(m);
        return -error;
    }
    m->known = known;
    known->user = m;
    known->dropped = mirror_dropped;
    return 0;
}

/* --- where it is sent from --- */

static bool mirror_classify(struct vfd_offer *o)
{
    (void)o;
    return true;
}

/* In words that name the limit. */
static bool has_room(const struct vfd_mirrors *all, uint64_t size, char *problem, size_t room)
{
    if (size > all->max)
        snprintf(problem, room, "shared memory of %llu bytes, where %llu are mirrored (max-mirror)",
                 (unsigned long long)size, (unsigned long long)all->max);
    else if (cost_of(size) > all->max_all || all->size > all->max_all - cost_of(size))
        snprintf(problem, room,
                 "shared memory, of which %llu bytes are mirrored already (max-mirrored)",
                 (unsigned long long)all->size);
    else
        return true;
    return false;
}

static int mirror_send(struct vfds *v, struct vfd_offer *o)
{
    struct identity identity = identity_of(o->fd, &o->info);
    uint32_t id = vfds_new_id(v);
    if (!has_room(v->mirrors, o->info.size, o->problem, sizeof(o->problem))) {
        o->fd = fd_close(o->fd);
        return VFD_UNFIT;
    }
    struct memory *memory = memory_import(fd_steal(&o->fd), o->info.size, o->info.writable,
                                          o->info.dev, o->info.ino, v->ends->party->budget);
    struct mirror *m = memory ? mirror_create(v, memory, true) : NULL;
    int e = m ? mirror_known(m, tree_sent(v->branch, id, LINK_VFD_MIRROR, &identity, -1)) : -errno;
    if (e < 0)
        return ends_scarce(v->ends, o->what, e);
    m->sends = true;
    m->receives = memory->writable;
    struct link_vfd vfd = {.id = id,
                           .kind = LINK_VFD_MIRROR,
                           .flags = m->receives ? LINK_VFD_WRITABLE : 0,
                           .size = memory->size};
    link_queue(v->ends->link, link_vfd_encode, &vfd);
    return 0;
}

static uint16_t access_of(const struct fd_info *info)
{
    return (info->readable ? LINK_ACCESS_READ : 0) | (info->writable ? LINK_ACCESS_WRITE : 0);
}

int vfd_mirror_again(struct vfds *v, struct known *known, struct vfd_offer *o)
{
    struct mirror *m = known->user;
    struct link_vfd_ref ref = {.id = known->id,
                               .how = LINK_REF_AGAIN,
                               .access = access_of(&o->info),
                               .ticket = known->branch->ticket};
    if (o->info.writable && !m->memory->writable)
        memory_make_writable(m->memory, fd_steal(&o->fd));
    o->fd = fd_close(o->fd);
    m->receives = m->memory->writable;
    if (!m->receives)
        ref.access &= LINK_ACCESS_READ;
    known->passes++;
    link_queue(v->ends->link, link_vfd_ref_encode, &ref);
    return 0;
}

int vfd_mirror_home(const struct known *known, uint16_t access)
{
    const struct mirror *m = known->user;
    if (access == LINK_ACCESS_READ && m->memory->writable)
        return fd_reopen(m->memory->fd, O_RDONLY);
    int fd = fcntl(m->memory->fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* --- where it goes to --- */

static int mirror_frame(struct vfds *v, const struct link_vfd *said)
{
    char problem[128];
    struct fd_info info;
    int e = vfds_peer_id(v, said->id);
    if (e < 0)
        return e;
    if (!v->mirrors || !v->branch)
        return ends_broken(v->ends, "shared memory where none may be", said->id);
    if (!has_room(v->mirrors, said->size, problem, sizeof(problem)))
        return ends_failf(v->ends, LINK_ERROR_LIMIT, "VFD: %s", problem);
    struct memory *memory = memory_create(said->size, v->ends->party->budget);
    struct mirror *m = memory ? mirror_create(v, memory, false) : NULL;
    e = m ? fd_inspect(memory->fd, &info) : -errno;
    if (e == 0) {
        struct identity identity = identity_of(memory->fd, &info);
        e = mirror_known(m, tree_received(v->branch, said->id, LINK_VFD_MIRROR, &identity));
    } else if (m) {
        mirror_destroy(m);
    }
    if (e < 0)
        return ends_scarce(v->ends, "VFD", e);
    m->sends = said->flags & LINK_VFD_WRITABLE;
    m->receives = true;
    return vfds_arrive(v, (struct vfd){.kind = LINK_VFD_MIRROR, .id = said->id, .fd = -1});
}

/* 0: there may be somebody who has it. */
static bool is_let_go(const struct mirror *m)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_AT, .l_len = 1};
    return fcntl(m->memory->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

static void mirror_look(struct mirror *m)
{
    struct link *link = m->vfds->ends->link;
    if (!is_let_go(m))
        return;
    known_idle(m->known);
    link_flush(link);
}

static void mirror_look_again(void *user)
{
    mirror_look(user);
}

static void mirror_closed(void *user, bool reopened)
{
    struct mirror *m = user;
    if (reopened)
        return;
    if (!is_let_go(m) && !m->timer)
        m->timer = loop_timer_create(m->vfds->ends->loop, mirror_look_again, m);
    if (m->timer)
        loop_timer_arm(m->timer, LOOK_AGAIN_MS);
    mirror_look(m);
}

static const struct {
    int ours;
    uint16_t wire;
} seals_of[] = {{F_SEAL_GROW, LINK_SEAL_GROW},
                {F_SEAL_FUTURE_WRITE, LINK_SEAL_FUTURE_WRITE},
                {F_SEAL_SEAL, LINK_SEAL_SEAL}};

int vfd_mirror_open(struct known *known, uint16_t seals, uint16_t access)
{
    static const int modes[] = {O_RDONLY, O_RDONLY, O_WRONLY, O_RDWR};
    struct mirror *m = known->user;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = LOCK_AT, .l_len = 1};
    int set = 0;
    for (size_t i = 0; i < sizeof(seals_of) / sizeof(*seals_of); i++)
        set |= seals & seals_of[i].wire && !m->sealed ? seals_of[i].ours : 0;
    m->sealed = true;
    closing_destroy(known->closing); /* we are about to open it */
    known->closing = NULL;
    int fd = fd_reopen(m->memory->fd, modes[access & LINK_ACCESS_BOTH]);
    if (fd < 0)
        return fd;
    if (set && fcntl(m->memory->fd, F_ADD_SEALS, set) < 0) {
        int e = -errno;
        fd_close(fd);
        return e;
    }
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) /* not of one that is for writing only */
        known->closing = closing_watch(m->vfds->ends->loop, m->memory->fd, mirror_closed, m);
    return fd;
}

void vfd_mirror_allow(struct known *known, uint16_t access)
{
    struct mirror *m = known->user;
    if (access & LINK_ACCESS_WRITE)
        m->sends = true;
}

void vfd_mirror_limit(struct known *known, const struct delta_ranges *sends,
                      const struct delta_ranges *receives)
{
    struct mirror *m = known->user;
    m->shadow.sends = sends;
    m->shadow.receives = receives;
}

uint8_t *vfd_mirror_map(const struct known *known, uint64_t *ret_size)
{
    struct mirror *m = known->user;
    *ret_size = m->memory->size;
    if (!m->stays) { /* nobody takes a seal off again */
        int seals = m->ours ? fcntl(m->memory->fd, F_GET_SEALS) : F_SEAL_SHRINK;
        m->stays = seals >= 0 && seals & F_SEAL_SHRINK;
    }
    return m->stays ? m->memory->map : NULL;
}

const uint8_t *vfd_mirror_shadow(const struct known *known)
{
    return ((const struct mirror *)known->user)->shadow.bytes;
}

static int mirror_take(struct vfds *v, struct vfd *vfd)
{
    struct known *known = tree_find(v->branch->tree, v->branch->ticket, vfd->id);
    if (!known || !vfd->form.access)
        return ends_broken(v->ends, "shared memory that nobody says how to open", vfd->id);
    return vfd_mirror_open(known, vfd->form.seals, vfd->form.access);
}

const struct vfd_kind vfd_kind_mirror = {.name = "mirror",
                                         .classify = mirror_classify,
                                         .send = mirror_send,
                                         .frame = mirror_frame,
                                         .take = mirror_take};

/* --- changes --- */

static int truncated(struct vfds *v)
{
    return ends_failf(v->ends, LINK_ERROR_LIMIT, "shared memory has become smaller");
}

struct look {
    struct mirror *m;
    uint64_t end;
};

static void look(void *user)
{
    struct look *l = user;
    l->end = delta_look(&l->m->shadow, l->m->memory->map);
}

/* What changed in the mirror that is at its turn, all at once. 0, or as guard_read(). */
static int sync_begin(struct vfd_mirrors *all)
{
    struct look l = {all->at, 0};
    if (all->looked)
        return 0;
    all->looked = true;
    int e = l.m->sends ? guard_read(look, &l, l.m->memory->map, l.m->memory->size) : 0;
    all->end = l.end;
    return e;
}

/* A frame's worth of that, the last of it first. */
static void sync_some(struct vfds *v)
{
    static uint8_t delta[LINK_DELTA_MAX];
    uint8_t head[LINK_HEADER_SIZE + LINK_DELTA_SIZE];
    struct mirror *m = v->mirrors->at;
    size_t n = delta_tell(&m->shadow, &v->mirrors->end, delta, sizeof(delta));
    if (!n)
        return;
    sendq_copy(&v->ends->link->out, head, link_mem_delta_encode(head, m->known->id, n));
    sendq_copy(&v->ends->link->out, delta, n);
    v->ends->sent.memory += n;
}

int vfd_mirrors_sync(struct vfds *v, const void *by)
{
    struct vfd_mirrors *all = v->mirrors;
    struct link *link = v->ends->link;
    if (!all || LIST_EMPTY(&all->all))
        return 0;
    if (all->by && all->by != by) {
        all->refused = true;
        return 1;
    }
    if (!all->by) {
        all->by = by;
        all->at = LIST_FIRST(&all->all);
        all->looked = false;
    }
    while (all->at) {
        if (sync_begin(all) < 0)
            return truncated(v);
        if (!all->end) {
            all->at = LIST_NEXT(all->at, entry);
            all->looked = false;
            continue;
        }
        if (sendq_size(&link->out) > LINK_HIGH_WATER)
            link_flush(link);
        if (sendq_size(&link->out) > LINK_HIGH_WATER)
            return 1;
        sync_some(v);
    }
    vfd_mirrors_forget(v, by);
    return 0;
}

void vfd_mirrors_forget(struct vfds *v, const void *by)
{
    struct vfd_mirrors *all = v->mirrors;
    if (!all || all->by != by)
        return;
    all->by = NULL;
    if (all->refused)
        loop_later(v->ends->loop, &all->job);
    all->refused = false;
}

struct application {
    struct mirror *m;
    const uint8_t *delta;
    size_t n;
};

static void apply(void *user)
{
    const struct application *a = user;
    delta_apply(&a->m->shadow, a->m->memory->map, a->delta, a->n);
}

int vfd_mirror_delta(struct vfds *v, const uint8_t *payload, size_t size)
{
    uint32_t id;
    int e = link_mem_delta_decode(payload, size, &id);
    if (e != LINK_OK)
        return ends_malformed(v->ends, LINK_MEM_DELTA, e);
    const struct known *known = tree_find(v->branch->tree, v->branch->ticket, id);
    if (!known)
        return vfds_was_made(v, id) ? 0
                                    : ends_broken(v->ends, "MEM_DELTA to an id that never was", id);
    struct mirror *m = known->kind == LINK_VFD_MIRROR ? known->user : NULL;
    if (!m || !m->receives)
        return ends_broken(v->ends, "MEM_DELTA to what may not be written to", id);
    struct application a = {m, payload + LINK_DELTA_SIZE, size - LINK_DELTA_SIZE};
    if (delta_check(a.delta, a.n, m->memory->size) < 0)
        return ends_broken(v->ends, "MEM_DELTA with blocks that are none", id);
    v->ends->got.memory += a.n;
    return guard_read(apply, &a, m->memory->map, m->memory->size) < 0 ? truncated(v) : 0;
}
