/* SPDX-License-Identifier: MIT */
/* helper-pipewire: PipeWire's native protocol: its frames, and which half each message is for. Owns
 * who of a connection's objects is which, and what the server's memory was sent as. */
#include "common/services/helper-pipewire.h"

#include <stdlib.h>

#include "common/services/pipewire-client.h"
#include "common/services/pipewire-context.h"
#include "common/services/pipewire-server.h"
#include "common/services/settings.h"

static struct service_helper *pipewire_create(const struct service_settings *settings,
                                              const struct service_sink *sink,
                                              struct log_subject *subject)
{
    struct service_helper *h = calloc(1, sizeof(*h));
    if (h && pipewire_objects_init(&h->objects) < 0) {
        free(h);
        return NULL;
    }
    if (!h)
        return NULL;
    h->settings = settings;
    h->sink = sink;
    h->subject = subject;
    return h;
}

static void pipewire_destroy(struct service_helper *h)
{
    if (!h)
        return;
    pipewire_objects_finish(&h->objects);
    free(h);
}

static int pipewire_frame(struct service_helper *h, enum service_way way, const uint8_t *bytes,
                          size_t size, struct service_frame *ret)
{
    struct pipewire_head head;
    if (size < PIPEWIRE_HEAD)
        return 0;
    pipewire_head_read(bytes, &head);
    uint64_t whole = (uint64_t)PIPEWIRE_HEAD + head.size;
    if (way == SERVICE_FROM_CLIENT && head.fds)
        return helper_fail(h->sink, "pipewire: a client that passes descriptors");
    if (way == SERVICE_FROM_CLIENT && whole > SERVICE_LOOK_MAX)
        return helper_fail(h->sink, "pipewire: a message that is too long");
    if (head.fds > PIPEWIRE_FDS_MAX)
        return helper_fail(h->sink, "pipewire: a message with too many descriptors");
    h->whole[way] = whole;
    *ret =
        (struct service_frame){.size = whole,
                               .look = whole < SERVICE_LOOK_MAX ? (size_t)whole : SERVICE_LOOK_MAX,
                               .fds = head.fds};
    return 1;
}

static int pipewire_message(struct service_helper *h, enum service_way way, uint8_t *bytes,
                            size_t *size, size_t room)
{
    struct pipewire_head head;
    pipewire_head_read(bytes, &head);
    return way == SERVICE_FROM_CLIENT ? pipewire_client_message(h, &head, bytes, size, room)
                                      : pipewire_server_message(h, &head, bytes, size, room);
}

static void pipewire_descriptor(struct service_helper *h, enum service_way way, unsigned i,
                                struct service_descriptor *ret)
{
    (void)way;
    ret->signals = h->to_guest == (int64_t)i ? SERVICE_SIGNALS_TO_GUEST : SERVICE_SIGNALS_TO_HOST;
}

static void pipewire_sent(struct service_helper *h, enum service_way way, unsigned i, uint32_t vfd)
{
    if (way == SERVICE_FROM_SERVER)
        pipewire_server_sent(h, i, vfd);
}

static int pipewire_passing(struct service_helper *h, enum service_way way)
{
    return way == SERVICE_FROM_SERVER ? pipewire_server_passing(h) : 0;
}

const struct service_helper_ops helper_pipewire = {
    .name = "pipewire",
    .counts_fds = true,
    .needs_mirrors = true,
    .connect = pipewire_context_connect,
    .create = pipewire_create,
    .destroy = pipewire_destroy,
    .frame = pipewire_frame,
    .message = pipewire_message,
    .descriptor = pipewire_descriptor,
    .sent = pipewire_sent,
    .passing = pipewire_passing,
};
