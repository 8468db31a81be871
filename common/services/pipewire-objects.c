/* SPDX-License-Identifier: MIT */
/* pipewire-objects: owns both tables. */
#include "common/services/pipewire-objects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROWS_BY 64u

int pipewire_objects_init(struct pipewire_objects *o)
{
    int e;
    *o = (struct pipewire_objects){0};
    if ((e = pipewire_object_add(o, 0, PIPEWIRE_CORE)) < 0)
        return e;
    return pipewire_object_add(o, 1, PIPEWIRE_CLIENT);
}

void pipewire_objects_finish(struct pipewire_objects *o)
{
    free(o->kinds);
    free(o->memories);
    *o = (struct pipewire_objects){0};
}

enum pipewire_kind pipewire_object(const struct pipewire_objects *o, uint32_t id)
{
    return id < o->kinds_n ? (enum pipewire_kind)o->kinds[id] : PIPEWIRE_NONE;
}

int pipewire_object_add(struct pipewire_objects *o, uint32_t id, enum pipewire_kind kind)
{
    if (id >= PIPEWIRE_OBJECTS_MAX)
        return -ERANGE;
    if (id >= o->kinds_n) {
        uint32_t room = (id / GROWS_BY + 1) * GROWS_BY;
        uint8_t *grown = realloc(o->kinds, room);
        if (!grown)
            return -ENOMEM;
        memset(grown + o->kinds_n, PIPEWIRE_NONE, room - o->kinds_n);
        o->kinds = grown;
        o->kinds_n = room;
    }
    if (o->kinds[id] != PIPEWIRE_NONE)
        return -EEXIST;
    o->kinds[id] = (uint8_t)kind;
    return 0;
}

void pipewire_object_begins(struct pipewire_objects *o, uint32_t id)
{
    if (pipewire_object(o, id) == PIPEWIRE_NEW_NODE)
        o->kinds[id] = PIPEWIRE_CLIENT_NODE;
}

void pipewire_object_remove(struct pipewire_objects *o, uint32_t id)
{
    if (id < o->kinds_n)
        o->kinds[id] = PIPEWIRE_NONE;
}

static struct pipewire_memory *find(const struct pipewire_objects *o, uint32_t id)
{
    for (uint32_t i = 0; i < o->memories_n; i++)
        if (o->memories[i].id == id)
            return &o->memories[i];
    return NULL;
}

int pipewire_memory_add(struct pipewire_objects *o, uint32_t id, uint32_t vfd)
{
    struct pipewire_memory *m = find(o, id);
    if (m) {
        m->vfd = vfd;
        return 0;
    }
    if (o->memories_n >= PIPEWIRE_MEMORIES_MAX)
        return -ERANGE;
    if (o->memories_n == o->memories_room) {
        uint32_t room = o->memories_room + GROWS_BY;
        struct pipewire_memory *grown = realloc(o->memories, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        o->memories = grown;
        o->memories_room = room;
    }
    o->memories[o->memories_n++] = (struct pipewire_memory){id, vfd};
    return 0;
}

void pipewire_memory_remove(struct pipewire_objects *o, uint32_t id)
{
    struct pipewire_memory *m = find(o, id);
    if (m)
        *m = o->memories[--o->memories_n];
}

uint32_t pipewire_memory(const struct pipewire_objects *o, uint32_t id)
{
    const struct pipewire_memory *m = find(o, id);
    return m ? m->vfd : 0;
}
