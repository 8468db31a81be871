/* SPDX-License-Identifier: MIT */
/* vm-services: owns the list. */
#include "host-proxy/vm-services.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/signalled.h"
#include "host-proxy/config.h"
#include "protocol/run.h"

#define REFUSED_MAX 64
#define RUNS_MAX 256 /* programs of a VM that were started from here, at a time */

int vm_services_init(struct vm_services *s, const struct host_config *config,
                     const struct vm_config *vm_config, struct vm *vm)
{
    size_t n = 0;
    for (char **name = vm_config->forward; name && *name; name++)
        n++;
    s->at = calloc(n + 1, sizeof(*s->at));
    if (!s->at)
        return -ENOMEM;
    for (; s->n < n; s->n++) {
        s->at[s->n] = (struct vm_service){
            .settings = *host_config_service(config, vm_config->forward[s->n]), .vm = vm};
        s->at[s->n].settings.prefix = vm_config->title_prefix;
        if (s->at[s->n].settings.sync_files)
            signalled_prepare();
    }
    struct vm_service *run = &s->at[s->n++];
    *run = (struct vm_service){.vm = vm};
    service_settings_init(&run->settings, RUN_SERVICE);
    run->settings.direction = SERVICE_TO_GUEST;
    run->settings.files = run->settings.sockets = false;
    run->settings.max_connections = RUNS_MAX;
    return 0;
}

void vm_services_finish(struct vm_services *s)
{
    free(s->at);
    free(s->refused);
    *s = (struct vm_services){0};
}

struct vm_service *vm_services_find(const struct vm_services *s, const char *name,
                                    enum service_direction direction)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->at[i].settings.name, name) == 0 && s->at[i].settings.direction == direction)
            return &s->at[i];
    return NULL;
}

bool vm_services_first_refusal(struct vm_services *s, const char *name)
{
    for (size_t i = 0; i < s->refused_n; i++)
        if (strcmp(s->refused[i], name) == 0)
            return false;
    if (array_room(&s->refused, &s->refused_room, s->refused_n + 1, REFUSED_MAX) < 0)
        return false;
    snprintf(s->refused[s->refused_n++], sizeof(*s->refused), "%s", name);
    return true;
}
