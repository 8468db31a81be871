/* SPDX-License-Identifier: MIT */
#pragma once
/* relays: relays for the tests of relays: the guest's, the host's or both, with raw ends where
 * there is none: an application, a compositor, the other proxy. */
#include "tests/support/wl_build.h"
#include "tests/unit/turn.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/base/fd.h"
#include "common/transport/link.h"
#include "common/base/memory.h"
#include "common/carrier/deliveries.h"
#include "common/carrier/vfd-memory.h"
#include "common/wayland/relay-life.h"
#include "common/wayland/wl-shm.h"

/* A raw end: what came, and a way to answer. */
struct wire {
    int fd;
    uint8_t in[4 << 20];
    size_t first, n;
    int fds[2048];
    size_t fds_first, fds_n;
    bool eof;
};

extern struct relays {
    struct loop *loop;
    struct relay *guest, *host;
    struct wire client, compositor, link; /* link: in place of the relay that is missing */
    struct carrier_party guest_party, host_party;
    struct deliveries deliveries; /* of both */
    struct log_subject guest_subject, host_subject;
    unsigned ended;
    int before;
    const char *hidden; /* an interface that the host's policy hides */
    uint32_t cap;       /* no version above it; 0: none */
} R;

/* --- raw ends --- */

/* Takes all that has come. */
void wire_receive(struct wire *w);

/* For turn_until(), with the wire: there is a whole message or the end; there is the end. */
bool wire_has_message(void *user);
bool wire_at_end(void *user);

/* The next message, with its arguments as @interface's table has them. It must be to @object, with
 * @opcode. */
struct wl_message wire_expect(struct wire *w, uint32_t object, const char *interface,
                              const char *name);

/* Not even after some turns. */
void wire_expect_nothing(struct wire *w);

/* The next descriptor that came, which is the caller's now. */
int wire_fd(struct wire *w);

/* Sends @n bytes and (takes) @fds with the first of them. */
void wire_send_fds(struct wire *w, const void *bytes, size_t n, const int *fds, size_t n_fds);

#define wire_send(wire, ...)                                                                       \
    do {                                                                                           \
        uint8_t message_[1024];                                                                    \
        wire_send_fds(wire, message_, wl_build(message_, __VA_ARGS__), NULL, 0);                   \
    } while (0)
#define wire_send_fd(wire, fd, ...)                                                                \
    do {                                                                                           \
        uint8_t message_[1024];                                                                    \
        wire_send_fds(wire, message_, wl_build(message_, __VA_ARGS__), &(int){fd}, 1);             \
    } while (0)

/* Opcodes that the tests send. */
enum {
    DISPLAY_SYNC = 0,
    DISPLAY_GET_REGISTRY = 1,
    DISPLAY_ERROR = 0,
    DISPLAY_DELETE_ID = 1,
    REGISTRY_BIND = 0,
    REGISTRY_GLOBAL = 0,
    REGISTRY_GLOBAL_REMOVE = 1,
    CALLBACK_DONE = 0,
    COMPOSITOR_CREATE_SURFACE = 0,
    SHM_CREATE_POOL = 0,
    POOL_CREATE_BUFFER = 0,
    POOL_DESTROY = 1,
    POOL_RESIZE = 2,
    BUFFER_DESTROY = 0,
    BUFFER_RELEASE = 0,
    SURFACE_DESTROY = 0,
    SURFACE_ATTACH = 1,
    SURFACE_DAMAGE = 2,
    SURFACE_COMMIT = 6,
    SEAT_GET_KEYBOARD = 1,
    KEYBOARD_KEYMAP = 0,
    KEYBOARD_REPEAT_INFO = 5,
    MANAGER_CREATE_SOURCE = 0,
    MANAGER_GET_DEVICE = 1,
    SOURCE_OFFER = 0,
    SOURCE_DESTROY = 1,
    SOURCE_SEND = 1,
    DEVICE_DATA_OFFER = 0,
    DEVICE_SELECTION = 5,
    OFFER_RECEIVE = 1,
    OFFER_DESTROY = 2,
    OFFER_OFFER = 0,
};

/* --- relays --- */

/* The ops of both relays; others may do the same. */
uint32_t relays_global(struct relay *r, const struct wl_iface *iface, uint32_t version);
void relays_ended(struct relay *r);

/* Other ops than those. */
void relays_use(struct relay *r, const struct relay_ops *ops);

/* The only memory of @r; NULL: it has none. */
struct memory *relays_memory(const struct relay *r);

/* Fills R. @guest, @host: which of the two there are. */
int relays_start(bool guest, bool host);
/* Closes @w with the descriptors that nobody took. */
void wire_finish(struct wire *w);

/* A teardown, which fails if a descriptor is left open. */
int relays_stop(void **state);

/* For turn_until(): both have ended. */
bool relays_over(void *user);
