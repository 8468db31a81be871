/* SPDX-License-Identifier: MIT */
#pragma once
/* tree: what crossed in a tree of connections (a service's, and those of the sockets in it):
 * which descriptor is which VFD, so that one that was sent is known again, and one that comes home
 * is the original. Connections that have none of it (Wayland's) do without. */
#include <stdbool.h>
#include <stdint.h>

#include "common/base/fd.h"
#include "common/base/list.h"
#include "protocol/frames.h"

struct closing;
struct vfds;

/* One connection of the tree. */
struct branch {
    struct tree *tree; /* a reference; NULL: none yet */
    uint64_t ticket;   /* of the socket that it is; 0: the service's own */
    struct vfds *vfds;
    bool went_home; /* who has the local side here gave it back: its end is not the original's */
    bool stop;      /* the original is the program's again: nothing more is read from it */
    LIST_HEAD(, known) all;
    LIST_ENTRY(branch) entry;
};

/* Which descriptor is meant: as far as the kernel tells without asking whoever made it. */
struct identity {
    uint64_t dev, ino;
    unsigned what; /* enum identity_what */
};
enum identity_what {
    IDENTITY_NONE,
    IDENTITY_FILE,  /* files, memory: however it was opened */
    IDENTITY_READ,  /* pipes: their reading end, */
    IDENTITY_WRITE, /* their writing end */
    IDENTITY_SOCKET,
    IDENTITY_EVENT, /* eventfds, which are all one file: by their number */
    IDENTITY_DMABUF,
};

/* One that crossed on @branch. */
struct known {
    struct branch *branch;
    uint32_t id;
    uint16_t kind; /* enum link_vfd_kind */
    bool ours;     /* sent from here, */
    int original;  /* and this is it (owned, paid for); else -1. A socket that came, until its
                      connection begins: our end of it */
    bool left;     /* a socket: nobody on the side where it came to has it any more */
    struct identity identity; /* ours: of that; else of what was handed out for it */
    uint64_t ticket;          /* a socket: of the connection that it became */
    uint64_t message;         /* ours: the last that it was sent with */
    uint32_t passes, homes;   /* how often it was sent or received; came home or went there */
    bool idle;                /* ours: nobody there has it, if these are the numbers: */
    uint32_t idle_passes, idle_homes;
    struct closing *closing; /* theirs: of what was handed out */
    /* It is let go of: of mirrors and shared memory, both sides; @user goes with it. NULL: nothing
     * to do. */
    void (*dropped)(void *user);
    void *user;
    LIST_ENTRY(known) entry;
};

/* NULL: out of memory. */
struct tree *tree_create(void);
struct tree *tree_ref(struct tree *tree);
void tree_unref(struct tree *tree); /* accepts NULL */

/* Takes a reference to @tree. */
void branch_init(struct branch *branch, struct tree *tree, uint64_t ticket, struct vfds *vfds);
/* Lets go of all that crossed on it. */
void branch_finish(struct branch *branch);

/* Which @fd, of that kind, is. */
struct identity identity_of(int fd, const struct fd_info *info);

/* @fd (owned, taken; -1: none) is the original of what was sent as @id. NULL: errno, of
 * budget_take() as well. */
struct known *tree_sent(struct branch *branch, uint32_t id, uint16_t kind,
                        const struct identity *identity, int fd);
/* What came as @id was handed out as this. NULL: out of memory. */
struct known *tree_received(struct branch *branch, uint32_t id, uint16_t kind,
                            const struct identity *identity);
/* NULL: there is none. */
struct known *tree_find_sent(const struct tree *tree, const struct identity *identity);
struct known *tree_find_received(const struct tree *tree, const struct identity *identity);
struct known *tree_find(const struct tree *tree, uint64_t ticket, uint32_t id);
/* Forgets it, with its original. */
void known_drop(struct known *known);
/* theirs: nobody here has it any more: says so, and forgets it; what may be sent again waits for
 * the answer. */
void known_idle(struct known *known);
/* ours: numbers have changed: lets go of it if the other side has, too. */
void known_settle(struct known *known);
/* theirs: what was handed out for @id on this connection, if it is known, is gone. */
void tree_over(struct branch *branch, uint32_t id);
/* The branch that a socket became; NULL: it has not begun, or is over. */
struct branch *tree_branch(const struct tree *tree, uint64_t ticket);
/* A socket's VFD: by the ticket of its connection. 0 or -ENOMEM. */
int tree_socket(struct known *known, uint64_t ticket);
/* It came here, and goes home: its end is no end of the original any more. Called once the
 * descriptor that goes is closed; true: it was the last. */
bool tree_socket_leaves(struct known *known);
/* It came home; @last: and was the last. */
void tree_socket_returns(struct known *known, bool last);
/* The socket that this branch is will not be heard of here again: tells the other side, on its own
 * link, how often it went home. */
void tree_socket_ends(struct branch *branch);
/* A socket's connection is over, or never came about. */
void tree_socket_over(struct tree *tree, uint64_t ticket);

/* VFD_IDLE, VFD_GONE, which came on @branch. 0, or negative after ends_fail(). */
int tree_idle(struct branch *branch, const uint8_t *payload, size_t size);
int tree_gone(struct branch *branch, const uint8_t *payload, size_t size);
