/* SPDX-License-Identifier: MIT */
#pragma once
/* vfd-kind: what a kind of descriptor does on its way from one side to the other. There is a file
 * for each (vfd-memory, vfd-file, vfd-stream), and vfd-kinds has the table of them. */
#include <stdbool.h>
#include <stdint.h>

#include "common/base/fd.h"
#include "common/carrier/vfds.h"

/* A descriptor of the local side that is to become a VFD. */
struct vfd_offer {
    int fd; /* owned; send takes it */
    struct fd_info info;
    pid_t client;          /* whose it is; 0: not known */
    const char *what;      /* wants it: the message's name */
    const char *role;      /* of the descriptor there: "a pool" */
    int64_t announced;     /* bytes of it that the message speaks of */
    struct memory *memory; /* memory: what it is, borrowed; for who sent it */
    char problem[128];     /* what is wrong, in words */
};

/* What sending may answer besides 0 (the VFD is queued) and negative after ends_fail(). */
enum {
    VFD_WAIT = 1, /* its content is being read: the same offer comes again */
    VFD_MISSING,  /* the local side sent none */
    VFD_UNFIT,    /* it is not what such a message takes; @problem */
    VFD_SCARCE,   /* out of memory, descriptors or threads; @problem */
};

struct vfd_kind {
    const char *name;
    /* Whether the local descriptor is one; else false with @problem. */
    bool (*classify)(struct vfd_offer *offer);
    /* It becomes a VFD. */
    int (*send)(struct vfds *vfds, struct vfd_offer *offer);
    /* The other side's VFD frame, whose id is new or (memory) known. 0, or negative after
     * ends_fail(). */
    int (*frame)(struct vfds *vfds, const struct link_vfd *said);
    /* A descriptor for the local side. Owned, or -errno; -EPROTO: after ends_fail(). */
    int (*take)(struct vfds *vfds, struct vfd *vfd);
    /* VFD_CLOSE. 0, negative after ends_fail(), or -ENOENT: none of this kind. */
    int (*close)(struct vfds *vfds, uint32_t id);
};
