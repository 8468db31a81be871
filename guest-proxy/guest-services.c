/* SPDX-License-Identifier: MIT */
/* guest-services: owns the listeners, and each connection from its accept to its end: it waits for
 * the host, dials it, and then is a service's. */
#include "guest-proxy/guest-services.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/budget.h"
#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/refused.h"
#include "common/control/control-app.h"
#include "common/services/presets.h"
#include "common/services/service.h"
#include "common/services/settings-text.h"
#include "common/transport/address.h"
#include "common/transport/inherited.h"
#include "common/transport/listener.h"
#include "guest-proxy/approach.h"
#include "guest-proxy/datagrams.h"
#include "guest-proxy/guest-runs.h"
#include "guest-proxy/guest-sharing.h"
#include "guest-proxy/peer-name.h"
#include "guest-proxy/times.h"
#include "guest-proxy/uplink.h"
#include "protocol/run.h"

#define CONNECTIONS_MAX 1024
#define QUEUE_MAX (16u << 20)

struct service_connection {
    struct services *owner;
    LIST_ENTRY(service_connection) entry;
    struct service_spec spec;
    struct link_open open; /* what it asks the host for */
    struct log_subject subject;
    char name[LINK_NAME_MAX + 64];
    int fd;                      /* until the service has it */
    struct datagrams *datagrams; /* whose packets it has; NULL: it is somebody's who connected */
    struct approach approach;
    struct carrier_party party;
    struct service *service;
};

/* NULL: it is none of those that people named. */
static struct guest_service *connection_of(const struct service_connection *c)
{
    struct services *owner = c->owner;
    for (unsigned i = 0; i < owner->n; i++)
        if (c->spec.settings == &owner->at[i].settings)
            return &owner->at[i];
    return NULL;
}

static void connection_destroy(struct service_connection *c)
{
    struct services *owner = c->owner;
    struct guest_service *of = connection_of(c);
    if (of && c->service)
        ends_flow_add(&of->over, &c->service->carrier.ends);
    LIST_REMOVE(c, entry);
    owner->connections--;
    service_destroy(c->service);
    service_spec_finish(&c->spec);
    approach_cancel(&c->approach);
    fd_close(c->fd);
    budget_unref(c->party.budget);
    datagrams_over(c->datagrams);
    free(c);
    if (owner->changed)
        owner->changed(owner->user);
}

static void connection_ended(struct service *service)
{
    connection_destroy(service->user);
}

static void connection_begin(struct services *owner, struct service_spec spec,
                             const struct link_open *open, int fd, struct datagrams *datagrams);

static uint64_t connection_ticket(struct service *service)
{
    struct service_connection *c = service->user;
    return ++c->owner->ticket;
}

static int64_t connection_ahead(struct service *service)
{
    const struct service_connection *c = service->user;
    const struct times *times = uplink_times(c->owner->approaches->uplink);
    return times->known ? times->offset[LINK_CLOCK_MONOTONIC] : 0;
}

/* The other side knows it by its ticket, or will in a moment. */
static int connection_socket(struct service *service, uint64_t ticket, int fd,
                             const struct service_spec *spec)
{
    struct service_connection *c = service->user;
    link_flush(service->carrier.ends.link); /* the VFD, before somebody comes for it */
    connection_begin(c->owner, *spec,
                     &(struct link_open){
                         .type = (uint16_t)spec->type, .how = LINK_OPEN_ATTACH, .ticket = ticket},
                     fd, NULL);
    return 0;
}

static void *connection_make(void *user, int fd, uint64_t size, bool file, uint32_t *ret_resource)
{
    const struct service_connection *c = user;
    return guest_sharing_make(uplink_gpu(c->owner->approaches->uplink), fd, size, file,
                              ret_resource);
}

static void connection_drop(void *user, void *resource)
{
    (void)user;
    guest_sharing_drop(resource);
}

static const struct vfd_sharing_ops sharing_ops = {.make = connection_make,
                                                   .drop = connection_drop};
static const struct service_ops service_ops = {.ended = connection_ended,
                                               .ticket = connection_ticket,
                                               .ahead = connection_ahead,
                                               .socket = connection_socket,
                                               .sharing = &sharing_ops};

static void connection_fail(struct service_connection *c, const char *reason)
{
    refused_warn(&c->subject, "host", "%s", reason);
    connection_destroy(c);
}

static void connection_arrived(void *user, struct link *link, const void *bytes, size_t n,
                               const char *error)
{
    struct service_connection *c = user;
    struct services *owner = c->owner;
    if (!link) {
        connection_fail(c, error);
        return;
    }
    if (!uplink_has_services(owner->approaches->uplink)) {
        link_destroy_later(link);
        if (!owner->told)
            log_warn(&owner->subject, "this host's wayvsock is older than services: none of them "
                                      "can be reached");
        owner->told = true;
        connection_destroy(c);
        return;
    }
    uplink_client_hello(owner->approaches->uplink, link, LINK_ROLE_SERVICE, c->name);
    link_queue(link, link_open_encode, &c->open);
    c->service = service_create(owner->loop, CARRIER_GUEST, fd_steal(&c->fd), link, &c->party,
                                &c->spec, &service_ops, c, &c->subject);
    if (!c->service) {
        connection_destroy(c);
        return;
    }
    service_start(c->service);
    if (n)
        link_feed(link, bytes, n);
}

/* Takes @spec and @fd. */
static void connection_begin(struct services *owner, struct service_spec spec,
                             const struct link_open *open, int fd, struct datagrams *datagrams)
{
    const struct service_settings *settings = spec.settings;
    struct service_connection *c = NULL;
    struct budget *budget = NULL;
    if (owner->connections >= CONNECTIONS_MAX)
        log_warn(&owner->subject, "refused a connection: %u are there", owner->connections);
    else
        c = calloc(1, sizeof(*c));
    if (c)
        budget = budget_create(owner->whole);
    if (!budget) {
        free(c);
        service_spec_finish(&spec);
        fd_close(fd);
        datagrams_over(datagrams);
        return;
    }
    char peer[32] = "whoever sends";
    if (!datagrams)
        peer_name_of(fd, peer, sizeof(peer));
    *c = (struct service_connection){
        .owner = owner, .spec = spec, .open = *open, .fd = fd, .datagrams = datagrams};
    c->party = (struct carrier_party){
        .deliveries = &owner->deliveries, .budget = budget, .queue = QUEUE_MAX};
    snprintf(c->name, sizeof(c->name), "%s %lu (%s)", settings->name, ++owner->serial, peer);
    c->subject = (struct log_subject){.name = c->name, .parent = &owner->subject};
    LIST_INSERT_HEAD(&owner->all, c, entry);
    owner->connections++;
    if (owner->changed)
        owner->changed(owner->user);
    approach_start(&c->approach, owner->approaches, connection_arrived, c);
}

static void forward_accepted(void *user, int fd)
{
    struct guest_service *g = user;
    struct service_spec spec = service_spec_of(&g->settings);
    struct link_open open = {.type = (uint16_t)spec.type,
                             .how = LINK_OPEN_CONNECT,
                             .name = g->settings.name,
                             .name_size = (uint16_t)strlen(g->settings.name)};
    connection_begin(g->owner, spec, &open, fd, g->datagrams);
}

int services_default_path(const struct service_settings *settings, char *path, size_t size,
                          char *error, size_t error_size)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (!runtime || *runtime != '/')
        return error_set(-ENOENT, error, error_size,
                         "XDG_RUNTIME_DIR is not set: say where the socket is to be, as in %s=PATH",
                         settings->name);
    if ((size_t)snprintf(path, size, "%s/wayvsock/%s", runtime, settings->name) >= size)
        return error_set(-ENAMETOOLONG, error, error_size,
                         "XDG_RUNTIME_DIR is too long for a socket's path");
    return 0;
}

/* The folder of sockets that nobody gave a place. */
static int make_folder(const char *path, char *error, size_t error_size)
{
    char folder[sizeof(((struct guest_service *)0)->path)];
    snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = 0;
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return error_set(-errno, error, error_size, "cannot make %s: %s", folder, strerror(errno));
    return 0;
}

static struct guest_service *services_find(struct services *owner, const char *name,
                                           enum service_direction direction)
{
    for (unsigned i = 0; i < owner->n; i++)
        if (strcmp(owner->at[i].settings.name, name) == 0 &&
            owner->at[i].settings.direction == direction)
            return &owner->at[i];
    return NULL;
}

/* The next of the list, for "NAME[:TYPE][=PATH]", which is not in it yet: owner->n counts it when
 * all is well. 0 or -errno with a message. */
static int services_new(struct services *owner, const char *text, enum service_direction direction,
                        struct guest_service **ret, char *error, size_t error_size)
{
    const char *path;
    if (owner->n == GUEST_SERVICES_MAX)
        return error_set(-E2BIG, error, error_size, "more than %d services", GUEST_SERVICES_MAX);
    struct guest_service *g = &owner->at[owner->n];
    *g = (struct guest_service){.owner = owner};
    int r = service_parse(text, &g->settings, &path, error, error_size);
    if (r < 0)
        return r;
    g->settings.direction = direction;
    if (direction == SERVICE_TO_GUEST && g->settings.type == LINK_SOCKET_DGRAM)
        return error_set(-EINVAL, error, error_size,
                         "%s: services of type dgram go to the host only", g->settings.name);
    if (services_find(owner, g->settings.name, direction))
        return error_set(-EEXIST, error, error_size, "%s is there twice", g->settings.name);
    if (path && (size_t)snprintf(g->path, sizeof(g->path), "%s", path) >= sizeof(g->path))
        return error_set(-ENAMETOOLONG, error, error_size, "%s is too long for a socket", path);
    *ret = g;
    return 0;
}

int services_serve(struct services *owner, const char *text, char *error, size_t error_size)
{
    struct guest_service *g;
    int r = services_new(owner, text, SERVICE_TO_GUEST, &g, error, error_size);
    if (r == 0)
        owner->n++;
    return r;
}

void services_incoming(struct services *owner, const struct link_incoming *incoming)
{
    char name[LINK_NAME_MAX + 1], error[256] = "there is no such service";
    snprintf(name, sizeof(name), "%.*s", (int)incoming->name_size, incoming->name);
    struct guest_service *g = services_find(owner, name, SERVICE_TO_GUEST);
    bool run = strcmp(name, RUN_SERVICE) == 0;
    int fd = -ENOENT;
    if (run && !g && owner->runs)
        fd = guest_runs_start(owner->runs, error, sizeof(error));
    else if (run && !g)
        snprintf(error, sizeof(error),
                 "the host may start no programs here: wayvsock-guest --allow-run would let it");
    else if (g && g->settings.type != incoming->type)
        snprintf(error, sizeof(error), "it is a %s service", service_type_name(g->settings.type));
    else if (g)
        fd = address_connect_type(g->path, service_type_socket(g->settings.type), error,
                                  sizeof(error));
    if (fd < 0 && g && run) {
        size_t n = strlen(error);
        snprintf(error + n, sizeof(error) - n,
                 "; wayvsock-run@USER.socket would let the host start programs");
    }
    if (fd < 0) {
        refused_warn(&owner->subject, "service", "the host's programs cannot reach %s: %s", name,
                     error);
        uplink_reject(owner->approaches->uplink, incoming->ticket, error);
        return;
    }
    struct service_spec spec = service_spec_of(g ? &g->settings : &owner->run);
    struct link_open open = {
        .type = incoming->type, .how = LINK_OPEN_ACCEPT, .ticket = incoming->ticket};
    connection_begin(owner, spec, &open, fd, NULL);
}

/* Makes the socket, where --forward or nobody says. Owned, or -errno with a message. */
static int service_listen(struct guest_service *g, char *error, size_t error_size)
{
    if (!*g->path) {
        int r = services_default_path(&g->settings, g->path, sizeof(g->path), error, error_size);
        if (r == 0)
            r = make_folder(g->path, error, error_size);
        if (r < 0)
            return r;
    }
    g->ours = true;
    return address_listen_path(g->path, service_type_socket(g->settings.type), 0600, error,
                               error_size);
}

/* The service manager has made it, and says where. The same. */
static int service_take(struct guest_service *g, int *socket, char *error, size_t error_size)
{
    if (inherited_path(*socket, service_type_socket(g->settings.type), g->path, sizeof(g->path)) <
        0)
        return error_set(-EINVAL, error, error_size,
                         "the socket handed over for %s is no Unix socket of type %s to listen on",
                         g->settings.name, service_type_name(g->settings.type));
    return fd_steal(socket);
}

int services_forward(struct services *owner, const char *text, struct inherited *inherited,
                     char *error, size_t error_size)
{
    struct guest_service *g;
    int r = services_new(owner, text, SERVICE_TO_HOST, &g, error, error_size);
    if (r < 0)
        return r;
    int *socket = inherited_find(inherited, g->settings.name);
    int fd =
        socket ? service_take(g, socket, error, error_size) : service_listen(g, error, error_size);
    if (fd < 0)
        return fd;
    if (g->settings.type == LINK_SOCKET_DGRAM)
        g->datagrams = datagrams_create(owner->loop, fd, forward_accepted, g);
    else
        g->listener = listener_create(owner->loop, fd, &owner->subject, forward_accepted, g);
    if (!g->listener && !g->datagrams)
        return error_set(-ENOMEM, error, error_size, "out of memory");
    owner->n++;
    log_info(NULL, "serving %s, the host's %s", g->path, g->settings.name);
    return 0;
}

void services_export(const struct services *owner)
{
    for (unsigned i = 0; i < owner->n; i++) {
        const struct guest_service *g = &owner->at[i];
        const struct preset *preset = preset_find(g->settings.name);
        char value[160];
        if (!preset || !preset->variable || g->settings.direction != SERVICE_TO_HOST)
            continue;
        snprintf(value, sizeof(value), "%s%s", preset->prefix, g->path);
        setenv(preset->variable, value, 1);
    }
}

static void delivered(void *user)
{
    struct services *owner = user;
    if (owner->changed)
        owner->changed(owner->user);
}

void services_init(struct services *owner, struct loop *loop, struct approaches *approaches,
                   struct budget *whole, void (*changed)(void *user), void *user)
{
    *owner = (struct services){.loop = loop,
                               .approaches = approaches,
                               .whole = budget_ref(whole),
                               .subject = {.name = "services"},
                               .changed = changed,
                               .user = user};
    service_settings_init(&owner->run, RUN_SERVICE);
    owner->run.direction = SERVICE_TO_GUEST;
    deliveries_init(&owner->deliveries, delivered, owner);
}

json_t *services_describe(const struct services *owner)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < owner->n; i++) {
        const struct guest_service *g = &owner->at[i];
        const struct service_connection *c;
        struct ends_flow flow = g->over;
        int n = 0;
        LIST_FOREACH (c, &owner->all, entry) {
            if (connection_of(c) != g)
                continue;
            n++;
            if (c->service)
                ends_flow_add(&flow, &c->service->carrier.ends);
        }
        json_array_append_new(
            list, json_pack("{so ss so si so}", "name", json_words(g->settings.name), "direction",
                            g->settings.direction == SERVICE_TO_GUEST ? "to-guest" : "to-host",
                            "path", json_words(g->path), "connections", n, "bytes",
                            app_flow(&flow, CARRIER_GUEST)));
    }
    return list;
}

bool services_are_done(const struct services *owner)
{
    return !owner->connections && deliveries_are_done(&owner->deliveries);
}

void services_disconnect(struct services *owner, const char *reason)
{
    struct service_connection *c, *after;
    owner->told = false; /* the next host may be another */
    LIST_FOREACH_SAFE (c, &owner->all, entry, after) {
        if (c->service)
            ends_failf(&c->service->carrier.ends, LINK_ERROR_INTERNAL,
                       "the connection to the host was lost: %s", reason);
        else if (!approach_waits(&c->approach))
            connection_fail(c, reason);
    }
}

void services_finish(struct services *owner)
{
    if (!owner->loop)
        return;
    owner->changed = NULL;
    while (!LIST_EMPTY(&owner->all))
        connection_destroy(LIST_FIRST(&owner->all));
    for (unsigned i = 0; i < owner->n; i++) {
        listener_destroy(owner->at[i].listener);
        datagrams_destroy(owner->at[i].datagrams);
    }
    deliveries_finish(&owner->deliveries);
    budget_unref(owner->whole);
}
