/* SPDX-License-Identifier: MIT */
/* As in libwayland, ids of either side are handed out densely, so two arrays do, and a peer cannot
 * make us allocate more than it has objects. A client's id is free again after delete_id; a
 * server's when the client destroyed it. */
#include "common/wayland/wl-objects.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/budget.h"
#include "common/base/list.h"

int wl_objects_init(struct wl_objects *o, struct budget *budget)
{
    *o = (struct wl_objects){.budget = budget};
    return wl_objects_add(o, false, 1, wl_iface_find("wl_display", 10), 1) == WL_OBJECTS_OK
               ? 0
               : -ENOMEM;
}

static void drop_data(struct wl_object *object)
{
    struct wl_data *data = object->data;
    object->data = NULL;
    if (data && data->type->destroy)
        data->type->destroy(data);
}

void wl_objects_finish(struct wl_objects *o)
{
    for (int side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < o->side[side].n; i++)
            drop_data(&o->side[side].at[i]);
        budget_give(o->budget, BUDGET_MEMORY, o->side[side].room * sizeof(struct wl_object));
        free(o->side[side].at);
    }
    *o = (struct wl_objects){0};
}

static uint32_t index_of(uint32_t id, int *ret_side)
{
    *ret_side = id >= WL_SERVER_ID_BASE;
    return *ret_side ? id - WL_SERVER_ID_BASE : id - 1;
}

struct wl_object *wl_objects_get(struct wl_objects *o, uint32_t id)
{
    int side;
    uint32_t i = index_of(id, &side);
    if (id == 0 || i >= o->side[side].n || !o->side[side].at[i].iface)
        return NULL;
    return &o->side[side].at[i];
}

/* Room for @n objects of one side. 0, or as array_room() or budget_take(). */
static int make_room(struct wl_objects *o, int side, size_t n)
{
    size_t before = o->side[side].room;
    int e =
        n > before
            ? budget_has(o->budget, BUDGET_MEMORY, 2 * n * sizeof(struct wl_object)) ? 0 : -EDQUOT
            : 0;
    if (e == 0)
        e = array_room(&o->side[side].at, &o->side[side].room, n, WL_OBJECTS_MAX);
    if (o->side[side].room > before)
        budget_take(o->budget, BUDGET_MEMORY,
                    (o->side[side].room - before) * sizeof(struct wl_object));
    return e;
}

int wl_objects_add(struct wl_objects *o, bool by_server, uint32_t id, const struct wl_iface *iface,
                   uint32_t version)
{
    int side;
    uint32_t i = index_of(id, &side), predecessors = 0;
    if (id == 0 || side != (int)by_server || i > o->side[side].n)
        return WL_OBJECTS_E_RANGE;
    if (i >= WL_OBJECTS_MAX)
        return WL_OBJECTS_E_FULL;
    if (i == o->side[side].n) {
        if (make_room(o, side, i + (size_t)1) < 0)
            return WL_OBJECTS_E_FULL;
        o->side[side].n++;
    } else if (o->side[side].at[i].iface) {
        struct wl_object *old = &o->side[side].at[i];
        if (!old->zombie || (!by_server && old->iface->n_events))
            return WL_OBJECTS_E_USED;
        predecessors = by_server ? 0 : old->predecessors + 1;
        drop_data(old);
    }
    o->side[side].at[i] =
        (struct wl_object){.iface = iface, .version = version, .predecessors = predecessors};
    return WL_OBJECTS_OK;
}

void wl_objects_retire(struct wl_objects *o, uint32_t id)
{
    struct wl_object *object = wl_objects_get(o, id);
    if (!object)
        return;
    object->zombie = true;
    if (!object->data || !object->data->lingers)
        drop_data(object);
}

bool wl_objects_delete(struct wl_objects *o, uint32_t id)
{
    struct wl_object *object = wl_objects_get(o, id);
    if (!object || id == 1)
        return true;
    if (object->predecessors) {
        object->predecessors--;
        return false;
    }
    drop_data(object);
    *object = (struct wl_object){0};
    return true;
}

bool wl_objects_keep(struct wl_objects *o, uint32_t id, const struct wl_iface *iface,
                     uint32_t version)
{
    struct wl_object *object = wl_objects_get(o, id);
    if (!object || !object->zombie || object->predecessors)
        return false;
    drop_data(object);
    *object = (struct wl_object){.iface = iface, .version = version, .zombie = true, .ours = true};
    return true;
}

const char *wl_objects_error_name(int error)
{
    static const char *const names[] = {"ok", "id out of range", "id already in use",
                                        "object limit: 262144 are there already"};
    static_assert(WL_OBJECTS_MAX == 262144, "as the text says");
    return error >= 0 && error < (int)(sizeof(names) / sizeof(*names)) ? names[error]
                                                                       : "unknown error";
}
