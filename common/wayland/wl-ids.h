/* SPDX-License-Identifier: MIT */
#pragma once
/* wl-ids: the ids of one connection as the application knows them and as the host does: the same,
 * but for objects that the server makes for the one and the client for the other. */
#include <stddef.h>
#include <stdint.h>

#include "common/wayland/wl-objects.h"

#define WL_IDS_MAX 512 /* such objects; buffers, for which the host has a limit that is higher */

struct wl_ids {
    struct wl_id_pair {
        uint32_t application, host; /* of the object; a server's id, a client's */
    } * pairs;                      /* in the order of either */
    size_t n, room;
};

void wl_ids_finish(struct wl_ids *ids);

/* What the one calls @id for the other. Ids that no object can have stay as they are. */
uint32_t wl_ids_host(const struct wl_ids *ids, uint32_t id);
uint32_t wl_ids_application(const struct wl_ids *ids, uint32_t id);

enum {
    WL_IDS_OK,
    WL_IDS_E_FULL, /* WL_IDS_MAX or WL_OBJECTS_MAX, or out of memory */
};
/* A new object of ours for an application that has @objects, to which it is added: both sides have
 * to hear of it before any object that is made later. */
int wl_ids_add(struct wl_ids *ids, struct wl_objects *objects, const struct wl_iface *iface,
               uint32_t version, struct wl_id_pair *ret);
