/* SPDX-License-Identifier: MIT */
/* registry: owns the list of globals that this client was told of. A global whose interface the
 * tables lack, whose messages cannot be carried, or that policy forbids does not exist for the
 * client: neither its arrival nor its removal, and it cannot be bound by guessing. */
#include "common/wayland/registry.h"

#include <string.h>

#include "common/base/list.h"
#include "common/wayland/inject.h"
#include "common/wayland/removals.h"

#define GLOBALS_MAX 4096

static struct relay_global *registry_find_name(struct relay *r, uint32_t name)
{
    for (size_t i = 0; i < r->globals_n; i++)
        if (r->globals[i].name == name)
            return &r->globals[i];
    return NULL;
}

static struct relay_global *registry_add(struct relay *r, uint32_t name)
{
    /* Names that went away long ago make room first: a bind of theirs would be too late anyway. */
    for (size_t i = 0; r->globals_n >= GLOBALS_MAX && i < r->globals_n; i++)
        if (r->globals[i].removed) {
            r->globals[i] = r->globals[--r->globals_n];
            break;
        }
    if (array_room(&r->globals, &r->globals_room, r->globals_n + 1, GLOBALS_MAX) < 0)
        return NULL;
    r->globals[r->globals_n] = (struct relay_global){.name = name};
    return &r->globals[r->globals_n++];
}

const struct relay_global *registry_find(const struct relay *r, const char *interface)
{
    for (size_t i = 0; i < r->globals_n; i++)
        if (strcmp(r->globals[i].iface->name, interface) == 0 && !r->globals[i].removed)
            return &r->globals[i];
    return NULL;
}

static const struct own_global *own_global(const struct relay *r, const char *interface)
{
    const struct own_global *const *own = r->ops->own_globals;
    while (own && *own && strcmp((*own)->interface, interface) != 0)
        own++;
    return own ? *own : NULL;
}

/* A global of our own is told to @registry; one number serves all registries. */
static enum relay_verdict offer(struct relay *r, uint32_t registry, const char *interface)
{
    const struct wl_iface *iface = wl_iface_find(interface, strlen(interface));
    const struct relay_global *known = registry_find(r, interface);
    if (!iface)
        return RELAY_PASS;
    if (!known) {
        uint32_t name = UINT32_MAX;
        while (registry_find_name(r, name))
            name--;
        struct relay_global *global = registry_add(r, name);
        if (!global)
            return relay_out_of_memory(r);
        global->iface = iface;
        global->version = iface->version;
        known = global;
    }
    inject_local(r, registry, MSG_REGISTRY_GLOBAL, known->name, interface, known->version);
    return RELAY_PASS;
}

/* wl_registry.global(name, interface, version) */
enum relay_verdict registry_global(struct relay *r, struct wl_message *m)
{
    const struct wl_iface *iface = wl_iface_find(m->args[1].s.text, m->args[1].s.length);
    uint32_t version = m->args[2].u;
    if (!iface || version == 0)
        return RELAY_DROP;
    if (!iface->carried) {
        if (r->ops->hidden)
            r->ops->hidden(r, m, iface);
        return RELAY_DROP;
    }
    if (version > iface->version)
        version = iface->version;
    if (r->ops->global)
        version = r->ops->global(r, iface, version);
    if (!version)
        return RELAY_DROP;
    struct relay_global *global =
        registry_find_name(r, m->args[0].u); /* each registry of the client hears of it */
    if (!global)
        global = registry_add(r, m->args[0].u);
    if (!global)
        return RELAY_DROP;
    global->iface = iface;
    global->version = version;
    global->removed = false;
    if (version != m->args[2].u)
        wl_message_poke(m, m->size - 4u, version);
    for (const struct own_global *const *own = r->ops->own_globals; own && *own; own++)
        if (strcmp((*own)->beside, iface->name) == 0 && (*own)->offered(r) &&
            offer(r, m->object, (*own)->interface) == RELAY_END)
            return RELAY_END;
    return RELAY_PASS;
}

enum relay_verdict registry_global_remove(struct relay *r, struct wl_message *m)
{
    struct relay_global *global = registry_find_name(r, m->args[0].u);
    if (!global) {
        if (r->ops->hidden_gone)
            r->ops->hidden_gone(r, m->object, m->args[0].u);
        removals_hidden(r, m->object, m->args[0].u);
        return RELAY_DROP;
    }
    global->removed = true; /* binds that crossed the removal are the compositor's to answer */
    return RELAY_PASS;
}

/* wl_registry.bind(name, interface, version, new id) */
const struct relay_global *registry_bound(struct relay *r, const struct wl_message *m)
{
    const struct relay_global *global = registry_find_name(r, m->args[0].u);
    const char *interface = m->args[1].n.interface;
    uint32_t version = m->args[1].n.version;
    if (!global)
        relay_fail(r, LINK_ERROR_WAYLAND, m->object, WL_DISPLAY_INVALID_OBJECT,
                   "wl_registry.bind: there is no global %u (%s)", m->args[0].u, interface);
    else if (strcmp(global->iface->name, interface) != 0)
        relay_fail(r, LINK_ERROR_WAYLAND, m->object, WL_DISPLAY_INVALID_OBJECT,
                   "wl_registry.bind: global %u is a %s, not a %s", m->args[0].u,
                   global->iface->name, interface);
    else if (version == 0 || version > global->version)
        relay_fail(r, LINK_ERROR_WAYLAND, m->object, WL_DISPLAY_INVALID_OBJECT,
                   "wl_registry.bind: %s is offered up to version %u, not %u", interface,
                   global->version, version);
    else
        return global;
    return NULL;
}

enum relay_verdict registry_bind(struct relay *r, struct wl_message *m)
{
    const struct own_global *own = own_global(r, m->args[1].n.interface);
    return own ? own->bind(r, m) : removals_bind(r, m);
}

/* wl_fixes.destroy_registry(registry) */
enum relay_verdict registry_destroy(struct relay *r, struct wl_message *m)
{
    const struct wl_object *object = wl_objects_get(&r->objects, m->args[0].u);
    if (object && strcmp(object->iface->name, "wl_registry") == 0)
        wl_objects_retire(&r->objects, m->args[0].u);
    return RELAY_PASS;
}
