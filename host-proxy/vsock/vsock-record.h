/* SPDX-License-Identifier: MIT */
#pragma once
/* vsock-record: what a process of the device leaves to the next one: the frontend, and which
 * connections the guest had. */
#include <stdint.h>

#include "common/vhost-user/vhost-user-store.h"

#define VSOCK_PAIRS_MAX 1024u

/* A connection of the guest. */
struct vsock_pair {
    uint32_t guest, host;
    uint16_t type; /* 0: none */
    uint16_t unused;
};

struct vsock_record_memory {
    uint64_t version;
    struct vhost_user_record frontend;
    struct vsock_pair pairs[VSOCK_PAIRS_MAX];
};

struct vsock_record {
    struct vsock_record_memory *memory;
    struct vhost_user_store store;
    uint16_t free[VSOCK_PAIRS_MAX]; /* indices of pairs */
    unsigned n_free;
};

/* Takes up the one that @keeper has, or makes a new one that it keeps. 0 or -errno. */
int vsock_record_open(struct vsock_record *record, struct keeper *keeper);
void vsock_record_close(struct vsock_record *record);
/* Notes a pair; its index, or -1 if there are too many. */
int vsock_record_add(struct vsock_record *record, uint32_t guest, uint32_t host, uint16_t type);
void vsock_record_remove(struct vsock_record *record, int index);
