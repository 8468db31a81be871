/* SPDX-License-Identifier: MIT */
#pragma once
/* vm-tickets: local sides of connections for which the guest has yet to open a link: somebody
 * connected to a service of the guest's, or a socket was passed. */
#include <stdint.h>

#include "common/base/list.h"
#include "common/services/service.h"

struct loop;
struct loop_timer;
struct program;
struct vm_service;

struct vm_ticket {
    struct vm_tickets *owner;
    LIST_ENTRY(vm_ticket) entry;
    uint64_t ticket;
    int fd; /* owned */
    struct service_spec spec;
    struct vm_service *of;   /* whose connection it is to be, and who hears of its refusal */
    struct program *program; /* of the connection that it came on, a reference; NULL: none */
    struct loop_timer *timer;
};

struct vm_tickets {
    struct loop *loop;
    struct log_subject *subject;
    LIST_HEAD(, vm_ticket) all;
    unsigned n;
    uint64_t last; /* that we made */
};

uint64_t vm_tickets_new(struct vm_tickets *tickets);
/* Takes @fd and @spec; @program may be NULL. 0, -EAGAIN: too many wait already, -EEXIST, or
 * -ENOMEM. */
int vm_tickets_add(struct vm_tickets *tickets, uint64_t ticket, int fd,
                   const struct service_spec *spec, struct vm_service *of, struct program *program);
/* NULL: there is none. */
struct vm_ticket *vm_tickets_find(const struct vm_tickets *tickets, uint64_t ticket);
/* The guest says that nobody serves it. What is not there any more is no error. */
void vm_tickets_reject(struct vm_tickets *tickets, const struct link_rejected *rejected);
/* Closes what it still has. */
void vm_ticket_destroy(struct vm_ticket *ticket);
void vm_tickets_clear(struct vm_tickets *tickets);
