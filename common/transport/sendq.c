/* SPDX-License-Identifier: MIT */
/* Between calls every segment is either owned (arena, heap), referenced (rows) or a pipe whose
 * owner waits for it; borrowed segments live from sendq_borrow() to the flush at the end of the
 * same callback. */
#include "common/transport/sendq.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/base/ancillary.h"
#include "common/base/budget.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/memory.h"

enum segment_kind {
    SEGMENT_ARENA,
    SEGMENT_BORROWED,
    SEGMENT_HEAP,
    SEGMENT_ROWS,
    SEGMENT_PIPE,
    SEGMENT_ZEROS
};

struct sendq_segment {
    enum segment_kind kind;
    uint64_t size; /* bytes still to go, of all kinds */
    union {
        const uint8_t *borrowed;
        struct {
            uint8_t *block, *at;
            size_t room;
        } heap;
        struct {
            struct memory *memory;
            uint64_t offset, done;
            uint32_t row, rows, stride, tag;
        } rows;
        struct {
            int fd;
            unsigned *pending;
        } pipe;
    };
};

struct sendq_fd {
    uint64_t position;
    int fd;
    struct memory *memory; /* a reference */
};

#define IOV_N 512
#define KEEP_ARENA 1024 /* idle connections keep no more than this */
#define KEEP_SEGMENTS 8
#define ROOM_MAX SIZE_MAX /* who queues has limits, and asks for sendq_size() */

static const uint8_t zeros[64 << 10];

void sendq_init(struct sendq *q, void (*fault)(void *user, uint32_t tag), void *user)
{
    *q = (struct sendq){.fault = fault, .user = user};
}

static struct sendq_segment *segment_at(struct sendq *q, size_t i)
{
    return &q->segments[(q->first + i) % q->room];
}

static void segment_release(struct sendq *q, struct sendq_segment *s)
{
    if (s->kind == SEGMENT_HEAP) {
        q->heap -= s->heap.room;
        free(s->heap.block);
    } else if (s->kind == SEGMENT_ROWS) {
        memory_unref(s->rows.memory);
    } else if (s->kind == SEGMENT_PIPE) {
        --*s->pipe.pending;
    }
}

static void fds_release(struct sendq *q, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fd_close(q->fds[q->fds_first + i].fd);
        memory_unref(q->fds[q->fds_first + i].memory);
    }
    budget_give(q->budget, BUDGET_FDS, n);
    q->fds_first += n;
    q->fds_n -= n;
}

void sendq_finish(struct sendq *q)
{
    for (size_t i = 0; i < q->n; i++)
        segment_release(q, segment_at(q, i));
    fds_release(q, q->fds_n);
    budget_give(q->budget, BUDGET_MEMORY, q->charged);
    free(q->segments);
    free(q->arena);
    free(q->fds);
    *q = (struct sendq){.failed = true};
}

static struct sendq_segment *segment_add(struct sendq *q, enum segment_kind kind, uint64_t size)
{
    if (q->failed)
        return NULL;
    if (q->n == q->room) {
        size_t full = q->room;
        if (array_room(&q->segments, &q->room, full ? 2 * full : KEEP_SEGMENTS, ROOM_MAX) < 0) {
            q->failed = true;
            return NULL;
        }
        if (q->first) /* those that had gone round come after the others now */
            memcpy(q->segments + full, q->segments, q->first * sizeof(*q->segments));
    }
    struct sendq_segment *s = segment_at(q, q->n++);
    s->kind = kind;
    s->size = size;
    q->queued += size;
    return s;
}

void sendq_borrow(struct sendq *q, const void *bytes, size_t size)
{
    if (!size)
        return;
    struct sendq_segment *last = q->n ? segment_at(q, q->n - 1) : NULL;
    if (last && last->kind == SEGMENT_BORROWED && last->borrowed + last->size == bytes) {
        last->size += size;
        q->queued += size;
        return;
    }
    struct sendq_segment *s = segment_add(q, SEGMENT_BORROWED, size);
    if (s)
        s->borrowed = bytes;
}

uint8_t *sendq_reserve(struct sendq *q, size_t size)
{
    if (q->failed)
        return NULL;
    if (q->arena_room - q->arena_end < size) {
        size_t used = q->arena_end - q->arena_first;
        if (q->arena_first >= used) { /* as much was sent since the last time: that pays for it */
            if (used)
                memmove(q->arena, q->arena + q->arena_first, used);
            q->arena_first = 0;
            q->arena_end = used;
        }
        size_t room = q->arena_end + size > KEEP_ARENA / 2 ? q->arena_end + size : KEEP_ARENA / 2;
        if (array_room(&q->arena, &q->arena_room, room, ROOM_MAX) < 0) {
            q->failed = true;
            return NULL;
        }
    }
    struct sendq_segment *last = q->n ? segment_at(q, q->n - 1) : NULL;
    if (last && last->kind == SEGMENT_ARENA) {
        last->size += size;
        q->queued += size;
    } else if (!segment_add(q, SEGMENT_ARENA, size)) {
        return NULL;
    }
    uint8_t *at = q->arena + q->arena_end;
    q->arena_end += size;
    return at;
}

void sendq_copy(struct sendq *q, const void *bytes, size_t size)
{
    uint8_t *at = size ? sendq_reserve(q, size) : NULL;
    if (at)
        memcpy(at, bytes, size);
}

int sendq_fd(struct sendq *q, int fd, struct memory *memory)
{
    int e = q->failed ? -ENOMEM : budget_take(q->budget, BUDGET_FDS, 1);
    if (e < 0) {
        fd_close(fd);
        return e;
    }
    if (q->fds_first + q->fds_n == q->fds_room) {
        if (q->fds_first) {
            memmove(q->fds, q->fds + q->fds_first, q->fds_n * sizeof(*q->fds));
            q->fds_first = 0;
        } else if (array_room(&q->fds, &q->fds_room, q->fds_n + 1, ROOM_MAX) < 0) {
            q->failed = true;
            budget_give(q->budget, BUDGET_FDS, 1);
            fd_close(fd);
            return -ENOMEM;
        }
    }
    q->fds[q->fds_first + q->fds_n++] =
        (struct sendq_fd){q->queued, fd, memory ? memory_ref(memory) : NULL};
    return 0;
}

void sendq_rows(struct sendq *q, struct memory *memory, uint64_t offset, uint32_t row,
                uint32_t rows, uint32_t stride, uint32_t tag)
{
    struct sendq_segment *s = segment_add(q, SEGMENT_ROWS, (uint64_t)row * rows);
    if (!s)
        return;
    s->rows.memory = memory_ref(memory);
    s->rows.offset = offset;
    s->rows.done = 0;
    s->rows.row = row;
    s->rows.rows = rows;
    s->rows.stride = stride;
    s->rows.tag = tag;
}

void sendq_pipe(struct sendq *q, int fd, size_t size, unsigned *pending)
{
    struct sendq_segment *s = segment_add(q, SEGMENT_PIPE, size);
    if (!s)
        return;
    s->pipe.fd = fd;
    s->pipe.pending = pending;
    ++*pending;
}

/* Takes @size sent bytes off the front. */
static void sendq_sent(struct sendq *q, uint64_t size)
{
    q->sent += size;
    while (size) {
        struct sendq_segment *s = segment_at(q, 0);
        uint64_t n = size < s->size ? size : s->size;
        switch (s->kind) {
        case SEGMENT_ARENA:
            q->arena_first += n;
            break;
        case SEGMENT_BORROWED:
            s->borrowed += n;
            break;
        case SEGMENT_HEAP:
            s->heap.at += n;
            break;
        case SEGMENT_ROWS:
            s->rows.done += n;
            break;
        case SEGMENT_PIPE:
        case SEGMENT_ZEROS:
            break;
        }
        s->size -= n;
        size -= n;
        if (!s->size) {
            segment_release(q, s);
            q->first = (q->first + 1) % q->room;
            q->n--;
            q->kept -= q->kept > 0;
        }
    }
}

static size_t rows_iov(const struct sendq_segment *s, struct iovec *iov, size_t room)
{
    const uint8_t *base = memory_map(s->rows.memory) + s->rows.offset;
    uint64_t line = s->rows.done / s->rows.row, within = s->rows.done % s->rows.row;
    size_t n = 0;
    for (; line < s->rows.rows && n < room; line++, within = 0)
        iov[n++] =
            (struct iovec){(void *)(base + line * s->rows.stride + within), s->rows.row - within};
    return n;
}

/* Collects what one sendmsg can carry: up to the next pipe, @limit bytes or the vector's end. */
static size_t sendq_gather(struct sendq *q, struct iovec *iov, uint64_t limit, bool *ret_more)
{
    size_t n = 0, arena = q->arena_first, i = 0;
    uint64_t total = 0;
    for (; i < q->n && n < IOV_N && total < limit; i++) {
        const struct sendq_segment *s = segment_at(q, i);
        size_t first = n;
        switch (s->kind) {
        case SEGMENT_ARENA:
            iov[n++] = (struct iovec){q->arena + arena, s->size};
            arena += s->size;
            break;
        case SEGMENT_BORROWED:
            iov[n++] = (struct iovec){(void *)s->borrowed, s->size};
            break;
        case SEGMENT_HEAP:
            iov[n++] = (struct iovec){s->heap.at, s->size};
            break;
        case SEGMENT_ROWS:
            n += rows_iov(s, iov + n, IOV_N - n);
            break;
        case SEGMENT_ZEROS:
            for (uint64_t left = s->size; left && n < IOV_N;) {
                size_t part = left < sizeof(zeros) ? left : sizeof(zeros);
                iov[n++] = (struct iovec){(void *)zeros, part};
                left -= part;
            }
            break;
        case SEGMENT_PIPE:
            *ret_more = true;
            return n;
        }
        for (; first < n; first++) {
            if (total + iov[first].iov_len >= limit) {
                iov[first].iov_len = limit - total;
                n = first + 1;
            }
            total += iov[first].iov_len;
        }
    }
    *ret_more = false;
    return n;
}

/* sendmsg() could not read from a mapping. Replaces what lies behind a shrunken file's end by
 * zeros. */
static int sendq_fault(struct sendq *q, int error)
{
    bool found = false;
    for (int any = 0; any < 2 && !found; any++) {
        for (size_t i = 0; i < q->n; i++) {
            struct sendq_segment *s = segment_at(q, i);
            if (s->kind != SEGMENT_ROWS)
                continue;
            uint64_t end =
                s->rows.offset + (uint64_t)(s->rows.rows - 1) * s->rows.stride + s->rows.row;
            if (!any && !memory_truncated(s->rows.memory, end))
                continue;
            uint32_t tag = s->rows.tag;
            memory_unref(s->rows.memory);
            s->kind = SEGMENT_ZEROS;
            found = true;
            if (q->fault)
                q->fault(q->user, tag);
            if (any)
                break;
        }
        if (error == ENOMEM)
            break; /* the files are whole: it is the kernel that lacks memory */
    }
    return found ? 0 : -error;
}

/* The segment's bytes are in @block (taken) from now on. */
static void heap_own(struct sendq *q, struct sendq_segment *s, uint8_t *block)
{
    s->kind = SEGMENT_HEAP;
    s->heap.block = s->heap.at = block;
    s->heap.room = s->size;
    q->heap += s->size;
}

/* A socket that cannot take a splice gets the pipe's bytes as a copy; so do bytes that are gone. */
static int pipe_to_heap(struct sendq *q, struct sendq_segment *s)
{
    uint8_t *block = calloc(1, s->size);
    if (!block)
        return -ENOMEM;
    for (uint64_t have = 0; have < s->size;) {
        ssize_t n = read(s->pipe.fd, block + have, s->size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* somebody else, who has the pipe too, took its bytes: zeros complete the frame
                    */
        have += (uint64_t)n;
    }
    --*s->pipe.pending;
    heap_own(q, s, block);
    return 0;
}

static int sendq_flush_pipe(struct sendq *q, int socket)
{
    struct sendq_segment *s = segment_at(q, 0);
    ssize_t n = splice(s->pipe.fd, NULL, socket, NULL, s->size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n > 0) {
        sendq_sent(q, (uint64_t)n);
        return 0;
    }
    int waiting = 0;
    if (n < 0 && errno == EAGAIN && (ioctl(s->pipe.fd, FIONREAD, &waiting) < 0 || waiting > 0))
        return -EAGAIN; /* the socket is full */
    if (n < 0 && errno != EAGAIN && errno != EINVAL && errno != EINTR)
        return -errno;
    if (n < 0 && errno == EINTR)
        return 0;
    return pipe_to_heap(q, s);
}

/* How many bytes may go with the next descriptors. */
static uint64_t fds_limit(const struct sendq *q)
{
    if (!q->fds_n)
        return UINT64_MAX;
    const struct sendq_fd *fds = q->fds + q->fds_first;
    if (q->exact) {
        for (size_t i = 0; i < q->fds_n; i++)
            if (fds[i].position > q->sent)
                return fds[i].position - q->sent;
        return UINT64_MAX;
    }
    if (q->fds_n <= SENDQ_FDS_PER_MESSAGE)
        return UINT64_MAX;
    uint64_t limit = fds[SENDQ_FDS_PER_MESSAGE].position - q->sent;
    return limit ? limit : 1;
}

/* The message is one that says who we are. */
static bool begins(const struct sendq *q)
{
    return q->exact && q->sent == 0;
}

static int sendq_flush_once(struct sendq *q, int socket)
{
    static struct iovec iov[IOV_N];
    union {
        struct cmsghdr header;
        char space[ANCILLARY_CREDENTIALS + ANCILLARY_FDS(SENDQ_FDS_EXACT)];
    } control;
    int passed[SENDQ_FDS_EXACT];
    uint64_t limit = fds_limit(q);
    bool more;
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = sendq_gather(q, iov, limit, &more)};
    uint64_t total = 0;
    for (size_t i = 0; i < message.msg_iovlen; i++)
        total += iov[i].iov_len;
    size_t fds = 0, most = q->exact ? SENDQ_FDS_EXACT : SENDQ_FDS_PER_MESSAGE;
    while (fds < q->fds_n && fds < most && q->fds[q->fds_first + fds].position < q->sent + total)
        fds++;
    message.msg_control = &control;
    if (begins(q))
        ancillary_add_credentials(&message);
    for (size_t i = 0; i < fds; i++)
        passed[i] = q->fds[q->fds_first + i].fd;
    if (fds)
        ancillary_add_fds(&message, passed, fds);
    ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
    if (n < 0 && errno == EINTR)
        return 0;
    if (n < 0 && (errno == EFAULT || errno == ENOMEM))
        return sendq_fault(q, errno);
    if (n < 0)
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    fds_release(q, fds);
    sendq_sent(q, (uint64_t)n);
    return (uint64_t)n < total && q->n ? -EAGAIN : 0;
}

/* What was only borrowed becomes ours. */
static void sendq_keep(struct sendq *q)
{
    for (size_t i = q->kept; i < q->n; i++) {
        struct sendq_segment *s = segment_at(q, i);
        if (s->kind != SEGMENT_BORROWED)
            continue;
        uint8_t *block = malloc(s->size);
        if (!block) {
            q->failed = true;
            s->kind = SEGMENT_ZEROS;
            continue;
        }
        memcpy(block, s->borrowed, s->size);
        heap_own(q, s, block);
    }
    q->kept = q->n;
}

/* What waits is paid for, as far as it can be. */
static void sendq_charge(struct sendq *q)
{
    uint64_t cost =
        q->arena_room + q->heap + q->room * sizeof(*q->segments) + q->fds_room * sizeof(*q->fds);
    cost = cost > SENDQ_OWN ? cost - SENDQ_OWN : 0;
    q->over = false;
    if (cost > q->charged) {
        q->over = budget_take(q->budget, BUDGET_MEMORY, cost - q->charged) < 0;
        if (q->over)
            return;
    } else {
        budget_give(q->budget, BUDGET_MEMORY, q->charged - cost);
    }
    q->charged = cost;
}

/* Most flushes have one piece and no descriptor: send() costs the kernel less than sendmsg(). */
static int sendq_flush_one(struct sendq *q, int socket)
{
    struct sendq_segment *s = segment_at(q, 0);
    const uint8_t *bytes = s->kind == SEGMENT_ARENA ? q->arena + q->arena_first : s->borrowed;
    ssize_t n = send(socket, bytes, s->size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return errno == EINTR ? 0 : errno == EWOULDBLOCK ? -EAGAIN : -errno;
    sendq_sent(q, (uint64_t)n);
    return q->n ? -EAGAIN : 0;
}

int sendq_flush(struct sendq *q, int socket)
{
    if (q->failed)
        return -ENOMEM;
    int r = 0;
    if (q->n == 1 && !q->fds_n && !begins(q) &&
        (segment_at(q, 0)->kind == SEGMENT_ARENA || segment_at(q, 0)->kind == SEGMENT_BORROWED))
        r = sendq_flush_one(q, socket);
    while (q->n && r == 0)
        r = segment_at(q, 0)->kind == SEGMENT_PIPE ? sendq_flush_pipe(q, socket)
                                                   : sendq_flush_once(q, socket);
    if (q->n) {
        sendq_keep(q);
    } else {
        q->arena_first = q->arena_end = q->kept = 0;
        if (q->arena_room > KEEP_ARENA) {
            free(q->arena);
            q->arena = NULL;
            q->arena_room = 0;
        }
        if (q->room > KEEP_SEGMENTS) {
            free(q->segments);
            q->segments = NULL;
            q->room = q->first = 0;
        }
    }
    if (q->n || q->charged || q->over)
        sendq_charge(q);
    return q->failed ? -ENOMEM : r;
}
