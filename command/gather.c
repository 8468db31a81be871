/* SPDX-License-Identifier: MIT */
/* gather: each VM is asked by itself. One that does not answer is "busy", and that is all that is
 * known of it. */
#include "command/gather.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/ask.h"
#include "command/command-options.h"
#include "common/control/control-socket.h"

int gather_host(const struct command_options *o, char *path, size_t size)
{
    char folder[CONTROL_PATH_MAX];
    int n;
    if (o->socket) {
        n = snprintf(path, size, "%s", o->socket);
    } else {
        int r = control_folder(folder);
        if (r < 0)
            return r;
        n = snprintf(path, size, "%s/" CONTROL_HOST, folder);
    }
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

json_t *gather_one(const char *path, json_t *request)
{
    struct ask ask;
    json_t *answer;
    if (ask_begin(&ask, path, request) < 0)
        return NULL;
    asks_wait(&ask, 1, &answer);
    return answer;
}

static int by_time(const void *a, const void *b)
{
    const json_t *const *one = a, *const *two = b;
    return strcmp(json_text_of(*one, "when"), json_text_of(*two, "when"));
}

/* What the gate refused, and the VM's process, in their order. */
static void gather_refused(json_t *vm, json_t *answer)
{
    json_t *all = json_incref(json_object_get(vm, "refused")), *sorted = json_array();
    json_array_extend(all, json_object_get(answer, "refused"));
    size_t n = json_array_size(all);
    json_t **entries = calloc(n + 1, sizeof(*entries));
    for (size_t i = 0; entries && i < n; i++)
        entries[i] = json_array_get(all, i);
    if (entries)
        qsort(entries, n, sizeof(*entries), by_time);
    for (size_t i = 0; entries && i < n; i++)
        json_array_append(sorted, entries[i]);
    free(entries);
    json_decref(all);
    json_object_del(answer, "name"); /* whose it is, the gate knows */
    json_object_update(vm, answer);
    json_object_set_new(vm, "refused", sorted);
}

/* What the VM itself says goes over what the gate knows. */
static void gather_vm(json_t *vm, json_t *answer)
{
    if (!answer)
        json_object_set_new(vm, "state", json_string("busy"));
    else if (json_object_get(answer, "error")) /* it has just gone */
        json_object_set_new(
            vm, "state",
            json_string(strstr(json_text_of(answer, "error"), "busy") ? "busy" : "absent"));
    else
        gather_refused(vm, answer);
    json_decref(answer);
}

static void gather_vms(const char *path, json_t *status)
{
    json_t *vms = json_object_get(status, "vms"), *vm;
    size_t n = json_array_size(vms), i;
    struct ask *asks = calloc(n + 1, sizeof(*asks));
    json_t **answers = calloc(n + 1, sizeof(json_t *));
    if (asks && answers) {
        json_array_foreach(vms, i, vm)
        {
            asks[i].fd = -1;
            if (strcmp(json_text_of(vm, "state"), "running") == 0)
                ask_begin(&asks[i], path,
                          json_pack("{ss so}", "command", "status", "vm",
                                    json_incref(json_object_get(vm, "name"))));
        }
        asks_wait(asks, n, answers);
        json_array_foreach(vms, i, vm) if (strcmp(json_text_of(vm, "state"), "running") == 0)
            gather_vm(vm, answers[i]);
    }
    free(asks);
    free(answers);
}

/* Leaves that VM alone in the list. False: there is none of that name. */
static bool keep_only(json_t *status, const char *name)
{
    json_t *vms = json_object_get(status, "vms");
    for (size_t i = json_array_size(vms); i-- > 0;)
        if (strcmp(json_text_of(json_array_get(vms, i), "name"), name) != 0)
            json_array_remove(vms, i);
    return json_array_size(vms) > 0;
}

/* --- guests' daemons --- */

struct guests {
    const char *display; /* NULL: any */
    json_t *list;
};

/* Whether that is how people call a display with this path. */
static bool is_display(const char *path, const char *name)
{
    const char *last = strrchr(path, '/');
    return strcmp(path, name) == 0 || (last && strcmp(last + 1, name) == 0);
}

static void gather_guest(void *user, const char *path)
{
    const struct guests *g = user;
    json_t *answer = gather_one(path, json_pack("{ss}", "command", "status"));
    if (answer && json_object_get(answer, "clients") &&
        (!g->display || is_display(json_text_of(answer, "display"), g->display)))
        json_array_append(g->list, answer);
    json_decref(answer);
}

/* Those of this user, as a service of the system's and started by himself. */
static json_t *gather_guests(const struct command_options *o)
{
    char folder[CONTROL_PATH_MAX];
    const struct passwd *user = getpwuid(geteuid());
    struct guests g = {.display = o->display, .list = json_array()};
    if (o->socket) {
        gather_guest(&g, o->socket);
        return g.list;
    }
    if (user && (size_t)snprintf(folder, sizeof(folder), CONTROL_SERVICE_FOLDER "/%s",
                                 user->pw_name) < sizeof(folder))
        control_guests(folder, gather_guest, &g);
    if (control_folder(folder) == 0)
        control_guests(folder, gather_guest, &g);
    return g.list;
}

/* --- the host's --- */

/* NULL: it is not there. */
static json_t *gather_from_host(const struct command_options *o)
{
    char path[CONTROL_PATH_MAX];
    json_t *status = NULL;
    if (!o->display && gather_host(o, path, sizeof(path)) == 0)
        status = gather_one(path, json_pack("{ss}", "command", "status"));
    if (!json_object_get(status, "vms")) { /* a guest's, named by --socket */
        json_decref(status);
        return NULL;
    }
    if (*o->vm && !keep_only(status, o->vm)) {
        json_decref(status);
        return NULL;
    }
    gather_vms(path, status);
    return status;
}

json_t *gather_status(const struct command_options *o)
{
    json_t *status = gather_from_host(o);
    json_t *guests = *o->vm ? json_array() : gather_guests(o);
    if (status || json_array_size(guests)) {
        if (!status)
            status =
                json_pack("{ss so}", "version", WAYVSOCK_VERSION, "when", json_time(json_now()));
        if (json_array_size(guests))
            json_object_set(status, "guest", guests);
    }
    json_decref(guests);
    return status;
}

void gather_complain(const struct command_options *o)
{
    if (*o->vm)
        fprintf(stderr, "wayvsock: no daemon here has a VM that is called %s\n", o->vm);
    else
        fprintf(stderr, "wayvsock: no daemon answers here: is wayvsock-host running, or in a "
                        "virtual machine wayvsock-guest?\n");
}
