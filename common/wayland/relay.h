/* SPDX-License-Identifier: MIT */
#pragma once
/* relay: one application's Wayland connection: what its parts share. It stands on a carrier, checks
 * every message, and asks its owner about those that need care. relay-life.h makes one. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/carrier/carrier.h"
#include "common/wayland/wl-ids.h"
#include "common/wayland/wl-message.h"
#include "common/wayland/wl-objects.h"

struct own_global;
struct memory_buffer;
struct pixels;
struct relay;
struct relay_range;
struct shm_pool;

/* What becomes of a message. */
enum relay_verdict {
    RELAY_PASS,
    RELAY_DROP,          /* its descriptors are closed */
    RELAY_WAIT,          /* not yet: it comes again (messages of the local side only) */
    RELAY_END = -EPROTO, /* the connection has been ended with relay_fail() */
};

/* What one message needs beyond checking it: with its new ids and (pools) memory in place, about to
 * be passed on. @message->bytes may be changed in place with wl_message_poke(). */
typedef enum relay_verdict relay_hook(struct relay *relay, struct wl_message *message);

struct relay_ops {
    /* By enum wl_hook; NULL where there is nothing to do. Called after the relay's own. */
    relay_hook *const *hooks;
    /* guest: globals that are served here, up to NULL. May be NULL. */
    const struct own_global *const *own_globals;
    /* The version up to which a global is offered, at most @version; 0 hides it. NULL: as it is. */
    uint32_t (*global)(struct relay *relay, const struct wl_iface *iface, uint32_t version);
    /* host: the compositor has a global that no client is offered, since its descriptors are not
     * carried (@message: wl_registry.global). May be NULL. */
    void (*hidden)(struct relay *relay, const struct wl_message *message,
                   const struct wl_iface *iface);
    /* host: it has taken that one back, which it announced to @registry. May be NULL. */
    void (*hidden_gone)(struct relay *relay, uint32_t registry, uint32_t name);
    /* host: the compositor frees @id; true: it is ours now (wl_objects_keep()). May be NULL. */
    bool (*keep_id)(struct relay *relay, uint32_t id);
    /* host: an event (without its arguments) of an object that is ours; DROP or END. */
    enum relay_verdict (*own_event)(struct relay *relay, const struct wl_message *message);
    /* guest: each batch of requests, before it is flushed. May be NULL. */
    void (*batch)(struct relay *relay);
    /* guest: the host was told to drop these bytes. May be NULL. */
    void (*punched)(struct relay *relay, struct memory *memory, uint64_t offset, uint64_t length);
    /* A message that is known came, from where @event says, and something became of it. Called
     * while relay->traced only. */
    void (*traced)(struct relay *relay, const struct wl_message *message, bool event);
    /* Everything is over: destroy the relay, from here. Called from the loop, once. */
    void (*ended)(struct relay *relay);

    /* Pixels that are in the guest's GPU; NULL: there is nothing of the kind. */
    const struct gpu_memory_ops *gpu; /* with the relay's user */
    /* guest: wl_shm_pool.create_buffer is about to pass, with @layout (NULL: one that the
     * compositor refuses) in @pool. Its memory, offset and backing may be changed, and the message
     * with them. NULL: it stays as it is. */
    enum relay_verdict (*place)(struct relay *relay, struct wl_message *message,
                                struct shm_pool *pool, struct memory_buffer *layout);
    /* host: the compositor wrote @rows into memory of the GPU. PASS: they are in the guest's
     * resource; WAIT: not yet; DROP: they cannot get there. NULL: as DROP. */
    enum relay_verdict (*copy_back)(struct relay *relay, struct memory *memory,
                                    const struct link_mem_write *rows);
};

struct relay_global {
    uint32_t name, version;
    const struct wl_iface *iface;
    bool removed;
};

struct relay {
    struct carrier carrier;
    struct wl_objects objects; /* guest: by the ids that the application knows */
    struct wl_ids ids;         /* guest: what the host calls them */
    const struct relay_ops *ops;
    void *user;
    bool traced;           /* somebody looks on, see relay_ops */
    struct pixels *pixels; /* the owner's: what it keeps for this client's buffers; may be NULL */

    struct relay_global *globals;
    size_t globals_n, globals_room;
    LIST_HEAD(, wl_fixes) fixes; /* of the client, see removals.h */
    LIST_HEAD(, window) windows; /* the newest first, see windows.h */
    bool formats_hidden; /* the compositor's wl_shm has some that the client is not offered */

    struct { /* runs of the batch that is being read from the local side */
        const uint8_t *at;
        size_t size;
    } * runs;
    size_t runs_n, runs_room, runs_size;

    struct relay_range *uncovered; /* guest: where released buffers were, the last one first;
                                      punched out when the compositor shows them no more */
    unsigned uncovered_n;
};

static inline enum carrier_side relay_side(const struct relay *relay)
{
    return relay->carrier.ends.side;
}

/* Ends the connection: guest: the client gets wl_display.error; host: the guest gets an ERROR that
 * becomes one. @object 0 means the display. Returns RELAY_END. */
enum relay_verdict relay_fail(struct relay *relay, enum link_error kind, uint32_t object,
                              uint32_t wl_code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
enum relay_verdict relay_out_of_memory(struct relay *relay);

/* A hook that answers RELAY_WAIT says so first; then nothing is read from the local side until it
 * is over, from the loop. */
void relay_wait(struct relay *relay);
void relay_wait_over(struct relay *relay);

/* The data of @type that we keep with object @id, or NULL. */
void *relay_data(struct relay *relay, uint32_t id, const struct wl_data_type *type);
/* Hands @data to the object (its destroy is called with the object). */
void relay_attach(struct relay *relay, uint32_t id, struct wl_data *data);
/* The descriptor that came with the message that the hook has. Owned; -1: there is none. */
int relay_take_fd(struct relay *relay);

/* Queues what was read from the local side so far as a WAYLAND frame. */
void relay_queue_runs(struct relay *relay);
/* A message of our own, whole, to the application or compositor here, or to the one at the other
 * side, with the ids that are known there (inject.h makes them). */
void relay_inject_local(struct relay *relay, const void *message, size_t size);
void relay_inject_link(struct relay *relay, const void *message, size_t size);

/* wl_display.error codes. */
enum {
    WL_DISPLAY_INVALID_OBJECT,
    WL_DISPLAY_INVALID_METHOD,
    WL_DISPLAY_NO_MEMORY,
    WL_DISPLAY_IMPLEMENTATION
};
/* wl_shm.error codes. */
#define WL_SHM_INVALID_FORMAT 0
#define WL_SHM_INVALID_FD 2
