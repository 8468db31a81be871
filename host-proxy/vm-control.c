/* SPDX-License-Identifier: MIT */
/* vm-control: owns the answers. The gate has read the request, and it is read again here: the line
 * came over the channel as it is. */
#include "host-proxy/vm-control.h"

#include <stdio.h>
#include <string.h>

#include "common/base/budget.h"
#include "common/control/control-app.h"
#include "common/control/control-request.h"
#include "host-proxy/host-client.h"
#include "host-proxy/host-services.h"
#include "host-proxy/session.h"
#include "host-proxy/vm.h"
#include "protocol/run.h"

void vm_control_init(struct vm_control *control, struct vm *vm)
{
    control->vm = vm;
    answers_init(&control->answers, vm->loop);
    vm_traces_init(&control->traces, vm, &control->answers);
}

void vm_control_finish(struct vm_control *control)
{
    vm_traces_finish(&control->traces);
    answers_finish(&control->answers);
}

void vm_control_changed(struct vm_control *control)
{
    vm_traces_changed(&control->traces);
}

/* --- status --- */

static json_t *status_daemons(const struct vm *vm)
{
    const struct session *s;
    json_t *list = json_array();
    LIST_FOREACH (s, &vm->sessions, in_vm) /* the oldest first */
        if (s->control)
            json_array_insert_new(list, 0, session_describe(s));
    return list;
}

static json_t *status_clients(const struct vm *vm)
{
    const struct session *s;
    const struct session_client *c;
    json_t *list = json_array();
    LIST_FOREACH (s, &vm->sessions, in_vm)
        LIST_FOREACH (c, &s->clients, in_session)
            if (!c->uncounted) /* the oldest first */
                json_array_insert_new(list, 0, client_describe(c));
    return list;
}

static json_t *status_services(const struct vm *vm)
{
    json_t *list = json_array();
    for (size_t i = 0; i < vm->services.n; i++) {
        const struct vm_service *of = &vm->services.at[i];
        bool to_guest = of->settings.direction == SERVICE_TO_GUEST;
        if (!of->n &&
            strncmp(of->settings.name, RUN_SERVICE_PREFIX, strlen(RUN_SERVICE_PREFIX)) == 0)
            continue; /* every VM has it, which tells nobody anything */
        struct ends_flow flow = services_flow(of);
        json_array_append_new(list, json_pack("{so ss si so}", "name",
                                              json_words(of->settings.name), "direction",
                                              to_guest ? "to-guest" : "to-host", "connections",
                                              (int)of->n, "bytes", app_flow(&flow, CARRIER_HOST)));
    }
    return list;
}

static json_t *status_limits(const struct vm *vm)
{
    const struct budget *b = vm->party.budget;
    return json_pack("{so so so so}", "memory", json_count(b->used[BUDGET_MEMORY]), "memory_max",
                     json_count(b->limit[BUDGET_MEMORY]), "fds", json_count(b->used[BUDGET_FDS]),
                     "fds_max", json_count(b->limit[BUDGET_FDS]));
}

static void control_status(struct vm_control *control, struct answer *answer)
{
    const struct vm *vm = control->vm;
    json_t *value = json_pack("{so ss so so so so}", "name", json_words(vm->config->name), "state",
                              vm->sessions_n ? "running" : "leaving", "daemons", status_daemons(vm),
                              "clients", status_clients(vm), "services", status_services(vm),
                              "refused", app_refused(vm->subject->refused));
    json_object_update_new(value, status_limits(vm));
    answer_say_all(answer, value);
    answer_end(answer);
}

/* --- ending --- */

static struct session_client *control_find(const struct vm *vm, uint64_t number)
{
    struct session *s;
    struct session_client *c;
    LIST_FOREACH (s, &vm->sessions, in_vm)
        LIST_FOREACH (c, &s->clients, in_session)
            if (!c->uncounted && c->number == number)
                return c;
    return NULL;
}

/* The number of applications. */
static unsigned control_end_all(const struct vm *vm)
{
    struct session *s, *next_session;
    struct session_client *c, *next;
    unsigned n = 0;
    LIST_FOREACH_SAFE (s, &vm->sessions, in_vm, next_session) {
        LIST_FOREACH_SAFE (c, &s->clients, in_session, next) {
            if (c->uncounted)
                continue;
            client_end_asked(c);
            n++;
        }
    }
    return n;
}

static void control_end(struct vm_control *control, const struct control_request *request,
                        struct answer *answer)
{
    unsigned n = 1;
    if (request->client)
        client_end_asked(control_find(control->vm, request->client));
    else
        n = control_end_all(control->vm);
    log_info(control->vm->subject, "%u applications were ended on the host", n);
    answer_say_all(answer, json_pack("{si}", "ended", (int)n));
    answer_end(answer);
}

/* What is answered in JSON. Takes @fd. */
static void control_answer(struct vm_control *control, const struct control_request *request,
                           int fd)
{
    if (request->client && !control_find(control->vm, request->client)) {
        control_refuse(fd, "no application has that number");
        return;
    }
    if (request->command == CONTROL_TRACE) {
        vm_traces_begin(&control->traces, fd, request->client, request->contents);
        return;
    }
    struct answer *answer = answer_create(&control->answers, fd, NULL, NULL);
    if (!answer)
        return;
    switch (request->command) {
    case CONTROL_STATUS:
        control_status(control, answer);
        return;
    case CONTROL_END:
        control_end(control, request, answer);
        return;
    default:
        answer_refuse(answer, "no command of a VM");
    }
}

int vm_control_ask(struct vm_control *control, const char *line, size_t n, int fd)
{
    struct control_request request;
    char error[128];
    if (control_request_parse(line, n, &request, error, sizeof(error)) < 0)
        control_refuse(fd, error);
    else if (request.command == CONTROL_RUN)
        return services_run(control->vm, fd);
    else
        control_answer(control, &request, fd);
    return 0;
}
