/* SPDX-License-Identifier: MIT */
#pragma once
/* vfds: the virtual file descriptors (VFDs) of one connection: their ids, how many are open, and
 * those that came over the link and wait for the message that takes them. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/list.h"
#include "protocol/frames.h"

struct branch;
struct budget;
struct ends;
struct file_job;
struct memory;
struct stream;
struct vfd_events;
struct vfd_memory;
struct vfd_mirrors;
struct vfd_sharing;
struct vfd_sockets;
struct waiters;

/* One that came over the link. */
struct vfd {
    uint16_t kind; /* enum link_vfd_kind */
    uint32_t id;
    struct memory *memory;     /* memory, file: a reference */
    uint64_t filled;           /* file: bytes that came, from its start */
    int fd;                    /* stream: the local end; what is known already; -1 */
    struct budget *paid;       /* by whom, for @fd; NULL: it is not counted by itself */
    struct link_vfd_form form; /* file, of a service: what it is to be like; no access: nobody said
                                */
};

struct vfds {
    struct ends *ends;
    uint32_t next_id, peer_next_id; /* without LINK_HOST_ID */
    void *memories, *files; /* vfd-memory: trees (search.h) of struct vfd_memory: by id; and, guest,
                               of the clients' files */
    LIST_HEAD(, stream) streams; /* vfd-stream */
    void *streams_by_id;         /* the same in a tree */
    size_t streams_n;
    struct vfd *arrived; /* ring, in order */
    size_t arrived_first, arrived_n, arrived_room;
    struct { /* vfd-file: a local file that a thread reads before its message can go on */
        enum { VFD_FILE_NONE, VFD_FILE_READING, VFD_FILE_READ } state;
        struct file_job *job;
        int error;
        uint8_t *bytes;
        size_t size;
    } file;
    const struct vfd_sockets *sockets; /* vfd-socket: who connects them; NULL: nobody */
    struct branch *branch;             /* tree: what may be meant again; NULL: nothing */
    struct vfd_mirrors *mirrors;       /* vfd-mirror; NULL: there are none */
    struct vfd_events *events;         /* vfd-event; the same */
    bool syncs;                        /* sync files may come */
    struct vfd_sharing *sharing;       /* vfd-shared; the same */
    struct waiters *waiters; /* threads for files that make their reader wait; NULL: none yet */
};

void vfds_init(struct vfds *vfds, struct ends *ends);
/* What is left of arrivals and ids; the kinds finish first. */
void vfds_finish(struct vfds *vfds);

uint32_t vfds_new_id(struct vfds *vfds);
/* The one that vfds_new_id() made last. */
uint32_t vfds_last_id(const struct vfds *vfds);
/* A VFD frame with an id that is new: whether the peer may have made it. 0, or negative after
 * ends_fail(). */
int vfds_peer_id(struct vfds *vfds, uint32_t id);
/* Whether this side makes ids like that. */
bool vfds_is_ours(const struct vfds *vfds, uint32_t id);
/* True if @id was handed out once, by either side: what is late for it is no error. */
bool vfds_was_made(const struct vfds *vfds, uint32_t id);
/* The process at the local end; 0: it cannot be told, or is the server's. */
pid_t vfds_client(const struct vfds *vfds);
/* The local side's threads for files. NULL: out of memory. */
struct waiters *vfds_waiters(struct vfds *vfds);

/* Closes @fd, which the local side has sent; it may make whoever does so wait. */
void vfds_discard(struct vfds *vfds, int fd);
/* The same with what the local side has sent and no message has claimed. */
void vfds_discard_unclaimed(struct vfds *vfds);

/* Takes what @vfd has. 0, or negative after ends_fail(). */
int vfds_arrive(struct vfds *vfds, struct vfd vfd);
/* The same with a descriptor that is one more: the party pays for it until it is taken. */
int vfds_arrive_paid(struct vfds *vfds, struct vfd vfd);
/* The last that arrived, if it is not taken; NULL: there is none. */
struct vfd *vfds_last(const struct vfds *vfds);
/* One that arrived as @id and is not taken; NULL: there is none. */
struct vfd *vfds_arrived(const struct vfds *vfds, uint32_t id);
/* The next that arrived, owned: vfd_release(). False: there is none. */
bool vfds_next(struct vfds *vfds, struct vfd *ret);
void vfd_release(struct vfd *vfd);
/* Nobody will take those that arrived; the streams among them find out. */
void vfds_forget(struct vfds *vfds);
