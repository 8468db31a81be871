/* SPDX-License-Identifier: MIT */
#pragma once
/* pipewire-objects: what the numbers of one PipeWire connection stand for: a client's objects, by
 * the ids that it chooses, and the server's memory. */
#include <stdbool.h>
#include <stdint.h>

enum pipewire_kind {
    PIPEWIRE_NONE,
    PIPEWIRE_CORE,
    PIPEWIRE_CLIENT, /* itself */
    PIPEWIRE_REGISTRY,
    PIPEWIRE_NEW_NODE,    /* a node that it is, which the server has told nothing yet, */
    PIPEWIRE_CLIENT_NODE, /* and one that knows what it is woken by */
    PIPEWIRE_NODE,        /* the same as others see it */
    PIPEWIRE_OTHER,       /* somebody else's, to be looked at */
    PIPEWIRE_METADATA,    /* what session managers say; the same */
    PIPEWIRE_REFUSED,     /* the server will say that there is no such thing */
};

struct pipewire_memory {
    uint32_t id;  /* the server's */
    uint32_t vfd; /* what it was sent as */
};

struct pipewire_objects {
    uint8_t *kinds; /* enum pipewire_kind, by id */
    uint32_t kinds_n;
    struct pipewire_memory *memories;
    uint32_t memories_n, memories_room;
};

#define PIPEWIRE_OBJECTS_MAX 4096u /* ids are given anew: so many at a time */
#define PIPEWIRE_MEMORIES_MAX 4096u

/* The core and the client itself are there. 0 or -ENOMEM. */
int pipewire_objects_init(struct pipewire_objects *objects);
void pipewire_objects_finish(struct pipewire_objects *objects);
enum pipewire_kind pipewire_object(const struct pipewire_objects *objects, uint32_t id);
/* 0; -EEXIST, -ERANGE: it cannot have that id; -ENOMEM. */
int pipewire_object_add(struct pipewire_objects *objects, uint32_t id, enum pipewire_kind kind);
/* A NEW_NODE is one no more. */
void pipewire_object_begins(struct pipewire_objects *objects, uint32_t id);
void pipewire_object_remove(struct pipewire_objects *objects, uint32_t id);

/* 0, -ERANGE: there are too many, or -ENOMEM. What had that id is not called so any more. */
int pipewire_memory_add(struct pipewire_objects *objects, uint32_t id, uint32_t vfd);
void pipewire_memory_remove(struct pipewire_objects *objects, uint32_t id);
/* The VFD that it was sent as, or 0. */
uint32_t pipewire_memory(const struct pipewire_objects *objects, uint32_t id);
