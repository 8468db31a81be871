/* SPDX-License-Identifier: MIT */
/* activations-guest: makes the guest's programs believe that they trigger others: each record of
 * another node's is theirs alone, and armed anew after each cycle. Owns when to look whether a node
 * is done: at once where it signals somebody, and every millisecond for those that do not (1.2 and
 * later: what is not in the way of others). */
#include <errno.h>

#include "common/carrier/delta.h"
#include "common/carrier/ends.h"
#include "common/carrier/tree.h"
#include "common/carrier/vfd-event.h"
#include "common/carrier/vfd-mirror.h"
#include "common/carrier/vfds.h"
#include "common/services/activation-record.h"
#include "common/services/activations.h"

#define LOOK_MS 1
#define LOOK_ANYWAY_MS 20 /* at those that signal somebody */
#define LOOKS_MAX 50u     /* of one that was woken: the host waits for none so long */
#define SAID_FIRST_MS 1   /* after a message, in which time */
#define SAID_LAST_MS 512  /* a program becomes active, twice as long each time */

static const struct delta_ranges nothing = {0};

/* When it is done, so that nobody has to look. */
static bool signals_somebody(const struct activation_node *n)
{
    const uint8_t *record = activations_record(n->activations, n->record);
    return record && !LIST_EMPTY(&n->peers) && !activation_is_async(record);
}

static void look_again(struct activations *a)
{
    const struct activation_node *n;
    uint64_t ms = a->again_ms;
    LIST_FOREACH (n, &a->nodes, entry)
        if (n->awake && n->looks < LOOKS_MAX) {
            uint64_t wanted = signals_somebody(n) ? LOOK_ANYWAY_MS : LOOK_MS;
            ms = ms && ms < wanted ? ms : wanted;
        }
    if (ms)
        loop_timer_arm(a->timer, ms);
}

static void tell(const struct activation_node *n, enum link_cycle_state state)
{
    struct link_cycle cycle = {.node = n->name, .state = (uint16_t)state};
    link_queue(n->activations->vfds->ends->link, link_cycle_encode, &cycle);
}

/* What the node's program has made of its record. */
static void look(struct activation_node *n)
{
    uint8_t *record = activations_record(n->activations, n->record);
    uint32_t status = record ? activation_status(record) : ACTIVATION_INACTIVE;
    bool active = status != ACTIVATION_INACTIVE;
    if (record && activation_take_triggers(record)) {
        tell(n, LINK_CYCLE_TRIGGERED);
        link_flush(n->activations->vfds->ends->link);
    }
    if (n->awake && (status == ACTIVATION_FINISHED || !active)) {
        n->awake = false;
        n->done = active;
    }
    if (active == n->active)
        return;
    n->active = active;
    tell(n, active ? LINK_CYCLE_ACTIVE : LINK_CYCLE_INACTIVE);
}

void activations_go_on(struct activations *a)
{
    struct activation_node *n;
    bool any = false;
    LIST_FOREACH (n, &a->nodes, entry)
        any |= n->done;
    if (!any || a->vfds->ends->side == CARRIER_HOST || vfd_mirrors_sync(a->vfds, a) != 0)
        return;
    LIST_FOREACH (n, &a->nodes, entry) {
        if (n->done)
            tell(n, LINK_CYCLE_DONE);
        n->done = false;
    }
    link_flush(a->vfds->ends->link);
}

static void look_at_all(struct activations *a)
{
    struct activation_node *n;
    LIST_FOREACH (n, &a->nodes, entry)
        look(n);
    activations_go_on(a);
}

static void time_to_look(void *user)
{
    struct activations *a = user;
    struct activation_node *n;
    bool any = false;
    LIST_FOREACH (n, &a->nodes, entry) {
        any |= n->awake;
        n->looks += n->awake;
    }
    look_at_all(a);
    if (!any && a->again_ms) {
        a->again_ms = a->again_ms < SAID_LAST_MS ? 2 * a->again_ms : 0;
        if (vfd_mirrors_sync(a->vfds, a) == 0) /* what it has to say besides */
            link_flush(a->vfds->ends->link);
    }
    look_again(a);
}

void activations_said(struct activations *a)
{
    if (LIST_EMPTY(&a->nodes))
        return;
    a->again_ms = SAID_FIRST_MS;
    look_again(a);
}

/* When the cycle begins, by the guest's clock. */
static void set_times(const struct activations *a, const struct activation_node *n)
{
    const struct activation_peer *p;
    int64_t ahead = a->ahead ? a->ahead(a->user) : 0;
    LIST_FOREACH (p, &n->peers, entry) {
        uint8_t *record = activations_record(a, p->record);
        if (record)
            activation_set_times(record, activations_shadow(a, p->record), ahead);
    }
}

bool activations_signalled_guest(void *user, const struct known *event, bool here)
{
    struct activations *a = user;
    struct activation_node *n;
    struct activation_peer *p;
    bool ours = false;
    LIST_FOREACH (n, &a->nodes, entry) {
        if (!here && n->event == event->id) {
            uint8_t *record = activations_record(a, n->record);
            if (record)
                activation_wake(record);
            set_times(a, n);
            n->awake = true;
            n->looks = 0;
            look_again(a);
        }
        LIST_FOREACH (p, &n->peers, entry) {
            uint8_t *record =
                here && p->event == event->id ? activations_record(a, p->record) : NULL;
            if (record)
                activation_arm(record);
            ours |= record != NULL;
        }
    }
    if (ours)
        look_at_all(a);
    return ours;
}

/* What it was before; as a peer of others than @keep, it stays that. */
static void forget(struct activations *a, uint32_t record, uint32_t keep)
{
    struct activation_node *n, *after;
    struct activation_peer *p, *next;
    LIST_FOREACH_SAFE (n, &a->nodes, entry, after) {
        LIST_FOREACH_SAFE (p, &n->peers, entry, next)
            if (p->record == record && (!keep || keep == n->name))
                activations_remove_peer(n, p);
        if (n->record == record)
            activations_remove(n);
    }
}

static int take_node(struct activations *a, const struct link_mem_role_frame *role)
{
    struct activation_node *n = activations_find(a, role->node);
    if (!n && !(n = activations_add(a, role->node)))
        return -EPROTO;
    n->record = role->id;
    n->event = role->event;
    n->active = n->awake = n->done = false;
    return 0;
}

static int take_peer(struct activations *a, const struct link_mem_role_frame *role)
{
    struct activation_node *n = activations_find(a, role->node);
    struct activation_peer *p = n ? activations_add_peer(n) : NULL;
    if (!n)
        return ends_broken(a->vfds->ends, "MEM_ROLE: the peer of no node", role->id);
    if (!p)
        return -EPROTO;
    p->record = role->id;
    p->event = role->event;
    return 0;
}

int activations_role(struct activations *a, const uint8_t *payload, size_t size)
{
    struct link_mem_role_frame role;
    struct ends *ends = a->vfds->ends;
    const struct branch *b = a->vfds->branch;
    int e = link_mem_role_decode(payload, size, &role);
    if (e != LINK_OK)
        return ends_malformed(ends, LINK_MEM_ROLE, e);
    if (ends->side == CARRIER_HOST)
        return ends_broken(ends, "MEM_ROLE from the guest", role.id);
    struct known *k = tree_find(b->tree, b->ticket, role.id);
    if (!k)
        return vfds_was_made(a->vfds, role.id)
                   ? 0
                   : ends_broken(ends, "MEM_ROLE of an id that never was", role.id);
    if (k->kind != LINK_VFD_MIRROR)
        return ends_broken(ends, "MEM_ROLE of what is no mirror", role.id);
    if (role.event && !activations_record(a, role.id))
        return ends_broken(ends, "MEM_ROLE: a node's record is too small", role.id);
    if (!a->timer && !(a->timer = loop_timer_create(ends->loop, time_to_look, a)))
        return ends_failf(ends, LINK_ERROR_INTERNAL, "out of memory");
    a->used = true;
    forget(a, role.id, role.role == LINK_ROLE_PEER ? role.node : 0);
    switch (role.role) {
    case LINK_ROLE_SHARED:
        vfd_mirror_limit(k, NULL, NULL);
        return 0;
    case LINK_ROLE_NODE:
        vfd_mirror_limit(k, &activation_from_guest, NULL);
        activation_begin(activations_record(a, role.id));
        return take_node(a, &role);
    case LINK_ROLE_PEER:
        vfd_mirror_limit(k, &nothing, NULL);
        activation_arm(activations_record(a, role.id));
        return take_peer(a, &role);
    default:
        vfd_mirror_limit(k, &nothing, NULL);
        return 0;
    }
}
