/* SPDX-License-Identifier: MIT */
#pragma once
/* link: one connection to the other proxy: frames in, a queue of frames out. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/transport/sendq.h"
#include "protocol/frames.h"

struct budget;
struct memory;

/* Where the bytes of a STREAM_DATA frame go; embedded first in what takes them. */
struct link_sink {
    void (*feed)(struct link_sink *sink, const uint8_t *bytes, size_t size); /* takes all */
    /* Moves up to @size bytes out of @socket itself. Returns the number, 0 at the end of the
     * connection, -EAGAIN if the socket has none, or -ENOTSUP: they are to be read and fed. */
    ssize_t (*splice)(struct link_sink *sink, int socket, uint64_t size);
};

/* Callbacks may replace the owner (link_adopt) or stop the link, but destroy it only later
 * (loop_later). Those that return int: 0, or negative when the owner has ended the connection:
 * nothing more is delivered. */
struct link_ops {
    /* A whole frame, except MEM_WRITE and STREAM_DATA; @payload lives until batch_end() returns. */
    int (*frame)(void *user, enum link_type type, const uint8_t *payload, size_t size);
    /* Rows come: *ret_memory takes them (referenced by the link meanwhile), NULL drops them. The
     * owner checks bounds. NULL: frame() hears of them, without a payload. */
    int (*mem_write)(void *user, const struct link_mem_write *write, struct memory **ret_memory);
    /* @size bytes of stream @id come: *ret_sink takes them, NULL drops them. NULL: the same. */
    int (*stream_data)(void *user, uint32_t id, size_t size, struct link_sink **ret_sink);
    /* Everything that one read brought has been delivered. */
    void (*batch_end)(void *user);
    /* The queue had to wait and is (nearly) out now: below LINK_LOW_WATER. Must not flush. */
    void (*drained)(void *user);
    /* Rows with this tag could not be read from the client's file. */
    void (*fault)(void *user, uint32_t tag);
    /* The connection is gone: 0 end of stream, -errno, or LINK_E_* (> 0) for a malformed frame of
     * @type. The last call. */
    void (*closed)(void *user, int reason, unsigned type);
    /* Asked before each frame: false: it and what follows wait for link_resume(). NULL: nothing
     * ever waits. */
    bool (*may_go_on)(void *user, enum link_type type);
};

#define LINK_READ_SIZE (128u << 10) /* bytes that one read takes: so large a frame comes whole */
#define LINK_HIGH_WATER (1u << 20)  /* bytes queued: stop producing */
#define LINK_LOW_WATER (256u << 10)

/* What becomes of what comes. */
enum link_state {
    LINK_READING,      /* frames are delivered */
    LINK_STOPPED,      /* nothing is delivered any more */
    LINK_AWAITING_END, /* the same; what comes is dropped up to the connection's end */
    LINK_CLOSED,       /* closed() was called */
};

struct link {
    enum link_state state;
    struct loop *loop;
    int fd; /* owned */
    struct loop_io *io;
    struct sendq out;
    const struct link_ops *ops;
    void *user;
    uint8_t *pending;               /* the beginning of a frame */
    size_t pending_n, pending_room; /* room: of a large frame, its whole size; 0 otherwise */
    uint64_t pending_charged;
    struct budget *budget; /* pays for it (borrowed); NULL: nobody counts */
    struct {               /* a frame whose bytes go straight to where they belong */
        uint64_t left;
        struct memory *memory;
        struct link_mem_write rows;
        uint64_t done;
        struct link_sink *sink;
    } bulk;
    bool splice;    /* the socket can splice (Unix) */
    bool streaming; /* the last frame was STREAM_DATA: read no further than the next one's head */
    bool paused;    /* by the owner: nothing is read for now */
    bool held;      /* by may_go_on(): the same */
    bool yielded;   /* it is others' turn: the same, until the loop's next one */
    bool broken;    /* nothing can be sent any more; the end is read yet */
    bool flushing;  /* link_flush() is at work */
    bool
        high; /* the queue went above LINK_HIGH_WATER and has not been below LINK_LOW_WATER since */
    bool waiting;      /* the last flush could not send everything */
    uint64_t received; /* bytes, for the owner's accounts and the log */
    struct loop_job resume_job, turn_job, destroy_job;
};

/* Takes @fd (non-blocking, connected, stream). @splice: it is a Unix socket. NULL: errno. */
struct link *link_create(struct loop *loop, int fd, bool splice, const struct link_ops *ops,
                         void *user);
void link_destroy(struct link *link); /* accepts NULL */
/* The same once the current callback has returned: for the link's own callbacks. */
void link_destroy_later(struct link *link);
void link_adopt(struct link *link, const struct link_ops *ops, void *user);
/* @budget (borrowed) pays for what waits in either direction, from now on. */
void link_set_budget(struct link *link, struct budget *budget);
/* Bytes that were read before the link existed. */
int link_feed(struct link *link, const void *bytes, size_t size);

/* Queues a frame made by one of the encoders, at most LINK_FRAME_SMALL_MAX bytes. */
#define link_queue(link, encoder, ...)                                                             \
    do {                                                                                           \
        uint8_t frame_[LINK_FRAME_SMALL_MAX];                                                      \
        sendq_copy(&(link)->out, frame_, encoder(frame_, __VA_ARGS__));                            \
    } while (0)
/* All clocks, now. */
void link_clocks(int64_t ret_ns[_LINK_CLOCK_N]);
/* Queues and sends the PONG to the PING with this serial. */
void link_answer_ping(struct link *link, uint64_t serial);
/* Sends what the socket takes. Losing the connection is reported by closed(), from the loop. 0 or
 * -errno. */
int link_flush(struct link *link);
/* No more is read (a frame's worth may still be delivered) until resumed. */
void link_pause(struct link *link, bool paused);
/* may_go_on() has another answer now. What waited is delivered from the loop. */
void link_resume(struct link *link);
/* Nothing more is delivered; the queue still goes out with link_flush(). */
void link_stop(struct link *link);
/* After link_stop(): what still comes is dropped, and closed() tells when the peer has closed the
 * connection. */
void link_await_end(struct link *link);
/* The sink is going away: bytes that are still due for it are dropped. */
void link_forget_sink(struct link *link, const struct link_sink *sink);
