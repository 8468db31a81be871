/* SPDX-License-Identifier: MIT */
/* policy: owns nothing; what a VM may do with the clipboard, and how its windows are marked, before
 * the compositor hears of it. */
#include "host-proxy/policy.h"

#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

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

/* Characters behind the prefix. Compositors that take no longer messages than 4096 bytes end the
 * client instead. */
#define TEXT_MAX 256

struct rewrite {
    const char *prefix; /* "": none */
    bool name;          /* of a program: compositors make names of files of it */
};

static const char *policy_prefix(const struct vm_config *vm, enum wl_text text)
{
    return text == WL_TEXT_TITLE    ? vm->title_prefix
           : text == WL_TEXT_APP_ID ? vm->app_id_prefix
                                    : NULL;
}

static size_t policy_rewrite(void *user, const char *text, char *at, size_t room)
{
    const struct rewrite *w = user;
    size_t n = (size_t)snprintf(at, room, "%s", w->prefix);
    if (n >= room)
        return room - 1;
    size_t length = text_clean(at + n, room - n, text, TEXT_MAX);
    for (char *c = at + n; w->name && *c; c++)
        if (*c == '/')
            *c = '_';
    return n + length;
}

/* Whose make, model and serial number identify the host, and its user. */
static size_t policy_plain(void *user, const char *text, char *at, size_t room)
{
    (void)user;
    (void)text;
    size_t n = (size_t)snprintf(at, room, "screen");
    return n < room ? n : room - 1;
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
    for (uint16_t i = 0; i < iface->n_requests; i++) {
        uint8_t message[256];
        const char *prefix = policy_prefix(vm, iface->requests[i].text);
        if (prefix)
            relay_inject_local(r, message,
                               wl_message_string(message, sizeof(message), id, i, prefix));
    }
    return RELAY_DROP; /* it is on its way already */
}

enum relay_verdict policy_text(const struct vm_config *vm, struct relay *r, struct wl_message *m)
{
    uint8_t message[WL_MESSAGE_MAX];
    enum wl_text text = m->info->text;
    if (text == WL_TEXT_HIDDEN)
        return RELAY_DROP;
    if (text == WL_TEXT_OUTPUT && vm->output_names)
        return RELAY_PASS;
    if (text == WL_TEXT_OUTPUT) {
        relay_inject_link(r, message,
                          wl_message_map_strings(message, sizeof(message), m, policy_plain, NULL));
        return RELAY_DROP;
    }
    const char *prefix = policy_prefix(vm, text);
    struct rewrite w = {.prefix = prefix ? prefix : "", .name = text == WL_TEXT_APP_ID};
    size_t n = wl_message_map_strings(message, sizeof(message), m, policy_rewrite, &w);
    if (n == m->size && memcmp(message, m->bytes, n) == 0)
        return RELAY_PASS;
    if (!n)
        return relay_fail(r, LINK_ERROR_WAYLAND, m->object, WL_DISPLAY_INVALID_METHOD,
                          "%s: its strings are too long", m->info->name);
    relay_inject_local(r, message, n);
    return RELAY_DROP;
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
