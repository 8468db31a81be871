/* SPDX-License-Identifier: MIT */
/* The registry of virtual file descriptors of one connection. A descriptor from the local side gets
 * an id and a kind, and the other proxy makes one of its own for it: a mirror, a sealed copy, or a
 * pipe. Ids are made by counting up, so that what arrives late for an id that is gone can be told
 * from an id that never was. */
#include <errno.h>
#include <stdio.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/base/memory.h"
#include "common/wayland/relay-private.h"
#include "common/carrier/stream.h"
#include "common/carrier/vfd-file.h"
#include "common/base/waiters.h"

#define ARRIVED_MAX 1024

static uint32_t side_bit(enum relay_side side)
{
    return side == RELAY_HOST ? LINK_HOST_ID : 0;
}

uint32_t relay_vfd_new_id(struct relay *r)
{
    return side_bit(r->side) | r->next_id++;
}

static bool is_ours(const struct relay *r, uint32_t id)
{
    return (id & LINK_HOST_ID) == side_bit(r->side);
}

/* True if @id was handed out once, by either side. */
bool relay_vfd_was_made(const struct relay *r, uint32_t id)
{
    uint32_t count = id & ~LINK_HOST_ID;
    return count > 0 && count < (is_ours(r, id) ? r->next_id : r->peer_next_id);
}

struct memory *relay_memory_find(const struct relay *r, uint32_t id)
{
    for (struct memory *m = r->memories; m; m = m->next)
        if (m->id == id)
            return m;
    return NULL;
}

static struct stream *find_stream(const struct relay *r, uint32_t id)
{
    for (size_t i = 0; i < r->streams_n; i++)
        if (r->streams[i]->id == id)
            return r->streams[i];
    return NULL;
}

void relay_memory_add(struct relay *r, struct memory *m, uint32_t id)
{
    m->id = id;
    m->next = r->memories;
    r->memories = m;
    r->memories_n++;
}

static void remove_memory(struct relay *r, struct memory *m)
{
    for (struct memory **at = &r->memories; *at; at = &(*at)->next) {
        if (*at == m) {
            *at = m->next;
            r->memories_n--;
            memory_unref(m);
            return;
        }
    }
}

void relay_memory_use(struct memory *m)
{
    memory_ref(m);
    m->users++;
}

void relay_memory_unuse(struct relay *r, struct memory *m)
{
    if (--m->users == 0 && r->side == RELAY_GUEST && !r->finished) {
        link_queue(r->link, link_id_encode, LINK_VFD_CLOSE, m->id);
        relay_shm_forget(r, m);
        remove_memory(r, m);
    }
    memory_unref(m);
}

bool relay_vfd_room(struct relay *r, const char *what)
{
    if (r->memories_n + r->streams_n < r->limits.vfds)
        return true;
    relay_fail(r, LINK_ERROR_LIMIT, 0, WL_DISPLAY_NO_MEMORY,
               "%s: descriptor limit: %u are open already (max-fds)", what, r->limits.vfds);
    return false;
}

static void stream_ended(void *user, struct stream *s)
{
    struct relay *r = user;
    for (size_t i = 0; i < r->streams_n; i++)
        if (r->streams[i] == s) {
            r->streams[i] = r->streams[--r->streams_n];
            break;
        }
    link_forget_sink(r->link, &s->sink);
    s->link = NULL;
    if (s->out)
        r->counted_streams += s->total;
    stream_destroy_later(s);
    if (r->local_done && !r->streams_n)
        relay_settle_later(r);
}

struct waiters *relay_vfd_waiters(struct relay *r)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    if (!r->waiters) {
        /* All clients of a process are one. On the host they are all the compositor's. */
        if (r->side == RELAY_GUEST &&
            getsockopt(r->local.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
            peer.pid = 0;
        r->waiters = waiters_of(peer.pid);
    }
    return r->waiters;
}

/* Takes @fd. NULL: errno. */
struct stream *relay_vfd_add_stream(struct relay *r, uint32_t id, int fd, bool out, bool ours)
{
    if (r->streams_n == r->streams_room) {
        size_t room = r->streams_room ? 2 * r->streams_room : 4;
        void *grown = realloc(r->streams, room * sizeof(*r->streams));
        if (!grown) {
            fd_close(fd);
            errno = ENOMEM;
            return NULL;
        }
        r->streams = grown;
        r->streams_room = room;
    }
    struct waiters *waiters = ours ? NULL : relay_vfd_waiters(r);
    if (!ours && !waiters) {
        fd_close(fd);
        errno = ENOMEM;
        return NULL;
    }
    struct stream *s = stream_create(r->loop, r->link, id, fd, out, waiters, stream_ended, r);
    if (s)
        r->streams[r->streams_n++] = s;
    return s;
}

enum relay_verdict relay_vfd_refuse(struct relay *r, const struct wl_message *m,
                                    const char *interface, uint32_t code, const char *what)
{
    relay_fail(r, r->side == RELAY_GUEST ? LINK_ERROR_WAYLAND : LINK_ERROR_COMPOSITOR, m->object,
               code, "%s#%u.%s: %s", interface, m->object, m->info->name, what);
    return RELAY_END;
}

int relay_vfd_broken(struct relay *r, const char *what, uint32_t id)
{
    relay_fail(r, LINK_ERROR_PROTOCOL, 0, WL_DISPLAY_IMPLEMENTATION,
               "the other proxy broke the link protocol: %s (id %#x)", what, id);
    return -EPROTO;
}

static void release_arrived(struct relay_vfd *vfd)
{
    memory_unref(vfd->memory);
    fd_close(vfd->fd);
}

static bool push_arrived(struct relay *r, struct relay_vfd vfd)
{
    if (r->arrived_first + r->arrived_n == r->arrived_room) {
        if (r->arrived_first) {
            memmove(r->arrived, r->arrived + r->arrived_first, r->arrived_n * sizeof(vfd));
            r->arrived_first = 0;
        } else {
            size_t room = r->arrived_room ? 2 * r->arrived_room : 4;
            void *grown = room > ARRIVED_MAX ? NULL : realloc(r->arrived, room * sizeof(vfd));
            if (!grown) {
                release_arrived(&vfd);
                return false;
            }
            r->arrived = grown;
            r->arrived_room = room;
        }
    }
    r->arrived[r->arrived_first + r->arrived_n++] = vfd;
    return true;
}

void relay_vfd_forget(struct relay *r)
{
    for (; r->arrived_n; r->arrived_n--)
        release_arrived(&r->arrived[r->arrived_first++]);
}

enum relay_verdict relay_vfd_take(struct relay *r, struct wl_message *m, const char *interface,
                                  bool drop)
{
    static const uint16_t kinds[_WL_FD_N] = {[WL_FD_POOL] = LINK_VFD_MEMORY,
                                             [WL_FD_FILE] = LINK_VFD_FILE,
                                             [WL_FD_STREAM] = LINK_VFD_STREAM};
    if (!r->arrived_n) {
        relay_vfd_broken(r, "a message lacks its descriptor", m->object);
        return RELAY_END;
    }
    struct relay_vfd vfd = r->arrived[r->arrived_first++];
    r->arrived_n--;
    enum relay_verdict v = RELAY_PASS;
    int fd = -1;
    if (vfd.kind != kinds[m->info->fd_rule]) {
        relay_vfd_broken(r, "a message's descriptor is of the wrong kind", vfd.id);
        v = RELAY_END;
    } else if (drop) {
        v = RELAY_PASS;
    } else if (vfd.kind == LINK_VFD_MEMORY) {
        int32_t size = m->args[2].i;
        if (size <= 0 || (uint64_t)size > vfd.memory->size)
            v = relay_vfd_refuse(r, m, interface, WL_SHM_INVALID_FD, "invalid pool size");
        else
            v = relay_shm_create_pool(r, m, vfd.memory);
        bool pool = v == RELAY_PASS && !vfd.memory->late;
        fd = pool ? fcntl(vfd.memory->fd, F_DUPFD_CLOEXEC, 0) : -1;
        if (pool && fd < 0)
            v = relay_vfd_refuse(r, m, interface, WL_DISPLAY_NO_MEMORY, strerror(errno));
    } else if (vfd.kind == LINK_VFD_FILE) {
        if (vfd.memory->filled != vfd.memory->size) {
            relay_vfd_broken(r, "a file is incomplete", vfd.id);
            v = RELAY_END;
        } else if ((fd = vfd_file_share(vfd.memory)) < 0) {
            v = relay_vfd_refuse(r, m, interface, WL_DISPLAY_NO_MEMORY, strerror(-fd));
        }
    } else {
        fd = fd_steal(&vfd.fd);
    }
    if (v == RELAY_PASS && fd >= 0)
        sendq_fd(&r->local.out, fd);
    release_arrived(&vfd);
    return v;
}

bool relay_charge(struct relay *r, uint64_t bytes)
{
    if (!r->ops->charge || r->ops->charge(r, bytes))
        return true;
    relay_fail(r, LINK_ERROR_LIMIT, 0, WL_DISPLAY_NO_MEMORY,
               "memory limit: the VM's buffers take all that it may mirror (max-memory)");
    return false;
}

static int add_vfd(struct relay *r, const struct link_vfd *vfd)
{
    struct memory *memory = vfd->kind == LINK_VFD_MEMORY ? relay_memory_find(r, vfd->id) : NULL;
    struct relay_vfd arrived = {.kind = vfd->kind, .id = vfd->id, .fd = -1};
    if (is_ours(r, vfd->id) || (vfd->kind == LINK_VFD_MEMORY && r->side == RELAY_GUEST))
        return relay_vfd_broken(r, "VFD with an id or kind that is not the sender's", vfd->id);
    if (memory) {
        int e = memory_grow(memory, vfd->size);
        if (e < 0)
            return relay_vfd_broken(r, strerror(-e), vfd->id);
        arrived.memory = memory_ref(memory);
        return push_arrived(r, arrived)
                   ? 0
                   : relay_vfd_broken(r, "too many descriptors that no message takes", vfd->id);
    }
    if ((vfd->id & ~LINK_HOST_ID) != r->peer_next_id)
        return relay_vfd_broken(r, "VFD ids must count up", vfd->id);
    r->peer_next_id++;
    if (vfd->kind != LINK_VFD_FILE && !relay_vfd_room(r, "VFD"))
        return -EPROTO;
    if (vfd->kind == LINK_VFD_STREAM) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0) {
            relay_fail(r, LINK_ERROR_INTERNAL, 0, WL_DISPLAY_NO_MEMORY, "no pipe: %s",
                       strerror(errno));
            return -EMFILE;
        }
        bool out =
            vfd->flags == LINK_VFD_SINK; /* what the application here writes goes to the sender */
        int ours = out ? ends[0] : ends[1];
        arrived.fd = out ? ends[1] : ends[0];
        fd_set_nonblock(ours);
        if (!relay_vfd_add_stream(r, vfd->id, ours, out, true)) {
            release_arrived(&arrived);
            relay_fail(r, LINK_ERROR_INTERNAL, 0, WL_DISPLAY_NO_MEMORY, "no stream: %s",
                       strerror(errno));
            return -ENOMEM;
        }
    } else {
        if (vfd->kind == LINK_VFD_FILE && !relay_charge(r, vfd->size))
            return -EPROTO;
        arrived.memory = memory_create(vfd->size);
        if (!arrived.memory) {
            relay_fail(r, LINK_ERROR_INTERNAL, 0, WL_DISPLAY_NO_MEMORY,
                       "no memory of %llu bytes: %s", (unsigned long long)vfd->size,
                       strerror(errno));
            return -ENOMEM;
        }
        arrived.memory->id = vfd->id;
        if (vfd->kind == LINK_VFD_MEMORY)
            relay_memory_add(r, memory_ref(arrived.memory), vfd->id);
    }
    return push_arrived(r, arrived)
               ? 0
               : relay_vfd_broken(r, "too many descriptors that no message takes", vfd->id);
}

static int close_vfd(struct relay *r, uint32_t id)
{
    struct stream *s = find_stream(r, id);
    struct memory *m = s || r->side == RELAY_GUEST ? NULL : relay_memory_find(r, id);
    if (s && !s->out)
        return relay_vfd_broken(r, "VFD_CLOSE of a stream that the sender writes to", id);
    if (s)
        stream_reader_gone(s);
    else if (m)
        remove_memory(r, m);
    else if (!relay_vfd_was_made(r, id))
        return relay_vfd_broken(r, "VFD_CLOSE of an id that never was", id);
    return 0;
}

static int size_memory(struct relay *r, const struct link_mem_size *size)
{
    struct memory *m = r->side == RELAY_HOST ? relay_memory_find(r, size->id) : NULL;
    if (!m)
        return relay_vfd_broken(r, "MEM_SIZE of unknown memory", size->id);
    int e = memory_grow(m, size->size);
    if (e < 0) {
        relay_fail(r, LINK_ERROR_INTERNAL, 0, WL_DISPLAY_NO_MEMORY, "no memory of %llu bytes: %s",
                   (unsigned long long)size->size, strerror(-e));
        return e;
    }
    return 0;
}

static int punch_memory(struct relay *r, const struct link_mem_punch *punch)
{
    struct memory *m = r->side == RELAY_HOST ? relay_memory_find(r, punch->id) : NULL;
    if (!m || punch->offset + punch->length > m->size)
        return relay_vfd_broken(
            r, m ? "MEM_PUNCH beyond the memory" : "MEM_PUNCH of unknown memory", punch->id);
    if (m->shared)
        return relay_vfd_broken(r, "MEM_PUNCH of memory of the guest's own", punch->id);
    memory_punch(m, punch->offset, punch->length);
    return 0;
}

static int credit_stream(struct relay *r, const struct link_stream_credit *credit)
{
    struct stream *s = find_stream(r, credit->id);
    if (!s)
        return relay_vfd_was_made(r, credit->id)
                   ? 0
                   : relay_vfd_broken(r, "STREAM_CREDIT for an id that never was", credit->id);
    if (!s->out || !stream_add_credit(s, credit->bytes))
        return relay_vfd_broken(
            r, s->out ? "STREAM_CREDIT overflows the window" : "STREAM_CREDIT from the writer",
            credit->id);
    return 0;
}

static int end_stream(struct relay *r, uint32_t id)
{
    struct stream *s = find_stream(r, id);
    if (!s)
        return relay_vfd_was_made(r, id)
                   ? 0
                   : relay_vfd_broken(r, "STREAM_END for an id that never was", id);
    if (s->out || s->peer_done)
        return relay_vfd_broken(r, "STREAM_END from the reader, or twice", id);
    stream_end(s);
    return 0;
}

int relay_vfd_frame(struct relay *r, enum link_type type, const uint8_t *payload, size_t size)
{
    union {
        struct link_vfd vfd;
        struct link_mem_size mem_size;
        struct link_mem_punch punch;
        struct link_stream_credit credit;
        uint32_t id;
    } f;
    int e;
    switch (type) {
    case LINK_VFD:
        e = link_vfd_decode(payload, size, &f.vfd);
        if (e == LINK_OK)
            return add_vfd(r, &f.vfd);
        break;
    case LINK_VFD_CLOSE:
        e = link_id_decode(payload, size, &f.id);
        if (e == LINK_OK)
            return close_vfd(r, f.id);
        break;
    case LINK_MEM_SIZE:
        e = link_mem_size_decode(payload, size, &f.mem_size);
        if (e == LINK_OK)
            return size_memory(r, &f.mem_size);
        break;
    case LINK_MEM_PUNCH:
        e = link_mem_punch_decode(payload, size, &f.punch);
        if (e == LINK_OK)
            return punch_memory(r, &f.punch);
        break;
    case LINK_STREAM_CREDIT:
        e = link_stream_credit_decode(payload, size, &f.credit);
        if (e == LINK_OK)
            return credit_stream(r, &f.credit);
        break;
    default:
        e = link_id_decode(payload, size, &f.id);
        if (e == LINK_OK)
            return end_stream(r, f.id);
    }
    relay_fail(r, LINK_ERROR_PROTOCOL, 0, WL_DISPLAY_IMPLEMENTATION,
               "the other proxy sent a malformed %s frame: %s", link_type_name(type),
               link_decode_error_name(e));
    return -EPROTO;
}

bool relay_memory_captured(const struct memory *m, uint64_t offset, uint64_t end)
{
    if (!(m->file ? m->file : m)->writable)
        return false;
    for (const struct memory_buffer *b = m->buffers; b; b = b->next)
        if (b->captures && offset >= b->offset && end <= b->offset + b->extent)
            return true;
    return false;
}

int relay_vfd_mem_write(void *user, const struct link_mem_write *w, struct memory **ret_memory)
{
    struct relay *r = user;
    uint64_t end = w->offset + (uint64_t)(w->rows - 1) * w->stride + w->row;
    if (r->local_done) /* nobody is left to see it */
        return 0;
    for (size_t i = r->arrived_n; i-- > 0;) {
        struct relay_vfd *vfd = &r->arrived[r->arrived_first + i];
        if (vfd->kind != LINK_VFD_FILE || vfd->id != w->id)
            continue;
        if (w->rows != 1 || w->offset != vfd->memory->filled || end > vfd->memory->size)
            return relay_vfd_broken(r, "a file must be written once, from its start to its end",
                                    w->id);
        vfd->memory->filled = end;
        *ret_memory = vfd->memory;
        return 0;
    }
    struct memory *m = relay_memory_find(r, w->id);
    if (!m)
        return relay_vfd_was_made(r, w->id)
                   ? 0
                   : relay_vfd_broken(r, "MEM_WRITE to an id that never was", w->id);
    if (end > m->size)
        return relay_vfd_broken(r, "MEM_WRITE beyond the memory", w->id);
    if (r->side == RELAY_HOST) {
        if (m->shared)
            return relay_vfd_broken(r, "MEM_WRITE to memory of the guest's own", w->id);
        if (!relay_charge(r, (uint64_t)w->row * w->rows))
            return -EPROTO;
        *ret_memory = m;
    } else if (relay_memory_captured(m, w->offset, end)) {
        *ret_memory = m; /* or the client gave the copy up meanwhile */
    }
    return 0;
}

int relay_vfd_stream_data(void *user, uint32_t id, size_t size, struct link_sink **ret_sink)
{
    struct relay *r = user;
    struct stream *s = find_stream(r, id);
    if (!s)
        return relay_vfd_was_made(r, id)
                   ? 0
                   : relay_vfd_broken(r, "STREAM_DATA for an id that never was", id);
    if (s->out || s->peer_done)
        return relay_vfd_broken(r, "STREAM_DATA from the reader, or after the end", id);
    if (!stream_take_credit(s, size))
        return relay_vfd_broken(r, "STREAM_DATA beyond its credit", id);
    *ret_sink = &s->sink;
    return 0;
}

void relay_vfd_drained(struct relay *r)
{
    for (size_t i = r->streams_n; i-- > 0;)
        stream_resume(r->streams[i]);
}

void relay_vfd_finish(struct relay *r)
{
    sendq_finish(&r->link->out); /* before the pipes that it may still refer to */
    while (r->streams_n)
        stream_destroy(r->streams[--r->streams_n]);
    free(r->streams);
    while (r->memories)
        remove_memory(r, r->memories);
    relay_vfd_forget(r);
    free(r->arrived);
    vfd_file_cancel(r->file.job);
    free(r->file.bytes);
    waiters_unref(r->waiters);
}
