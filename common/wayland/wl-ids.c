/* SPDX-License-Identifier: MIT */
/* Ids are handed out densely, so each pair moves those that are made later by one: the client's ids
 * at the host, where the pair has taken one of them, the server's at the application. A pair is
 * never forgotten, so that no id ever changes its counterpart; its two ids serve again when the
 * object is gone for both. */
#include "common/wayland/wl-ids.h"

#include <stdlib.h>

#include "common/base/list.h"

void wl_ids_finish(struct wl_ids *ids)
{
    free(ids->pairs);
    *ids = (struct wl_ids){0};
}

/* How many pairs were made before the object with that @id: for the side that made it up itself the
 * k-th pair is in its way, so for the other that is k more. */
static size_t earlier(const struct wl_ids *ids, uint32_t id, bool host, bool moved)
{
    size_t low = 0, high = ids->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct wl_id_pair *p = &ids->pairs[middle];
        uint32_t limit = (host ? p->host : p->application) - (moved ? 0 : (uint32_t)middle);
        if (limit <= id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool possible(uint32_t id, uint32_t first)
{
    return id - first < WL_OBJECTS_MAX;
}

uint32_t wl_ids_host(const struct wl_ids *ids, uint32_t id)
{
    if (id < WL_SERVER_ID_BASE)
        return possible(id, 1) ? id + (uint32_t)earlier(ids, id, true, false) : id;
    if (!possible(id, WL_SERVER_ID_BASE))
        return id;
    size_t n = earlier(ids, id, false, true);
    if (n && ids->pairs[n - 1].application == id)
        return ids->pairs[n - 1].host;
    return id - (uint32_t)n;
}

uint32_t wl_ids_application(const struct wl_ids *ids, uint32_t id)
{
    if (id >= WL_SERVER_ID_BASE)
        return possible(id, WL_SERVER_ID_BASE) ? id + (uint32_t)earlier(ids, id, false, false) : id;
    if (!possible(id, 1))
        return id;
    size_t n = earlier(ids, id, true, true);
    if (n && ids->pairs[n - 1].host == id)
        return ids->pairs[n - 1].application;
    return id - (uint32_t)n;
}

int wl_ids_add(struct wl_ids *ids, struct wl_objects *objects, const struct wl_iface *iface,
               uint32_t version, struct wl_id_pair *ret)
{
    for (size_t i = 0; i < ids->n; i++) {
        if (wl_objects_get(objects, ids->pairs[i].application))
            continue;
        *ret = ids->pairs[i];
        return wl_objects_add(objects, true, ret->application, iface, version) == WL_OBJECTS_OK
                   ? WL_IDS_OK
                   : WL_IDS_E_FULL;
    }
    if (objects->side[0].n + ids->n >= WL_OBJECTS_MAX)
        return WL_IDS_E_FULL;
    if (array_room(&ids->pairs, &ids->room, ids->n + 1, WL_IDS_MAX) < 0)
        return WL_IDS_E_FULL;
    struct wl_id_pair pair = {.application = WL_SERVER_ID_BASE + objects->side[1].n,
                              .host = 1 + objects->side[0].n + (uint32_t)ids->n};
    if (wl_objects_add(objects, true, pair.application, iface, version) != WL_OBJECTS_OK)
        return WL_IDS_E_FULL;
    ids->pairs[ids->n++] = pair;
    *ret = pair;
    return WL_IDS_OK;
}
