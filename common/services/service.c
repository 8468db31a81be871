/* SPDX-License-Identifier: MIT */
/* service: joins the two directions of a connection to its carrier. Each may end by itself; when
 * both have, or the local side is gone, the carrier ends the connection. */
#include "common/services/service.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/fd.h"

static void end_if_done(struct service *s)
{
    if (s->in.ended && outflow_is_done(&s->out) && ends_has_local(&s->carrier.ends) &&
        !carrier_is_over(&s->carrier))
        carrier_end_local(&s->carrier);
}

static void service_readable(void *user)
{
    struct service *s = user;
    outflow_read(&s->out);
    end_if_done(s);
}

/* What a descriptor's content was waited for. */
static size_t service_from_local(void *user, const uint8_t *bytes, size_t size)
{
    struct service *s = user;
    (void)bytes;
    outflow_go_on(&s->out);
    end_if_done(s);
    return size;
}

static int service_from_link(void *user, const uint8_t *payload, size_t size)
{
    struct service *s = user;
    int r = inflow_data(&s->in, payload, size);
    if (r == 0 && s->activations.used && s->carrier.ends.side == CARRIER_GUEST)
        activations_said(&s->activations);
    return r;
}

static void allow_mirrors(struct service *s)
{
    const struct link_opened *allowed = &s->out.rules.allowed;
    s->mirrors.max = allowed->mirror;
    s->mirrors.max_all = allowed->mirrors;
    s->carrier.vfds.mirrors = allowed->memory == LINK_MEMORY_MIRROR ? &s->mirrors : NULL;
}

static int service_opened(struct service *s, const uint8_t *payload, size_t size)
{
    struct ends *e = &s->carrier.ends;
    int r = link_opened_decode(payload, size, &s->out.rules.allowed);
    if (r != LINK_OK)
        return ends_malformed(e, LINK_OPENED, r);
    if (e->side == CARRIER_HOST || s->out.opened)
        return ends_broken(e, "OPENED twice, or from the guest", 0);
    s->out.opened = true;
    s->sockets.depth = s->out.rules.allowed.depth;
    allow_mirrors(s);
    outflow_go_on(&s->out);
    carrier_flush_link(&s->carrier);
    return 0;
}

static int service_sharing(struct service *s, const uint8_t *payload, size_t size)
{
    struct ends *e = &s->carrier.ends;
    int r = link_sharing_decode(payload, size, &s->out.rules.shared);
    if (r != LINK_OK)
        return ends_malformed(e, LINK_SHARING, r);
    if (e->side == CARRIER_HOST || s->out.opened)
        return ends_broken(e, "SHARING after OPENED, or from the guest", 0);
    s->carrier.vfds.syncs = s->out.rules.shared.sync_files;
    return 0;
}

static int service_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    struct service *s = user;
    struct link_stream_credit credit;
    uint32_t id;
    int r = 0;
    if (type == LINK_OPENED)
        return service_opened(s, payload, size);
    switch (type) {
    case LINK_VFD_FORM:
        return descriptor_form(&s->carrier.vfds, payload, size);
    case LINK_VFD_REF:
        return descriptor_ref(&s->carrier.vfds, payload, size);
    case LINK_VFD_IDLE:
        return tree_idle(&s->branch, payload, size);
    case LINK_VFD_GONE:
        return tree_gone(&s->branch, payload, size);
    case LINK_MEM_DELTA:
        return vfd_mirror_delta(&s->carrier.vfds, payload, size);
    case LINK_EVENT:
        return vfd_event_frame(&s->carrier.vfds, payload, size);
    case LINK_SHARING:
        return service_sharing(s, payload, size);
    case LINK_IMPORTED:
        return vfd_shared_imported(&s->carrier.vfds, payload, size);
    case LINK_MEM_ROLE:
        return activations_role(&s->activations, payload, size);
    case LINK_CYCLE:
        return activations_cycle(&s->activations, payload, size);
    default:
        break;
    }
    if (type == LINK_STREAM_CREDIT &&
        link_stream_credit_decode(payload, size, &credit) == LINK_OK && credit.id == 0)
        r = ends_has_local(&s->carrier.ends) ? outflow_credit(&s->out, credit.bytes) : 0;
    else if (type == LINK_STREAM_END && link_id_decode(payload, size, &id) == LINK_OK && id == 0)
        r = ends_has_local(&s->carrier.ends) ? inflow_end(&s->in) : 0;
    else
        return -ENOTSUP;
    if (r == 0)
        end_if_done(s);
    return r;
}

/* A datagram socket is told by what it sends that nobody is there any more, and by nothing else. */
static bool is_left(const struct service *s)
{
    const struct ends *e = &s->carrier.ends;
    return s->spec.type == LINK_SOCKET_DGRAM && ends_has_local(e) && e->local.broken &&
           !carrier_is_over(&s->carrier);
}

static void service_flowed(void *user)
{
    struct service *s = user;
    if (is_left(s)) {
        carrier_end_local(&s->carrier);
        return;
    }
    inflow_flowed(&s->in);
    outflow_go_on(&s->out);
    vfd_events_resume(&s->carrier.vfds);
    activations_go_on(&s->activations);
    end_if_done(s);
}

/* Changes that others waited for are on their way. */
static void service_synced(void *user)
{
    struct service *s = user;
    outflow_go_on(&s->out);
    vfd_events_resume(&s->carrier.vfds);
    activations_go_on(&s->activations);
    end_if_done(s);
    carrier_flush_link(&s->carrier);
}

static void service_ended(void *user)
{
    struct service *s = user;
    s->ops->ended(s);
}

#define OPS(guest, host)                                                                           \
    {                                                                                              \
        .from_local = service_from_local, .from_link = service_from_link, .ended = service_ended,  \
        .readable = service_readable, .frame = service_frame, .flowed = service_flowed,            \
        .name = "service", .local = {[CARRIER_GUEST] = (guest), [CARRIER_HOST] = (host)},          \
        .type = LINK_DATA,                                                                         \
        .truncated = {.kind = LINK_ERROR_LIMIT, .text = "a file has been truncated"},              \
    }
static const struct carrier_ops carrier_ops[] = {
    [SERVICE_TO_HOST] = OPS("client", "service"),
    [SERVICE_TO_GUEST] = OPS("service", "client"),
};

static void service_fail(void *user, const char *text)
{
    struct service *s = user;
    ends_failf(&s->carrier.ends, LINK_ERROR_REFUSED, "service %s: %s", s->spec.settings->name,
               text);
}

static void service_said(void *user, enum service_way way)
{
    struct service *s = user;
    if (way == s->in.way)
        inflow_say(&s->in);
    else
        outflow_go_on(&s->out);
}

static int service_role(void *user, const struct service_role *said)
{
    struct service *s = user;
    struct activations *a = &s->activations;
    switch (said->what) {
    case SERVICE_ROLE_SHOWN:
        return activations_show(a, said->memory);
    case SERVICE_ROLE_SHARED:
        return activations_share(a, said->memory);
    case SERVICE_ROLE_NODE:
        return activations_node(a, said->node, said->memory, said->event);
    case SERVICE_ROLE_PEER:
        return activations_peer(a, said->node, said->peer, said->memory, said->event);
    case SERVICE_ROLE_PEER_GONE:
        return activations_peer_gone(a, said->node, said->peer);
    default:
        return activations_node_gone(a, said->node);
    }
}

static int64_t service_ahead(void *user)
{
    struct service *s = user;
    return s->ops->ahead ? s->ops->ahead(s) : 0;
}

static uint64_t service_ticket(void *user)
{
    struct service *s = user;
    return s->ops->ticket(s);
}

static int service_connect(void *user, uint64_t ticket, int fd, enum link_socket_type type)
{
    struct service *s = user;
    struct service_spec spec = {.settings = s->spec.settings,
                                .type = type,
                                .helper = s->out.rules.speaks,
                                .depth = s->sockets.depth - 1,
                                .shares = s->spec.shares,
                                .tree = tree_ref(s->branch.tree),
                                .ticket = ticket};
    s->out.rules.speaks = NULL;
    return s->ops->socket(s, ticket, fd, &spec);
}

struct service_spec service_spec_of(const struct service_settings *settings)
{
    return (struct service_spec){.settings = settings,
                                 .type = settings->type,
                                 .helper = settings->helper,
                                 .depth = settings->sockets ? settings->max_depth : 0};
}

void service_spec_finish(struct service_spec *spec)
{
    tree_socket_over(spec->tree, spec->ticket);
    tree_unref(spec->tree);
    spec->tree = NULL;
}

static void rules_of(const struct service_spec *spec, struct link_opened *ret)
{
    const struct service_settings *settings = spec->settings;
    *ret = (struct link_opened){
        .files = settings->files,
        .memory = (uint16_t)settings->memory,
        .eventfds = (uint16_t)settings->eventfds,
        .depth = (uint16_t)spec->depth,
        .mirror = settings->max_mirror,
        .mirrors = settings->max_mirrored,
    };
}

static void sharing_of(const struct service_spec *spec, struct link_sharing *ret)
{
    const struct service_settings *settings = spec->settings;
    *ret = (struct link_sharing){.dmabufs = (uint16_t)settings->dmabufs,
                                 .memory = settings->share,
                                 .sync_files = spec->shares && settings->sync_files};
}

/* host: whether memory may be. */
static bool shares_memory(const struct service *s)
{
    const struct link_sharing *shared = &s->out.rules.shared;
    return s->spec.shares && (shared->dmabufs || shared->memory);
}

/* host: whether the other side is to hear of any of it. */
static bool is_shared(const struct service *s)
{
    const struct link_sharing *shared = &s->out.rules.shared;
    return shares_memory(s) || shared->sync_files;
}

struct service *service_create(struct loop *loop, enum carrier_side side, int local_fd,
                               struct link *link, const struct carrier_party *party,
                               const struct service_spec *spec, const struct service_ops *ops,
                               void *user, struct log_subject *subject)
{
    const struct service_settings *settings = spec->settings;
    struct service *s = calloc(1, sizeof(*s));
    bool packets = spec->type != LINK_SOCKET_STREAM;
    bool host = side == CARRIER_HOST, to_host = settings->direction == SERVICE_TO_HOST;
    enum service_way way = host == to_host ? SERVICE_FROM_SERVER : SERVICE_FROM_CLIENT;
    struct tree *tree = spec->tree ? tree_ref(spec->tree) : tree_create();
    int e = s && tree ? messages_init(&s->messages, host ? spec->helper : NULL, settings, subject,
                                      service_fail, service_said, s)
                      : -ENOMEM;
    if (e < 0) {
        tree_unref(tree);
        free(s);
        fd_close(local_fd);
        link_stop(link); /* we may be in one of its callbacks */
        link_destroy_later(link);
        errno = -e;
        return NULL;
    }
    s->spec = *spec;
    s->sockets = (struct vfd_sockets){
        .ticket = service_ticket, .connect = service_connect, .user = s, .depth = spec->depth};
    s->ops = ops;
    s->user = user;
    outflow_init(&s->out, &s->carrier, &s->messages, way, packets);
    inflow_init(&s->in, &s->carrier, &s->messages,
                way == SERVICE_FROM_CLIENT ? SERVICE_FROM_SERVER : SERVICE_FROM_CLIENT, packets);
    descriptor_rules_init(&s->out.rules, settings->name);
    if (host) {
        rules_of(spec, &s->out.rules.allowed);
        sharing_of(spec, &s->out.rules.shared);
        s->out.opened = true;
    }
    e = carrier_init(&s->carrier, loop, side, local_fd, link, party,
                     &carrier_ops[settings->direction], s, subject);
    if (e < 0) {
        messages_finish(&s->messages);
        tree_unref(tree);
        free(s);
        errno = -e;
        return NULL;
    }
    branch_init(&s->branch, tree, spec->ticket, &s->carrier.vfds);
    tree_unref(tree); /* the branch has it */
    s->mirrors.job = (struct loop_job){.run = service_synced, .user = s};
    s->carrier.vfds.branch = &s->branch;
    s->carrier.vfds.events = &s->events;
    activations_init(&s->activations, &s->carrier.vfds);
    s->events.hook = host ? activations_signalled_host : activations_signalled_guest;
    s->events.user = &s->activations;
    s->messages.role = service_role;
    s->activations.ahead = service_ahead;
    s->activations.user = s;
    allow_mirrors(s);
    if (ops->sharing && (!host || shares_memory(s)))
        vfd_sharing_init(&s->sharing, &s->carrier.vfds, &s->carrier.gpu, ops->sharing, user);
    s->carrier.vfds.syncs = s->out.rules.shared.sync_files;
    s->carrier.ends.local.out.exact = true;
    s->carrier.vfds.sockets = &s->sockets;
    if (packets && local_socket_keep_packets(&s->carrier.ends.local,
                                             service_type_socket(spec->type), party->budget) < 0)
        ends_failf(&s->carrier.ends, LINK_ERROR_INTERNAL, "a socket cannot keep packets apart");
    return s;
}

void service_start(struct service *s)
{
    bool host = s->carrier.ends.side == CARRIER_HOST;
    if (host && is_shared(s))
        link_queue(s->carrier.ends.link, link_sharing_encode, &s->out.rules.shared);
    if (host)
        link_queue(s->carrier.ends.link, link_opened_encode, &s->out.rules.allowed);
    carrier_start(&s->carrier);
}

void service_destroy(struct service *s)
{
    if (!s)
        return;
    carrier_stop(&s->carrier);
    vfd_sharing_stop(&s->sharing);
    outflow_finish(&s->out);
    activations_finish(&s->activations);
    branch_finish(&s->branch);
    vfd_sharing_finish(&s->sharing);
    loop_later_cancel(s->carrier.ends.loop, &s->mirrors.job);
    s->carrier.vfds.branch = NULL;
    messages_finish(&s->messages);
    carrier_finish(&s->carrier);
    free(s);
}
