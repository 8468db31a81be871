/* SPDX-License-Identifier: MIT */
#pragma once
/* tunnel: the X server's connection to the compositor, with objects of ours among its own: each
 * message passes as it is, but for ids. Ids are the compositor's, unless they are called the X
 * server's. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wayland/wl-message.h"

struct loop;
struct tunnel;

/* An event for one of our objects; @fd (-1: none) is taken. */
typedef void tunnel_event(void *user, uint32_t id, const struct wl_message *message, int fd);

struct tunnel_ops {
    /* Before a message passes, with the X server's ids among its arguments; @id is its object.
     * False: it does not pass (one without descriptors). */
    bool (*request)(void *user, uint32_t id, const struct wl_message *message);
    /* The same of an event for the X server, with the compositor's ids. */
    bool (*event)(void *user, uint32_t id, const struct wl_message *message);
    /* All that was there has passed: what was asked of X may be sent. */
    void (*settled)(void *user);
    /* Nothing passes any more; @why is NULL where the X server has left. The tunnel stays. */
    void (*ended)(void *user, const char *why);
};

/* Takes both sockets, the X server's and the compositor's. NULL: errno. */
struct tunnel *tunnel_create(struct loop *loop, int server, int compositor,
                             const struct tunnel_ops *ops, void *user);
void tunnel_destroy(struct tunnel *tunnel); /* accepts NULL */

/* What the compositor calls an object of the X server's; 0: there is none, or it is destroyed. */
uint32_t tunnel_id(const struct tunnel *tunnel, uint32_t servers);
/* The other way; 0: it is ours, or none. */
uint32_t tunnel_servers_id(const struct tunnel *tunnel, uint32_t id);
uint32_t tunnel_version(const struct tunnel *tunnel, uint32_t id);
/* The size of a buffer, of the X server's id. False: no such buffer. */
bool tunnel_buffer_size(const struct tunnel *tunnel, uint32_t servers, int32_t *ret_width,
                        int32_t *ret_height);

/* An object of ours, for the next message that we send; 0: out of ids or memory. @event NULL: its
 * events do not matter. */
uint32_t tunnel_new(struct tunnel *tunnel, const struct wl_iface *iface, uint32_t version,
                    tunnel_event *event, void *user);
/* Who hears of an object that the compositor made, in an event for one of ours. */
void tunnel_adopt(struct tunnel *tunnel, uint32_t id, tunnel_event *event, void *user);
/* Its destructor was sent: it is not heard of any more. */
void tunnel_retire(struct tunnel *tunnel, uint32_t id);

/* A request of ours; arguments as of inject_build_plain(). */
void tunnel_send(struct tunnel *tunnel, uint32_t object, enum wl_named what, ...);
/* Takes @fd; it goes with the next request. */
void tunnel_send_fd(struct tunnel *tunnel, int fd);
/* An answer to the X server for a wl_callback that the compositor has not heard of. */
void tunnel_answer(struct tunnel *tunnel, uint32_t servers_callback);
/* The X server's attach, by its id of the buffer. */
void tunnel_attach(struct tunnel *tunnel, uint32_t surface, uint32_t servers_buffer, int32_t x,
                   int32_t y);
/* Sends what is queued; after requests outside of the tunnel's own calls. */
void tunnel_flush(struct tunnel *tunnel);

/* The interface, or NULL: this build does not know it. */
static inline const struct wl_iface *tunnel_iface(const char *name)
{
    return wl_iface_find(name, __builtin_strlen(name));
}

static inline bool tunnel_is(const struct wl_message *m, enum wl_named what)
{
    return m->info == wl_named[what].info;
}
