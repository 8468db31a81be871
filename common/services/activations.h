/* SPDX-License-Identifier: MIT */
#pragma once
/* activations: PipeWire's nodes across the link. A mirror would lose what several count down in a
 * record (activation-record), so records of other nodes are only shown to the guest, and what its
 * nodes have to say there is said on the host, for them: the guest's daemon tells when a node is
 * done (CYCLE), and the host's counts down and signals. Who is late is not waited for. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/loop.h"

struct known;
struct vfds;

/* Another node, which waits for one of ours. */
struct activation_peer {
    uint32_t name;          /* host: the server's number for it */
    uint32_t record, event; /* VFDs: its record, and what it is signalled by */
    LIST_ENTRY(activation_peer) entry;
};

/* A node of a program of the guest's. */
struct activation_node {
    struct activations *activations;
    uint32_t name;          /* the helper's number for it; never 0 */
    uint32_t record, event; /* VFDs: its own record, and what wakes it */
    LIST_HEAD(, activation_peer) peers;
    bool awake;  /* woken, and not done */
    bool active; /* guest: the host was told so */
    bool done;   /* guest: the host is to be told so */
    /* host: */
    struct loop_timer *deadline;
    int64_t woken_ms, interval_ms; /* 0: not known */
    unsigned late;                 /* how often in a row it was not waited for any longer */
    /* guest: */
    unsigned looks; /* since it was woken */
    LIST_ENTRY(activation_node) entry;
};

/* A connection's. */
struct activations {
    struct vfds *vfds;
    LIST_HEAD(, activation_node) nodes;
    unsigned n; /* nodes and peers */
    bool used;  /* there is memory with a role */
    /* guest: how far the host's CLOCK_MONOTONIC is ahead of ours, in nanoseconds. NULL: not at all
     */
    int64_t (*ahead)(void *user);
    void *user;
    struct loop_timer *timer; /* to look at the nodes' records */
    uint64_t again_ms;        /* and when next, if none is awake; 0: not */
};

void activations_init(struct activations *activations, struct vfds *vfds);
void activations_finish(struct activations *activations);

/* --- host: what the helper says of memory and eventfds that were sent to the guest, by the numbers
 * of their VFDs. 0, or negative after ends_fail(). --- */

/* Only the host writes to it; it is no record of any node's any more. */
int activations_show(struct activations *activations, uint32_t id);
/* Both sides do. */
int activations_share(struct activations *activations, uint32_t id);
/* It is the record of node @name, which @event wakes. */
int activations_node(struct activations *activations, uint32_t name, uint32_t record,
                     uint32_t event);
/* It is that of the server's node @peer, which waits for node @name. */
int activations_peer(struct activations *activations, uint32_t name, uint32_t peer, uint32_t record,
                     uint32_t event);
/* @peer does not any more. */
int activations_peer_gone(struct activations *activations, uint32_t name, uint32_t peer);
/* There is no node @name any more. */
int activations_node_gone(struct activations *activations, uint32_t name);

/* CYCLE. 0, or negative after ends_fail(). */
int activations_cycle(struct activations *activations, const uint8_t *payload, size_t size);

/* --- guest --- */

/* MEM_ROLE. 0, or negative after ends_fail(). */
int activations_role(struct activations *activations, const uint8_t *payload, size_t size);
/* The host's side said something to the program, which may come of it to be (in)active. */
void activations_said(struct activations *activations);
/* What had to wait for the link goes on. */
void activations_go_on(struct activations *activations);

/* --- for each other --- */

/* The bytes of the record that VFD @id is, or NULL: there is none any more, or it is too small. */
uint8_t *activations_record(const struct activations *activations, uint32_t id);
/* What the host has in that record, as large. */
const uint8_t *activations_shadow(const struct activations *activations, uint32_t id);
/* vfd_events.hook's: of whichever side. */
bool activations_signalled_host(void *user, const struct known *event, bool here);
bool activations_signalled_guest(void *user, const struct known *event, bool here);
struct activation_node *activations_find(const struct activations *activations, uint32_t name);
/* NULL after ends_fail(). */
struct activation_node *activations_add(struct activations *activations, uint32_t name);
struct activation_peer *activations_add_peer(struct activation_node *node);
void activations_remove(struct activation_node *node);
void activations_remove_peer(struct activation_node *node, struct activation_peer *peer);
/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t activations_now(void);
