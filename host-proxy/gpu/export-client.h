/* SPDX-License-Identifier: MIT */
#pragma once
/* export-client: one connection of the export socket: its requests, and those that wait for the
 * guest. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct export_client;
struct export_source;
struct loop;
struct render_layout;
struct resource;

#define EXPORTS_QUEUE_MAX 8192u /* packets that wait for a client to read */
#define EXPORT_DEVICE_ID_SIZE 16

/* Takes @fd. @source and @device_id are borrowed. @ended: the connection is over, and the client is
 * to be destroyed now. NULL: errno. */
struct export_client *export_client_create(struct loop *loop, int fd, struct export_source *source,
                                           const uint8_t device_id[EXPORT_DEVICE_ID_SIZE],
                                           void (*ended)(void *user, struct export_client *client),
                                           void *user);
void export_client_destroy(struct export_client *client); /* accepts NULL; releases everything */

/* Answers the requests that need not wait any more. */
void export_client_check(struct export_client *client);
/* What device_ops say. */
void export_client_gone(struct export_client *client, const struct resource *resource);
void export_client_forget(struct export_client *client, const struct resource *resource);
void export_client_reset(struct export_client *client);
/* False: it is not one of this client's tickets. */
bool export_client_copied(struct export_client *client, uint64_t ticket, int result);
/* The same, and it has taken @fd. */
bool export_client_exported(struct export_client *client, uint64_t ticket, int fd,
                            const struct render_layout *layout);
