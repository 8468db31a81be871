/* SPDX-License-Identifier: MIT */
#include "host-proxy/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd.h"
#include "common/loop.h"
#include "common/memory.h"
#include "common/relay.h"
#include "host-proxy/allow.h"
#include "host-proxy/policy.h"
#include "host-proxy/refuse.h"
#include "host-proxy/vms.h"

struct client {
    struct vm *vm;
    struct client *prev, *next;
    struct log_subject subject;
    char name[LINK_LABEL_MAX + 32];
    struct relay *relay;
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
    relay_destroy(c->relay);
    free(c);
}

static enum relay_verdict hook(struct relay *r, struct wl_message *m, bool event)
{
    const struct client *c = r->user;
    (void)event;
    return policy_hook(c->vm->config, r, m);
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

static void ended(struct relay *r)
{
    client_destroy(r->user);
}

static const struct relay_ops relay_ops = {.hook = hook, .global = global, .charge = charge, .ended = ended};

void client_begin(struct vm *vm, struct link *link, const char *label)
{
    char error[256], text[320];
    if (vm->clients_n >= vm->config->limits.clients) {
        snprintf(text, sizeof(text), "client limit: %u clients are connected already (max-clients)", vm->clients_n);
        refuse(vm->vms->loop, link, &vm->subject, LINK_ERROR_LIMIT, text);
        return;
    }
    int fd = compositor_connect(&vm->context, error, sizeof(error));
    if (fd < 0) {
        snprintf(text, sizeof(text), "no compositor: %s", error);
        refuse(vm->vms->loop, link, &vm->subject, LINK_ERROR_COMPOSITOR, text);
        return;
    }
    struct client *c = calloc(1, sizeof(*c));
    if (!c) {
        fd_close(fd);
        refuse(vm->vms->loop, link, &vm->subject, LINK_ERROR_INTERNAL, "out of memory");
        return;
    }
    c->vm = vm;
    /* The guest's own words about its client come last, marked as such by our number before them. */
    snprintf(c->name, sizeof(c->name), "client %lu \"%s\"", ++vm->serial, label);
    c->subject = (struct log_subject){.name = c->name, .parent = &vm->subject};
    struct relay_limits limits = {.vfds = vm->config->limits.vfds, .queue = vm->config->limits.queue};
    c->relay = relay_create(vm->vms->loop, RELAY_HOST, fd, link, &limits, &relay_ops, c, &c->subject);
    if (!c->relay) {
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
        relay_fail(c->relay, LINK_ERROR_REFUSED, 0, WL_DISPLAY_IMPLEMENTATION, "the VM's session ended: %s", reason);
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
