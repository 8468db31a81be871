/* SPDX-License-Identifier: MIT */
/* One buffer serves every link's reads: what a read leaves unfinished is copied to the link, so
 * that an idle connection costs nothing. Pixels are read straight into their memory, stream bytes
 * spliced where possible. */
#include "common/transport/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "common/base/budget.h"
#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/base/memory.h"
#include "common/base/slice.h"

#define FRAME_MAX (LINK_HEADER_SIZE + LINK_WAYLAND_MAX)
#define ROWS_IOV_N 512
#define COLLECT_MIN (16u << 10)
/* Of rows that are short and far apart, each is a page that the kernel may have to find. */
#define SPARSE_ROW 256
#define SPARSE_AT_ONCE 32
/* The head of a STREAM_DATA frame, so that its body can be spliced. */
#define STREAM_HEAD (LINK_HEADER_SIZE + LINK_STREAM_DATA_SIZE)

static uint8_t rx[FRAME_MAX + LINK_READ_SIZE];

static void link_ready(void *user, unsigned events);
static void link_resume_job(void *link);
static void link_turn_job(void *link);
static void link_free(void *link);

struct link *link_create(struct loop *loop, int fd, bool splice, const struct link_ops *ops,
                         void *user)
{
    struct link *link = calloc(1, sizeof(*link));
    if (link)
        link->io = loop_io_create(loop, fd, LOOP_READ, link_ready, link);
    if (!link || !link->io) {
        free(link);
        fd_close(fd);
        errno = ENOMEM;
        return NULL;
    }
    link->loop = loop;
    link->resume_job = (struct loop_job){.run = link_resume_job, .user = link};
    link->turn_job = (struct loop_job){.run = link_turn_job, .user = link};
    link->destroy_job = (struct loop_job){.run = link_free, .user = link};
    link->fd = fd;
    link->splice = splice;
    link_adopt(link, ops, user);
    return link;
}

static void link_report_fault(void *user, uint32_t tag)
{
    struct link *link = user;
    if (link->ops->fault)
        link->ops->fault(link->user, tag);
}

void link_adopt(struct link *link, const struct link_ops *ops, void *user)
{
    link->ops = ops;
    link->user = user;
    link->out.fault = link_report_fault;
    link->out.user = link;
}

void link_set_budget(struct link *link, struct budget *budget)
{
    /* What waits already was paid for by another, who has it back. */
    budget_give(link->budget, BUDGET_MEMORY, link->pending_charged);
    budget_give(link->out.budget, BUDGET_MEMORY, link->out.charged);
    link->pending_charged = link->out.charged = 0;
    link->budget = link->out.budget = budget;
}

/* What was kept is not any more. */
static void link_let_go(struct link *link, uint8_t *bytes)
{
    budget_give(link->budget, BUDGET_MEMORY, link->pending_charged);
    link->pending_charged = 0;
    free(bytes);
}

/* Moves what was kept into @at; returns how much that is. */
static size_t link_unkeep(struct link *link, uint8_t *at)
{
    size_t n = link->pending_n;
    if (n)
        memcpy(at, link->pending, n);
    link_let_go(link, link->pending);
    link->pending = NULL;
    link->pending_n = 0;
    return n;
}

void link_destroy(struct link *link)
{
    if (!link)
        return;
    loop_later_cancel(link->loop, &link->resume_job);
    loop_next_turn_cancel(link->loop, &link->turn_job);
    loop_later_cancel(link->loop, &link->destroy_job);
    loop_io_destroy(link->io);
    sendq_finish(&link->out);
    memory_unref(link->bulk.memory);
    fd_close(link->fd);
    link_let_go(link, link->pending);
    free(link);
}

static void link_free(void *link)
{
    link_destroy(link);
}

void link_destroy_later(struct link *link)
{
    loop_later(link->loop, &link->destroy_job);
}

static void link_watch(struct link *link)
{
    bool read = link->state == LINK_READING ? !link->paused && !link->held && !link->yielded
                                            : link->state == LINK_AWAITING_END;
    loop_io_set(link->io, (read ? LOOP_READ : 0) | (sendq_size(&link->out) ? LOOP_WRITE : 0));
}

static void link_report_closed(struct link *link, int reason, unsigned type)
{
    if (link->state == LINK_STOPPED || link->state == LINK_CLOSED)
        return;
    link->state = LINK_CLOSED;
    loop_io_set(link->io, 0);
    link->ops->closed(link->user, reason, type);
}

int link_flush(struct link *link)
{
    if (link->flushing)
        return 0;
    if (link->broken)
        return -EPIPE;
    uint64_t before = sendq_size(&link->out);
    link->flushing = true;
    int r = sendq_flush(&link->out, link->fd);
    link->flushing = false;
    if (r < 0 && r != -EAGAIN && !link->out.failed) {
        /* What the peer said before it left is still to be read, its reason above all. */
        link->broken = true;
        link->paused = false;
        sendq_finish(&link->out);
    }
    uint64_t size = sendq_size(&link->out);
    bool waited = link->waiting;
    link->waiting = size > 0;
    if (size > LINK_HIGH_WATER)
        link->high = true;
    link_watch(link);
    if (waited && size < before &&
        size < LINK_LOW_WATER) { /* the owner may flush again: only when something went out */
        link->high = false;
        if (link->ops->drained)
            link->ops->drained(link->user);
    }
    return r == -EAGAIN ? 0 : r;
}

void link_pause(struct link *link, bool paused)
{
    if (link->paused == paused)
        return;
    link->paused = paused;
    if (!paused && link->yielded)
        loop_next_turn(link->loop, &link->turn_job);
    link_watch(link);
}

void link_stop(struct link *link)
{
    if (link->state == LINK_READING)
        link->state = LINK_STOPPED;
    link_watch(link);
}

void link_await_end(struct link *link)
{
    if (link->state == LINK_STOPPED)
        link->state = LINK_AWAITING_END;
    link_watch(link);
}

void link_forget_sink(struct link *link, const struct link_sink *sink)
{
    if (link->bulk.sink == sink)
        link->bulk.sink = NULL;
}

/* Puts bytes that are already in our buffer where the current bulk frame wants them. */
static void bulk_feed(struct link *link, const uint8_t *bytes, size_t size)
{
    link->bulk.left -= size;
    if (link->bulk.sink)
        link->bulk.sink->feed(link->bulk.sink, bytes, size);
    const struct link_mem_write *w = &link->bulk.rows;
    uint64_t line = 0, within = 0;
    if (link->bulk.memory) { /* once: a division for every row would cost as much as copying it */
        line = link->bulk.done / w->row;
        within = link->bulk.done % w->row;
        link->bulk.done += size;
    }
    for (; link->bulk.memory && size; line++, within = 0) {
        size_t part = w->row - within < size ? w->row - within : size;
        int r = memory_store(link->bulk.memory, w->offset + line * w->stride + within, bytes, part);
        if (r < 0) { /* the client's file shrank: its own loss */
            memory_unref(link->bulk.memory);
            link->bulk.memory = NULL;
        }
        bytes += part;
        size -= part;
    }
    if (!link->bulk.left) {
        memory_unref(link->bulk.memory);
        link->bulk.memory = NULL;
        link->bulk.sink = NULL;
    }
}

/* Starts a bulk frame from its head. Returns the head's size, 0 if more bytes are needed, or
 * negative. */
static ssize_t bulk_start(struct link *link, const struct link_header *header, const uint8_t *bytes,
                          size_t size)
{
    size_t head = header->type == LINK_MEM_WRITE ? LINK_MEM_WRITE_SIZE : LINK_STREAM_DATA_SIZE;
    if (size < LINK_HEADER_SIZE + head)
        return 0;
    const uint8_t *payload = bytes + LINK_HEADER_SIZE;
    int r;
    if (header->type == LINK_MEM_WRITE) {
        struct link_mem_write write;
        r = link_mem_write_decode(payload, header->size, &write);
        if (r != LINK_OK) {
            link_report_closed(link, r, header->type);
            return -EPROTO;
        }
        struct memory *memory = NULL;
        r = link->ops->mem_write ? link->ops->mem_write(link->user, &write, &memory)
                                 : link->ops->frame(link->user, header->type, NULL, 0);
        if (r < 0)
            return r;
        link->bulk.memory = memory ? memory_ref(memory) : NULL;
        link->bulk.rows = write;
        link->bulk.done = 0;
    } else {
        uint32_t id;
        link_id_decode(payload, LINK_STREAM_DATA_SIZE, &id);
        link->bulk.sink = NULL;
        r = link->ops->stream_data
                ? link->ops->stream_data(link->user, id, header->size - head, &link->bulk.sink)
                : link->ops->frame(link->user, header->type, NULL, 0);
        if (r < 0)
            return r;
    }
    link->streaming = header->type == LINK_STREAM_DATA;
    link->bulk.left = header->size - head;
    return (ssize_t)(LINK_HEADER_SIZE + head);
}

/* For when there is more: up to @room bytes; 0: that is not known. */
static int link_keep(struct link *link, const uint8_t *bytes, size_t size, size_t room)
{
    uint64_t cost = room ? room : size;
    int e = budget_take(link->budget, BUDGET_MEMORY, cost);
    link->pending_room = room;
    link->pending_charged = e == 0 ? cost : 0;
    link->pending = e == 0 ? malloc(cost) : NULL;
    if (!link->pending) {
        e = e < 0 ? e : -ENOMEM;
        link_report_closed(link, e, 0);
        return e;
    }
    memcpy(link->pending, bytes, size);
    link->pending_n = size;
    return 0;
}

/* What there is to do for a frame, in the steps of a slice. */
static unsigned frame_steps(const struct link_header *header)
{
    bool small = header->type == LINK_WAYLAND || header->type == LINK_STREAM_CREDIT;
    return small ? 1 + header->size / 256 : SLICE_LARGE;
}

static bool is_sparse(const struct link_mem_write *w)
{
    return w->row < SPARSE_ROW && w->rows > 1 && w->stride - w->row >= SPARSE_ROW;
}

/* How much of @size bytes is put in its place at once. */
static size_t bulk_part(const struct link *link, size_t size)
{
    size_t part = size < link->bulk.left ? size : (size_t)link->bulk.left;
    size_t rows = (size_t)link->bulk.rows.row * SPARSE_AT_ONCE;
    return link->bulk.memory && is_sparse(&link->bulk.rows) && part > rows ? rows : part;
}

/* Delivers the frames at @bytes; keeps an unfinished one, and those that may not be delivered yet,
 * or not in this turn.
 */
static int link_parse(struct link *link, const uint8_t *bytes, size_t size)
{
    struct slice slice = {0};
    unsigned steps = 0;
    while (size && link->state == LINK_READING) {
        if (slice_over(&slice, steps)) {
            link->yielded = true;
            link_watch(link);
            loop_next_turn(link->loop, &link->turn_job);
            return link_keep(link, bytes, size, 0);
        }
        if (link->bulk.left) {
            size_t part = bulk_part(link, size);
            bulk_feed(link, bytes, part);
            steps = SLICE_LARGE;
            bytes += part;
            size -= part;
            continue;
        }
        struct link_header header = {0};
        size_t take = 0;
        if (size >= LINK_HEADER_SIZE) {
            int r = link_header_decode(bytes, &header);
            if (r != LINK_OK) {
                link_report_closed(link, r, bytes[4] | bytes[5] << 8u);
                return -EPROTO;
            }
            if (link->ops->may_go_on && !link->ops->may_go_on(link->user, header.type)) {
                link->held = true;
                link_watch(link);
                return link_keep(link, bytes, size, 0);
            }
            if (header.type == LINK_MEM_WRITE || header.type == LINK_STREAM_DATA) {
                ssize_t n = bulk_start(link, &header, bytes, size);
                if (n < 0)
                    return (int)n;
                take = (size_t)n;
            } else if (size - LINK_HEADER_SIZE >= header.size) {
                link->streaming = false;
                r = link->ops->frame(link->user, header.type, bytes + LINK_HEADER_SIZE,
                                     header.size);
                if (r < 0)
                    return r;
                take = LINK_HEADER_SIZE + header.size;
            }
        }
        if (!take) {
            /* A large frame is received into this block until it is whole, however small the pieces
             * are that it comes in. */
            size_t whole = LINK_HEADER_SIZE + (size_t)header.size;
            bool collected = header.type == LINK_WAYLAND || header.type == LINK_DATA ||
                             header.type == LINK_MEM_DELTA;
            bool large = size >= LINK_HEADER_SIZE && collected && whole > COLLECT_MIN;
            return link_keep(link, bytes, size, large ? whole : 0);
        }
        steps = frame_steps(&header);
        bytes += take;
        size -= take;
    }
    return 0;
}

static int link_deliver(struct link *link, const uint8_t *bytes, size_t size)
{
    int r = link_parse(link, bytes, size);
    if (link->ops->batch_end && link->state != LINK_CLOSED)
        link->ops->batch_end(link->user);
    return r;
}

int link_feed(struct link *link, const void *bytes, size_t size)
{
    if (size > sizeof(rx))
        return -EMSGSIZE;
    memcpy(rx, bytes, size);
    return link_deliver(link, rx, size);
}

static void link_resume_job(void *user)
{
    struct link *link = user;
    if (link->state != LINK_READING || !link->held)
        return;
    link->held = false;
    link_deliver(link, rx, link_unkeep(link, rx)); /* no more than was in rx once */
    link_watch(link);
}

static void link_turn_job(void *user)
{
    struct link *link = user;
    if (link->state != LINK_READING || !link->yielded || link->paused)
        return;
    link->yielded = false;
    link_deliver(link, rx, link_unkeep(link, rx));
    link_watch(link);
}

void link_resume(struct link *link)
{
    if (link->held && link->state == LINK_READING)
        loop_later(link->loop, &link->resume_job);
}

/* Reads rows into their memory, and what follows them into the buffer. */
static ssize_t link_read_rows(struct link *link, size_t *ret_rows)
{
    static struct iovec iov[ROWS_IOV_N + 1];
    const struct link_mem_write *w = &link->bulk.rows;
    uint8_t *base = memory_map(link->bulk.memory) + w->offset;
    uint64_t done = link->bulk.done;
    int n = 0, most = is_sparse(w) ? SPARSE_AT_ONCE : ROWS_IOV_N;
    size_t total = 0;
    for (; n < most && total < link->bulk.left; n++) {
        uint64_t line = done / w->row, within = done % w->row;
        iov[n] = (struct iovec){base + line * w->stride + within, w->row - within};
        total += iov[n].iov_len;
        done += iov[n].iov_len;
    }
    if (total == link->bulk.left)
        iov[n++] = (struct iovec){rx, LINK_READ_SIZE};
    *ret_rows = total;
    return readv(link->fd, iov, n);
}

/* The ways to receive: how many bytes came, 0: the connection is at its end, or -errno. */

static ssize_t link_receive_rows(struct link *link)
{
    size_t rows;
    ssize_t n = link_read_rows(link, &rows);
    if (n < 0 && (errno == EFAULT || errno == ENOMEM)) {
        memory_unref(link->bulk.memory);
        link->bulk.memory = NULL;
        return -EAGAIN; /* drops the rest with the next turn */
    }
    if (n <= 0)
        return n < 0 ? -errno : 0;
    link->received += (uint64_t)n;
    size_t into = (size_t)n < rows ? (size_t)n : rows;
    link->bulk.left -= into;
    link->bulk.done += into;
    if (!link->bulk.left) {
        memory_unref(link->bulk.memory);
        link->bulk.memory = NULL;
    }
    link_deliver(link, rx, (size_t)n - into);
    return n;
}

/* -ENOTSUP: not for this stream. */
static ssize_t link_receive_spliced(struct link *link)
{
    if (!link->bulk.left || !link->bulk.sink || !link->splice)
        return -ENOTSUP;
    ssize_t n = link->bulk.sink->splice(link->bulk.sink, link->fd, link->bulk.left);
    if (n <= 0)
        return n;
    link->received += (uint64_t)n;
    link->bulk.left -= (uint64_t)n;
    if (!link->bulk.left)
        link->bulk.sink = NULL;
    link_deliver(link, NULL, 0);
    return n;
}

/* Reads on for a large frame; delivers it when it is whole. */
static ssize_t link_receive_large(struct link *link)
{
    ssize_t n = recv(link->fd, link->pending + link->pending_n,
                     link->pending_room - link->pending_n, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 ? -errno : 0;
    link->received += (uint64_t)n;
    link->pending_n += (size_t)n;
    if (link->pending_n == link->pending_room) {
        uint8_t *frame = link->pending;
        link->pending = NULL;
        link->pending_n = 0;
        uint64_t charged = link->pending_charged;
        struct budget *payer = link->budget; /* delivering may set another */
        link->pending_charged = 0;
        link_deliver(link, frame, link->pending_room);
        budget_give(payer, BUDGET_MEMORY, charged);
        free(frame);
    }
    return n;
}

static ssize_t link_receive_frames(struct link *link)
{
    size_t have = link->pending ? link_unkeep(link, rx) : 0, size = LINK_READ_SIZE;
    if (link->splice && link->streaming && !link->bulk.left)
        size = have < STREAM_HEAD ? STREAM_HEAD - have : LINK_READ_SIZE;
    ssize_t n = recv(link->fd, rx + have, size, MSG_DONTWAIT);
    int error = errno;
    if (n > 0) {
        link->received += (uint64_t)n;
        link_deliver(link, rx, have + (size_t)n);
    } else if (have && n < 0) { /* nothing new: put it back */
        link_parse(link, rx, have);
    }
    return n < 0 ? -error : n;
}

static void link_receive(struct link *link)
{
    ssize_t n;
    if (link->bulk.left && link->bulk.memory)
        n = link_receive_rows(link);
    else if ((n = link_receive_spliced(link)) == -ENOTSUP)
        n = link->pending && link->pending_room ? link_receive_large(link)
                                                : link_receive_frames(link);
    if (n <= 0 && n != -EAGAIN && n != -EINTR)
        link_report_closed(link, (int)n, 0);
}

static void link_drop(struct link *link)
{
    ssize_t n = recv(link->fd, rx, LINK_READ_SIZE, MSG_DONTWAIT);
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    link_report_closed(link, n < 0 ? -errno : 0, 0);
}

static void link_ready(void *user, unsigned events)
{
    struct link *link = user;
    if (events & LOOP_WRITE && sendq_size(&link->out)) {
        int r = link_flush(link);
        if (r < 0 && !link->broken) {
            link_report_closed(link, r, 0);
            return;
        }
    }
    if (events & LOOP_READ && link->state == LINK_AWAITING_END)
        link_drop(link);
    else if (events & LOOP_READ && link->state == LINK_READING && !link->paused)
        link_receive(link);
}

static const clockid_t clocks[_LINK_CLOCK_N] = {
    [LINK_CLOCK_REALTIME] = CLOCK_REALTIME,
    [LINK_CLOCK_MONOTONIC] = CLOCK_MONOTONIC,
    [LINK_CLOCK_MONOTONIC_RAW] = CLOCK_MONOTONIC_RAW,
    [LINK_CLOCK_BOOTTIME] = CLOCK_BOOTTIME,
};

void link_clocks(int64_t ret_ns[_LINK_CLOCK_N])
{
    for (int i = 0; i < _LINK_CLOCK_N; i++) {
        struct timespec t;
        clock_gettime(clocks[i], &t);
        ret_ns[i] = t.tv_sec * 1000000000ll + t.tv_nsec;
    }
}

void link_answer_ping(struct link *link, uint64_t serial)
{
    struct link_pong pong = {.serial = serial};
    link_clocks(pong.ns);
    link_queue(link, link_pong_encode, &pong);
    link_flush(link);
}
