/* SPDX-License-Identifier: MIT */
/* removals: owns the list of the client's wl_fixes objects, one of which is used. A compositor may
 * answer an acknowledgement that it does not expect with a fatal error, so there is one for each
 * event, at once or never: what came before the client had a wl_fixes is not acknowledged later,
 * when the compositor may have given up waiting. A client's own would not be either. */
#include "common/wayland/removals.h"

#include <stdlib.h>
#include <string.h>

#include "common/wayland/inject.h"

struct wl_fixes {
    struct wl_data data;
    uint32_t id;
    LIST_ENTRY(wl_fixes) entry;
};

static void fixes_destroy(struct wl_data *data)
{
    struct wl_fixes *f = (struct wl_fixes *)data;
    LIST_REMOVE(f, entry);
    free(f);
}

static const struct wl_data_type fixes_type = {.name = "wl_fixes", .destroy = fixes_destroy};

enum relay_verdict removals_bind(struct relay *r, const struct wl_message *m)
{
    const struct wl_msg_info *ack = wl_named[MSG_FIXES_ACK_REMOVE].info;
    if (!ack || strcmp(m->args[1].n.interface, "wl_fixes") != 0 ||
        m->args[1].n.version < ack->since)
        return RELAY_PASS;
    struct wl_fixes *f = malloc(sizeof(*f));
    if (!f)
        return relay_out_of_memory(r);
    *f = (struct wl_fixes){.data.type = &fixes_type, .id = m->args[1].n.id};
    LIST_INSERT_HEAD(&r->fixes, f, entry);
    relay_attach(r, f->id, &f->data);
    return RELAY_PASS;
}

void removals_hidden(struct relay *r, uint32_t registry, uint32_t name)
{
    const struct wl_fixes *f = LIST_FIRST(&r->fixes);
    const struct wl_object *object = wl_objects_get(&r->objects, registry);
    if (!f || !object ||
        object->zombie) /* the compositor does not wait for a registry that is gone */
        return;
    if (relay_side(r) == CARRIER_HOST)
        inject_local(r, f->id, MSG_FIXES_ACK_REMOVE, registry, name);
    else
        inject_host(r, f->id, MSG_FIXES_ACK_REMOVE, registry, name);
}
