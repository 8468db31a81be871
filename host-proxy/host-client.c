/* SPDX-License-Identifier: MIT */
/* host-client: owns the applications of VMs, each a relay to a connection of its own to the
 * compositor, with what its GPU buffers are. */
#include "host-proxy/host-client.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/budget.h"
#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/base/memory.h"
#include "common/carrier/vfd-kinds.h"
#include "common/carrier/vfd-memory.h"
#include "common/control/control-app.h"
#include "common/wayland/relay-life.h"
#include "common/wayland/wl-shm.h"
#include "host-proxy/allow.h"
#include "host-proxy/pixels/dmabufs.h"
#include "host-proxy/pixels/import-copies.h"
#include "host-proxy/pixels/imports.h"
#include "host-proxy/policy.h"
#include "host-proxy/refuse.h"
#include "host-proxy/session.h"
#include "host-proxy/vm.h"

struct client {
    struct session_client of_session;
    struct session *session;
    struct vm *vm; /* the session's */
    struct log_subject subject;
    char name[LINK_LABEL_MAX + 32], label[LINK_LABEL_MAX + 1];
    struct carrier_party party; /* the VM's, with a count of its own */
    struct relay *relay;
    struct imports imports;
    struct dmabufs dmabufs;
};

static void host_client_destroy(struct client *c)
{
    imports_stop(&c->imports);
    relay_destroy(
        c->relay); /* the compositor lets go of the guest's pages before the device does */
    imports_finish(&c->imports);
    budget_unref(c->party.budget);
    session_leave(c->session, &c->of_session);
    free(c);
}

/* --- hooks --- */

static int import_failed(struct relay *r, int rule, const struct refusal *why)
{
    if (rule == IMPORT_OK)
        return 0;
    return relay_fail(r, rule == IMPORT_DEVICE ? LINK_ERROR_INTERNAL : LINK_ERROR_REFUSED, 0,
                      WL_DISPLAY_IMPLEMENTATION, "%s", why->text);
}

static struct dmabufs *dmabufs_of(const struct relay *r)
{
    struct client *c = r->user;
    return &c->dmabufs;
}

static enum relay_verdict host_client_create_pool(struct relay *r, struct wl_message *m)
{
    return dmabufs_create_pool(dmabufs_of(r), r, m);
}

static enum relay_verdict host_client_create_buffer(struct relay *r, struct wl_message *m)
{
    const struct client *c = r->user;
    const struct memory_buffer *b = relay_data(r, m->args[0].u, &shm_buffer_type);
    uint32_t import = b ? vfd_memory(b->memory)->import : 0;
    struct refusal why;
    if (import && import_failed(r, imports_buffer(b, import, &why), &why) < 0)
        return RELAY_END;
    return dmabufs_create_buffer(dmabufs_of(r), c->vm->trials, r, m);
}

static enum relay_verdict host_client_destroy_pool(struct relay *r, struct wl_message *m)
{
    return dmabufs_destroy_pool(dmabufs_of(r), r, m);
}

static enum relay_verdict destroy_registry(struct relay *r, struct wl_message *m)
{
    dmabufs_destroy_registry(dmabufs_of(r), m);
    return RELAY_PASS;
}

/* What policy.c does, for the client's VM. */
#define POLICY(name)                                                                               \
    static enum relay_verdict name(struct relay *r, struct wl_message *m)                          \
    {                                                                                              \
        const struct client *c = r->user;                                                          \
        return policy_##name(c->vm->config, r, m);                                                 \
    }
POLICY(new_toplevel)
POLICY(text)
POLICY(capture_dmabuf)
POLICY(offer)
POLICY(set_selection)
POLICY(start_drag)

relay_hook *const host_hooks[_WL_HOOK_N] = {
    [WL_HOOK_SHM_CREATE_POOL] = host_client_create_pool,
    [WL_HOOK_POOL_CREATE_BUFFER] = host_client_create_buffer,
    [WL_HOOK_POOL_RESIZE] = dmabufs_resize_pool,
    [WL_HOOK_POOL_DESTROY] = host_client_destroy_pool,
    [WL_HOOK_DESTROY_REGISTRY] = destroy_registry,
    [WL_HOOK_NEW_TOPLEVEL] = new_toplevel,
    [WL_HOOK_TEXT] = text,
    [WL_HOOK_CAPTURE_DMABUF] = capture_dmabuf,
    [WL_HOOK_OFFER_MIME] = offer,
    [WL_HOOK_OFFER_RECEIVE] = offer,
    [WL_HOOK_SET_SELECTION] = set_selection,
    [WL_HOOK_START_DRAG] = start_drag,
};

/* --- what the relay asks --- */

/* Who may copy the screen may do so into any shared memory. */
static bool linear_dmabufs(const struct client *c)
{
    const struct vm *vm = c->vm;
    return vm->config->dmabuf == DMABUF_LINEAR &&
           handles_features(c->session->handles) & EXPORT_FEATURE_UDMABUF &&
           !allow_global(vm->config, "zwlr_screencopy_manager_v1") &&
           !allow_global(vm->config, "ext_image_copy_capture_manager_v1");
}

static void hidden(struct relay *r, const struct wl_message *m, const struct wl_iface *iface)
{
    struct client *c = r->user;
    const struct vm *vm = c->vm;
    if (vm->trials &&
        (handles_features(c->session->handles) & EXPORT_FEATURE_DMABUF || linear_dmabufs(c)))
        dmabufs_global(&c->dmabufs, m, iface);
}

static void hidden_gone(struct relay *r, uint32_t registry, uint32_t name)
{
    dmabufs_global_gone(dmabufs_of(r), registry, name);
}

static bool keep_id(struct relay *r, uint32_t id)
{
    struct client *c = r->user;
    if (!dmabufs_keep_id(&c->dmabufs, r, id))
        return false;
    c->imports.trials = c->vm->trials;
    c->imports.linear = linear_dmabufs(c);
    return true;
}

static enum relay_verdict own_event(struct relay *r, const struct wl_message *m)
{
    const struct client *c = r->user;
    return dmabufs_event(&c->dmabufs, r, m);
}

static uint32_t host_client_global(struct relay *r, const struct wl_iface *iface, uint32_t version)
{
    const struct client *c = r->user;
    return allow_global(c->vm->config, iface->name) ? version : 0;
}

static int import(void *user, const struct link_import *import)
{
    struct relay *r = user;
    struct client *c = r->user;
    struct refusal why;
    return import_failed(r, imports_add(&c->imports, import, &why), &why);
}

static int import_release(void *user, uint32_t id)
{
    struct relay *r = user;
    struct client *c = r->user;
    struct refusal why;
    return import_failed(r, imports_release(&c->imports, id, &why), &why);
}

static int copy(void *user, struct memory *memory, const struct link_mem_copy *copy)
{
    struct relay *r = user;
    struct client *c = r->user;
    struct refusal why;
    return import_failed(r, imports_copy(&c->imports, memory, copy, &why), &why);
}

static struct memory *import_memory(void *user, const struct link_mem_import *said)
{
    struct relay *r = user;
    struct client *c = r->user;
    struct memory *memory = NULL;
    struct refusal why;
    import_failed(r, imports_memory(&c->imports, said, &memory, &why), &why);
    return memory;
}

static bool may_go_on(void *user, enum link_type type)
{
    const struct relay *r = user;
    const struct client *c = r->user;
    return imports_may_go_on(&c->imports, type);
}

static enum relay_verdict copy_back(struct relay *r, struct memory *memory,
                                    const struct link_mem_write *rows)
{
    struct client *c = r->user;
    struct refusal why;
    switch (imports_copy_back(&c->imports, vfd_memory(memory)->import, memory, rows)) {
    case IMPORTS_BACK:
        return RELAY_PASS;
    case IMPORTS_BACK_SOON:
        relay_wait(r);
        return RELAY_WAIT;
    case IMPORTS_BACK_NOT:
        return RELAY_DROP;
    default:
        refusal_set(&why, IMPORT_GENERATION, "a screen copy into memory that the guest took away");
        import_failed(r, why.rule, &why);
        return RELAY_END;
    }
}

static void imports_idle(void *user)
{
    const struct client *c = user;
    link_resume(c->relay->carrier.ends.link);
}

static void imports_copied_back(void *user)
{
    const struct client *c = user;
    relay_wait_over(c->relay);
}

static void host_client_import_released(void *user, uint32_t id)
{
    const struct client *c = user;
    gpu_memory_released(&c->relay->carrier.gpu, id);
}

static void imports_failed(void *user, const struct refusal *why)
{
    const struct client *c = user;
    import_failed(c->relay, why->rule, why);
}

static const struct imports_ops imports_ops = {.idle = imports_idle,
                                               .copied_back = imports_copied_back,
                                               .released = host_client_import_released,
                                               .failed = imports_failed};

static void host_client_traced(struct relay *r, const struct wl_message *m, bool event)
{
    const struct client *c = r->user;
    const struct vm_watcher *watcher = c->vm->watcher;
    watcher->message(watcher->user, &c->of_session, m, event);
}

static void host_client_ended(struct relay *r)
{
    host_client_destroy(r->user);
}

static const struct gpu_memory_ops gpu_ops = {
    .import = import,
    .release = import_release,
    .memory = import_memory,
    .copy = copy,
    .may_go_on = may_go_on,
};

static const struct relay_ops relay_ops = {
    .hooks = host_hooks,
    .global = host_client_global,
    .hidden = hidden,
    .hidden_gone = hidden_gone,
    .keep_id = keep_id,
    .own_event = own_event,
    .traced = host_client_traced,
    .ended = host_client_ended,
    .gpu = &gpu_ops,
    .copy_back = copy_back,
};

/* --- what the session asks --- */

static void client_disconnect(struct session_client *client, const char *reason)
{
    const struct client *c = (struct client *)client;
    ends_overf(&c->relay->carrier.ends, LINK_ERROR_REFUSED, "the VM's session ended: %s", reason);
}

static void client_end(struct session_client *client)
{
    host_client_destroy((struct client *)client);
}

static const struct session_client_ops session_client_ops = {.disconnect = client_disconnect,
                                                             .destroy = client_end};

void client_begin(struct session *session, struct link *link, const char *label)
{
    struct vm *vm = session->vm;
    char error[256], text[320];
    if (vm->clients_n >= vm->config->limits.clients) {
        snprintf(text, sizeof(text), "client limit: %u clients are connected already (max-clients)",
                 vm->clients_n);
        refuse(link, session->subject, LINK_ERROR_LIMIT, text, NULL);
        return;
    }
    if (!budget_has(vm->party.budget, BUDGET_FDS, CARRIER_FDS)) {
        refuse(link, session->subject, LINK_ERROR_LIMIT,
               "descriptor limit: nothing is left for one more client (max-fds)", NULL);
        return;
    }
    if (!budget_has(vm->party.budget, BUDGET_MEMORY, CARRIER_MEMORY)) {
        refuse(link, session->subject, LINK_ERROR_LIMIT,
               "memory limit: nothing is left for one more client (max-memory)", NULL);
        return;
    }
    int fd = compositor_connect(&vm->context, error, sizeof(error));
    if (fd < 0) {
        snprintf(text, sizeof(text), "no compositor: %s", error);
        refuse(link, session->subject, LINK_ERROR_COMPOSITOR,
               "no compositor: the host's log says why", text);
        return;
    }
    struct client *c = calloc(1, sizeof(*c));
    struct budget *budget = c ? budget_create_part(vm->party.budget) : NULL;
    if (!budget) {
        free(c);
        fd_close(fd);
        refuse(link, session->subject, LINK_ERROR_INTERNAL, "out of memory", NULL);
        return;
    }
    c->of_session.ops = &session_client_ops;
    c->session = session;
    c->vm = vm;
    c->party = vm->party;
    c->party.budget = budget;
    c->of_session.number = ++vm->serial;
    snprintf(c->label, sizeof(c->label), "%s", label);
    /* The guest's own words about its client come last, marked as such by our number before them,
     * and do not end before we say so. */
    int n = snprintf(c->name, sizeof(c->name), "client %lu \"", c->of_session.number);
    for (; *label && n + 2 < (int)sizeof(c->name); label++)
        c->name[n++] = *label == '"' ? '\'' : *label;
    c->name[n] = '"';
    c->subject = (struct log_subject){.name = c->name, .parent = session->subject};
    imports_init(&c->imports, session->handles, budget, &imports_ops, c);
    c->relay =
        relay_create(vm->loop, CARRIER_HOST, fd, link, &c->party, &relay_ops, c, NULL, &c->subject);
    if (!c->relay) {
        imports_finish(&c->imports);
        budget_unref(budget);
        free(c);
        return;
    }
    c->relay->traced = vm->watcher && vm->watcher->all;
    session_join(session, &c->of_session);
    log_debug(&c->subject, "connected");
}

json_t *client_describe(const struct session_client *client)
{
    const struct client *c = (const struct client *)client;
    const struct budget *b = c->party.budget;
    json_t *value =
        json_pack("{so so so so so}", "id", json_count(client->number), "name", client_name(client),
                  "since", json_time(client->since), "memory", json_count(b->used[BUDGET_MEMORY]),
                  "fds", json_count(b->used[BUDGET_FDS]));
    app_add_relay(value, c->relay);
    return value;
}

json_t *client_name(const struct session_client *client)
{
    return app_name(((const struct client *)client)->label);
}

void client_trace(struct session_client *client, bool traced)
{
    const struct client *c = (const struct client *)client;
    c->relay->traced = traced;
}

void client_end_asked(struct session_client *client)
{
    const struct client *c = (struct client *)client;
    ends_overf(&c->relay->carrier.ends, LINK_ERROR_REFUSED,
               "it was ended on the host (wayvsock end)");
}
