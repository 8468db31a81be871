/* SPDX-License-Identifier: MIT */
#pragma once
/* vfd-mirror: shared memory that programs of both sides write to: each side has all of it, and what
 * changed crosses ahead of every message and every signal. */
#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/carrier/vfd-kind.h"

struct delta_ranges;
struct known;
struct mirror;

/* A connection's. */
struct vfd_mirrors {
    LIST_HEAD(, mirror) all;
    uint64_t size;         /* bytes of all of them */
    uint64_t max, max_all; /* that one, that all may have */
    /* What is being sent: it goes on where it is when the link has room again. */
    const void *by;      /* for whom; NULL: nothing is */
    struct mirror *at;   /* whose turn it is */
    bool looked;         /* what changed there is noted, */
    uint64_t end;        /* and has been sent but for what is before this (delta_tell()) */
    bool refused;        /* somebody else came meanwhile, */
    struct loop_job job; /* who is told by this when that is done */
};

extern const struct vfd_kind vfd_kind_mirror;

/* The memory in @offer was sent before, and goes again. As vfd_kind.send. */
int vfd_mirror_again(struct vfds *vfds, struct known *known, struct vfd_offer *offer);
/* A descriptor of that memory for the local side, opened as @access (enum link_access) says: owned,
 * or -errno. The first time, @seals (enum, as on the wire) are set on it. */
int vfd_mirror_open(struct known *known, uint16_t seals, uint16_t access);
/* The other side's VFD_REF AGAIN: it may be written to from now on, if @access says so. */
void vfd_mirror_allow(struct known *known, uint16_t access);
/* A descriptor of memory of this side's that came home. Owned, or -errno. */
int vfd_mirror_home(const struct known *known, uint16_t access);

/* Which bytes go (as far as any do), and which are taken; NULL: all. They outlive it. */
void vfd_mirror_limit(struct known *known, const struct delta_ranges *sends,
                      const struct delta_ranges *receives);
/* The memory itself, which others write to, and its size in bytes. It is safe to touch: NULL if it
 * is a program's that may make it smaller. */
uint8_t *vfd_mirror_map(const struct known *known, uint64_t *ret_size);
/* What the other side has there, as far as it was heard: as many bytes. */
const uint8_t *vfd_mirror_shadow(const struct known *known);

/* Queues all that has changed here, for @by, who comes again with the same. 0; 1: the link has no
 * room; or negative after ends_fail(). */
int vfd_mirrors_sync(struct vfds *vfds, const void *by);
/* @by will not come again with what it began. */
void vfd_mirrors_forget(struct vfds *vfds, const void *by);
/* MEM_DELTA. 0, or negative after ends_fail(). */
int vfd_mirror_delta(struct vfds *vfds, const uint8_t *payload, size_t size);
