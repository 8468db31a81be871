/* SPDX-License-Identifier: MIT */
/* host-services: owns a VM's connections to services, from their HELLO on. What is not allowed does
 * not exist for the guest; the log says once which name it asked for. */
#include "host-proxy/host-services.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/budget.h"
#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/base/refused.h"
#include "common/services/service.h"
#include "common/services/settings-text.h"
#include "common/transport/run-socket.h"
#include "host-proxy/host-sharing.h"
#include "host-proxy/program-keeper.h"
#include "host-proxy/programs.h"
#include "host-proxy/refuse.h"
#include "host-proxy/session.h"
#include "host-proxy/sessions.h"
#include "host-proxy/vm.h"

#define OPEN_MS 5000 /* for a connection to say what it is for */

struct connection {
    struct session_client of_session;
    struct session *session;
    struct vm *vm; /* the session's */
    struct log_subject subject;
    char name[LINK_NAME_MAX + LINK_LABEL_MAX + 48], label[LINK_LABEL_MAX + 1];
    struct link *link;        /* until the service has it */
    struct loop_timer *timer; /* until OPEN came */
    uint64_t ticket;          /* that it came for, while nothing is known of that yet */
    struct vm_service *of;    /* which counts it; NULL: not known yet */
    struct program *program;  /* that serves it, and those that came on it; NULL: none does */
    bool starting;            /* it does not run yet */
    struct service_spec spec; /* of a socket that was passed */
    struct service *service;
    struct host_sharing sharing; /* of @service */
};

static void connection_destroy(struct connection *c)
{
    if (c->of && c->service)
        ends_flow_add(&c->of->over, &c->service->carrier.ends);
    loop_timer_destroy(c->timer);
    if (c->link) {
        link_stop(c->link);
        link_destroy_later(c->link);
    }
    if (c->service)
        host_sharing_stop(&c->sharing);
    service_destroy(c->service);
    if (c->service)
        host_sharing_finish(&c->sharing);
    service_spec_finish(&c->spec);
    if (c->starting)
        program_leave(c->program);
    program_unref(c->program);
    if (c->of)
        c->of->n--;
    session_leave(c->session, &c->of_session);
    free(c);
}

static void connection_disconnect(struct session_client *client, const char *reason)
{
    struct connection *c = (struct connection *)client;
    if (c->service)
        ends_overf(&c->service->carrier.ends, LINK_ERROR_REFUSED, "the VM's session ended: %s",
                   reason);
    else
        connection_destroy(c);
}

static void connection_end(struct session_client *client)
{
    connection_destroy((struct connection *)client);
}

static const struct session_client_ops session_client_ops = {.disconnect = connection_disconnect,
                                                             .destroy = connection_end};

static void connection_ended(struct service *service)
{
    connection_destroy(service->user);
}

static uint64_t connection_ticket(struct service *service)
{
    const struct connection *c = service->user;
    return vm_tickets_new(&c->session->tickets);
}

static void connection_attach(struct connection *c, struct vm_ticket *ticket);
static const struct session_client_ops session_client_ops;

/* Who came for that ticket before we knew of it. */
static struct connection *waiting_for(const struct session *session, uint64_t ticket)
{
    struct session_client *client;
    LIST_FOREACH (client, &session->clients, in_session) {
        struct connection *c = (struct connection *)client;
        if (client->ops == &session_client_ops && c->ticket == ticket)
            return c;
    }
    return NULL;
}

static int connection_socket(struct service *service, uint64_t ticket, int fd,
                             const struct service_spec *spec)
{
    struct connection *parent = service->user;
    struct ends *ends = &service->carrier.ends;
    bool ours = ticket & LINK_HOST_TICKET;
    int e =
        vm_tickets_add(&parent->session->tickets, ticket, fd, spec, parent->of, parent->program);
    if (e == -EAGAIN)
        return ends_failf(ends, LINK_ERROR_LIMIT, "too many sockets wait to be opened");
    if (e == -EEXIST)
        return ends_broken(ends, "a socket's ticket that is there already", 0);
    if (e < 0)
        return ends_failf(ends, LINK_ERROR_INTERNAL, "out of memory");
    struct connection *c = ours ? NULL : waiting_for(parent->session, ticket);
    if (c)
        connection_attach(c, vm_tickets_find(&parent->session->tickets, ticket));
    return 0;
}

static int connection_ask(void *user, const struct link_import *import)
{
    struct connection *c = user;
    return host_sharing_ask(&c->sharing, import);
}

static int connection_release(void *user, uint32_t import)
{
    struct connection *c = user;
    return host_sharing_release(&c->sharing, import);
}

static int connection_share(void *user, uint32_t import, uint64_t *ret_size)
{
    struct connection *c = user;
    return host_sharing_open(&c->sharing, import, ret_size);
}

static const struct vfd_sharing_ops sharing_ops = {
    .ask = connection_ask, .release = connection_release, .open = connection_share};
static const struct service_ops service_ops = {.ended = connection_ended,
                                               .ticket = connection_ticket,
                                               .socket = connection_socket,
                                               .sharing = &sharing_ops};

/* Refuses the connection, and gives it up. @why: for the log; NULL: as told. */
static void connection_refuse(struct connection *c, enum link_error code, const char *told,
                              const char *why)
{
    struct link *link = c->link;
    c->link = NULL;
    refuse(link, c->session->subject, code, told, why);
    connection_destroy(c);
}

static void connection_refuse_unreachable(struct connection *c, const char *why)
{
    char text[PROGRAM_ANSWER_MAX + 200];
    snprintf(text, sizeof(text), "the service %s cannot be reached: %s", c->of->settings.name, why);
    connection_refuse(c, LINK_ERROR_COMPOSITOR,
                      "the service cannot be reached: the host's log says why", text);
}

/* To where the host's service listens. Owned, or negative after it was refused. */
static int connect_service(struct connection *c, const struct service_settings *s)
{
    char path[sizeof(((struct address *)0)->path)], error[512];
    int fd = service_path(s->path, c->vm->config->name, path, sizeof(path), error, sizeof(error));
    if (fd == 0)
        fd = address_connect_type(path, service_type_socket(s->type), error, sizeof(error));
    if (fd < 0)
        connection_refuse_unreachable(c, error);
    return fd;
}

/* The local end is there: from now on it is a connection like any other. Takes @fd and @spec. */
static void connection_begin(struct connection *c, int fd, const struct service_spec *spec)
{
    const struct vm_service *of = c->of;
    struct link *link = c->link;
    bool held = link->held; /* what came behind an OPEN that had to wait */
    c->link = NULL;
    loop_timer_destroy(c->timer);
    c->timer = NULL;
    c->spec = *spec;
    c->spec.shares = c->session->features & LINK_FEATURE_SHARING;
    int n =
        snprintf(c->name, sizeof(c->name), "service %lu %s \"", ++c->vm->serial, of->settings.name);
    for (const char *label = c->label; *label && n + 2 < (int)sizeof(c->name); label++)
        c->name[n++] = *label == '"' ? '\'' : *label;
    c->name[n] = '"';
    c->subject = (struct log_subject){.name = c->name, .parent = c->session->subject};
    c->service = service_create(c->vm->loop, CARRIER_HOST, fd, link, &c->vm->party, &c->spec,
                                &service_ops, c, &c->subject);
    if (!c->service) {
        connection_destroy(c);
        return;
    }
    host_sharing_begin(&c->sharing, &c->service->carrier.vfds, c->session->handles,
                       c->vm->party.budget);
    log_debug(&c->subject, "connected");
    service_start(c->service);
    if (held)
        link_resume(link);
}

/* Makes it one of the service's. If there is no room for one more, it is refused. */
static bool connection_join(struct connection *c, struct vm_service *of)
{
    char text[160];
    if (of->n >= of->settings.max_connections) {
        snprintf(text, sizeof(text),
                 "service limit: %s has %u connections already (max-connections)",
                 of->settings.name, of->n);
        connection_refuse(c, LINK_ERROR_LIMIT, text, NULL);
        return false;
    }
    if (!budget_has(c->vm->party.budget, BUDGET_FDS, CARRIER_FDS)) {
        connection_refuse(c, LINK_ERROR_LIMIT,
                          "descriptor limit: nothing is left for one more service (max-fds)", NULL);
        return false;
    }
    c->of = of;
    of->n++;
    return true;
}

static void connection_attach(struct connection *c, struct vm_ticket *ticket)
{
    struct service_spec spec = ticket->spec;
    struct vm_service *of = ticket->of;
    c->ticket = 0;
    int fd = -1;
    if (connection_join(c, of)) {
        fd = fd_steal(&ticket->fd);
        ticket->spec.tree = NULL; /* the connection has it */
        c->program = program_ref(ticket->program);
    }
    vm_ticket_destroy(ticket);
    if (fd >= 0)
        connection_begin(c, fd, &spec);
}

/* ACCEPT or ATTACH. A socket that the guest passes may come before its VFD, on another link. */
static void connection_come_for(struct connection *c, uint64_t number)
{
    struct vm_ticket *ticket = vm_tickets_find(&c->session->tickets, number);
    if (ticket)
        connection_attach(c, ticket);
    else if (number & LINK_HOST_TICKET || waiting_for(c->session, number))
        connection_refuse(c, LINK_ERROR_REFUSED, "nobody waits for that connection", NULL);
    else
        c->ticket = number;
}

static bool connection_may_go_on(void *user, enum link_type type)
{
    const struct connection *c = user;
    (void)type;
    return !c->ticket && !c->starting;
}

static void connection_served(void *user, int fd, const char *why)
{
    struct connection *c = user;
    struct service_spec spec = service_spec_of(&c->of->settings);
    c->starting = false;
    if (fd >= 0)
        connection_begin(c, fd, &spec);
    else
        connection_refuse_unreachable(c, why);
}

static const struct program_ops program_ops = {.ready = connection_served};

/* The link waits for its program, which has its own time for that. */
static void connection_start_program(struct connection *c)
{
    c->program = program_start(c->of, &program_ops, c);
    c->starting = c->program;
    if (c->program)
        loop_timer_disarm(c->timer);
    else
        connection_refuse_unreachable(c, strerror(errno));
}

static void connection_open(struct connection *c, const struct link_open *open)
{
    char name[LINK_NAME_MAX + 1], text[160];
    snprintf(name, sizeof(name), "%.*s", (int)open->name_size, open->name);
    struct vm_service *of = vm_services_find(&c->vm->services, name, SERVICE_TO_HOST);
    if (!of) {
        struct link *link = c->link;
        c->link = NULL;
        if (vm_services_first_refusal(&c->vm->services, name))
            refused_warn(
                c->session->subject, "service",
                "it asked for the service \"%s\", which it may not have (\"forward = %s\" in "
                "its section would allow it)",
                name, name);
        refuse_again(link, LINK_ERROR_REFUSED, "there is no such service");
        connection_destroy(c);
        return;
    }
    if (of->settings.type != open->type) {
        snprintf(text, sizeof(text), "the service %s has another type: %s, not %s", name,
                 service_type_name(of->settings.type), service_type_name(open->type));
        connection_refuse(c, LINK_ERROR_REFUSED, text, NULL);
        return;
    }
    if (!connection_join(c, of))
        return;
    if (service_is_kept(&of->settings)) {
        connection_start_program(c);
        return;
    }
    int fd = connect_service(c, &of->settings);
    struct service_spec spec = service_spec_of(&of->settings);
    if (fd >= 0)
        connection_begin(c, fd, &spec);
}

static int connection_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    struct connection *c = user;
    struct link *link = c->link;
    struct link_open open;
    bool good = type == LINK_OPEN && link_open_decode(payload, size, &open) == LINK_OK;
    if (good && open.how == LINK_OPEN_CONNECT)
        connection_open(c, &open);
    else if (good)
        connection_come_for(c, open.ticket);
    else
        connection_refuse(c, LINK_ERROR_PROTOCOL, "a service's connection does not begin with OPEN",
                          NULL);
    return link->state != LINK_READING ? -ECONNREFUSED : 0;
}

static void connection_closed(void *user, int reason, unsigned type)
{
    struct connection *c = user;
    log_debug(c->session->subject, "a service's connection ended before it said which (%d, %s)",
              reason, link_type_name(type));
    connection_destroy(c);
}

static void connection_expired(void *user)
{
    connection_refuse(user, LINK_ERROR_REFUSED, "no OPEN came", NULL);
}

static const struct link_ops link_ops = {
    .frame = connection_frame, .closed = connection_closed, .may_go_on = connection_may_go_on};

void service_begin(struct session *session, struct link *link, const char *label)
{
    struct connection *c = calloc(1, sizeof(*c));
    struct vm *vm = session->vm;
    struct loop_timer *timer = c ? loop_timer_create(vm->loop, connection_expired, c) : NULL;
    if (!timer) {
        free(c);
        refuse(link, session->subject, LINK_ERROR_INTERNAL, "out of memory", NULL);
        return;
    }
    *c = (struct connection){.of_session = {.ops = &session_client_ops, .uncounted = true},
                             .session = session,
                             .vm = vm,
                             .link = link,
                             .timer = timer};
    snprintf(c->label, sizeof(c->label), "%s", label);
    loop_timer_arm(timer, OPEN_MS);
    session_join(session, &c->of_session);
    link_adopt(link, &link_ops, c);
}

struct ends_flow services_flow(const struct vm_service *of)
{
    struct ends_flow flow = of->over;
    const struct session *s;
    struct session_client *client;
    LIST_FOREACH (s, &of->vm->sessions, in_vm)
        LIST_FOREACH (client, &s->clients, in_session) {
            const struct connection *c = (const struct connection *)client;
            if (client->ops == &session_client_ops && c->of == of && c->service)
                ends_flow_add(&flow, &c->service->carrier.ends);
        }
    return flow;
}

/* --- what the guest serves --- */

/* Takes @fd. 0 or negative: it is closed, and nobody hears of it. */
static int incoming_offer(struct vm_service *of, struct session *session, int fd)
{
    struct service_spec spec = service_spec_of(&of->settings);
    uint64_t ticket = vm_tickets_new(&session->tickets);
    const char *name = of->settings.name;
    int e = vm_tickets_add(&session->tickets, ticket, fd, &spec, of, NULL);
    if (e < 0) {
        refused_warn(of->vm->subject, "service", "service %s: refused a connection: %s", name,
                     e == -EAGAIN ? "too many wait for the VM" : strerror(-e));
        return e;
    }
    struct link_incoming incoming = {.ticket = ticket,
                                     .type = (uint16_t)spec.type,
                                     .name = name,
                                     .name_size = (uint16_t)strlen(name)};
    link_queue(session->control, link_incoming_encode, &incoming);
    link_flush(session->control);
    return 0;
}

/* Why nobody can be asked; NULL: *ret can. */
static const char *incoming_refusal(const struct vm_service *of, struct session **ret)
{
    const struct vm *vm = of->vm;
    *ret = sessions_serving(vm, NULL);
    if (*ret && of->n < of->settings.max_connections)
        return NULL;
    return *ret             ? "as many are there already (max-connections)"
           : vm->sessions_n ? "its daemon serves nothing"
                            : "the VM is not there";
}

void services_call(struct vm *vm, uint32_t service, int fd)
{
    struct vm_service *of = &vm->services.at[service];
    struct session *session;
    const char *why = incoming_refusal(of, &session);
    if (why) {
        refused_warn(vm->subject, "service", "service %s: refused a connection: %s",
                     of->settings.name, why);
        fd_close(fd);
        return;
    }
    incoming_offer(of, session, fd);
}

/* Another daemon of the VM may let it. The one that may has been there for longest, mostly. */
static void run_refused(struct vm_ticket *ticket, const char *why)
{
    const char *tickets = (const char *)ticket->owner;
    const struct session *session =
        (const struct session *)(tickets - offsetof(struct session, tickets));
    struct session *next = sessions_serving(ticket->of->vm, session);
    if (next)
        incoming_offer(ticket->of, next, fd_steal(&ticket->fd));
    else
        run_fail(ticket->fd, RUN_STATUS_REFUSED, why);
}

int services_run(struct vm *vm, int fd)
{
    struct vm_service *of = vm_services_find(&vm->services, RUN_SERVICE, SERVICE_TO_GUEST);
    struct session *session;
    const char *why = incoming_refusal(of, &session);
    if (vm->sessions_n == 0)
        return -ENOENT;
    if (why == NULL) {
        of->refused = run_refused;
        incoming_offer(of, session, fd);
        return 0;
    }
    refused_warn(vm->subject, "run", "refused to start a program there: %s", why);
    run_fail(fd, RUN_STATUS_REFUSED, why);
    fd_close(fd);
    return 0;
}
