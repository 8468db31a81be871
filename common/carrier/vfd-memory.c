/* SPDX-License-Identifier: MIT */
/* vfd-memory: owns the table of memories that may be named on the link: guest: files of the client,
 * until nothing uses them; host: mirrors of them, until the guest says so. A client that hands over
 * a file again gets the same memory. */
#include "common/carrier/vfd-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mounts.h"
#include "common/carrier/ends.h"

static void vfd_note_destroy(struct memory_note *note)
{
    free(note);
}

static const struct memory_note_type vfd_note = {"vfd", vfd_note_destroy};

struct vfd_memory *vfd_memory(const struct memory *m)
{
    return (struct vfd_memory *)memory_note(m, &vfd_note);
}

static int by_id(const void *a, const void *b)
{
    const struct vfd_memory *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int by_file(const void *a, const void *b)
{
    const struct memory *x = ((const struct vfd_memory *)a)->memory,
                        *y = ((const struct vfd_memory *)b)->memory;
    return x->dev != y->dev ? (x->dev > y->dev) - (x->dev < y->dev)
                            : (x->ino > y->ino) - (x->ino < y->ino);
}

int vfd_memory_add(struct vfds *v, struct memory *m, uint32_t id)
{
    struct vfd_memory *n = malloc(sizeof(*n));
    if (n)
        *n = (struct vfd_memory){.note.type = &vfd_note, .memory = m, .id = id};
    if (!n || !tsearch(n, &v->memories, by_id)) {
        free(n);
        memory_unref(m);
        return -ENOMEM;
    }
    memory_attach(m, &n->note);
    return 0;
}

struct memory *vfd_memory_find(const struct vfds *v, uint32_t id)
{
    const struct vfd_memory key = {.id = id};
    struct vfd_memory *const *n = tfind(&key, &v->memories, by_id);
    return n ? (*n)->memory : NULL;
}

/* The client's file that is the same as this one. */
static struct memory *find_file(const struct vfds *v, const struct fd_info *info)
{
    struct memory file = {.dev = info->dev, .ino = info->ino};
    const struct vfd_memory key = {.memory = &file};
    struct vfd_memory *const *n = tfind(&key, &v->files, by_file);
    return n ? (*n)->memory : NULL;
}

/* Out of the table; whoever else refers to it keeps it. */
static void vfd_memory_forget(struct vfds *v, const struct vfd_memory *n)
{
    struct vfd_memory *const *file = tfind(n, &v->files, by_file);
    if (file && *file == n)
        tdelete(n, &v->files, by_file);
    tdelete(n, &v->memories, by_id);
    memory_unref(n->memory);
}

void vfd_memories_finish(struct vfds *v)
{
    while (v->memories)
        vfd_memory_forget(v, *(struct vfd_memory **)v->memories); /* its root */
}

/* --- what the guest does --- */

void vfd_memory_hand_out(struct vfds *v, const struct memory *m)
{
    struct link_vfd vfd = {.id = vfd_memory(m)->id, .kind = LINK_VFD_MEMORY, .size = m->size};
    link_queue(v->ends->link, link_vfd_encode, &vfd);
}

struct memory *vfd_memory_make(struct vfds *v, uint64_t size, const char *what)
{
    struct memory *m = memory_create(size, v->ends->party->budget);
    if (!m) {
        if (errno == EMFILE)
            ends_scarce(v->ends, what, -EMFILE);
        return NULL;
    }
    if (vfd_memory_add(v, m, vfds_new_id(v)) < 0) {
        errno = ENOMEM;
        return NULL;
    }
    vfd_memory_use(m);
    vfd_memory_hand_out(v, m);
    return m;
}

int vfd_memory_grow(struct vfds *v, struct memory *m, uint64_t size)
{
    if (size <= m->size)
        return 0;
    int e = memory_grow(m, size);
    if (e < 0)
        return e;
    struct link_mem_size grown = {vfd_memory(m)->id, size};
    link_queue(v->ends->link, link_mem_size_encode, &grown);
    return 0;
}

void vfd_memory_punch(struct vfds *v, const struct memory *m, uint64_t offset, uint64_t length)
{
    struct link_mem_punch punch = {vfd_memory(m)->id, offset, length};
    link_queue(v->ends->link, link_mem_punch_encode, &punch);
}

void vfd_memory_use(struct memory *m)
{
    memory_ref(m);
    vfd_memory(m)->uses++;
}

void vfd_memory_unuse(struct vfds *v, struct memory *m)
{
    struct vfd_memory *n = vfd_memory(m);
    if (--n->uses == 0 && v->ends->side == CARRIER_GUEST) {
        link_queue(v->ends->link, link_id_encode, LINK_VFD_CLOSE, n->id);
        vfd_memory_forget(v, n);
    }
    memory_unref(m);
}

void vfd_memory_send(struct vfds *v, struct memory *m, struct link_mem_write rows, uint32_t tag)
{
    struct sendq *out = &v->ends->link->out;
    rows.id = vfd_memory(m)->id;
    link_queue(v->ends->link, link_mem_write_encode, &rows);
    if (m->file)
        sendq_rows(out, m->file, m->base + rows.offset, rows.row, rows.rows, rows.stride, tag);
    else
        sendq_rows(out, m, rows.offset, rows.row, rows.rows, rows.stride, tag);
    v->ends->sent.memory += (uint64_t)rows.row * rows.rows;
}

void vfd_memory_send_bytes(struct vfds *v, const struct memory *m, uint64_t offset,
                           const void *bytes, uint32_t size)
{
    struct link_mem_write rows = {
        .id = vfd_memory(m)->id, .offset = offset, .row = size, .rows = 1, .stride = size};
    link_queue(v->ends->link, link_mem_write_encode, &rows);
    sendq_copy(&v->ends->link->out, bytes, size);
    v->ends->sent.memory += size;
}

/* --- the kind --- */

/* The loop itself reads from it, and all clients wait meanwhile. */
static bool is_on_local_disk(struct vfd_offer *o)
{
    char type[64];
    if (mounts_is_local(&o->info, o->client, type, sizeof(type)))
        return true;
    snprintf(o->problem, sizeof(o->problem),
             "%s must be shared memory or a file on a local file system, not on %s", o->role, type);
    return false;
}

/* The file need not have its size yet: whoever reads where it ends will say so. */
static bool memory_classify(struct vfd_offer *o)
{
    if (o->info.readable && o->info.kind == FD_KIND_FILE) {
        if (!is_on_local_disk(o))
            return false;
    } else if (!o->info.readable || o->info.kind != FD_KIND_SHMEM) {
        snprintf(o->problem, sizeof(o->problem), "%s must be readable shared memory, not %s",
                 o->role,
                 o->info.kind == FD_KIND_SHMEM ? "write-only" : fd_kind_name(o->info.kind));
        return false;
    }
    if (o->announced > 0)
        return true;
    snprintf(o->problem, sizeof(o->problem), "invalid size %lld", (long long)o->announced);
    return false;
}

static int memory_send(struct vfds *v, struct vfd_offer *o)
{
    struct memory *m = find_file(v, &o->info);
    int e = 0;
    if (m) {
        if (o->info.writable && !m->writable)
            memory_make_writable(m, o->fd);
        else
            fd_close(o->fd);
        e = memory_grow(m, (uint64_t)o->announced);
    } else {
        m = memory_import(o->fd, (uint64_t)o->announced, o->info.writable, o->info.dev, o->info.ino,
                          v->ends->party->budget);
        if (!m && errno == EMFILE)
            return ends_scarce(v->ends, o->what, -EMFILE);
        e = m ? vfd_memory_add(v, m, vfds_new_id(v)) : -errno;
        if (e == 0 && !tsearch(vfd_memory(m), &v->files, by_file)) {
            vfd_memory_forget(v, vfd_memory(m));
            e = -ENOMEM;
        }
    }
    if (e < 0) {
        snprintf(o->problem, sizeof(o->problem), "%s", strerror(-e));
        return VFD_UNFIT;
    }
    o->memory = m;
    vfd_memory_hand_out(v, m);
    return 0;
}

static int memory_frame(struct vfds *v, const struct link_vfd *said)
{
    if (v->ends->side == CARRIER_GUEST)
        return ends_broken(v->ends, "VFD with an id or kind that is not the sender's", said->id);
    struct memory *m = vfd_memory_find(v, said->id);
    struct vfd vfd = {.kind = LINK_VFD_MEMORY, .id = said->id, .fd = -1};
    int e;
    if (m) { /* the same file once more */
        e = memory_grow(m, said->size);
        if (e < 0)
            return e == -EINVAL ? ends_broken(v->ends, strerror(-e), said->id)
                                : ends_scarce(v->ends, "VFD", e);
    } else {
        e = vfds_peer_id(v, said->id);
        if (e < 0)
            return e;
        m = memory_create(said->size, v->ends->party->budget);
        e = m ? vfd_memory_add(v, m, said->id) : -errno;
        if (e < 0)
            return ends_scarce(v->ends, "VFD", e);
    }
    vfd.memory = memory_ref(m);
    return vfds_arrive(v, vfd);
}

static int memory_take(struct vfds *v, struct vfd *vfd)
{
    (void)v;
    int fd = fcntl(vfd->memory->fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int memory_close(struct vfds *v, uint32_t id)
{
    struct memory *m = v->ends->side == CARRIER_HOST ? vfd_memory_find(v, id) : NULL;
    if (!m)
        return -ENOENT;
    vfd_memory_forget(v, vfd_memory(m));
    return 0;
}

const struct vfd_kind vfd_kind_memory = {.name = "memory",
                                         .classify = memory_classify,
                                         .send = memory_send,
                                         .frame = memory_frame,
                                         .take = memory_take,
                                         .close = memory_close};

/* --- frames about memories --- */

static int grow_mirror(struct vfds *v, const struct link_mem_size *size)
{
    struct memory *m = v->ends->side == CARRIER_HOST ? vfd_memory_find(v, size->id) : NULL;
    if (!m)
        return ends_broken(v->ends, "MEM_SIZE of unknown memory", size->id);
    int e = memory_grow(m, size->size);
    return e < 0 ? ends_scarce(v->ends, "MEM_SIZE", e) : 0;
}

static int punch_mirror(struct vfds *v, const struct link_mem_punch *punch)
{
    struct memory *m = v->ends->side == CARRIER_HOST ? vfd_memory_find(v, punch->id) : NULL;
    if (!m || punch->offset + punch->length > m->size)
        return ends_broken(
            v->ends, m ? "MEM_PUNCH beyond the memory" : "MEM_PUNCH of unknown memory", punch->id);
    if (memory_is_foreign(m))
        return ends_broken(v->ends, "MEM_PUNCH of memory of the guest's own", punch->id);
    memory_punch(m, punch->offset, punch->length);
    return 0;
}

int vfd_memory_frame(struct vfds *v, enum link_type type, const uint8_t *payload, size_t size)
{
    struct link_mem_size grown;
    struct link_mem_punch punch;
    int e;
    if (type == LINK_MEM_SIZE) {
        e = link_mem_size_decode(payload, size, &grown);
        return e == LINK_OK ? grow_mirror(v, &grown) : ends_malformed(v->ends, type, e);
    }
    e = link_mem_punch_decode(payload, size, &punch);
    return e == LINK_OK ? punch_mirror(v, &punch) : ends_malformed(v->ends, type, e);
}

int vfd_memory_write(struct vfds *v, const struct link_mem_write *w, struct memory **ret_memory)
{
    uint64_t end = w->offset + (uint64_t)(w->rows - 1) * w->stride + w->row;
    struct memory *m = vfd_memory_find(v, w->id);
    if (!m)
        return vfds_was_made(v, w->id)
                   ? 0
                   : ends_broken(v->ends, "MEM_WRITE to an id that never was", w->id);
    if (end > m->size)
        return ends_broken(v->ends, "MEM_WRITE beyond the memory", w->id);
    if (v->ends->side == CARRIER_GUEST) {
        if (v->ends->ops->writable(v->ends, m, w->offset, end))
            *ret_memory = m; /* or the client gave the copy up meanwhile */
        return 0;
    }
    if (memory_is_foreign(m))
        return ends_broken(v->ends, "MEM_WRITE to memory of the guest's own", w->id);
    int e = memory_touch(m, w->offset, w->row, w->rows, w->stride);
    if (e < 0)
        return ends_scarce(v->ends, "MEM_WRITE", e);
    *ret_memory = m;
    return 0;
}
