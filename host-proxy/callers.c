/* SPDX-License-Identifier: MIT */
/* callers: owns the listeners, from the daemon's start to its end, whether the VMs are there or
 * not. What is said on a connection is not read here. */
#include "host-proxy/callers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/services/settings-text.h"
#include "common/transport/address.h"
#include "common/transport/inherited.h"
#include "common/transport/listener.h"
#include "host-proxy/config.h"

/* One service of one VM. */
struct door {
    struct callers *all;
    SLIST_ENTRY(door) entry;
    const struct service_settings *settings;
    const struct vm_config *config;
    struct log_subject *subject;
    void *vm;
    uint32_t number;
    struct listener *listener; /* NULL: none yet */
};

struct callers {
    struct loop *loop;
    const struct host_config *config;
    void (*called)(void *vm, uint32_t service, int fd);
    SLIST_HEAD(, door) doors;
};

struct callers *callers_create(struct loop *loop, const struct host_config *config,
                               void (*called)(void *vm, uint32_t service, int fd))
{
    struct callers *all = calloc(1, sizeof(*all));
    if (all)
        *all = (struct callers){.loop = loop, .config = config, .called = called};
    return all;
}

void callers_destroy(struct callers *all)
{
    if (!all)
        return;
    for (struct door *d; (d = SLIST_FIRST(&all->doors));) {
        SLIST_REMOVE_HEAD(&all->doors, entry);
        listener_destroy(d->listener);
        free(d);
    }
    free(all);
}

int callers_add(struct callers *all, const struct vm_config *config, struct log_subject *subject,
                void *vm)
{
    for (uint32_t i = 0; config->forward && config->forward[i]; i++) {
        const struct service_settings *settings =
            host_config_service(all->config, config->forward[i]);
        if (!settings || settings->direction != SERVICE_TO_GUEST)
            continue;
        struct door *d = calloc(1, sizeof(*d));
        if (!d)
            return -ENOMEM;
        *d = (struct door){.all = all,
                           .settings = settings,
                           .config = config,
                           .subject = subject,
                           .vm = vm,
                           .number = i};
        SLIST_INSERT_HEAD(&all->doors, d, entry);
    }
    return 0;
}

static void door_accepted(void *user, int fd)
{
    const struct door *d = user;
    d->all->called(d->vm, d->number, fd);
}

/* Takes @fd. */
static int door_open(struct door *d, int fd, const char *path)
{
    d->listener = listener_create(d->all->loop, fd, d->subject, door_accepted, d);
    if (d->listener)
        log_info(d->subject, "serving %s, its %s", path, d->settings->name);
    return d->listener ? 0 : -ENOMEM;
}

static int door_path(const struct door *d, char *path, size_t size, char *error, size_t error_size)
{
    return service_path(d->settings->listen, d->config->name, path, size, error, error_size);
}

int callers_inherit(struct callers *all, int fd, const char *name, char *error, size_t error_size)
{
    char bound[sizeof(((struct address *)0)->path)], path[sizeof(bound)], why[512];
    struct door *d, *of_name = NULL, *of_path = NULL;
    unsigned named = 0;
    SLIST_FOREACH (d, &all->doors, entry) {
        if (inherited_path(fd, service_type_socket(d->settings->type), bound, sizeof(bound)) < 0)
            continue;
        if (door_path(d, path, sizeof(path), why, sizeof(why)) == 0 && strcmp(path, bound) == 0)
            of_path = d;
        if (strcmp(d->settings->name, name) == 0) {
            of_name = d;
            named++;
        }
    }
    d = of_path ? of_path : of_name;
    if (!d)
        return 0;
    if (!of_path && named > 1)
        return error_set(-EINVAL, error, error_size,
                         "descriptor %d, handed over by systemd, is called %s, which is a service "
                         "of several VMs: give it the path that one of them has with \"listen\"",
                         fd, name);
    if (d->listener)
        return error_set(-EINVAL, error, error_size,
                         "two sockets, handed over by systemd, are for the service %s of one VM",
                         d->settings->name);
    inherited_path(fd, service_type_socket(d->settings->type), bound, sizeof(bound));
    int r = door_open(d, fd, bound);
    return r < 0 ? error_set(r, error, error_size, "out of memory") : 1;
}

void callers_listen(struct callers *all)
{
    char path[sizeof(((struct address *)0)->path)], error[512] = "out of memory";
    struct door *d;
    SLIST_FOREACH (d, &all->doors, entry) {
        int fd = d->listener ? -1 : door_path(d, path, sizeof(path), error, sizeof(error));
        if (d->listener)
            continue;
        if (fd == 0)
            fd = address_listen_path(path, service_type_socket(d->settings->type), 0600, error,
                                     sizeof(error));
        if (fd < 0 || door_open(d, fd, path) < 0)
            log_error(d->subject, "service %s: %s", d->settings->name, error);
    }
}
