/* SPDX-License-Identifier: MIT */
/* vm-tickets: owns each descriptor until the guest's link takes it, which has ATTACH_MS. */
#include "host-proxy/vm-tickets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/fd.h"
#include "common/base/loop.h"
#include "host-proxy/programs.h"
#include "host-proxy/vm-services.h"

#define ATTACH_MS 10000
#define TICKETS_MAX 256 /* that wait, of a VM */

uint64_t vm_tickets_new(struct vm_tickets *t)
{
    return LINK_HOST_TICKET | ++t->last;
}

void vm_ticket_destroy(struct vm_ticket *ticket)
{
    LIST_REMOVE(ticket, entry);
    ticket->owner->n--;
    loop_timer_destroy(ticket->timer);
    service_spec_finish(&ticket->spec);
    fd_close(ticket->fd);
    program_unref(ticket->program);
    free(ticket);
}

static void ticket_refuse(struct vm_ticket *ticket, const char *why)
{
    if (ticket->of->refused)
        ticket->of->refused(ticket, why);
    vm_ticket_destroy(ticket);
}

static void ticket_expired(void *user)
{
    struct vm_ticket *ticket = user;
    log_warn(ticket->owner->subject, "service %s: the guest did not come for a connection",
             ticket->spec.settings->name);
    ticket_refuse(ticket, "its daemon does not answer");
}

int vm_tickets_add(struct vm_tickets *t, uint64_t number, int fd, const struct service_spec *spec,
                   struct vm_service *of, struct program *program)
{
    int e = t->n >= TICKETS_MAX ? -EAGAIN : vm_tickets_find(t, number) ? -EEXIST : 0;
    struct vm_ticket *ticket = e == 0 ? calloc(1, sizeof(*ticket)) : NULL;
    struct loop_timer *timer = ticket ? loop_timer_create(t->loop, ticket_expired, ticket) : NULL;
    if (!timer) {
        free(ticket);
        service_spec_finish(&(struct service_spec){.tree = spec->tree, .ticket = spec->ticket});
        fd_close(fd);
        return e < 0 ? e : -ENOMEM;
    }
    *ticket = (struct vm_ticket){.owner = t,
                                 .ticket = number,
                                 .fd = fd,
                                 .spec = *spec,
                                 .of = of,
                                 .program = program_ref(program),
                                 .timer = timer};
    LIST_INSERT_HEAD(&t->all, ticket, entry);
    t->n++;
    loop_timer_arm(timer, ATTACH_MS);
    return 0;
}

struct vm_ticket *vm_tickets_find(const struct vm_tickets *t, uint64_t number)
{
    struct vm_ticket *ticket;
    LIST_FOREACH (ticket, &t->all, entry)
        if (ticket->ticket == number)
            return ticket;
    return NULL;
}

void vm_tickets_reject(struct vm_tickets *t, const struct link_rejected *rejected)
{
    struct vm_ticket *ticket = vm_tickets_find(t, rejected->ticket);
    char why[256];
    if (!ticket)
        return;
    log_info(t->subject, "service %s: the guest says: %.*s", ticket->spec.settings->name,
             (int)rejected->text_size, rejected->text);
    snprintf(why, sizeof(why), "%.*s", (int)rejected->text_size, rejected->text);
    ticket_refuse(ticket, why);
}

void vm_tickets_clear(struct vm_tickets *t)
{
    while (!LIST_EMPTY(&t->all))
        ticket_refuse(LIST_FIRST(&t->all), "its daemon is gone");
}
