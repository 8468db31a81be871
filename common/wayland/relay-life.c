/* SPDX-License-Identifier: MIT */
/* relay-life: joins a relay to its carrier: what either asks of the other, and in which order what
 * they have is let go of: objects first, since they refer to memories and may speak of them. */
#include "common/wayland/relay-life.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/fd.h"
#include "common/wayland/dispatch.h"
#include "common/wayland/shm-captures.h"
#include "common/wayland/uncovered.h"

static size_t relay_carrier_local(void *user, const uint8_t *bytes, size_t size)
{
    return relay_from_local(user, bytes, size);
}

static int relay_carrier_link(void *user, const uint8_t *payload, size_t size)
{
    struct relay *r = user;
    r->carrier.ends.got.own += size;
    return relay_from_link(r, payload, size);
}

static bool relay_writable(void *user, const struct memory *memory, uint64_t offset, uint64_t end)
{
    (void)user;
    return shm_captured(memory, offset, end);
}

/* wl_display.error */
static void relay_tell(void *user, const struct carrier_error *error)
{
    struct relay *r = user;
    uint8_t message[LINK_TEXT_MAX + 64];
    uint32_t object = error->object ? error->object : 1;
    if (error->by_peer)
        object = wl_ids_application(&r->ids, object);
    relay_inject_local(
        r, message,
        wl_message_display_error(message, sizeof(message), object, error->code, error->text));
}

static void relay_ended(void *user)
{
    struct relay *r = user;
    r->ops->ended(r);
}

static const struct carrier_ops carrier_ops = {
    .from_local = relay_carrier_local,
    .from_link = relay_carrier_link,
    .writable = relay_writable,
    .tell = relay_tell,
    .ended = relay_ended,
    .name = "wayland",
    .local = {[CARRIER_GUEST] = "client", [CARRIER_HOST] = "compositor"},
    .type = LINK_WAYLAND,
    .codes = {[LINK_ERROR_PROTOCOL] = WL_DISPLAY_IMPLEMENTATION,
              [LINK_ERROR_VERSION] = WL_DISPLAY_IMPLEMENTATION,
              [LINK_ERROR_REFUSED] = WL_DISPLAY_IMPLEMENTATION,
              [LINK_ERROR_LIMIT] = WL_DISPLAY_NO_MEMORY,
              [LINK_ERROR_WAYLAND] = WL_DISPLAY_IMPLEMENTATION,
              [LINK_ERROR_COMPOSITOR] = WL_DISPLAY_NO_MEMORY,
              [LINK_ERROR_INTERNAL] = WL_DISPLAY_NO_MEMORY},
    .truncated = {.kind = LINK_ERROR_WAYLAND,
                  .code = WL_SHM_INVALID_FD,
                  .text = "error accessing SHM buffer: its file has been truncated"},
};

struct relay *relay_create(struct loop *loop, enum carrier_side side, int local_fd,
                           struct link *link, const struct carrier_party *party,
                           const struct relay_ops *ops, void *user, struct pixels *pixels,
                           struct log_subject *subject)
{
    struct relay *r = calloc(1, sizeof(*r));
    if (!r || wl_objects_init(&r->objects, party->budget) < 0) {
        free(r);
        fd_close(local_fd);
        link_stop(link); /* we may be in one of its callbacks */
        link_destroy_later(link);
        errno = ENOMEM;
        return NULL;
    }
    r->ops = ops;
    r->user = user;
    r->pixels = pixels;
    int e = carrier_init(&r->carrier, loop, side, local_fd, link, party, &carrier_ops, r, subject);
    if (e < 0) {
        wl_objects_finish(&r->objects);
        free(r);
        errno = -e;
        return NULL;
    }
    r->carrier.gpu.ops = ops->gpu;
    r->carrier.gpu.user = r;
    return r;
}

void relay_start(struct relay *r)
{
    carrier_start(&r->carrier);
}

void relay_destroy(struct relay *r)
{
    if (!r)
        return;
    carrier_stop(&r->carrier);
    wl_objects_finish(&r->objects);
    wl_ids_finish(&r->ids);
    uncovered_finish(r);
    carrier_finish(&r->carrier);
    free(r->globals);
    free(r->runs);
    free(r);
}
