/* SPDX-License-Identifier: MIT */
#pragma once
/* vhost-user-store: what a frontend has said, kept for the process that comes after this one:
 * frontends do not connect again to a device that died. */
#include <stdint.h>

#include "common/base/keeper.h"
#include "common/vhost-user/vhost-user.h"

#define VHOST_USER_STORE_QUEUES 4u

/* All of it but the descriptors, of which it has the numbers that they are kept by; 0: none. */
struct vhost_user_snapshot {
    uint64_t features, protocol_features;
    uint32_t has_protocol_features, n_regions;
    struct {
        struct vhost_user_region region;
        uint64_t number;
    } regions[GUEST_RAM_REGIONS_MAX];
    struct {
        struct vhost_user_addr addr;
        uint32_t size, base, started, enabled;
        uint32_t kick, call, error, unused;
    } queues[VHOST_USER_STORE_QUEUES];
};

/* In memory that outlives the process. All zeros is an empty one. */
struct vhost_user_record {
    uint32_t current; /* of the two, from 1 on; 0: there is no frontend */
    uint32_t next_number;
    struct vhost_user_snapshot snapshots[2];
};

struct vhost_user_store {
    struct vhost_user_record *record; /* borrowed */
    struct {
        uint32_t number;
        int fd;            /* that it was; the frontend's connection owns it */
        uint64_t dev, ino; /* of memory, which counts as the same however often it comes */
        bool used;
    } kept[KEEPER_MAX];
    size_t n;
};

/* Keeps what there is now, as a whole: a process that dies meanwhile leaves what was kept before.
 */
void vhost_user_store_save(struct vhost_user_store *store, const struct vhost_user *vu);
/* There is no frontend any more. */
void vhost_user_store_clear(struct vhost_user_store *store);
/* The connection that was kept, or -1. */
int vhost_user_store_take(struct vhost_user_store *store, struct keeper *keeper);
/* Tells @vu, which is new and has that connection, all that its frontend once said. Its queues go
 * on behind what has been given back to the guest. 0 or -errno. */
int vhost_user_store_replay(struct vhost_user_store *store, struct vhost_user *vu,
                            struct keeper *keeper);
