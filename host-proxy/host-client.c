/* SPDX-License-Identifier: MIT */
#include "host-proxy/host-client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/base/memory.h"
#include "common/wayland/relay.h"
#include "host-proxy/allow.h"
#include "host-proxy/pixels/dmabufs.h"
#include "host-proxy/pixels/imports.h"
#include "host-proxy/policy.h"
#include "host-proxy/refuse.h"
#include "host-proxy/vms.h"

struct client {
    struct vm *vm;
    struct client *prev, *next;
    struct log_subject subject;
    char name[LINK_LABEL_MAX + 32];
    struct relay *relay;
    struct imports imports;
    struct dmabufs dmabufs;
};

static void client_destroy(struct client *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        c->vm->clients = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->vm->clients_n--;
    imports_stop(&c->imports);
    relay_destroy(
        c->relay); /* the compositor lets go of the guest's pages before the device does */
    imports_finish(&c->imports);
    free(c);
}

static int import_failed(struct client *c, enum import_rule rule, const char *text)
{
    if (rule == IMPORT_OK)
        return 0;
    relay_fail(c->relay, rule == IMPORT_DEVICE ? LINK_ERROR_INTERNAL : LINK_ERROR_REFUSED, 0,
               WL_DISPLAY_IMPLEMENTATION, "%s", text);
    return -EPROTO;
}

static enum relay_verdict hook(struct relay *r, struct wl_message *m, bool event)
{
    struct client *c = r->user;
    char text[320];
    (void)event;
    if (m->info->hook == WL_HOOK_POOL_CREATE_BUFFER) {
        const struct memory_buffer *b = relay_data(r, m->args[0].u, WL_DATA_BUFFER);
        if (b && b->memory->import &&
            import_failed(c, imports_buffer(b, text, sizeof(text)), text) < 0)
            return RELAY_END;
    }
    enum relay_verdict v = dmabufs_hook(&c->dmabufs, c->vm->trials, r, m);
    return v == RELAY_PASS ? policy_hook(c->vm->config, r, m) : v;
}

/* Who may copy the screen may do so into any shared memory. */
static bool linear_dmabufs(const struct vm *vm)
{
    return vm->config->dmabuf == DMABUF_LINEAR &&
           handles_features(vm->handles) & EXPORT_FEATURE_UDMABUF &&
           !allow_global(vm->config, "zwlr_screencopy_manager_v1") &&
           !allow_global(vm->config, "ext_image_copy_capture_manager_v1");
}

static void hidden(struct relay *r, const struct wl_message *m, const struct wl_iface *iface)
{
    struct client *c = r->user;
    const struct vm *vm = c->vm;
    if (vm->trials && (handles_features(vm->handles) & EXPORT_FEATURE_DMABUF || linear_dmabufs(vm)))
        dmabufs_global(&c->dmabufs, m, iface);
}

static bool keep_id(struct relay *r, uint32_t id)
{
    struct client *c = r->user;
    if (!dmabufs_keep_id(&c->dmabufs, r, id))
        return false;
    c->imports.trials = c->vm->trials;
    c->imports.linear = linear_dmabufs(c->vm);
    return true;
}

static enum relay_verdict own_event(struct relay *r, const struct wl_message *m)
{
    const struct client *c = r->user;
    return dmabufs_event(&c->dmabufs, r, m);
}

static uint32_t global(struct relay *r, const struct wl_iface *iface, uint32_t version)
{
    const struct client *c = r->user;
    return allow_global(c->vm->config, iface->name) ? version : 0;
}

static bool charge(struct relay *r, uint64_t bytes)
{
    const struct client *c = r->user;
    return vm_charge(c->vm, bytes);
}

static int import(struct relay *r, const struct link_import *import)
{
    struct client *c = r->user;
    char text[320];
    return import_failed(c, imports_add(&c->imports, import, text, sizeof(text)), text);
}

static int import_release(struct relay *r, uint32_t id)
{
    struct client *c = r->user;
    char text[320];
    return import_failed(c, imports_release(&c->imports, id, text, sizeof(text)), text);
}

static int copy(struct relay *r, struct memory *memory, const struct link_mem_copy *copy)
{
    struct client *c = r->user;
    char text[320];
    return import_failed(c, imports_copy(&c->imports, memory, copy, text, sizeof(text)), text);
}

static struct memory *import_memory(struct relay *r, const struct link_mem_import *said)
{
    struct client *c = r->user;
    struct memory *memory = NULL;
    char text[320];
    import_failed(c, imports_memory(&c->imports, said, &memory, text, sizeof(text)), text);
    return memory;
}

static enum relay_verdict copy_back(struct relay *r, struct memory *memory,
                                    const struct link_mem_write *rows)
{
    struct client *c = r->user;
    switch (imports_copy_back(&c->imports, memory, rows)) {
    case IMPORTS_BACK:
        return RELAY_PASS;
    case IMPORTS_BACK_SOON:
        relay_wait(r);
        return RELAY_WAIT;
    case IMPORTS_BACK_NOT:
        return RELAY_DROP;
    default:
        import_failed(c, IMPORT_GENERATION, "a screen copy into memory that the guest took away");
        return RELAY_END;
    }
}

static bool may_go_on(struct relay *r, enum link_type type)
{
    const struct client *c = r->user;
    return imports_may_go_on(&c->imports, type);
}

static void imports_idle(void *user)
{
    const struct client *c = user;
    link_resume(c->relay->link);
}

static void imports_copied_back(void *user)
{
    const struct client *c = user;
    if (c->relay->waiting)
        relay_wait_over(c->relay);
}

static void import_released(void *user, uint32_t id)
{
    const struct client *c = user;
    relay_import_released(c->relay, id);
}

static void imports_failed(void *user, enum import_rule rule, const char *text)
{
    import_failed(user, rule, text);
}

static const struct imports_ops imports_ops = {.idle = imports_idle,
                                               .copied_back = imports_copied_back,
                                               .released = import_released,
                                               .failed = imports_failed};

static void ended(struct relay *r)
{
    client_destroy(r->user);
}

static const struct relay_ops relay_ops = {
    .hook = hook,
    .global = global,
    .charge = charge,
    .import = import,
    .import_release = import_release,
    .copy = copy,
    .import_memory = import_memory,
    .copy_back = copy_back,
    .may_go_on = may_go_on,
    .hidden = hidden,
    .keep_id = keep_id,
    .own_event = own_event,
    .ended = ended,
};

void client_begin(struct vm *vm, struct link *link, const char *label)
{
    char error[256], text[320];
    if (vm->clients_n >= vm->config->limits.clients) {
        snprintf(text, sizeof(text), "client limit: %u clients are connected already (max-clients)",
                 vm->clients_n);
        refuse(link, &vm->subject, LINK_ERROR_LIMIT, text);
        return;
    }
    int fd = compositor_connect(&vm->context, error, sizeof(error));
    if (fd < 0) {
        snprintf(text, sizeof(text), "no compositor: %s", error);
        refuse(link, &vm->subject, LINK_ERROR_COMPOSITOR, text);
        return;
    }
    struct client *c = calloc(1, sizeof(*c));
    if (!c) {
        fd_close(fd);
        refuse(link, &vm->subject, LINK_ERROR_INTERNAL, "out of memory");
        return;
    }
    c->vm = vm;
    /* The guest's own words about its client come last, marked as such by our number before them.
     */
    snprintf(c->name, sizeof(c->name), "client %lu \"%s\"", ++vm->serial, label);
    c->subject = (struct log_subject){.name = c->name, .parent = &vm->subject};
    imports_init(&c->imports, vm->handles, &imports_ops, c);
    struct relay_limits limits = {.vfds = vm->config->limits.vfds,
                                  .queue = vm->config->limits.queue};
    c->relay =
        relay_create(vm->vms->loop, RELAY_HOST, fd, link, &limits, &relay_ops, c, &c->subject);
    if (!c->relay) {
        imports_finish(&c->imports);
        free(c);
        return;
    }
    c->next = vm->clients;
    if (c->next)
        c->next->prev = c;
    vm->clients = c;
    vm->clients_n++;
    log_debug(&c->subject, "connected");
}

void clients_disconnect(struct vm *vm, const char *reason)
{
    for (struct client *c = vm->clients, *next; c; c = next) {
        next = c->next;
        relay_fail(c->relay, LINK_ERROR_REFUSED, 0, WL_DISPLAY_IMPLEMENTATION,
                   "the VM's session ended: %s", reason);
    }
}

void clients_finish(struct vm *vm)
{
    while (vm->clients)
        client_destroy(vm->clients);
}

uint64_t clients_memory(const struct vm *vm)
{
    uint64_t sum = 0;
    for (const struct client *c = vm->clients; c; c = c->next) {
        for (const struct memory *m = c->relay->memories; m; m = m->next) {
            uint64_t has = memory_allocated(m), may = m->covered < m->size ? m->covered : m->size;
            sum += has > may ? has : may;
        }
        for (size_t i = 0; i < c->relay->arrived_n; i++) {
            const struct memory *m = c->relay->arrived[c->relay->arrived_first + i].memory;
            sum += m ? m->size : 0;
        }
    }
    return sum;
}
