/* SPDX-License-Identifier: MIT */
#pragma once
/* id-map: what there is by numbers that somebody else gives. */
#include <stddef.h>
#include <stdint.h>

#define ID_MAP_BUCKETS 1024u

struct id_map_entry {
    struct id_map_entry *next;
    uint32_t id;
};

/* Entries are embedded in what they name, as the first member. Zero-initialise, but for @max. */
struct id_map {
    struct id_map_entry *buckets[ID_MAP_BUCKETS];
    uint32_t n, max;
};

/* NULL: there is none. */
void *id_map_find(const struct id_map *map, uint32_t id);
/* A new entry of @size bytes, zeros but for the id. NULL: errno EEXIST, E2BIG or ENOMEM. */
void *id_map_add(struct id_map *map, uint32_t id, size_t size);
/* Takes it out; it is the caller's, for free(). NULL: there is none. */
void *id_map_take(struct id_map *map, uint32_t id);
/* The same for any of them. */
void *id_map_take_any(struct id_map *map);
