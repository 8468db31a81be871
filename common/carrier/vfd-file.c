/* SPDX-License-Identifier: MIT */
/* vfd-file: owns the file that is being read for a message, if one is (vfds.file): at most one,
 * since the message holds the local side. The content goes ahead of its message, as one MEM_WRITE.
 * What has none (a compositor without a keymap may send anything) arrives as /dev/null. */
#include "common/carrier/vfd-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/carrier/ends.h"
#include "common/carrier/file-reader.h"

#define FILE_PAGE 4096 /* the smallest that anybody maps */

static int file_problem(struct vfd_offer *o, int kind, const char *text)
{
    snprintf(o->problem, sizeof(o->problem), "%s", text);
    return kind;
}

static bool file_classify(struct vfd_offer *o)
{
    (void)o;
    return true;
}

static bool has_content(const struct fd_info *info)
{
    return info->readable && (info->kind == FD_KIND_SHMEM || info->kind == FD_KIND_FILE);
}

bool vfd_file_reaches(uint64_t size, int64_t announced)
{
    return !size || announced <= (int64_t)((size + FILE_PAGE - 1) / FILE_PAGE * FILE_PAGE);
}

/* A client's word is checked for the compositor's sake; what that says of its own files is the
 * client's to believe, as without us. */
static bool is_too_short(const struct vfds *v, uint64_t size, int64_t announced)
{
    return v->ends->side == CARRIER_GUEST && !vfd_file_reaches(size, announced);
}

static const char too_large[] = "the file is larger than 32 MiB";
static const char too_short[] = "the file is shorter than the message says";

/* @bytes, or what is in @fd. */
static void send_content(struct vfds *v, const void *bytes, int fd, uint64_t size)
{
    struct sendq *out = &v->ends->link->out;
    struct link_vfd vfd = {.id = vfds_new_id(v), .kind = LINK_VFD_FILE, .size = size};
    link_queue(v->ends->link, link_vfd_encode, &vfd);
    if (!size)
        return;
    struct link_mem_write write = {
        .id = vfd.id, .row = (uint32_t)size, .rows = 1, .stride = (uint32_t)size};
    link_queue(v->ends->link, link_mem_write_encode, &write);
    v->ends->sent.memory += size;
    if (bytes) {
        sendq_copy(out, bytes, size);
        return;
    }
    uint8_t *at = sendq_reserve(out, size);
    for (uint64_t have = 0; at && have < size;) {
        ssize_t n = pread(fd, at + have, size - have, (off_t)have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* it shrank: zeros, as a mapping would have shown or worse */
            memset(at + have, 0, size - have);
            break;
        }
        have += (uint64_t)n;
    }
}

static void file_was_read(void *user, const void *bytes, size_t size, int error)
{
    struct vfds *v = user;
    v->file.job = NULL;
    v->file.state = VFD_FILE_READ;
    v->file.error = error;
    v->file.size = size;
    v->file.bytes = size ? malloc(size) : NULL;
    if (v->file.bytes)
        memcpy(v->file.bytes, bytes, size);
    else if (size)
        v->file.error = -ENOMEM;
    ends_resume(v->ends, CARRIER_HOLD_FILE);
}

int vfd_file_send_content(struct vfds *v, struct vfd_offer *o)
{
    int e = v->file.error, result = 0;
    v->file.state = VFD_FILE_NONE;
    if (e == -ENOMEM)
        result = file_problem(o, VFD_SCARCE, strerror(ENOMEM));
    else if (e == -EFBIG)
        result = file_problem(o, VFD_UNFIT, too_large);
    else if (e == 0 && is_too_short(v, v->file.size, o->announced))
        result = file_problem(o, VFD_UNFIT, too_short);
    else /* what cannot be read has no content */
        send_content(v, v->file.bytes, -1, e == 0 ? v->file.size : 0);
    free(v->file.bytes);
    v->file.bytes = NULL;
    return result;
}

static int file_send(struct vfds *v, struct vfd_offer *o)
{
    _cleanup_(fd_closep) int fd = fd_steal(&o->fd);
    if (!has_content(&o->info)) {
        vfds_discard(v, fd_steal(&fd));
        send_content(v, NULL, -1, 0);
        return 0;
    }
    if (o->info.kind == FD_KIND_SHMEM) {
        if (o->info.size > LINK_FILE_MAX)
            return file_problem(o, VFD_UNFIT, too_large);
        if (is_too_short(v, o->info.size, o->announced))
            return file_problem(o, VFD_UNFIT, too_short);
        send_content(v, NULL, fd, o->info.size);
        return 0;
    }
    struct waiters *waiters = vfds_waiters(v);
    if (!waiters)
        return file_problem(o, VFD_SCARCE, strerror(ENOMEM));
    v->file.job = file_read(v->ends->loop, waiters, fd_steal(&fd), LINK_FILE_MAX, file_was_read, v);
    if (!v->file.job)
        return file_problem(o, VFD_SCARCE, errno == EMFILE ? too_many_waiters : strerror(errno));
    v->file.state = VFD_FILE_READING;
    ends_hold(v->ends, CARRIER_HOLD_FILE);
    return VFD_WAIT;
}

static int file_frame(struct vfds *v, const struct link_vfd *said)
{
    int e = vfds_peer_id(v, said->id);
    if (e < 0)
        return e;
    struct memory *memory = memory_create(said->size, v->ends->party->budget);
    e = memory ? memory_reserve(memory, 0, said->size) : -errno;
    if (e < 0) {
        memory_unref(memory);
        return ends_scarce(v->ends, "VFD", e);
    }
    struct vfd vfd = {.kind = LINK_VFD_FILE, .id = said->id, .fd = -1, .memory = memory};
    return vfds_arrive(v, vfd);
}

int vfd_file_write(struct vfds *v, const struct link_mem_write *w, struct memory **ret_memory)
{
    struct vfd *vfd = vfds_last(v); /* content follows its VFD at once */
    if (!vfd || vfd->kind != LINK_VFD_FILE || vfd->id != w->id)
        return -ENOENT;
    if (w->rows != 1 || w->offset != vfd->filled || w->offset + w->row > vfd->memory->size)
        return ends_broken(v->ends, "a file must be written once, from its start to its end",
                           w->id);
    vfd->filled = w->offset + w->row;
    *ret_memory = vfd->memory;
    return 0;
}

static int file_take(struct vfds *v, struct vfd *vfd)
{
    if (vfd->filled != vfd->memory->size)
        return ends_broken(v->ends, "a file is incomplete", vfd->id);
    if (!vfd->memory->size) { /* to map this fails, where an empty file's pages would be fatal */
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null >= 0)
            return null;
    }
    return file_share(vfd->memory);
}

const struct vfd_kind vfd_kind_file = {.name = "file",
                                       .classify = file_classify,
                                       .send = file_send,
                                       .frame = file_frame,
                                       .take = file_take};

void vfd_file_finish(struct vfds *v)
{
    file_cancel(v->file.job);
    free(v->file.bytes);
    v->file.job = NULL;
    v->file.bytes = NULL;
}
