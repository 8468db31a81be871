/* SPDX-License-Identifier: MIT */
/* Descriptors of the local side become VFDs: what a message's descriptor is decides how it goes,
 * and whether it goes at all. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/memory.h"
#include "common/wayland/relay-private.h"
#include "common/carrier/vfd-file.h"

static const char too_many[] = "too many files make their reader wait, or are open";

static enum relay_verdict send_pool(struct relay *r, struct wl_message *m, const char *interface,
                                    int fd)
{
    struct fd_info info;
    int32_t size = m->args[2].i;
    int e = fd_inspect(fd, &info);
    const char *problem = NULL;
    char text[128];
    if (e < 0) {
        problem = strerror(-e);
    } else if (info.kind != FD_KIND_SHMEM || !info.readable) {
        snprintf(text, sizeof(text), "a pool must be readable shared memory, not %s",
                 fd_kind_name(info.kind));
        problem = text;
    } else if (size <= 0 || (uint64_t)size > info.size) {
        snprintf(text, sizeof(text), "invalid size %d of a file of %llu bytes", size,
                 (unsigned long long)info.size);
        problem = text;
    }
    if (problem) {
        fd_close(fd);
        return relay_vfd_refuse(r, m, interface, WL_SHM_INVALID_FD, problem);
    }
    struct memory *memory = r->memories;
    while (memory && (memory->dev != info.dev || memory->ino != info.ino))
        memory = memory->next;
    if (memory) {
        if (info.writable && !memory->writable)
            memory_make_writable(memory, fd);
        else
            fd_close(fd);
        e = memory_grow(memory, (uint32_t)size);
    } else {
        if (!relay_vfd_room(r, "wl_shm.create_pool")) {
            fd_close(fd);
            return RELAY_END;
        }
        memory = memory_import(fd, (uint32_t)size, info.writable, info.dev, info.ino);
        e = memory ? 0 : -errno;
        if (memory)
            relay_memory_add(r, memory, relay_vfd_new_id(r));
    }
    if (e < 0)
        return relay_vfd_refuse(r, m, interface, WL_SHM_INVALID_FD, strerror(-e));
    relay_memory_hand_out(r, memory);
    return relay_shm_create_pool(r, m, memory);
}

static void send_content(struct relay *r, const void *bytes, int fd, uint64_t size)
{
    struct link_vfd vfd = {.id = relay_vfd_new_id(r), .kind = LINK_VFD_FILE, .size = size};
    link_queue(r->link, link_vfd_encode, &vfd);
    if (!size)
        return;
    struct link_mem_write write = {
        .id = vfd.id, .row = (uint32_t)size, .rows = 1, .stride = (uint32_t)size};
    link_queue(r->link, link_mem_write_encode, &write);
    r->counted_memory += size;
    if (bytes) {
        sendq_copy(&r->link->out, bytes, size);
        return;
    }
    uint8_t *at = sendq_reserve(&r->link->out, size);
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

static void file_read(void *user, const void *bytes, size_t size, int error)
{
    struct relay *r = user;
    r->file.job = NULL;
    r->file.done = true;
    r->file.error = error;
    r->file.size = size;
    r->file.bytes = size ? malloc(size) : NULL;
    if (r->file.bytes)
        memcpy(r->file.bytes, bytes, size);
    else if (size)
        r->file.error = -ENOMEM;
    relay_local_resume(r);
}

/* How much of the file the message speaks of: what follows the descriptor is its size, or an offset
 * and a length. */
static uint64_t announced_size(const struct wl_message *m)
{
    uint64_t size = 0;
    const char *at = strchr(m->info->signature, 'h');
    for (at++; *at; at++)
        size += *at == 'u' ? m->args[at - m->info->signature].u : 0;
    return size;
}

static enum relay_verdict send_file(struct relay *r, struct wl_message *m, const char *interface)
{
    if (r->file.done) {
        r->file.done = false;
        int e = r->file.error;
        if (e == 0 && announced_size(m) > r->file.size)
            e = -ENODATA;
        if (e == 0)
            send_content(r, r->file.bytes, -1, r->file.size);
        free(r->file.bytes);
        r->file.bytes = NULL;
        return e == 0 ? RELAY_PASS
                      : relay_vfd_refuse(r, m, interface, WL_DISPLAY_IMPLEMENTATION, strerror(-e));
    }
    int fd = local_socket_claim_fd(&r->local);
    struct fd_info info;
    struct stat st;
    int e = fd < 0 ? -EBADF : fd_inspect(fd, &info);
    if (e < 0) {
        fd_close(fd);
        return relay_vfd_refuse(r, m, interface, WL_DISPLAY_INVALID_METHOD,
                                fd < 0 ? "its descriptor is missing" : strerror(-e));
    }
    if (info.kind == FD_KIND_SHMEM && info.readable) {
        if (info.size > LINK_FILE_MAX || announced_size(m) > info.size) {
            fd_close(fd);
            return relay_vfd_refuse(r, m, interface, WL_DISPLAY_IMPLEMENTATION,
                                    info.size > LINK_FILE_MAX
                                        ? "the file is larger than 32 MiB"
                                        : "the file is shorter than the message says");
        }
        send_content(r, NULL, fd, info.size);
        fd_close(fd);
        return RELAY_PASS;
    }
    if (info.kind == FD_KIND_OTHER && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
        st.st_rdev == makedev(1, 3)) {
        send_content(r, NULL, -1, 0); /* /dev/null: "no keymap" */
        fd_close(fd);
        return RELAY_PASS;
    }
    if (info.kind != FD_KIND_FILE || !info.readable) {
        char text[96];
        snprintf(text, sizeof(text), "a readable file is needed, not %s", fd_kind_name(info.kind));
        fd_close(fd);
        return relay_vfd_refuse(r, m, interface, WL_DISPLAY_IMPLEMENTATION, text);
    }
    struct waiters *waiters = relay_vfd_waiters(r);
    if (!waiters) {
        fd_close(fd);
        return relay_vfd_refuse(r, m, interface, WL_DISPLAY_NO_MEMORY, strerror(ENOMEM));
    }
    r->file.job = vfd_file_read(r->loop, waiters, fd, LINK_FILE_MAX, file_read, r);
    if (!r->file.job)
        return relay_vfd_refuse(r, m, interface, WL_DISPLAY_NO_MEMORY,
                                errno == EMFILE ? too_many : strerror(errno));
    local_socket_pause(&r->local, true);
    return RELAY_WAIT;
}

static enum relay_verdict send_stream(struct relay *r, struct wl_message *m, const char *interface,
                                      int fd)
{
    struct fd_info info;
    int e = fd_inspect(fd, &info);
    if (e < 0 || info.kind == FD_KIND_OTHER) {
        char text[96];
        snprintf(text, sizeof(text), "a pipe, socket or file is needed, not %s",
                 e < 0 ? strerror(-e) : fd_kind_name(info.kind));
        fd_close(fd);
        return relay_vfd_refuse(r, m, interface, WL_DISPLAY_IMPLEMENTATION, text);
    }
    if (!relay_vfd_room(r, m->info->name)) {
        fd_close(fd);
        return RELAY_END;
    }
    struct link_vfd vfd = {.id = relay_vfd_new_id(r),
                           .kind = LINK_VFD_STREAM,
                           .flags = info.writable ? LINK_VFD_SINK : LINK_VFD_SOURCE};
    link_queue(r->link, link_vfd_encode, &vfd);
    if (relay_vfd_add_stream(r, vfd.id, fd, !info.writable, false))
        return RELAY_PASS;
    if (errno != EPIPE && errno != ENXIO)
        return relay_vfd_refuse(r, m, interface, WL_DISPLAY_NO_MEMORY,
                                errno == EMFILE ? too_many : strerror(errno));
    /* Its reader left before it began: the writer at the other side finds that out. */
    link_queue(r->link, link_id_encode, LINK_VFD_CLOSE, vfd.id);
    return RELAY_PASS;
}

enum relay_verdict relay_vfd_send(struct relay *r, struct wl_message *m,
                                  const struct wl_msg_info *info, const char *interface)
{
    if (info->fd_rule == WL_FD_FILE)
        return send_file(r, m, interface);
    int fd = local_socket_claim_fd(&r->local);
    if (fd < 0)
        return relay_vfd_refuse(r, m, interface, WL_DISPLAY_INVALID_METHOD,
                                "its descriptor is missing");
    return info->fd_rule == WL_FD_POOL ? send_pool(r, m, interface, fd)
                                       : send_stream(r, m, interface, fd);
}

struct memory *relay_memory_make(struct relay *r, uint64_t size)
{
    if (!relay_vfd_room(r, "dmabuf")) {
        errno = EMFILE;
        return NULL;
    }
    struct memory *memory = memory_create(size);
    if (!memory)
        return NULL;
    relay_memory_add(r, memory, relay_vfd_new_id(r));
    relay_memory_use(memory);
    relay_memory_hand_out(r, memory);
    return memory;
}

void relay_memory_hand_out(struct relay *r, const struct memory *memory)
{
    struct link_vfd vfd = {.id = memory->id, .kind = LINK_VFD_MEMORY, .size = memory->size};
    link_queue(r->link, link_vfd_encode, &vfd);
}

int relay_memory_make_larger(struct relay *r, struct memory *memory, uint64_t size)
{
    if (size <= memory->size)
        return 0;
    int e = memory_grow(memory, size);
    if (e < 0)
        return e;
    struct link_mem_size grown = {memory->id, size};
    link_queue(r->link, link_mem_size_encode, &grown);
    return 0;
}

int relay_take_fd(struct relay *r)
{
    return local_socket_claim_fd(&r->local);
}

void relay_send_rows(struct relay *r, struct memory *memory, struct link_mem_write rows,
                     uint32_t tag)
{
    rows.id = memory->id;
    link_queue(r->link, link_mem_write_encode, &rows);
    if (memory->file)
        sendq_rows(&r->link->out, memory->file, memory->base + rows.offset, rows.row, rows.rows,
                   rows.stride, tag);
    else
        sendq_rows(&r->link->out, memory, rows.offset, rows.row, rows.rows, rows.stride, tag);
    r->counted_memory += (uint64_t)rows.row * rows.rows;
}
