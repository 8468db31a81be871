/* SPDX-License-Identifier: MIT */
/* Owns our objects of both protocols, which differ by names only. What X has is offered with a type
 * that nobody else has, so that we know it again when the compositor offers it to us. */
#include "guest-proxy/x11/offers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "guest-proxy/x11/tunnel.h"

#define OFFERS_MAX 4 /* that we were told of and were not taken or dropped yet */

static const struct protocol {
    const char *manager, *device, *source;
    enum wl_named create_source, get_device, set_selection, data_offer, selection, source_offer,
        source_destroy, source_send, source_cancelled, offer_offer, receive, offer_destroy;
} protocols[OFFERS_KINDS] = {
    [OFFERS_CLIPBOARD] = {"wl_data_device_manager", "wl_data_device", "wl_data_source",
                          MSG_DATA_MANAGER_CREATE_SOURCE, MSG_DATA_MANAGER_GET_DEVICE,
                          MSG_DATA_DEVICE_SET_SELECTION, MSG_DATA_DEVICE_OFFER,
                          MSG_DATA_DEVICE_SELECTION, MSG_DATA_SOURCE_OFFER, MSG_DATA_SOURCE_DESTROY,
                          MSG_DATA_SOURCE_SEND, MSG_DATA_SOURCE_CANCELLED, MSG_DATA_OFFER_OFFER,
                          MSG_DATA_OFFER_RECEIVE, MSG_DATA_OFFER_DESTROY},
    [OFFERS_PRIMARY] = {"zwp_primary_selection_device_manager_v1",
                        "zwp_primary_selection_device_v1", "zwp_primary_selection_source_v1",
                        MSG_PRIMARY_MANAGER_CREATE_SOURCE, MSG_PRIMARY_MANAGER_GET_DEVICE,
                        MSG_PRIMARY_DEVICE_SET_SELECTION, MSG_PRIMARY_DEVICE_OFFER,
                        MSG_PRIMARY_DEVICE_SELECTION, MSG_PRIMARY_SOURCE_OFFER,
                        MSG_PRIMARY_SOURCE_DESTROY, MSG_PRIMARY_SOURCE_SEND,
                        MSG_PRIMARY_SOURCE_CANCELLED, MSG_PRIMARY_OFFER_OFFER,
                        MSG_PRIMARY_OFFER_RECEIVE, MSG_PRIMARY_OFFER_DESTROY},
};

struct offer {
    uint32_t id; /* 0: free */
    struct offer_types types;
};

struct channel {
    struct offers *offers;
    enum offers_kind kind;
    uint32_t manager, device, source;
    struct offer at[OFFERS_MAX];
    struct offer *selected;
};

struct offers {
    struct tunnel *tunnel;
    const struct offers_ops *ops;
    void *user;
    uint32_t seat;
    char mark[64]; /* the type by which our own offer is known */
    struct channel channels[OFFERS_KINDS];
};

void offer_types_add(struct offer_types *types, const char *type)
{
    if (types->n == OFFER_TYPES_MAX || strlen(type) >= OFFER_TYPE_MAX)
        return;
    for (unsigned i = 0; i < types->n; i++)
        if (strcmp(types->at[i], type) == 0)
            return;
    snprintf(types->at[types->n++], OFFER_TYPE_MAX, "%s", type);
}

static bool has_type(const struct offer_types *types, const char *type)
{
    for (unsigned i = 0; i < types->n; i++)
        if (strcmp(types->at[i], type) == 0)
            return true;
    return false;
}

static void offer_drop(struct channel *c, struct offer *offer)
{
    struct tunnel *t = c->offers->tunnel;
    if (c->selected == offer)
        c->selected = NULL;
    tunnel_send(t, offer->id, protocols[c->kind].offer_destroy);
    tunnel_retire(t, offer->id);
    offer->id = 0;
}

static struct offer *offer_find(struct channel *c, uint32_t id)
{
    for (int i = 0; i < OFFERS_MAX; i++)
        if (id && c->at[i].id == id)
            return &c->at[i];
    return NULL;
}

static void offer_event(void *user, uint32_t id, const struct wl_message *m, int fd)
{
    struct channel *c = user;
    struct offer *offer = offer_find(c, id);
    (void)fd;
    if (offer && tunnel_is(m, protocols[c->kind].offer_offer))
        offer_types_add(&offer->types, m->args[0].s.text);
}

/* Of those that were there before, the selection stays. */
static void offer_new(struct channel *c, uint32_t id)
{
    struct offer *free_one = NULL;
    for (int i = 0; i < OFFERS_MAX && !free_one; i++)
        if (!c->at[i].id)
            free_one = &c->at[i];
    for (int i = 0; i < OFFERS_MAX && !free_one; i++)
        if (&c->at[i] != c->selected) {
            free_one = &c->at[i];
            offer_drop(c, free_one);
        }
    free_one->id = id;
    free_one->types.n = 0;
    tunnel_adopt(c->offers->tunnel, id, offer_event, c);
}

static void device_event(void *user, uint32_t id, const struct wl_message *m, int fd)
{
    static const struct offer_types none;
    struct channel *c = user;
    struct offers *o = c->offers;
    (void)id, (void)fd;
    if (tunnel_is(m, protocols[c->kind].data_offer)) {
        offer_new(c, m->args[0].u);
    } else if (tunnel_is(m, protocols[c->kind].selection)) {
        struct offer *old = c->selected;
        c->selected = offer_find(c, m->args[0].u);
        for (int i = 0; i < OFFERS_MAX; i++)
            if (c->at[i].id && &c->at[i] != c->selected)
                offer_drop(c, &c->at[i]);
        bool own = c->selected && has_type(&c->selected->types, o->mark);
        if (!own && (c->selected || old || !c->source))
            o->ops->selected(o->user, c->kind, c->selected ? &c->selected->types : &none);
    }
}

static void source_event(void *user, uint32_t id, const struct wl_message *m, int fd)
{
    struct channel *c = user;
    struct offers *o = c->offers;
    if (tunnel_is(m, protocols[c->kind].source_send)) {
        o->ops->send(o->user, c->kind, m->args[0].s.text, fd);
    } else if (tunnel_is(m, protocols[c->kind].source_cancelled) && id == c->source) {
        offers_clear(o, c->kind);
    }
}

static void offers_begin(struct channel *c)
{
    struct offers *o = c->offers;
    if (!c->manager || c->device || !o->seat)
        return;
    c->device = tunnel_new(o->tunnel, tunnel_iface(protocols[c->kind].device),
                           tunnel_version(o->tunnel, c->manager), device_event, c);
    tunnel_send(o->tunnel, c->manager, protocols[c->kind].get_device, c->device, o->seat);
}

bool offers_global(struct offers *o, uint32_t registry, uint32_t name, const char *interface,
                   uint32_t version)
{
    (void)version;
    for (int kind = 0; kind < OFFERS_KINDS; kind++) {
        struct channel *c = &o->channels[kind];
        const struct wl_iface *iface = tunnel_iface(protocols[kind].manager);
        if (!iface || strcmp(interface, protocols[kind].manager) != 0)
            continue;
        if (!c->manager) {
            c->manager = tunnel_new(o->tunnel, iface, 1, NULL, NULL);
            tunnel_send(o->tunnel, registry, MSG_REGISTRY_BIND, name, interface, 1u, c->manager);
            offers_begin(c);
        }
        return true;
    }
    return false;
}

void offers_seat(struct offers *o, uint32_t seat)
{
    if (o->seat || !seat)
        return;
    o->seat = seat;
    for (int kind = 0; kind < OFFERS_KINDS; kind++)
        offers_begin(&o->channels[kind]);
}

void offers_set(struct offers *o, enum offers_kind kind, const struct offer_types *types,
                uint32_t serial)
{
    struct channel *c = &o->channels[kind];
    if (!c->device)
        return;
    uint32_t old = c->source;
    c->source = tunnel_new(o->tunnel, tunnel_iface(protocols[kind].source), 1, source_event, c);
    tunnel_send(o->tunnel, c->manager, protocols[kind].create_source, c->source);
    for (unsigned i = 0; i < types->n; i++)
        tunnel_send(o->tunnel, c->source, protocols[kind].source_offer, types->at[i]);
    tunnel_send(o->tunnel, c->source, protocols[kind].source_offer, o->mark);
    tunnel_send(o->tunnel, c->device, protocols[kind].set_selection, c->source, serial);
    if (old) {
        tunnel_send(o->tunnel, old, protocols[kind].source_destroy);
        tunnel_retire(o->tunnel, old);
    }
}

void offers_clear(struct offers *o, enum offers_kind kind)
{
    struct channel *c = &o->channels[kind];
    if (!c->source)
        return;
    tunnel_send(o->tunnel, c->source, protocols[kind].source_destroy);
    tunnel_retire(o->tunnel, c->source);
    c->source = 0;
}

int offers_receive(struct offers *o, enum offers_kind kind, const char *type)
{
    struct channel *c = &o->channels[kind];
    int ends[2];
    if (!c->selected || !has_type(&c->selected->types, type))
        return -ENOENT;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    tunnel_send_fd(o->tunnel, ends[1]);
    tunnel_send(o->tunnel, c->selected->id, protocols[kind].receive, type);
    return ends[0];
}

struct offers *offers_create(struct tunnel *tunnel, const struct offers_ops *ops, void *user)
{
    struct offers *o = calloc(1, sizeof(*o));
    uint32_t random[2] = {0};
    if (!o)
        return NULL;
    if (getrandom(random, sizeof(random), 0) < 0)
        random[0] = (uint32_t)getpid();
    o->tunnel = tunnel;
    o->ops = ops;
    o->user = user;
    snprintf(o->mark, sizeof(o->mark), "application/x-wayvsock-x11-%08x%08x", random[0], random[1]);
    for (int kind = 0; kind < OFFERS_KINDS; kind++) {
        o->channels[kind].offers = o;
        o->channels[kind].kind = (enum offers_kind)kind;
    }
    return o;
}

void offers_destroy(struct offers *o)
{
    free(o);
}
