/* SPDX-License-Identifier: MIT */
/* descriptors: nothing is dropped: what cannot be carried ends the connection, in words that say
 * what would allow it. */
#include "common/services/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/base/memory.h"
#include "common/carrier/ends.h"
#include "common/carrier/vfd-file.h"
#include "common/carrier/vfd-kinds.h"
#include "common/carrier/vfd-socket.h"
#include "common/services/file-form.h"

static int refuse(struct vfds *v, const struct descriptor_rules *rules, int fd, const char *kind,
                  const char *advice)
{
    vfds_discard(v, fd);
    return ends_failf(v->ends, LINK_ERROR_REFUSED,
                      "service %s: a descriptor is not carried: %s (%s)", rules->service, kind,
                      advice);
}

static int unfit(struct vfds *v, const struct descriptor_rules *rules, int e,
                 const struct vfd_offer *o)
{
    if (e == 0 || e == VFD_WAIT || e < 0)
        return e;
    return ends_failf(v->ends, e == VFD_SCARCE ? LINK_ERROR_INTERNAL : LINK_ERROR_REFUSED,
                      "service %s: a descriptor is not carried: %s", rules->service, o->problem);
}

/* A pipe, or what is read once. */
static int send_kind(struct vfds *v, const struct descriptor_rules *rules, enum link_vfd_kind kind,
                     struct vfd_offer *o)
{
    o->client = vfds_client(v);
    o->what = "a service's message";
    o->role = "its file";
    return unfit(v, rules, vfd_kinds[kind]->send(v, o), o);
}

/* Its VFD is queued: what it is to look like follows. */
static int send_form(struct vfds *v, struct descriptor_rules *rules, int e)
{
    if (e != 0)
        return e;
    rules->form.id = vfds_last_id(v);
    link_queue(v->ends->link, link_vfd_form_encode, &rules->form);
    return 0;
}

static int send_file(struct vfds *v, struct descriptor_rules *rules, struct vfd_offer *o)
{
    if (!rules->allowed.files)
        return refuse(v, rules, o->fd, fd_kind_name(o->info.kind), "files = once would allow it");
    if (o->info.kind == FD_KIND_FILE && o->info.writable)
        return refuse(v, rules, o->fd, "a file that is open for writing",
                      "only what can be read is carried, by content");
    if (!o->info.readable)
        return refuse(v, rules, o->fd, "a file that cannot be read",
                      "only what can be read is carried, by content");
    file_form_of(o->fd, &rules->form);
    return send_form(v, rules, send_kind(v, rules, LINK_VFD_FILE, o));
}

static int send_socket(struct vfds *v, struct descriptor_rules *rules, struct vfd_offer *o)
{
    const char *why;
    if (vfd_socket_type(o->fd, &why) < 0)
        return refuse(v, rules, o->fd, why, "only connected ones are carried");
    if (!v->sockets->depth)
        return refuse(v, rules, o->fd, "a connected socket",
                      "sockets = yes, or a larger max-depth, would allow it");
    return send_kind(v, rules, LINK_VFD_SOCKET, o);
}

static bool is_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && seals & F_SEAL_WRITE;
}

int descriptor_send(struct vfds *v, struct descriptor_rules *rules, int fd,
                    const struct service_descriptor *known)
{
    struct vfd_offer o = {.fd = fd};
    if (v->file.state == VFD_FILE_READ)
        return send_form(v, rules, unfit(v, rules, vfd_file_send_content(v, &o), &o));
    int e = fd_inspect(fd, &o.info);
    if (e < 0)
        return refuse(v, rules, fd, strerror(-e), "it cannot be looked at");
    switch (o.info.kind) {
    case FD_KIND_PIPE:
        if (o.info.readable && o.info.writable)
            return refuse(v, rules, fd, "a pipe that is open both ways", "nobody can tell its end");
        return send_kind(v, rules, LINK_VFD_STREAM, &o);
    case FD_KIND_SOCKET:
    case FD_KIND_PACKETS:
        rules->speaks = known->speaks;
        return send_socket(v, rules, &o);
    case FD_KIND_SHMEM:
        if (o.info.writable && !is_sealed(fd) && rules->allowed.memory == LINK_MEMORY_REFUSED)
            return refuse(v, rules, fd, "shared memory", "memory = once would allow it");
        return send_file(v, rules, &o);
    case FD_KIND_FILE:
        return send_file(v, rules, &o);
    default:
        return refuse(v, rules, fd, fd_kind_name(o.info.kind), "there is no way to carry it");
    }
}

int descriptor_form(struct vfds *v, const uint8_t *payload, size_t size)
{
    struct link_vfd_form form;
    int e = link_vfd_form_decode(payload, size, &form);
    if (e != LINK_OK)
        return ends_malformed(v->ends, LINK_VFD_FORM, e);
    struct vfd *vfd = vfds_last(v); /* it follows the content at once */
    if (!vfd || vfd->kind != LINK_VFD_FILE || vfd->id != form.id || vfd->form.access)
        return ends_broken(v->ends, "VFD_FORM of no file, or twice", form.id);
    vfd->form = form;
    return 0;
}

int descriptor_take(struct vfds *v)
{
    struct vfd vfd;
    if (!vfds_next(v, &vfd))
        return ends_broken(v->ends, "a message lacks its descriptor", 0);
    if (vfd.kind == LINK_VFD_FILE && vfd.filled != vfd.memory->size) {
        vfd_release(&vfd);
        return ends_broken(v->ends, "a file is incomplete", vfd.id);
    }
    int fd = vfd.kind == LINK_VFD_FILE && vfd.form.access ? file_form_make(vfd.memory, &vfd.form)
                                                          : vfd_open(v, &vfd);
    vfd_release(&vfd);
    if (fd < 0 && fd != -EPROTO)
        return ends_scarce(v->ends, "a service's descriptor", fd);
    return fd;
}
