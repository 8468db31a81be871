/* SPDX-License-Identifier: MIT */
#pragma once
/* stream: one end of a pipe (or socket, or file) that goes on at the other proxy: bytes with
 * credit, end, and a reader that may leave early. The slow end stalls only its own stream. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/transport/link.h"

struct budget;
struct waiters;

struct stream {
    struct link_sink sink; /* in: what the link feeds */
    uint32_t id;
    int fd;         /* owned, non-blocking or only used in ways that do not block */
    bool out;       /* our fd → link; otherwise link → our fd */
    bool pipe;      /* fd is a pipe: can splice */
    bool ours;      /* and we made it */
    bool grown;     /* its pipes are among the few that are larger than others */
    bool over;      /* nothing more will happen but the end of what is queued */
    bool peer_done; /* in: STREAM_END came */
    struct loop *loop;
    struct loop_io *io;
    struct budget *budget; /* a reference, with what stream_afford() took */
    struct link *link;     /* NULL: it has left it */
    uint64_t credit; /* out: bytes that may still be sent; in: bytes that the peer may still send */
    uint64_t owed;   /* in: bytes taken, credit for which was not given yet */
    unsigned in_queue; /* out: segments of our pipe in the link's queue */
    int spill[2]; /* in: a pipe of ours for what came while the descriptor's pipe was full; -1: none
                   */
    size_t spill_n;
    uint8_t *buffer; /* in: what the descriptor did not take yet, after the spill */
    size_t buffer_first, buffer_n, buffer_room;
    void (*ended)(void *user, struct stream *stream); /* may be destroyed, from loop_later() */
    void *user;
    uint64_t *sent; /* out: where what was carried is counted; NULL: nowhere */
    struct loop_job destroy_job;
    LIST_ENTRY(stream) entry; /* of its connection's, or of deliveries */
    TAILQ_ENTRY(stream) in_grown;
};

/* Takes from @budget (NULL: nobody counts) what a stream may cost at most: its descriptors, and
 * what waits for its reader. For stream_create(), which gives it back in the end. 0, or as
 * budget_take(). */
int stream_afford(struct budget *budget, bool out);
/* The same where no stream was made after all. */
void stream_unafford(struct budget *budget, bool out);
/* Takes @fd. A blocking descriptor that somebody else holds too is opened anew or handed to a
 * thread of @waiters, so that neither its flags change nor the loop waits for it. @waiters NULL: it
 * is a pipe end of our own, non-blocking. NULL: errno, and @budget has it back. */
struct stream *stream_create(struct loop *loop, struct link *link, uint32_t id, int fd, bool out,
                             struct waiters *waiters, struct budget *budget,
                             void (*ended)(void *user, struct stream *stream), void *user);
void stream_destroy(struct stream *stream); /* accepts NULL */
/* The same once the current callback has returned. */
void stream_destroy_later(struct stream *stream);

/* in: false if the peer sends more than it has credit for. */
bool stream_take_credit(struct stream *stream, size_t size);
/* in: the writer at the other side is done. */
void stream_end(struct stream *stream);
/* out: credit came. false if it overflows the window. */
bool stream_add_credit(struct stream *stream, uint32_t bytes);
/* out: the reader at the other side is gone. */
void stream_reader_gone(struct stream *stream);
/* in: true: the reader has left, and the stream has ended. */
bool stream_look(struct stream *stream);
/* out: the link's queue has room again. */
void stream_resume(struct stream *stream);

/* in: bytes wait for their reader. */
bool stream_holds(const struct stream *stream);
/* in, while stream_holds(): nothing more comes. It goes on without a link, and says to @ended when
 * the reader has all, or has left. */
void stream_leave(struct stream *stream, void (*ended)(void *user, struct stream *stream),
                  void *user);
/* After stream_leave(): gives the reader's pipe all that it can be made to hold. True: that was
 * all. */
bool stream_press(struct stream *stream);
