/* SPDX-License-Identifier: MIT */
/* gather: all daemons here are asked at a time, then all VMs, each by itself. One that does not
 * answer is "busy", and that is all that is known of it. */
#include "command/gather.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/ask.h"
#include "command/command-options.h"
#include "common/base/list.h"
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
                ask_prepare(&asks[i], path,
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

/* --- daemons --- */

#define DAEMONS_MAX 4096

/* Control sockets. */
struct daemons {
    char (*paths)[CONTROL_PATH_MAX];
    size_t n, room;
    size_t guests; /* from this one on, they are guests' daemons by their names */
};

static void daemons_add(void *user, const char *path)
{
    struct daemons *d = user;
    if (array_room(&d->paths, &d->room, d->n + 1, DAEMONS_MAX) == 0)
        snprintf(d->paths[d->n++], sizeof(*d->paths), "%s", path);
}

/* The host's, and those of this user in a virtual machine: services of the system's, and what he
 * has started himself. */
static void daemons_find(struct daemons *d, const struct command_options *o)
{
    char path[CONTROL_PATH_MAX];
    const struct passwd *user = getpwuid(geteuid());
    if ((o->socket || !o->display) && gather_host(o, path, sizeof(path)) == 0)
        daemons_add(d, path);
    d->guests = d->n;
    if (o->socket || *o->vm)
        return;
    if (user && (size_t)snprintf(path, sizeof(path), CONTROL_SERVICE_FOLDER "/%s", user->pw_name) <
                    sizeof(path))
        control_guests(path, daemons_add, d);
    if (control_folder(path) == 0)
        control_guests(path, daemons_add, d);
}

/* Whether that is how people call a display with this path. */
static bool is_display(const char *path, const char *name)
{
    const char *last = strrchr(path, '/');
    return strcmp(path, name) == 0 || (last && strcmp(last + 1, name) == 0);
}

static bool is_guest(const struct command_options *o, const json_t *answer)
{
    return !*o->vm && json_object_get(answer, "clients") &&
           (!o->display || is_display(json_text_of(answer, "display"), o->display));
}

/* Those that answered, or if nobody did whose display was named, all that hang: it may be theirs.
 */
static json_t *gather_guests(const struct command_options *o, const struct daemons *d,
                             const struct ask *asks, json_t **answers)
{
    json_t *list = json_array();
    for (size_t i = 0; i < d->n; i++)
        if (is_guest(o, answers[i]))
            json_array_append(list, answers[i]);
    bool found = o->display && json_array_size(list);
    for (size_t i = d->guests; i < d->n && !found; i++)
        if (asks[i].late)
            json_array_append_new(
                list, json_pack("{so ss}", "socket", json_words(d->paths[i]), "state", "busy"));
    return list;
}

/* A host's, with what its VMs say. NULL: it is none, or has no VM of that name. */
static json_t *gather_host_status(const struct command_options *o, const char *path, json_t *answer)
{
    if (o->display || !json_object_get(answer, "vms") || (*o->vm && !keep_only(answer, o->vm)))
        return NULL;
    gather_vms(path, answer);
    return json_incref(answer);
}

json_t *gather_status(const struct command_options *o)
{
    struct daemons d = {0};
    json_t *status = NULL, *guests = NULL;
    daemons_find(&d, o);
    struct ask *asks = calloc(d.n + 1, sizeof(*asks));
    json_t **answers = calloc(d.n + 1, sizeof(json_t *));
    if (asks && answers) {
        for (size_t i = 0; i < d.n; i++)
            ask_prepare(&asks[i], d.paths[i], json_pack("{ss}", "command", "status"));
        asks_wait(asks, d.n, answers);
        guests = gather_guests(o, &d, asks, answers);
        for (size_t i = 0; i < d.n && !status; i++)
            status = gather_host_status(o, d.paths[i], answers[i]);
    }
    if (!status && json_array_size(guests))
        status = json_pack("{ss so}", "version", WAYVSOCK_VERSION, "when", json_time(json_now()));
    if (json_array_size(guests))
        json_object_set(status, "guest", guests);
    json_decref(guests);
    for (size_t i = 0; answers && i < d.n; i++)
        json_decref(answers[i]);
    free(answers);
    free(asks);
    free(d.paths);
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
