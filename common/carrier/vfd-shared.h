/* SPDX-License-Identifier: MIT */
#pragma once
/* vfd-shared: memory of the guest's programs that the host's get themselves, as a dmabuf: pages of
 * the VM, or what its GPU draws. Who has the GPU is the business of whoever has the ops. */
#include "common/base/list.h"
#include "common/carrier/gpu-memory.h"
#include "common/carrier/vfd-kind.h"

struct known;
struct loop_timer;
struct shared;

/* A side has its own of these, and NULL for the others. */
struct vfd_sharing_ops {
    /* guest: a resource of the GPU that the first @size bytes of @fd (borrowed) are: of a dmabuf,
     * or, @file, of a memfd. NULL: there is none to be had. */
    void *(*make)(void *user, int fd, uint64_t size, bool file, uint32_t *ret_resource);
    void (*drop)(void *user, void *resource); /* the host does not look into it any more */
    /* host: asks for what the guest names; vfd_shared_answer() follows, from the loop. Both: 0, or
     * negative after ends_fail(). */
    int (*ask)(void *user, const struct link_import *import);
    int (*release)(void *user, uint32_t import); /* the guest does not name it any more */
    /* host: its memory, for the only time (owned), or -errno. */
    int (*open)(void *user, uint32_t import, uint64_t *ret_size);
};

/* A connection's. */
struct vfd_sharing {
    struct vfds *vfds;
    struct gpu_memory *gpu; /* of the same connection; its ops are ours */
    const struct vfd_sharing_ops *ops;
    void *user;
    LIST_HEAD(, shared) all;
    unsigned n;
    bool stopped;
    struct shared *asked;     /* guest: about what the host is asked; NULL: nothing */
    struct loop_timer *timer; /* host: looks who has what was handed out, while anything is */
    bool looks;               /* it is armed */
};

extern const struct vfd_kind vfd_kind_shared;

/* @sharing becomes that of @vfds. */
void vfd_sharing_init(struct vfd_sharing *sharing, struct vfds *vfds, struct gpu_memory *gpu,
                      const struct vfd_sharing_ops *ops, void *user);
/* Nobody is told of anything any more. */
void vfd_sharing_stop(struct vfd_sharing *sharing);
/* Once the tree has let go of all of it. */
void vfd_sharing_finish(struct vfd_sharing *sharing);

/* guest: asks the host whether the memory of @offer, a dmabuf or, @file, a memfd, can be shared,
 * and holds the local side (CARRIER_HOLD_USER) until it answers. False: it cannot. */
bool vfd_shared_ask(struct vfds *vfds, const struct vfd_offer *offer, bool file);
/* guest: the answer, which is there: takes the offer's descriptor if it is true, and queues the
 * VFD. 1: it is shared; 0: it is not, and *ret_how says why; or negative after ends_fail(). */
int vfd_shared_send(struct vfds *vfds, struct vfd_offer *offer, enum link_imported_as *ret_how);
/* IMPORTED. 0, or negative after ends_fail(). */
int vfd_shared_imported(struct vfds *vfds, const uint8_t *payload, size_t size);

/* host: what ask() was answered with. */
void vfd_shared_answer(struct vfds *vfds, uint32_t import, enum link_imported_as how);
/* host: another descriptor of what came: owned, or -errno. */
int vfd_shared_open(const struct known *known);
/* host: whether somebody has what was handed out. */
bool vfd_shared_in_use(const struct vfds *vfds);
