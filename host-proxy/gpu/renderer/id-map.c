/* SPDX-License-Identifier: MIT */
/* id-map: owns its entries until they are taken. The device numbers resources as the guest does, so
 * their last bits say little; they are mixed, and not against somebody who would choose them: who
 * does has this process to himself. */
#include "host-proxy/gpu/renderer/id-map.h"

#include <errno.h>
#include <stdlib.h>

static struct id_map_entry **id_map_place(struct id_map *map, uint32_t id)
{
    uint32_t h = id * 0x9e3779b1u;
    struct id_map_entry **at = &map->buckets[(h >> 16) % ID_MAP_BUCKETS];
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

void *id_map_find(const struct id_map *map, uint32_t id)
{
    return *id_map_place((struct id_map *)map, id);
}

void *id_map_add(struct id_map *map, uint32_t id, size_t size)
{
    struct id_map_entry **at = id_map_place(map, id);
    if (*at || map->n == map->max) {
        errno = *at ? EEXIST : E2BIG;
        return NULL;
    }
    struct id_map_entry *entry = calloc(1, size);
    if (!entry)
        return NULL;
    entry->id = id;
    *at = entry;
    map->n++;
    return entry;
}

void *id_map_take(struct id_map *map, uint32_t id)
{
    struct id_map_entry **at = id_map_place(map, id), *entry = *at;
    if (!entry)
        return NULL;
    *at = entry->next;
    map->n--;
    return entry;
}

void *id_map_take_any(struct id_map *map)
{
    for (unsigned i = 0; map->n > 0 && i < ID_MAP_BUCKETS; i++) {
        if (map->buckets[i])
            return id_map_take(map, map->buckets[i]->id);
    }
    return NULL;
}
