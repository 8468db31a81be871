/* SPDX-License-Identifier: MIT */
#pragma once
/* What the relay's parts share with each other: relay.c (life), relay-messages.c (both directions),
 * relay-vfd*.c (descriptors), relay-registry.c (globals), relay-shm.c (pools, buffers, screen
 * copies), relay-import.c (the guest's GPU). */
#include "common/wayland/relay.h"

/* relay.c */
void relay_settle_later(struct relay *relay);
void relay_local_resume(struct relay *relay);

/* relay-messages.c: every message at @bytes. Returns what is left over (an incomplete or waiting
 * message). */
size_t relay_from_local(struct relay *relay, const uint8_t *bytes, size_t size);
int relay_from_link(struct relay *relay, const uint8_t *bytes, size_t size);
/* Queues what was read from the local side so far as a WAYLAND frame. */
void relay_queue_runs(struct relay *relay);

/* relay-vfd-send.c. Local descriptors become VFDs of the link; verdicts as for messages. */
enum relay_verdict relay_vfd_send(struct relay *relay, struct wl_message *message,
                                  const struct wl_msg_info *info, const char *interface);

/* relay-vfd.c: the registry, and what the other side says of its VFDs. */
uint32_t relay_vfd_new_id(struct relay *relay);
/* False after relay_fail() if as many VFDs as allowed are open; @what wants one more. */
bool relay_vfd_room(struct relay *relay, const char *what);
void relay_memory_add(struct relay *relay, struct memory *memory,
                      uint32_t id); /* takes the reference */
/* The application's threads for files. NULL: out of memory. */
struct waiters *relay_vfd_waiters(struct relay *relay);
/* Takes @fd; see stream_create(). NULL: errno. */
struct stream *relay_vfd_add_stream(struct relay *relay, uint32_t id, int fd, bool out, bool ours);
/* Ends the connection because of a message's descriptor. */
enum relay_verdict relay_vfd_refuse(struct relay *relay, const struct wl_message *message,
                                    const char *interface, uint32_t code, const char *what);
/* The VFDs that the link brought for @message become descriptors of the local queue (@drop: are
 * closed). */
enum relay_verdict relay_vfd_take(struct relay *relay, struct wl_message *message,
                                  const char *interface, bool drop);
/* Those that no message will take any more, because the local side is gone: their streams find out.
 */
void relay_vfd_forget(struct relay *relay);
int relay_vfd_frame(struct relay *relay, enum link_type type, const uint8_t *payload, size_t size);
/* The three that link_ops calls with a relay. */
int relay_vfd_mem_write(void *relay, const struct link_mem_write *write,
                        struct memory **ret_memory);
int relay_vfd_stream_data(void *relay, uint32_t id, size_t size, struct link_sink **ret_sink);
void relay_vfd_drained(struct relay *relay);
void relay_vfd_finish(struct relay *relay);
/* VFDs that both sides know, for other frames about them. */
struct memory *relay_memory_find(const struct relay *relay, uint32_t id);
bool relay_vfd_was_made(const struct relay *relay, uint32_t id);
/* True if a screen copy into these bytes is under way, and the client's file can take it. */
bool relay_memory_captured(const struct memory *memory, uint64_t offset, uint64_t end);
/* Says so and ends the connection: -EPROTO. */
int relay_vfd_broken(struct relay *relay, const char *what, uint32_t id);
/* True if @bytes more of mirrored memory are within the VM's limit; ends the connection otherwise.
 */
bool relay_charge(struct relay *relay, uint64_t bytes);

/* relay-import.c */
int relay_import_frame(struct relay *relay, enum link_type type, const uint8_t *payload,
                       size_t size);

/* relay-registry.c */
enum relay_verdict relay_registry_global(struct relay *relay, struct wl_message *message);
enum relay_verdict relay_registry_remove(struct relay *relay, struct wl_message *message);
/* The interface and version that a bind gets, or NULL after relay_fail(). */
const struct relay_global *relay_registry_bind(struct relay *relay,
                                               const struct wl_message *message);

/* relay-shm.c: keeps pools, buffers and captures; the owner's hook comes after it. */
enum relay_verdict relay_shm_hook(struct relay *relay, struct wl_message *message);
enum relay_verdict relay_shm_create_pool(struct relay *relay, const struct wl_message *message,
                                         struct memory *memory);
/* guest: places of buffers that are gone. The compositor frees @id when it has read what was sent
 * so far; @sure: at once. */
void relay_shm_mark(struct relay *relay, uint32_t id, bool sure);
/* It did: the host may drop what was uncovered before. */
void relay_shm_reached(struct relay *relay, uint32_t id);
/* Drops those of @memory (NULL: all), without a word to the host. */
void relay_shm_forget(struct relay *relay, const struct memory *memory);
