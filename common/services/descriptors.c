/* SPDX-License-Identifier: MIT */
/* descriptors: nothing is dropped: what cannot be carried ends the connection, in words that say
 * what would allow it. */
#include "common/services/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/base/closings.h"
#include "common/base/fd.h"
#include "common/base/fdinfo.h"
#include "common/base/memory.h"
#include "common/carrier/ends.h"
#include "common/carrier/tree.h"
#include "common/carrier/vfd-event.h"
#include "common/carrier/vfd-file.h"
#include "common/carrier/vfd-kinds.h"
#include "common/carrier/vfd-mirror.h"
#include "common/carrier/vfd-shared.h"
#include "common/carrier/vfd-socket.h"
#include "common/carrier/vfd-stream.h"
#include "common/services/file-form.h"
#include "common/services/sharing.h"

static int send_pipe(struct vfds *v, const struct descriptor_rules *rules, struct vfd_offer *o)
{
    struct identity identity = identity_of(o->fd, &o->info);
    if (o->info.readable && o->info.writable)
        return descriptor_refuse(v, rules, o->fd, "a pipe that is open both ways",
                                 "nobody can tell its end");
    int original = descriptor_keep_original(v, o->fd);
    int e = original < 0 ? (vfds_discard(v, o->fd), original)
                         : descriptor_send_kind(v, rules, LINK_VFD_STREAM, o);
    if (e == 0)
        return descriptor_know(v, rules, LINK_VFD_STREAM, &identity, original);
    vfds_discard(v, original);
    return e;
}

static int send_file(struct vfds *v, struct descriptor_rules *rules, struct vfd_offer *o)
{
    if (!rules->allowed.files)
        return descriptor_refuse(v, rules, o->fd, fd_kind_name(o->info.kind),
                                 "files = once would allow it");
    if (o->info.kind == FD_KIND_FILE && o->info.writable)
        return descriptor_refuse(v, rules, o->fd, "a file that is open for writing",
                                 "only what can be read is carried, by content");
    if (!o->info.readable)
        return descriptor_refuse(v, rules, o->fd, "a file that cannot be read",
                                 "only what can be read is carried, by content");
    file_form_of(o->fd, &rules->form);
    rules->original = descriptor_keep_original(v, o->fd);
    if (rules->original < 0) {
        vfds_discard(v, o->fd);
        return -EPROTO;
    }
    return descriptor_send_form(v, rules, descriptor_send_kind(v, rules, LINK_VFD_FILE, o));
}

static bool is_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && seals & F_SEAL_WRITE;
}

static int send_memory(struct vfds *v, struct descriptor_rules *rules, struct vfd_offer *o)
{
    bool mirrored = rules->allowed.memory == LINK_MEMORY_MIRROR;
    if (is_sealed(o->fd) || !o->info.size || (!mirrored && !o->info.writable))
        return send_file(v, rules, o);
    if (rules->allowed.memory == LINK_MEMORY_REFUSED)
        return descriptor_refuse(v, rules, o->fd, "shared memory",
                                 "memory = once or mirror would allow it");
    /* To read from only, and too large: a copy, rather than nothing. */
    if (!mirrored || (!o->info.writable && o->info.size > v->mirrors->max))
        return send_file(v, rules, o);
    if (!o->info.readable)
        return descriptor_refuse(v, rules, o->fd, "shared memory that cannot be read",
                                 "nobody could see what changes in it");
    if (rules->shared.memory && v->ends->side == CARRIER_GUEST && o->info.writable)
        return sharing_send_memory(v, rules, o);
    return descriptor_send_mirror(v, rules, o);
}

static int send_event(struct vfds *v, const struct descriptor_rules *rules, struct vfd_offer *o,
                      enum service_signals signals)
{
    enum carrier_side waits = CARRIER_HOST;
    if (signals == SERVICE_SIGNALS_TO_GUEST ||
        (!signals && rules->allowed.eventfds == LINK_SIGNALS_TO_GUEST))
        waits = CARRIER_GUEST;
    else if (!signals && rules->allowed.eventfds == LINK_SIGNALS_NONE)
        return descriptor_refuse(v, rules, o->fd, "an eventfd",
                                 "eventfds = to-host or to-guest would allow it");
    return descriptor_unfit(v, rules, vfd_event_send(v, o, waits == v->ends->side), o);
}

static int send_socket(struct vfds *v, struct descriptor_rules *rules, struct vfd_offer *o)
{
    const char *why;
    if (vfd_socket_type(o->fd, &why) < 0)
        return descriptor_refuse(v, rules, o->fd, why, "only connected ones are carried");
    if (!v->sockets->depth)
        return descriptor_refuse(v, rules, o->fd, "a connected socket",
                                 "sockets = yes, or a larger max-depth, would allow it");
    int e = descriptor_send_kind(v, rules, LINK_VFD_SOCKET, o);
    struct known *k =
        e == 0 ? tree_find(v->branch->tree, v->branch->ticket, vfds_last_id(v)) : NULL;
    if (k)
        k->message = rules->message;
    return e;
}

#define NO_WAY "there is no way to carry it"

/* What is known by these names. */
static const struct {
    const char *prefix, *kind;
} others[] = {
    {"anon_inode:[eventfd]", "an eventfd"},
    {"anon_inode:[eventpoll]", "an epoll descriptor"},
    {"anon_inode:[io_uring]", "an io_uring"},
    {"anon_inode:inotify", "an inotify descriptor"},
    {"anon_inode:[pidfd]", "a pidfd"},
    {"anon_inode:[timerfd]", "a timerfd"},
    {"/dev/", "a device"},
};

static void name_of(int fd, char *name, size_t size)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, name, size - 1);
    name[n > 0 ? n : 0] = 0;
}

static int send_other(struct vfds *v, struct descriptor_rules *rules, struct vfd_offer *o)
{
    char name[64];
    name_of(o->fd, name, sizeof(name));
    if (strcmp(name, "anon_inode:sync_file") == 0)
        return sharing_send_sync(v, rules, o);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        if (strncmp(name, others[i].prefix, strlen(others[i].prefix)) == 0)
            return descriptor_refuse(v, rules, o->fd, others[i].kind, NO_WAY);
    return descriptor_refuse(v, rules, o->fd, fd_kind_name(FD_KIND_OTHER), NO_WAY);
}

static uint16_t access_of(const struct fd_info *info)
{
    return (info->readable ? LINK_ACCESS_READ : 0) | (info->writable ? LINK_ACCESS_WRITE : 0);
}

/* It was made for the other side's @k, and goes back: it is closed here first, so that what was for
 * the last who had it ends before. */
static int send_home(struct vfds *v, struct known *k, struct vfd_offer *o)
{
    struct vfds *its = k->branch->vfds;
    struct link_vfd_ref ref = {.id = k->id, .how = LINK_REF_HOME, .ticket = k->branch->ticket};
    bool left = false;
    if (k->kind == LINK_VFD_FILE || k->kind == LINK_VFD_MIRROR)
        ref.access = access_of(&o->info);
    k->homes++;
    fd_close(fd_steal(&o->fd)); /* memory or an end of ours: nobody has to be waited for */
    if (k->kind == LINK_VFD_SOCKET)
        left = tree_socket_leaves(k);
    else if (k->kind == LINK_VFD_STREAM)
        left = vfd_stream_let_go(its, ref.id); /* and @k may be gone */
    ref.how = left ? LINK_REF_HOME_LAST : LINK_REF_HOME;
    if (its != v)
        link_flush(its->ends->link);
    link_queue(v->ends->link, link_vfd_ref_encode, &ref);
    return 0;
}

/* It was sent before. False: as if it had not been. */
static bool send_again(struct vfds *v, const struct descriptor_rules *rules, struct known *k,
                       struct vfd_offer *o)
{
    struct link_vfd_ref ref = {.id = k->id, .how = LINK_REF_AGAIN, .ticket = k->branch->ticket};
    switch (k->kind) {
    case LINK_VFD_MIRROR:
        vfd_mirror_again(v, k, o);
        return true;
    case LINK_VFD_STREAM:
    case LINK_VFD_SOCKET: /* their end has to be seen: those before may have ended already */
        if (k->branch != v->branch || k->message != rules->message)
            return false;
        break;
    case LINK_VFD_EVENT:
    case LINK_VFD_SHARED:
        break;
    default:
        return false;
    }
    k->passes++;
    vfds_discard(v, fd_steal(&o->fd));
    link_queue(v->ends->link, link_vfd_ref_encode, &ref);
    return true;
}

static int send_one(struct vfds *v, struct descriptor_rules *rules, int fd,
                    const struct service_descriptor *known)
{
    struct vfd_offer o = {.fd = fd, .what = "a service's message", .role = "its file"};
    struct known *k;
    if (v->file.state == VFD_FILE_READ)
        return descriptor_send_form(v, rules,
                                    descriptor_unfit(v, rules, vfd_file_send_content(v, &o), &o));
    if (rules->sharing.stage)
        return sharing_go_on(v, rules);
    int e = fd_inspect(fd, &o.info);
    if (e < 0)
        return descriptor_refuse(v, rules, fd, strerror(-e), "it cannot be looked at");
    o.client = vfds_client(v);
    struct identity identity = identity_of(fd, &o.info);
    struct dmabuf_info dmabuf;
    if ((k = tree_find_received(v->branch->tree, &identity)))
        return send_home(v, k, &o);
    if ((k = tree_find_sent(v->branch->tree, &identity))) {
        uint32_t id = k->branch == v->branch ? k->id : 0;
        if (send_again(v, rules, k, &o)) {
            rules->sent = id;
            return 0;
        }
    }
    if (identity.what == IDENTITY_DMABUF && dmabuf_inspect(fd, &dmabuf) == 0) {
        o.info.size = dmabuf.size;
        return sharing_send_dmabuf(v, rules, &o);
    }
    switch (o.info.kind) {
    case FD_KIND_PIPE:
        return send_pipe(v, rules, &o);
    case FD_KIND_SOCKET:
    case FD_KIND_PACKETS:
        rules->speaks = known->speaks;
        return send_socket(v, rules, &o);
    case FD_KIND_SHMEM:
        return send_memory(v, rules, &o);
    case FD_KIND_FILE:
        return send_file(v, rules, &o);
    default:
        if (identity.what == IDENTITY_EVENT)
            return send_event(v, rules, &o, known->signals);
        return send_other(v, rules, &o);
    }
}

int descriptor_send(struct vfds *v, struct descriptor_rules *rules, int fd,
                    const struct service_descriptor *known)
{
    uint32_t last = v->next_id;
    rules->sent = 0;
    int e = send_one(v, rules, fd, known);
    if (e == 0 && v->next_id != last)
        rules->sent = vfds_last_id(v);
    return e;
}

/* The original of what comes home. Owned, or -errno. */
static int open_home(const struct known *k, uint16_t access)
{
    if (k->kind == LINK_VFD_MIRROR)
        return vfd_mirror_home(k, access);
    if (k->kind == LINK_VFD_EVENT)
        return vfd_event_open(k);
    int mode = fcntl(k->original, F_GETFL) & O_ACCMODE;
    if (k->kind == LINK_VFD_FILE && access == LINK_ACCESS_READ && mode == O_RDWR)
        return fd_reopen(k->original, O_RDONLY);
    int fd = fcntl(k->original, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int came_home(struct vfds *v, struct known *k, const struct link_vfd_ref *ref)
{
    int fd = open_home(k, ref->access);
    struct vfd vfd = {.kind = k->kind, .id = ref->id, .fd = fd};
    if (fd < 0)
        return ends_scarce(v->ends, "a service's descriptor", fd);
    if (k->kind == LINK_VFD_SOCKET)
        tree_socket_returns(k, ref->how == LINK_REF_HOME_LAST);
    k->homes++;
    known_settle(k);
    return vfds_arrive_paid(v, vfd);
}

static int came_again(struct vfds *v, struct known *k, const struct link_vfd_ref *ref)
{
    struct vfd vfd = {.kind = k->kind, .id = ref->id, .fd = -1};
    const struct vfd *first;
    if (k->kind == LINK_VFD_MIRROR) {
        vfd_mirror_allow(k, ref->access);
        vfd.fd = vfd_mirror_open(k, 0, ref->access);
    } else if (k->kind == LINK_VFD_EVENT) {
        vfd.fd = vfd_event_open(k);
    } else if (k->kind == LINK_VFD_SHARED) {
        vfd.fd = vfd_shared_open(k);
    } else if (k->branch == v->branch && (first = vfds_arrived(v, ref->id)) && first->fd >= 0) {
        vfd.fd = fcntl(first->fd, F_DUPFD_CLOEXEC, 0);
        if (vfd.fd < 0)
            vfd.fd = -errno;
    } else {
        return ends_broken(v->ends, "VFD_REF AGAIN of what cannot be", ref->id);
    }
    if (vfd.fd < 0)
        return ends_scarce(v->ends, "a service's descriptor", vfd.fd);
    k->passes++;
    return vfds_arrive_paid(v, vfd);
}

int descriptor_ref(struct vfds *v, const uint8_t *payload, size_t size)
{
    struct link_vfd_ref ref;
    int e = link_vfd_ref_decode(payload, size, &ref);
    if (e != LINK_OK)
        return ends_malformed(v->ends, LINK_VFD_REF, e);
    struct known *k = tree_find(v->branch->tree, ref.ticket, ref.id);
    bool home = ref.how != LINK_REF_AGAIN;
    if (!k || k->ours != home)
        return ends_broken(v->ends, "VFD_REF of what is not there", ref.id);
    return home ? came_home(v, k, &ref) : came_again(v, k, &ref);
}

int descriptor_form(struct vfds *v, const uint8_t *payload, size_t size)
{
    struct link_vfd_form form;
    int e = link_vfd_form_decode(payload, size, &form);
    if (e != LINK_OK)
        return ends_malformed(v->ends, LINK_VFD_FORM, e);
    struct vfd *vfd = vfds_last(v); /* it follows the content at once */
    if (!vfd || (vfd->kind != LINK_VFD_FILE && vfd->kind != LINK_VFD_MIRROR) ||
        vfd->id != form.id || vfd->form.access || vfd->fd >= 0)
        return ends_broken(v->ends, "VFD_FORM of no file, or twice", form.id);
    vfd->form = form;
    return 0;
}

/* The only descriptor of the copy that was handed out, and every mapping of it, is gone. */
static void copy_closed(void *user, bool reopened)
{
    struct known *k = user;
    struct link *link = k->branch->vfds->ends->link;
    if (reopened)
        return;
    known_idle(k);
    link_flush(link);
}

/* A copy, which is the original when it comes home. */
static int take_file(struct vfds *v, const struct vfd *vfd)
{
    struct fd_info info;
    if (vfd->filled != vfd->memory->size || !vfd->form.access)
        return ends_broken(v->ends, "a file is incomplete", vfd->id);
    int fd = file_form_make(vfd->memory, &vfd->form);
    if (fd < 0 || fd_inspect(fd, &info) < 0)
        return fd;
    struct identity identity = identity_of(fd, &info);
    struct known *k = tree_received(v->branch, vfd->id, LINK_VFD_FILE, &identity);
    if (!k) {
        int error = -errno;
        fd_close(fd);
        return error;
    }
    k->closing = closing_watch(v->ends->loop, fd, copy_closed, k);
    if (!k->closing) /* without a watch, its number may be another's one day */
        known_idle(k);
    return fd;
}

int descriptor_take(struct vfds *v)
{
    struct vfd vfd;
    if (!vfds_next(v, &vfd))
        return ends_broken(v->ends, "a message lacks its descriptor", 0);
    int fd = vfd.fd >= 0                 ? fd_steal(&vfd.fd)
             : vfd.kind == LINK_VFD_FILE ? take_file(v, &vfd)
                                         : vfd_open(v, &vfd);
    vfd_release(&vfd);
    if (fd < 0 && fd != -EPROTO)
        return ends_scarce(v->ends, "a service's descriptor", fd);
    return fd;
}
