/* SPDX-License-Identifier: MIT */
#pragma once
/* wl-objects: which interface each object id of one Wayland connection has, and what we keep with
 * it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wayland/wl-tables.h"

struct relay;
struct wl_message;

#define WL_OBJECTS_MAX (1u << 18) /* per side and connection */

/* Data that a proxy keeps with an object, embedded first in the owner's struct; told apart by
 * @type. */
struct wl_data {
    const struct wl_data_type {
        const char *name;
        void (*destroy)(struct wl_data *data); /* the object is gone; may be NULL */
        /* guest, for objects that are another at the host: what the host says to that one (without
         * its arguments). NULL: nothing that matters. */
        void (*event)(struct relay *relay, struct wl_data *data, const struct wl_message *message);
        /* The other one's id is free. True: the application is not to hear of it (yet). */
        bool (*freed)(struct relay *relay, struct wl_data *data);
    } * type;
    bool lingers; /* not gone before its id is free, which says that the compositor knows */
};

struct wl_object {
    const struct wl_iface *iface; /* NULL: no such object */
    uint32_t version;
    bool zombie; /* the client destroyed it (or its last event came): the id is not free yet */
    bool ours;   /* what the server says of it is for us, not for the client */
    uint32_t predecessors; /* that had this id, and whose delete_id is still to come */
    struct wl_data *data;
};

struct budget;

struct wl_objects {
    struct {
        struct wl_object *at;
        uint32_t n;
        size_t room;
    } side[2];             /* ids made by the client; by the server */
    struct budget *budget; /* pays for both (borrowed); NULL: nobody counts */
};

/* Starts with wl_display as object 1. 0 or -ENOMEM. */
int wl_objects_init(struct wl_objects *objects, struct budget *budget);
void wl_objects_finish(struct wl_objects *objects);

/* The object, zombies included, or NULL. Valid until the next wl_objects_add(). */
struct wl_object *wl_objects_get(struct wl_objects *objects, uint32_t id);

enum {
    WL_OBJECTS_OK,
    WL_OBJECTS_E_RANGE, /* the id is not this side's to make, or leaves a gap */
    WL_OBJECTS_E_USED,  /* the id is in use */
    WL_OBJECTS_E_FULL,  /* WL_OBJECTS_MAX, or out of memory, or of the budget */
};
/* A new object, made by the client or the server (@by_server). A server may reuse an id whose
 * object the client destroyed; so may a client, before the id is free, if the old one has no events
 * that could be taken for the new one's. */
int wl_objects_add(struct wl_objects *objects, bool by_server, uint32_t id,
                   const struct wl_iface *iface, uint32_t version);
/* A destructor was seen: the data goes, the entry stays until the id is free. */
void wl_objects_retire(struct wl_objects *objects, uint32_t id);
/* wl_display.delete_id: the id is free. Unknown ids are ignored. False: it was that of a
 * predecessor, and nobody is to hear of it. */
bool wl_objects_delete(struct wl_objects *objects, uint32_t id);
/* The server has freed the id, and we use it again, for an object of ours (whose @iface has
 * events): the client is not told, so for it the old object stays destroyed and the id taken.
 * False: it is not that of a destroyed object without predecessors. */
bool wl_objects_keep(struct wl_objects *objects, uint32_t id, const struct wl_iface *iface,
                     uint32_t version);
const char *wl_objects_error_name(int error);
