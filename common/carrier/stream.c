/* SPDX-License-Identifier: MIT */
/* stream: owns its descriptor and, for what came while that was full, a second pipe and a buffer:
 * at most what credit was given for. Bytes are spliced where both ends can, and copied elsewhere.
 */
#include "common/carrier/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/base/budget.h"
#include "common/base/fd.h"
#include "common/transport/link.h"
#include "common/base/loop.h"
#include "common/base/waiters.h"

#define CREDIT_STEP (LINK_STREAM_WINDOW / 4)
#define READ_SIZE (64u << 10)
/* What a user's pipes hold together has a limit, beyond which all his programs get small ones. So
 * ours are small, but for a few that are busy, where fewer wake-ups pay. */
#define PIPE_SMALL (8 << 10)
#define PIPE_SIZE (256 << 10)
#define GROWN_MAX 16
#define PIPE_MAX (1 << 20) /* what the kernel lets anybody ask for */

struct copy_job {
    int from, to;
};

/* True after EAGAIN or EINTR, when it is worth another try: the application made its end
 * non-blocking. False when @to, which has a reader of its own, lost it. */
static bool again(int from, int to, bool writing)
{
    struct pollfd p[2] = {{.fd = writing ? -1 : from, .events = POLLIN},
                          {.fd = to, .events = writing ? POLLOUT : 0}};
    if (errno == EINTR)
        return true;
    return errno == EAGAIN && (poll(p, 2, -1) >= 0 || errno == EINTR) && !(p[1].revents & POLLERR);
}

/* Files, terminals and other devices can make their reader or writer wait for a disk, a server,
 * another program (FUSE) or a person: a thread waits instead of the loop. It ends when either side
 * does. */
static void copy_all(void *user)
{
    struct copy_job job = *(struct copy_job *)user;
    free(user);
    static _Thread_local char buffer[16 << 10];
    for (;;) {
        ssize_t n = read(job.from, buffer, sizeof(buffer));
        if (n < 0 && again(job.from, job.to, false))
            continue;
        if (n <= 0)
            break;
        for (ssize_t at = 0; at < n;) {
            ssize_t w = write(job.to, buffer + at, (size_t)(n - at));
            if (w < 0 && again(job.from, job.to, true))
                continue;
            if (w <= 0)
                goto out;
            at += w;
        }
    }
out:
    fd_close(job.from);
    fd_close(job.to);
}

/* Takes @fd; returns our non-blocking end of a pipe whose other end a thread copies from or to @fd,
 * or -errno. */
static int with_thread(struct waiters *waiters, int fd, bool out)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        waiters_close(waiters, fd);
        return -EMFILE;
    }
    int ours = out ? ends[0] : ends[1], theirs = out ? ends[1] : ends[0];
    struct copy_job *job = malloc(sizeof(*job));
    if (job)
        *job = out ? (struct copy_job){fd, theirs} : (struct copy_job){theirs, fd};
    int e = job ? waiters_start(waiters, copy_all, job) : -ENOMEM;
    if (e < 0) {
        free(job);
        waiters_close(waiters, fd);
        fd_close(ends[0]);
        fd_close(ends[1]);
        return e;
    }
    fd_set_nonblock(ours);
    return ours;
}

/* Makes a descriptor that others hold too usable without blocking and without touching its flags.
 */
static int stream_usable(struct waiters *waiters, int fd, bool out, bool *ret_pipe)
{
    struct fd_info info;
    int r = fd_inspect(fd, &info);
    if (r < 0 || !(out ? info.readable : info.writable)) {
        waiters_close(waiters, fd);
        return r < 0 ? r : -EBADF;
    }
    *ret_pipe = info.kind == FD_KIND_PIPE;
    if (info.kind == FD_KIND_SOCKET)
        return fd;
    if (info.kind == FD_KIND_PIPE) {
        int again = fd_reopen(fd, (out ? O_RDONLY : O_WRONLY) | O_NONBLOCK);
        if (again >= 0 || again == -ENXIO) { /* ENXIO: its reader has gone already */
            fd_close(fd);
            return again == -ENXIO ? -EPIPE : again;
        }
    }
    *ret_pipe = true;
    return with_thread(waiters, fd, out);
}

static TAILQ_HEAD(, stream) grown = TAILQ_HEAD_INITIALIZER(grown); /* busy the last: at the end */
static unsigned grown_n;

static void stream_not_grown(struct stream *s)
{
    if (!s->grown)
        return;
    TAILQ_REMOVE(&grown, s, in_grown);
    s->grown = false;
    grown_n--;
}

static void stream_is_grown(struct stream *s)
{
    TAILQ_INSERT_TAIL(&grown, s, in_grown);
    s->grown = true;
    grown_n++;
}

static void spill_close(struct stream *s)
{
    s->spill[0] = fd_close(s->spill[0]);
    s->spill[1] = fd_close(s->spill[1]);
    s->spill_n = 0;
}

/* The pipes that we made: its own, the spill. False: there is none, or it cannot have that size. */
static bool stream_resize(struct stream *s, int own, int spill)
{
    bool spills = s->spill[0] >= 0;
    if (!s->ours && !spills)
        return false;
    return (!s->ours || fcntl(s->fd, F_SETPIPE_SZ, own) >= 0) &&
           (!spills || fcntl(s->spill[0], F_SETPIPE_SZ, spill) >= 0);
}

/* Not while they have more than that in them. */
static bool stream_shrink(struct stream *s)
{
    if (s->spill_n == 0)
        spill_close(s);
    return (!s->ours && s->spill[0] < 0) || stream_resize(s, PIPE_SMALL, PIPE_SMALL);
}

/* One of its pipes is full. True: it has just become larger. */
static bool stream_is_busy(struct stream *s)
{
    bool was_grown = s->grown;
    if (!was_grown && grown_n == GROWN_MAX) {
        struct stream *idle = TAILQ_FIRST(&grown);
        bool shrunk = stream_shrink(idle);
        stream_not_grown(idle);
        if (!shrunk) {
            stream_is_grown(idle); /* another one's turn to be asked */
            return false;
        }
    }
    if (!was_grown && !stream_resize(s, PIPE_SIZE, LINK_STREAM_WINDOW))
        return false;
    stream_not_grown(s);
    stream_is_grown(s);
    return !was_grown;
}

static void stream_ready(void *user, unsigned events);

static void stream_watch(struct stream *s)
{
    unsigned events = 0;
    if (s->fd < 0)
        return;
    if (s->out)
        events = s->over || s->in_queue || !s->credit || s->link->high ? 0 : LOOP_READ;
    else /* a pipe's writing end becomes "readable" when its reader leaves */
        events =
            (s->buffer_n || s->spill_n ? LOOP_WRITE : 0) | (s->pipe && !s->over ? LOOP_READ : 0);
    loop_io_set(s->io, events);
}

static void stream_finish_end(struct stream *s)
{
    s->over = true;
    if (s->in_queue)
        return; /* its pipe is still being sent */
    loop_io_destroy(s->io);
    s->io = NULL;
    stream_not_grown(s);
    s->fd = fd_close(s->fd);
    s->ended(s->user, s);
}

static void stream_feed(struct link_sink *sink, const uint8_t *bytes, size_t size);
static ssize_t splice_in(struct link_sink *sink, int socket, uint64_t size);
static void stream_destroy_job(void *stream);

/* Its own, and a pipe's: the spill's, or a thread's. */
#define STREAM_FDS 3

static uint64_t stream_bytes(bool out)
{
    return out ? PIPE_SIZE : LINK_STREAM_WINDOW;
}

int stream_afford(struct budget *budget, bool out)
{
    int e = budget_take(budget, BUDGET_FDS, STREAM_FDS);
    if (e < 0)
        return e;
    e = budget_take(budget, BUDGET_MEMORY, stream_bytes(out));
    if (e < 0)
        budget_give(budget, BUDGET_FDS, STREAM_FDS);
    return e;
}

void stream_unafford(struct budget *budget, bool out)
{
    budget_give(budget, BUDGET_FDS, STREAM_FDS);
    budget_give(budget, BUDGET_MEMORY, stream_bytes(out));
}

struct stream *stream_create(struct loop *loop, struct link *link, uint32_t id, int fd, bool out,
                             struct waiters *waiters, struct budget *budget,
                             void (*ended)(void *user, struct stream *stream), void *user)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (!s) {
        stream_unafford(budget, out);
        waiters_close(waiters, fd);
        errno = ENOMEM;
        return NULL;
    }
    s->budget = budget ? budget_ref(budget) : NULL;
    s->pipe = true;
    s->spill[0] = s->spill[1] = -1;
    s->ours = !waiters;
    if (waiters)
        fd = stream_usable(waiters, fd, out, &s->pipe);
    else
        fcntl(fd, F_SETPIPE_SZ, PIPE_SMALL);
    s->loop = loop;
    s->destroy_job = (struct loop_job){.run = stream_destroy_job, .user = s};
    s->sink = (struct link_sink){stream_feed, splice_in};
    s->id = id;
    s->fd = fd < 0 ? -1 : fd;
    s->out = out;
    s->link = link;
    s->credit = LINK_STREAM_WINDOW;
    s->ended = ended;
    s->user = user;
    if (fd >= 0)
        s->io = loop_io_create(loop, fd, 0, stream_ready, s);
    if (!s->io) {
        int error = fd < 0 ? -fd : ENOMEM;
        fd_close(s->fd);
        stream_unafford(budget, out);
        budget_unref(s->budget);
        free(s);
        errno = error;
        return NULL;
    }
    stream_watch(s);
    return s;
}

void stream_destroy(struct stream *s)
{
    if (!s)
        return;
    if (s->link)
        link_forget_sink(s->link, &s->sink);
    loop_later_cancel(s->loop, &s->destroy_job);
    loop_io_destroy(s->io);
    stream_not_grown(s);
    fd_close(s->fd);
    spill_close(s);
    stream_unafford(s->budget, s->out);
    budget_unref(s->budget);
    free(s->buffer);
    free(s);
}

static void stream_destroy_job(void *stream)
{
    stream_destroy(stream);
}

void stream_destroy_later(struct stream *s)
{
    loop_later(s->loop, &s->destroy_job);
}

/* in: the descriptor takes no more. */
static void reader_left(struct stream *s)
{
    if (!s->peer_done)
        link_queue(s->link, link_id_encode, LINK_VFD_CLOSE, s->id);
    s->buffer_n = 0;
    spill_close(s);
    stream_finish_end(s);
}

static void give_credit(struct stream *s, size_t size)
{
    s->owed += size;
    if (s->owed < CREDIT_STEP || s->peer_done)
        return;
    link_queue(s->link, link_stream_credit_encode, s->id, (uint32_t)s->owed);
    s->credit += s->owed;
    s->owed = 0;
}

/* Returns bytes written, 0 when the descriptor is full, negative when nobody reads it any more. */
static ssize_t stream_put(struct stream *s, const uint8_t *bytes, size_t size)
{
    for (;;) {
        ssize_t n = s->pipe ? write(s->fd, bytes, size)
                            : send(s->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

static void stream_feed(struct link_sink *sink, const uint8_t *bytes, size_t size)
{
    struct stream *s = (struct stream *)sink;
    while (size && !s->over && !s->buffer_n && !s->spill_n) {
        ssize_t n = stream_put(s, bytes, size);
        if (n < 0) {
            reader_left(s);
            return;
        }
        if (n == 0) {
            if (stream_is_busy(s))
                continue;
            break;
        }
        give_credit(s, (size_t)n);
        bytes += n;
        size -= (size_t)n;
    }
    if (!size || s->over)
        return;
    if (s->buffer_room - s->buffer_first - s->buffer_n < size) {
        if (s->buffer_first) {
            memmove(s->buffer, s->buffer + s->buffer_first, s->buffer_n);
            s->buffer_first = 0;
        }
        if (s->buffer_room - s->buffer_n < size) {
            size_t room = s->buffer_n + size < READ_SIZE ? READ_SIZE : LINK_STREAM_WINDOW;
            uint8_t *grown = realloc(s->buffer, room);
            if (!grown) {
                reader_left(s);
                return;
            }
            s->buffer = grown;
            s->buffer_room = room;
        }
    }
    memcpy(s->buffer + s->buffer_first + s->buffer_n, bytes, size);
    s->buffer_n += size;
    stream_watch(s);
}

/* Whether there are bytes in @socket: when splice() found nothing to do, it is the pipe that is
 * full. */
static bool socket_waits(int socket)
{
    int waiting = 0;
    return ioctl(socket, FIONREAD, &waiting) < 0 || waiting > 0;
}

/* The link must not wait for a slow reader, and its bytes need not be copied for that: a second
 * pipe takes them. */
static ssize_t stream_spill(struct stream *s, int socket, uint64_t size)
{
    if (s->spill[0] < 0) {
        if (pipe2(s->spill, O_CLOEXEC | O_NONBLOCK) < 0) {
            s->spill[0] = s->spill[1] = -1;
            return -ENOTSUP;
        }
        fcntl(s->spill[0], F_SETPIPE_SZ, s->grown ? LINK_STREAM_WINDOW : PIPE_SMALL);
    }
    ssize_t n = splice(socket, NULL, s->spill[1], NULL, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n > 0) {
        s->spill_n += (size_t)n;
        stream_watch(s);
        return n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (!socket_waits(socket))
            return -EAGAIN;
        return stream_is_busy(s) ? stream_spill(s, socket, size) : -ENOTSUP; /* for the buffer */
    }
    return n == 0 ? 0 : -ENOTSUP;
}

static ssize_t splice_in(struct link_sink *sink, int socket, uint64_t size)
{
    struct stream *s = (struct stream *)sink;
    if (s->over || !s->pipe || s->buffer_n)
        return -ENOTSUP;
    if (s->spill_n)
        return stream_spill(s, socket, size);
    ssize_t n = splice(socket, NULL, s->fd, NULL, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n > 0) {
        give_credit(s, (size_t)n);
        return n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (!socket_waits(socket))
            return -EAGAIN;
        return stream_is_busy(s) ? splice_in(sink, socket, size) : stream_spill(s, socket, size);
    }
    return n == 0 ? 0 : -ENOTSUP; /* reading and feeding shows the error */
}

bool stream_take_credit(struct stream *s, size_t size)
{
    if (size > s->credit)
        return false;
    s->credit -= size;
    return true;
}

void stream_end(struct stream *s)
{
    s->peer_done = true;
    if (!s->buffer_n && !s->spill_n && !s->over)
        stream_finish_end(s);
}

static void stream_drain(struct stream *s)
{
    while (s->spill_n) {
        ssize_t n =
            splice(s->spill[0], NULL, s->fd, NULL, s->spill_n, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            reader_left(s);
            return;
        }
        s->spill_n -= (size_t)n;
        give_credit(s, (size_t)n);
    }
    if (!s->grown)
        spill_close(s);
    while (s->buffer_n) {
        ssize_t n = stream_put(s, s->buffer + s->buffer_first, s->buffer_n);
        if (n < 0) {
            reader_left(s);
            return;
        }
        if (n == 0)
            return;
        s->buffer_first += (size_t)n;
        s->buffer_n -= (size_t)n;
        give_credit(s, (size_t)n);
    }
    free(s->buffer);
    s->buffer = NULL;
    s->buffer_first = s->buffer_room = 0;
    if (s->peer_done)
        stream_finish_end(s);
}

static void stream_sent(struct stream *s, size_t size)
{
    s->credit -= size;
    if (s->sent)
        *s->sent += size;
}

/* out: one chunk from the descriptor into the link's queue. Returns false when there is nothing to
 * send now. */
static bool stream_take(struct stream *s)
{
    int waiting = 0;
    if (s->pipe && ioctl(s->fd, FIONREAD, &waiting) == 0 && waiting > 0) {
        size_t size = (size_t)waiting;
        if (size >= PIPE_SMALL)
            stream_is_busy(s);
        if (size > LINK_STREAM_MAX)
            size = LINK_STREAM_MAX;
        if (size > s->credit)
            size = s->credit;
        link_queue(s->link, link_stream_data_encode, s->id, size);
        sendq_pipe(&s->link->out, s->fd, size, &s->in_queue);
        stream_sent(s, size);
        return true;
    }
    uint8_t buffer[4096];
    size_t size = sizeof(buffer) < s->credit ? sizeof(buffer) : s->credit;
    ssize_t n = s->pipe ? read(s->fd, buffer, size) : recv(s->fd, buffer, size, MSG_DONTWAIT);
    if (n > 0) {
        link_queue(s->link, link_stream_data_encode, s->id, (size_t)n);
        sendq_copy(&s->link->out, buffer, (size_t)n);
        stream_sent(s, (size_t)n);
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return false;
    link_queue(s->link, link_id_encode, LINK_STREAM_END, s->id);
    stream_finish_end(s);
    return false;
}

static void stream_pump(struct stream *s)
{
    for (int i = 0; i < 4 && !s->over && s->credit && !s->in_queue && !s->link->high; i++) {
        if (!stream_take(s))
            break;
        link_flush(s->link);
    }
}

bool stream_look(struct stream *s)
{
    struct pollfd p = {.fd = s->fd};
    if (s->over || poll(&p, 1, 0) <= 0 || !(p.revents & (POLLERR | POLLNVAL)))
        return s->over;
    reader_left(s);
    return true;
}

static void stream_ready(void *user, unsigned events)
{
    struct stream *s = user;
    struct link *link = s->link;
    if (s->out) {
        stream_pump(s);
    } else {
        if (events & LOOP_WRITE && (s->buffer_n || s->spill_n))
            stream_drain(s);
        if (events & LOOP_READ && !s->over)
            stream_look(s);
    }
    if (!s->over)
        stream_watch(s);
    if (link)
        link_flush(link);
}

bool stream_holds(const struct stream *s)
{
    return !s->out && !s->over && (s->buffer_n || s->spill_n);
}

void stream_leave(struct stream *s, void (*ended)(void *user, struct stream *stream), void *user)
{
    link_forget_sink(s->link, &s->sink);
    s->link = NULL;
    s->sent = NULL;
    s->peer_done = true;
    s->ended = ended;
    s->user = user;
}

static void pressed(void *user, struct stream *s)
{
    (void)s;
    *(bool *)user = true;
}

bool stream_press(struct stream *s)
{
    bool all = false;
    s->ended = pressed;
    s->user = &all;
    fcntl(s->fd, F_SETPIPE_SZ, PIPE_MAX); /* best effort */
    stream_drain(s);
    return all;
}

bool stream_add_credit(struct stream *s, uint32_t bytes)
{
    if (bytes > LINK_STREAM_WINDOW - s->credit || s->credit > LINK_STREAM_WINDOW)
        return false;
    s->credit += bytes;
    if (!s->over)
        stream_watch(s);
    return true;
}

void stream_reader_gone(struct stream *s)
{
    if (!s->over)
        stream_finish_end(s);
}

void stream_resume(struct stream *s)
{
    if (!s->out || s->fd < 0)
        return;
    if (s->over) {
        stream_finish_end(s); /* waited for its pipe's bytes to go out */
        return;
    }
    stream_watch(s);
}
