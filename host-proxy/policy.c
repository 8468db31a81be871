/* SPDX-License-Identifier: MIT */
/* policy: owns nothing; what a VM may do with the clipboard, and how its windows are marked, before
 * the compositor hears of it. */
#include "host-proxy/policy.h"

#include <stdio.h>
#include <string.h>

static int opcode_of(const struct wl_msg_info *infos, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(infos[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* The data source that may not become a selection learns that it lost it. */
static void cancel_source(struct relay *r, uint32_t id)
{
    struct wl_object *source = wl_objects_get(&r->objects, id);
    if (!source || source->zombie)
        return;
    int opcode = opcode_of(source->iface->events, source->iface->n_events, "cancelled");
    uint8_t message[WL_HEADER_SIZE];
    if (opcode >= 0)
        relay_inject_link(r, message,
                          wl_message_empty(message, sizeof(message), id, (uint16_t)opcode));
}

#define TITLE_MAX                                                                                  \
    3072 /* compositors that take no longer messages than 4096 bytes end the client instead */

/* Sends a string request with the prefix put before @text, cut where a character ends. */
static void set_prefixed(struct relay *r, uint32_t object, int opcode, const char *prefix,
                         const char *text)
{
    char joined[TITLE_MAX + 1];
    uint8_t message[TITLE_MAX + 32];
    int n = snprintf(joined, sizeof(joined), "%s%s", prefix, text);
    if (n > TITLE_MAX) {
        n = TITLE_MAX;
        while (n > 0 && ((unsigned char)joined[n] & 0xc0) == 0x80)
            n--;
        joined[n] = 0;
    }
    if (opcode >= 0)
        relay_inject_local(
            r, message,
            wl_message_string(message, sizeof(message), object, (uint16_t)opcode, joined));
}

/* Windows are marked before their application says anything about them. */
enum relay_verdict policy_new_toplevel(const struct vm_config *vm, struct relay *r,
                                       struct wl_message *m)
{
    uint32_t id = m->args[0].u;
    const struct wl_object *toplevel = wl_objects_get(&r->objects, id);
    if (!toplevel || (!vm->title_prefix && !vm->app_id_prefix))
        return RELAY_PASS;
    const struct wl_iface *iface = toplevel->iface;
    relay_inject_local(r, m->bytes, m->size);
    if (vm->title_prefix)
        set_prefixed(r, id, opcode_of(iface->requests, iface->n_requests, "set_title"),
                     vm->title_prefix, "");
    if (vm->app_id_prefix)
        set_prefixed(r, id, opcode_of(iface->requests, iface->n_requests, "set_app_id"),
                     vm->app_id_prefix, "");
    return RELAY_DROP; /* it is on its way already */
}

static enum relay_verdict prefixed(struct relay *r, const struct wl_message *m, const char *prefix)
{
    if (!prefix)
        return RELAY_PASS;
    set_prefixed(r, m->object, m->opcode, prefix, m->args[0].s.text ? m->args[0].s.text : "");
    return RELAY_DROP;
}

enum relay_verdict policy_set_title(const struct vm_config *vm, struct relay *r,
                                    struct wl_message *m)
{
    return prefixed(r, m, vm->title_prefix);
}

enum relay_verdict policy_set_app_id(const struct vm_config *vm, struct relay *r,
                                     struct wl_message *m)
{
    return prefixed(r, m, vm->app_id_prefix);
}

enum relay_verdict policy_capture_dmabuf(const struct vm_config *vm, struct relay *r,
                                         struct wl_message *m)
{
    (void)vm;
    (void)r;
    (void)m;
    return RELAY_DROP; /* of the host's GPU, with which a guest's buffers have nothing to do */
}

enum relay_verdict policy_offer(const struct vm_config *vm, struct relay *r, struct wl_message *m)
{
    (void)r;
    (void)m;
    /* An offer without types, whose content is empty, looks to an application like an empty
     * clipboard. */
    return vm->clipboard & CLIPBOARD_TO_VM ? RELAY_PASS : RELAY_DROP;
}

enum relay_verdict policy_set_selection(const struct vm_config *vm, struct relay *r,
                                        struct wl_message *m)
{
    if (vm->clipboard & CLIPBOARD_FROM_VM)
        return RELAY_PASS;
    if (m->args[0].u)
        cancel_source(r, m->args[0].u);
    return RELAY_DROP;
}

enum relay_verdict policy_start_drag(const struct vm_config *vm, struct relay *r,
                                     struct wl_message *m)
{
    if (!m->args[0].u) /* a drag without a source stays within its application */
        return RELAY_PASS;
    return policy_set_selection(vm, r, m);
}
