/* SPDX-License-Identifier: MIT */
#pragma once
/* bench_server: what its parts share. */
#include <stdbool.h>
#include <stdint.h>
#include <wayland-server.h>

extern struct wl_display *display;

/* Creates @id of @client (0: a server's id), or tells the client that there is no memory: NULL. */
struct wl_resource *resource_new(struct wl_client *client, const struct wl_interface *interface,
                                 int version, uint32_t id, const void *implementation, void *data,
                                 wl_resource_destroy_func_t destroy);
/* The request "destroy" or "release" of any interface. */
void resource_destroy(struct wl_client *client, struct wl_resource *resource);
/* For resources that are in a list. */
void resource_unlink(struct wl_resource *resource);

/* Surfaces and their role. */
extern bool no_upload; /* a commit copies nothing; the picture is read only to be checked */
extern const struct xdg_wm_base_interface wm_base_implementation;
void surface_create(struct wl_client *client, struct wl_resource *compositor, uint32_t id);
/* Ends the client of @region unless what its last surface shows hashes to @expected. */
void surface_check(struct wl_resource *region, int32_t expected);

/* The clipboard. */
extern const struct wl_data_device_manager_interface data_device_manager_implementation;
void clipboard_init(void);
/* Offers a selection of @bytes to the data devices of @client. */
void clipboard_offer(struct wl_client *client, int32_t bytes);
