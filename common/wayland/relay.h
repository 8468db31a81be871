/* SPDX-License-Identifier: MIT */
#pragma once
/* relay: one application's Wayland connection: a Unix socket here, a link there, the same in both
 * proxies. Checks every message, carries its descriptors as VFDs, and asks its owner about the
 * messages that need care. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/transport/link.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/wayland/wl-ids.h"
#include "common/wayland/wl-message.h"
#include "common/wayland/wl-objects.h"
#include "common/wayland/wl-shm.h"
#include "common/transport/local-socket.h"

struct memory;
struct relay;
struct relay_range;
struct stream;
struct vfd_file_job;
struct waiters;

enum relay_side { RELAY_GUEST, RELAY_HOST };

/* What becomes of a message. */
enum relay_verdict {
    RELAY_PASS,
    RELAY_DROP, /* its descriptors are closed */
    RELAY_WAIT, /* not yet: it comes again (messages of the local side only) */
    RELAY_END,  /* the connection has been ended with relay_fail() */
};

struct relay_ops {
    /* A message with a hook, checked, with its new ids and (POOL) memory in place, about to be
     * passed on. @message->bytes may be changed in place with wl_message_poke(). */
    enum relay_verdict (*hook)(struct relay *relay, struct wl_message *message, bool event);
    /* The version up to which a global is offered, at most @version; 0 hides it. NULL: as it is. */
    uint32_t (*global)(struct relay *relay, const struct wl_iface *iface, uint32_t version);
    /* host: @bytes more of memory are about to be used; false: over the quota. May be NULL. */
    bool (*charge)(struct relay *relay, uint64_t bytes);
    /* Each batch of requests from the local side, before it is flushed. May be NULL. */
    void (*batch)(struct relay *relay);
    /* guest: the host was told to drop these bytes. May be NULL. */
    void (*punched)(struct relay *relay, struct memory *memory, uint64_t offset, uint64_t length);
    /* guest: a message from the link, about to be looked at (without its arguments): true: it is
     * not for the application. May be NULL. */
    bool (*intercept)(struct relay *relay, const struct wl_message *message);
    /* guest: wl_shm_pool.create_buffer is about to pass, with @layout (NULL: one that the
     * compositor refuses) in @pool. Its memory, offset and shadow may be changed, and the message
     * with them. NULL: it stays as it is. */
    enum relay_verdict (*place)(struct relay *relay, struct wl_message *message,
                                struct shm_pool *pool, struct memory_buffer *layout);
    /* host: what the guest says of its GPU's resources, checked as far as that needs no GPU. 0, or
     * negative after relay_fail(). NULL: it may say nothing. */
    int (*import)(struct relay *relay, const struct link_import *import);
    int (*import_release)(struct relay *relay, uint32_t id);
    int (*copy)(struct relay *relay, struct memory *memory, const struct link_mem_copy *copy);
    /* host: memory that is an import (a new reference), or NULL after relay_fail(). */
    struct memory *(*import_memory)(struct relay *relay, const struct link_mem_import *import);
    /* host: the compositor wrote @rows into such memory. PASS: they are in the guest's resource;
     * WAIT: not yet; DROP: they cannot get there. NULL: as DROP. */
    enum relay_verdict (*copy_back)(struct relay *relay, struct memory *memory,
                                    const struct link_mem_write *rows);
    /* guest: rows of a screen copy are in the resource. 0, or negative after relay_fail(). */
    int (*copied_back)(struct relay *relay, struct memory *memory,
                       const struct link_mem_copy *copy);
    /* host: false: what such a frame is about waits for the GPU; link_resume(). NULL: nothing
     * waits. */
    bool (*may_go_on)(struct relay *relay, enum link_type type);
    /* guest: the host does not look into the resource any more. May be NULL. */
    void (*import_released)(struct relay *relay, uint32_t id);
    /* host: the compositor has a global that no client is offered, since its descriptors are not
     * carried (@message: wl_registry.global). May be NULL. */
    void (*hidden)(struct relay *relay, const struct wl_message *message,
                   const struct wl_iface *iface);
    /* host: the compositor frees @id; true: it is ours now (wl_objects_keep()). May be NULL. */
    bool (*keep_id)(struct relay *relay, uint32_t id);
    /* host: an event (without its arguments) of an object that is ours; DROP or END. */
    enum relay_verdict (*own_event)(struct relay *relay, const struct wl_message *message);
    /* Everything is over: destroy the relay, from here. Called from the loop, once. */
    void (*ended)(struct relay *relay);
};

struct relay_limits {
    uint32_t vfds;  /* memories and streams open at once */
    uint64_t queue; /* bytes waiting for a peer that must be kept drained */
};

struct relay_global {
    uint32_t name, version;
    const struct wl_iface *iface;
    bool removed;
};

/* A VFD that came over the link and waits for its message. */
struct relay_vfd {
    uint16_t kind;
    uint32_t id;
    struct memory *memory; /* MEMORY, FILE: a reference */
    int fd;                /* STREAM: the application's end */
};

struct relay {
    enum relay_side side;
    struct loop *loop;
    struct link *link;
    struct local_socket local;
    struct wl_objects objects; /* guest: by the ids that the application knows */
    struct wl_ids ids;         /* guest: what the host calls them */
    const struct relay_ops *ops;
    void *user;
    struct log_subject *subject;
    struct relay_limits limits;

    struct relay_global *globals;
    size_t globals_n, globals_room;

    uint32_t next_id, peer_next_id; /* of VFDs, without LINK_HOST_ID */
    struct memory
        *memories; /* list; guest: of client files, host: of mirrors that the guest may name */
    struct stream **streams;
    size_t streams_n, streams_room;
    unsigned memories_n;
    struct relay_vfd *arrived; /* ring of VFDs in order */
    size_t arrived_first, arrived_n, arrived_room;

    struct { /* runs of the batch that is being read from the local side */
        const uint8_t *at;
        size_t size;
    } * runs;
    size_t runs_n, runs_room, runs_size;

    struct relay_range *uncovered; /* guest: where released buffers were, the last one first;
                                      punched out when the compositor shows them no more */
    struct {                       /* a file that a thread reads before its message can go on */
        struct vfd_file_job *job;
        bool done;
        int error;
        uint8_t *bytes;
        size_t size;
    } file;

    struct waiters *waiters; /* threads for files that make their reader wait; NULL: none yet */

    struct loop_job settle_job, resume_job, ended_job;
    bool waiting;    /* a message of the local side waits for relay_wait_over() */
    bool crowded;    /* messages of the local side wait for the link to take what is queued */
    bool local_done; /* the local side is closed */
    bool sent_end, got_end;
    bool ending;              /* nothing is read any more; what is queued may still go out */
    bool finished;            /* ended() is on its way */
    struct loop_timer *timer; /* ending: how long to wait for the rest */
    uint32_t next_import;     /* the number that the next IMPORT has (guest: will have) */
    uint64_t counted_wayland, counted_memory,
        counted_streams;     /* bytes sent over the link, for the log */
    uint64_t counted_copies; /* bytes that MEM_COPY named instead of sending them */
    uint64_t counted_shared; /* host: of which these needed no copy either */
};

/* Takes @local_fd and @link. NULL: errno (both are closed). Reading starts with the next turn of
 * the loop. */
struct relay *relay_create(struct loop *loop, enum relay_side side, int local_fd, struct link *link,
                           const struct relay_limits *limits, const struct relay_ops *ops,
                           void *user, struct log_subject *subject);
/* Reads what came already, so that it goes out together with what is queued. */
void relay_start(struct relay *relay);
/* At once, without a word to either side. */
void relay_destroy(struct relay *relay);

/* Ends the connection: guest: the client gets wl_display.error; host: the guest gets an ERROR that
 * becomes one. @object 0 means the display. */
void relay_fail(struct relay *relay, enum link_error kind, uint32_t object, uint32_t wl_code,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Rows that the other side needs before the messages of this batch (@rows->id is filled in). @tag:
 * the wl_buffer to blame if they cannot be read. */
void relay_send_rows(struct relay *relay, struct memory *memory, struct link_mem_write rows,
                     uint32_t tag);
/* guest: the same rows, which are in the resource that @import names, at @source_offset,
 * @source_stride apart. */
void relay_copy_rows(struct relay *relay, struct memory *memory, struct link_mem_write rows,
                     uint32_t import, uint64_t source_offset, uint32_t source_stride);
/* guest: gives @resource a number, until relay_import_release() and then import_released(). */
uint32_t relay_import(struct relay *relay, uint32_t resource, uint64_t size);
void relay_import_release(struct relay *relay, uint32_t import);
/* host: so that the guest may reuse it. */
void relay_import_released(struct relay *relay, uint32_t import);
/* A hook that answers RELAY_WAIT says so first; then nothing is read from the local side until it
 * is over. */
void relay_wait(struct relay *relay);
void relay_wait_over(struct relay *relay); /* from the loop */
/* guest: a global of our own, told to @registry; the application may bind it. False: out of memory.
 */
bool relay_invent_global(struct relay *relay, uint32_t registry, const struct wl_iface *iface,
                         uint32_t version);
/* guest: memory of our own that the host mirrors, with one use of it, and a VFD for the next
 * message that takes one. NULL: errno. */
struct memory *relay_memory_make(struct relay *relay, uint64_t size);
int relay_memory_make_larger(struct relay *relay, struct memory *memory,
                             uint64_t size); /* 0 or -errno */
/* guest: memory, with one use of it, that the host finds in @import: @size bytes of @file from
 * @base on (NULL: bytes of our own). No VFD yet. NULL: errno. */
struct memory *relay_memory_import(struct relay *relay, uint32_t import, uint64_t size,
                                   struct memory *file, uint64_t base);
/* guest: a VFD for it, for the next message of our own that takes one. */
void relay_memory_hand_out(struct relay *relay, const struct memory *memory);
/* One pool or buffer less (more) on @memory; the last one tells the host. */
void relay_memory_use(struct memory *memory);
void relay_memory_unuse(struct relay *relay, struct memory *memory);
/* The descriptor that came with the message that the hook has. Owned; -1: there is none. */
int relay_take_fd(struct relay *relay);
/* guest: an object of our own: the application has to be told of its server id, the host's
 * compositor of its client id, before either hears of anything newer. False: there cannot be one
 * more. */
bool relay_make_object(struct relay *relay, const struct wl_iface *iface, uint32_t version,
                       struct wl_id_pair *ret);
/* guest: the host's id of an object that the application calls @id. */
uint32_t relay_host_id(const struct relay *relay, uint32_t id);
/* A message of our own, to the application or compositor here, or to the one at the other side,
 * with the ids that are known there. Whole Wayland message. */
void relay_inject_local(struct relay *relay, const void *message, size_t size);
void relay_inject_link(struct relay *relay, const void *message, size_t size);

/* The data that we keep with object @id, if it is of @kind; NULL otherwise. */
void *relay_data(struct relay *relay, uint32_t id, int kind);
/* Hands @data to the object (its destroy is called with the object). */
void relay_attach(struct relay *relay, uint32_t id, struct wl_data *data);

/* wl_display.error codes. */
enum {
    WL_DISPLAY_INVALID_OBJECT,
    WL_DISPLAY_INVALID_METHOD,
    WL_DISPLAY_NO_MEMORY,
    WL_DISPLAY_IMPLEMENTATION
};
#define WL_SHM_INVALID_FD 2
