/* SPDX-License-Identifier: MIT */
/* vm-trace: owns those who look. A relay knows whether somebody looks at it, so that nothing is
 * done for what nobody sees. Nobody who looks keeps anybody waiting: of what he does not take,
 * lines are left out, and how many is told. */
#include "host-proxy/vm-trace.h"

#include <stdlib.h>
#include <string.h>

#include "common/control/control-answer.h"
#include "common/control/control-app.h"
#include "host-proxy/host-client.h"
#include "host-proxy/session.h"
#include "host-proxy/vm.h"

struct tracer {
    struct vm_traces *traces;
    LIST_ENTRY(tracer) entry;
    struct answer *answer;
    uint64_t client; /* 0: all */
    bool contents;
    uint64_t lost; /* lines since the last one */
};

/* --- who looks at whom --- */

static bool traces_want(const struct vm_traces *t, uint64_t client)
{
    const struct tracer *one;
    LIST_FOREACH (one, &t->all, entry)
        if (!one->client || one->client == client)
            return true;
    return false;
}

static void traces_set(struct vm_traces *t)
{
    struct session *s;
    struct session_client *c;
    t->watcher.all = traces_want(t, 0);
    LIST_FOREACH (s, &t->vm->sessions, in_vm)
        LIST_FOREACH (c, &s->clients, in_session)
            if (!c->uncounted)
                client_trace(c, traces_want(t, c->number));
}

static void tracer_forget(struct tracer *one)
{
    struct vm_traces *t = one->traces;
    LIST_REMOVE(one, entry);
    free(one);
    traces_set(t);
}

static void tracer_left(void *user)
{
    tracer_forget(user);
}

static bool is_there(const struct vm *vm, uint64_t client)
{
    const struct session *s;
    const struct session_client *c;
    LIST_FOREACH (s, &vm->sessions, in_vm)
        LIST_FOREACH (c, &s->clients, in_session)
            if (!c->uncounted && c->number == client)
                return true;
    return false;
}

void vm_traces_changed(struct vm_traces *t)
{
    struct tracer *one, *next;
    LIST_FOREACH_SAFE (one, &t->all, entry, next) {
        if (!one->client || is_there(t->vm, one->client))
            continue;
        answer_end(one->answer);
        tracer_forget(one);
    }
}

/* --- a message --- */

static json_t *argument(char kind, const union wl_arg *a)
{
    switch (kind) {
    case 'u':
    case 'o':
    case 'O':
    case 'n':
        return json_count(a->u);
    case 'i':
        return json_integer(a->i);
    case 'f':
        return json_real(a->i / 256.0);
    case 's':
    case 'S':
        return json_words(a->s.text);
    case 'a':
        return json_pack("{so}", "bytes", json_count(a->a.size));
    case 'N':
        return json_pack("{so so so}", "interface", json_words(a->n.interface), "version",
                         json_count(a->n.version), "id", json_count(a->n.id));
    default: /* a descriptor */
        return json_object();
    }
}

/* NULL: it is malformed, and its application is about to hear so. */
static json_t *arguments(const struct wl_message *m)
{
    struct wl_message checked = *m;
    if (wl_message_arguments(&checked, m->info) != WL_MESSAGE_OK)
        return NULL;
    json_t *list = json_array();
    for (unsigned i = 0; m->info->signature[i]; i++)
        json_array_append_new(list, argument(m->info->signature[i], &checked.args[i]));
    return list;
}

static void tracer_tell(struct tracer *one, const struct session_client *c,
                        const struct wl_message *m, bool event)
{
    if (one->lost && answer_has_room(one->answer) &&
        answer_say(one->answer, json_pack("{so}", "lost", json_count(one->lost))))
        one->lost = 0;
    if (!answer_has_room(one->answer)) {
        one->lost++;
        return;
    }
    json_t *line = json_pack("{so so so ss ss so ss}", "when", json_time(json_now()), "client",
                             json_count(c->number), "name", client_name(c), "direction",
                             event ? "event" : "request", "interface", m->iface->name, "id",
                             json_count(m->object), "message", m->info->name);
    json_t *args = one->contents ? arguments(m) : NULL;
    if (args)
        json_object_set_new(line, "args", args);
    one->lost += !answer_say(one->answer, line);
}

static void traces_message(void *user, const struct session_client *c, const struct wl_message *m,
                           bool event)
{
    const struct vm_traces *t = user;
    struct tracer *one;
    LIST_FOREACH (one, &t->all, entry)
        if (!one->client || one->client == c->number)
            tracer_tell(one, c, m, event);
}

void vm_traces_init(struct vm_traces *t, struct vm *vm, struct answers *answers)
{
    *t = (struct vm_traces){.vm = vm, .answers = answers};
    t->watcher.message = traces_message;
    t->watcher.user = t;
    vm->watcher = &t->watcher;
}

void vm_traces_finish(struct vm_traces *t)
{
    while (!LIST_EMPTY(&t->all))
        tracer_forget(LIST_FIRST(&t->all)); /* their connections are the answers' */
}

void vm_traces_begin(struct vm_traces *t, int fd, uint64_t client, bool contents)
{
    struct tracer *one = calloc(1, sizeof(*one));
    if (!one) {
        control_refuse(fd, "out of memory");
        return;
    }
    *one = (struct tracer){.traces = t, .client = client, .contents = contents};
    one->answer = answer_create(t->answers, fd, tracer_left, one);
    if (!one->answer) {
        free(one);
        return;
    }
    LIST_INSERT_HEAD(&t->all, one, entry);
    traces_set(t);
}
