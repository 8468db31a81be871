/* SPDX-License-Identifier: MIT */
#pragma once
/* sendq: what still has to go out on a stream socket, in order: bytes, descriptors, pixels straight
 * from a mapping, pipe contents by splice. One sendmsg per flush where the socket takes it all. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget;
struct memory;

#define SENDQ_FDS_PER_MESSAGE 28 /* libwayland's receive buffer holds no more */
#define SENDQ_OWN (16u << 10)    /* bytes that may wait without being charged for */
#define SENDQ_FDS_EXACT 253      /* the kernel's SCM_MAX_FD */

struct sendq_segment;
struct sendq_fd;

struct sendq {
    struct sendq_segment *segments; /* ring */
    size_t first, n, room;
    size_t kept;    /* segments, from the first one on, that are known not to be borrowed */
    size_t heap;    /* bytes of those that became ours at a flush */
    uint8_t *arena; /* owned bytes, in queue order */
    size_t arena_first, arena_end, arena_room;
    struct sendq_fd *fds; /* with the position of the byte that each must not arrive after */
    size_t fds_first, fds_n, fds_room;
    uint64_t sent;   /* position of the next byte to go out, counted from the start */
    uint64_t queued; /* position after the last byte queued */
    bool failed;     /* out of memory: the queue is incomplete, the connection must end */
    bool over;       /* @budget does not have what it costs: no more should be queued */
    bool exact;      /* for those who count messages, or ask who sent the first: descriptors begin
                        one of their own with the byte after them, at most SENDQ_FDS_EXACT before one
                        byte, and the first has our credentials */
    /* A client's file shrank under rows that were to be sent: zeros went instead. */
    void (*fault)(void *user, uint32_t tag);
    void *user;
    /* Pays for descriptors, and for memory that is still used after a flush, beyond SENDQ_OWN
     * (borrowed); NULL: nobody counts. */
    struct budget *budget;
    uint64_t charged;
};

void sendq_init(struct sendq *q, void (*fault)(void *user, uint32_t tag), void *user);
void sendq_finish(struct sendq *q); /* closes queued fds, drops references */
static inline uint64_t sendq_size(const struct sendq *q)
{
    return q->queued - q->sent;
}

/* Bytes that the queue has in memory of its own: not those of rows and pipes. */
static inline size_t sendq_held(const struct sendq *q)
{
    return q->arena_end - q->arena_first;
}

/* @bytes must stay until sendq_flush() returns, which copies what it could not send. */
void sendq_borrow(struct sendq *q, const void *bytes, size_t size);
void sendq_copy(struct sendq *q, const void *bytes, size_t size);
/* Room for @size bytes that the caller writes before anything else is queued; NULL when out of
 * memory. */
uint8_t *sendq_reserve(struct sendq *q, size_t size);
/* Takes @fd; it goes out with the next byte that is queued, or before it. @memory (NULL: none) is
 * what it is a descriptor of: referenced, and so paid for, until it is out. 0, -ENOMEM, or as
 * budget_take(). */
int sendq_fd(struct sendq *q, int fd, struct memory *memory);
/* Rows of @memory (referenced until sent); @tag is what @fault gets if the file turns out to be
 * shorter. */
void sendq_rows(struct sendq *q, struct memory *memory, uint64_t offset, uint32_t row,
                uint32_t rows, uint32_t stride, uint32_t tag);
/* @size bytes that are in the pipe @fd now (borrowed until they are out: sendq_pipes() counts
 * them). */
void sendq_pipe(struct sendq *q, int fd, size_t size, unsigned *pending);

/* Sends what @socket takes. 0: all out; -EAGAIN: the rest waits for the socket to be writable;
 * other -errno: the connection is lost. */
int sendq_flush(struct sendq *q, int socket);
