/* SPDX-License-Identifier: MIT */
/* host-sharing: joins a service's connection to what is known of the VM's GPU. */
#include "host-proxy/host-sharing.h"

#include "common/base/refusal.h"
#include "common/carrier/ends.h"

static int refuse_import(struct host_sharing *s, int rule, const struct refusal *why)
{
    if (rule == IMPORT_OK)
        return 0;
    return ends_failf(s->vfds->ends, rule == IMPORT_QUOTA ? LINK_ERROR_LIMIT : LINK_ERROR_REFUSED,
                      "%s", why->text);
}

static void sharing_idle(void *user)
{
    (void)user;
}

static void sharing_answered(void *user, uint32_t id, enum link_imported_as how)
{
    const struct host_sharing *s = user;
    vfd_shared_answer(s->vfds, id, how);
}

static void sharing_released(void *user, uint32_t id)
{
    const struct host_sharing *s = user;
    gpu_memory_released(s->vfds->sharing->gpu, id);
    link_flush(s->vfds->ends->link);
}

static void sharing_failed(void *user, const struct refusal *why)
{
    refuse_import(user, why->rule, why);
}

static const struct imports_ops imports_ops = {.idle = sharing_idle,
                                               .answered = sharing_answered,
                                               .released = sharing_released,
                                               .failed = sharing_failed};

void host_sharing_begin(struct host_sharing *s, struct vfds *vfds, struct handles *handles,
                        struct budget *budget)
{
    s->vfds = vfds;
    imports_init(&s->imports, handles, budget, &imports_ops, s);
    s->imports.direct = true;
    s->imports.holder = "the service has";
}

void host_sharing_stop(struct host_sharing *s)
{
    imports_stop(&s->imports);
}

void host_sharing_finish(struct host_sharing *s)
{
    imports_finish(&s->imports);
}

int host_sharing_ask(struct host_sharing *s, const struct link_import *import)
{
    struct refusal why;
    return refuse_import(s, imports_add(&s->imports, import, &why), &why);
}

int host_sharing_release(struct host_sharing *s, uint32_t import)
{
    struct refusal why;
    return refuse_import(s, imports_release(&s->imports, import, &why), &why);
}

int host_sharing_open(struct host_sharing *s, uint32_t import, uint64_t *ret_size)
{
    return imports_open(&s->imports, import, ret_size);
}
