/* SPDX-License-Identifier: MIT */
#pragma once
/* vm-services: which services a VM may have, and what of them is in use. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/carrier/ends.h"
#include "common/services/settings.h"

struct host_config;
struct vm;
struct vm_config;
struct vm_ticket;

struct vm_service {
    struct service_settings
        settings; /* the configuration's, whose strings they are; and the VM's */
    struct vm *vm;
    unsigned n;            /* connections */
    struct ends_flow over; /* of those that are over */
    /* to-guest: nobody there takes that connection, whose descriptor it may steal; NULL: it is
     * closed. */
    void (*refused)(struct vm_ticket *ticket, const char *why);
};

struct vm_services {
    struct vm_service *at;
    size_t n;
    char (*refused)[LINK_NAME_MAX + 1]; /* names that it asked for, and the log has told of */
    size_t refused_n, refused_room;
    uint64_t ticket; /* the last INCOMING's */
};

/* What the configuration allows @vm. 0 or -ENOMEM. */
int vm_services_init(struct vm_services *services, const struct host_config *config,
                     const struct vm_config *vm_config, struct vm *vm);
void vm_services_finish(struct vm_services *services);
/* NULL: it may not have that, or there is no such. */
struct vm_service *vm_services_find(const struct vm_services *services, const char *name,
                                    enum service_direction direction);
/* Whether the log is to say that it asked for @name: once for each, and not without end. */
bool vm_services_first_refusal(struct vm_services *services, const char *name);
