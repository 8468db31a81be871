/* SPDX-License-Identifier: MIT */
#pragma once
/* host-sharing: memory of a VM that a service gets itself, as the VM's GPU device gives it. */
#include "common/carrier/vfd-shared.h"
#include "host-proxy/pixels/imports.h"

struct handles;

/* A connection's, whose vfds.sharing this is. */
struct host_sharing {
    struct imports imports;
    struct vfds *vfds;
};

/* @handles, @budget: as of imports_init(). */
void host_sharing_begin(struct host_sharing *sharing, struct vfds *vfds, struct handles *handles,
                        struct budget *budget);
/* Before @vfds goes: nobody hears of anything any more. */
void host_sharing_stop(struct host_sharing *sharing);
void host_sharing_finish(struct host_sharing *sharing);

/* As of vfd_sharing_ops. */
int host_sharing_ask(struct host_sharing *sharing, const struct link_import *import);
int host_sharing_release(struct host_sharing *sharing, uint32_t import);
int host_sharing_open(struct host_sharing *sharing, uint32_t import, uint64_t *ret_size);
