/* SPDX-License-Identifier: MIT */
/* activations-host: does with the real records what a node would do that is on the host: counts
 * down for those that wait for it, and signals them. Owns when that is done without the guest: a
 * node that has not answered after three quarters of its time costs itself the cycle, and nobody
 * else. One that was late twice is not waited for until it answers again. */
#include <errno.h>
#include <limits.h>

#include "common/carrier/delta.h"
#include "common/carrier/ends.h"
#include "common/carrier/tree.h"
#include "common/carrier/vfd-event.h"
#include "common/carrier/vfd-mirror.h"
#include "common/carrier/vfds.h"
#include "common/services/activation-record.h"
#include "common/services/activations.h"

#define DEADLINE_FIRST_MS 20 /* while nobody knows how long a cycle is */
#define DEADLINE_MAX_MS 500
#define INTERVAL_MAX_MS 2000 /* longer ones are pauses */
#define LATE_MAX 2u

static const struct delta_ranges nothing = {0};

static struct known *find(const struct activations *a, uint32_t id, uint16_t kind)
{
    const struct branch *b = a->vfds->branch;
    struct known *k = tree_find(b->tree, b->ticket, id);
    return k && k->ours && k->kind == kind ? k : NULL;
}

/* Says so to the guest, and limits what comes from there. */
static int tell(struct activations *a, const struct link_mem_role_frame *role)
{
    struct known *k = find(a, role->id, LINK_VFD_MIRROR);
    if (!k)
        return ends_failf(a->vfds->ends, LINK_ERROR_REFUSED,
                          "the server speaks of memory that is not there any more, or no memory");
    a->used = true;
    switch (role->role) {
    case LINK_ROLE_SHARED:
        vfd_mirror_limit(k, NULL, NULL);
        break;
    case LINK_ROLE_NODE:
        vfd_mirror_limit(k, &activation_of_node, &activation_from_guest);
        break;
    case LINK_ROLE_PEER:
        vfd_mirror_limit(k, &activation_of_peer, &nothing);
        break;
    default:
        vfd_mirror_limit(k, NULL, &nothing);
    }
    link_queue(a->vfds->ends->link, link_mem_role_encode, role);
    return 0;
}

int activations_show(struct activations *a, uint32_t id)
{
    return tell(a, &(struct link_mem_role_frame){.id = id, .role = LINK_ROLE_SHOWN});
}

static bool is_record(const struct activations *a, uint32_t id)
{
    const struct activation_node *n;
    const struct activation_peer *p;
    LIST_FOREACH (n, &a->nodes, entry) {
        if (n->record == id)
            return true;
        LIST_FOREACH (p, &n->peers, entry)
            if (p->record == id)
                return true;
    }
    return false;
}

int activations_share(struct activations *a, uint32_t id)
{
    if (is_record(a, id))
        return 0; /* what may be written there is said already */
    return tell(a, &(struct link_mem_role_frame){.id = id, .role = LINK_ROLE_SHARED});
}

static int check_record(const struct activations *a, uint32_t record, uint32_t event)
{
    if (!activations_record(a, record))
        return ends_failf(a->vfds->ends, LINK_ERROR_REFUSED,
                          "a node's record is too small, or not sealed against becoming smaller");
    if (!find(a, event, LINK_VFD_EVENT))
        return ends_failf(a->vfds->ends, LINK_ERROR_REFUSED, "a node's eventfd is none");
    return 0;
}

/* --- a cycle --- */

static void node_finish(struct activation_node *n)
{
    const struct activations *a = n->activations;
    const struct activation_peer *p;
    uint8_t *record = activations_record(a, n->record), *peers;
    uint64_t now = activations_now();
    n->awake = false;
    loop_timer_call_off(n->deadline);
    if (!record || !activation_finish(record, now) || activation_is_async(record))
        return;
    LIST_FOREACH (p, &n->peers, entry) {
        const struct known *event = find(a, p->event, LINK_VFD_EVENT);
        if (event && (peers = activations_record(a, p->record)) && activation_trigger(peers, now))
            vfd_event_signal(event);
    }
}

static void node_is_late(void *user)
{
    struct activation_node *n = user;
    if (n->late < UINT_MAX)
        n->late++;
    node_finish(n);
}

/* Three quarters of the time from one cycle to the next. */
static uint64_t patience(const struct activation_node *n)
{
    if (n->late >= LATE_MAX)
        return 0;
    if (!n->interval_ms)
        return DEADLINE_FIRST_MS;
    uint64_t most = ((uint64_t)n->interval_ms * 3 + 3) / 4;
    return most > DEADLINE_MAX_MS ? DEADLINE_MAX_MS : most;
}

static void node_woken(struct activation_node *n)
{
    uint8_t *record = activations_record(n->activations, n->record);
    int64_t now = loop_now_ms(), interval = now - n->woken_ms;
    if (n->woken_ms && interval < INTERVAL_MAX_MS)
        n->interval_ms = interval ? interval : 1;
    n->woken_ms = now;
    n->awake = true;
    if (record)
        activation_set_awake(record, activations_now());
    loop_timer_arm(n->deadline, patience(n));
}

bool activations_signalled_host(void *user, const struct known *event, bool here)
{
    struct activations *a = user;
    struct activation_node *n;
    if (!here)
        return a->used; /* the guest's programs signal nobody: it is done for them */
    LIST_FOREACH (n, &a->nodes, entry)
        if (n->event == event->id)
            node_woken(n);
    return false;
}

/* By its program, as by any other that it waits for; what nodes of the same program do is said with
 * their own cycles. */
static void node_triggered(struct activation_node *n, uint8_t *record)
{
    const struct activations *a = n->activations;
    const struct activation_node *other;
    const struct activation_peer *p;
    const struct known *event = find(a, n->event, LINK_VFD_EVENT);
    LIST_FOREACH (other, &a->nodes, entry)
        LIST_FOREACH (p, &other->peers, entry)
            if (p->record == n->record)
                return;
    if (event && activation_trigger(record, activations_now()))
        vfd_event_signal(event);
}

int activations_cycle(struct activations *a, const uint8_t *payload, size_t size)
{
    struct link_cycle said;
    int e = link_cycle_decode(payload, size, &said);
    if (e != LINK_OK)
        return ends_malformed(a->vfds->ends, LINK_CYCLE, e);
    if (a->vfds->ends->side == CARRIER_GUEST)
        return ends_broken(a->vfds->ends, "CYCLE from the host", said.node);
    struct activation_node *n = activations_find(a, said.node);
    uint8_t *record = n ? activations_record(a, n->record) : NULL;
    if (!record)
        return 0; /* it has gone meanwhile */
    if (said.state == LINK_CYCLE_TRIGGERED) {
        node_triggered(n, record);
        return 0;
    }
    if (said.state == LINK_CYCLE_DONE) {
        n->late = 0;
        if (n->awake)
            node_finish(n);
        return 0;
    }
    if (said.state == LINK_CYCLE_INACTIVE && n->awake)
        node_finish(n);
    activation_set_active(record, said.state == LINK_CYCLE_ACTIVE);
    return 0;
}

/* --- who there is --- */

int activations_node(struct activations *a, uint32_t name, uint32_t record, uint32_t event)
{
    int e = check_record(a, record, event);
    struct activation_node *n = activations_find(a, name);
    if (e < 0)
        return e;
    if (n && n->record != record && (e = activations_show(a, n->record)) < 0)
        return e;
    if (!n && !(n = activations_add(a, name)))
        return -EPROTO;
    if (!n->deadline && !(n->deadline = loop_timer_create(a->vfds->ends->loop, node_is_late, n)))
        return ends_failf(a->vfds->ends, LINK_ERROR_INTERNAL, "out of memory");
    n->record = record;
    n->event = event;
    return tell(a, &(struct link_mem_role_frame){
                       .id = record, .event = event, .node = name, .role = LINK_ROLE_NODE});
}

/* How many of ours it waits for, or is one of. */
static unsigned uses(const struct activations *a, uint32_t record)
{
    const struct activation_node *n;
    const struct activation_peer *p;
    unsigned count = 0;
    LIST_FOREACH (n, &a->nodes, entry) {
        count += n->record == record;
        LIST_FOREACH (p, &n->peers, entry)
            count += p->record == record;
    }
    return count;
}

int activations_peer(struct activations *a, uint32_t name, uint32_t peer, uint32_t record,
                     uint32_t event)
{
    struct activation_node *n = activations_find(a, name), *own;
    struct activation_peer *p;
    int e = check_record(a, record, event);
    if (e < 0)
        return e;
    if (!n)
        return ends_failf(a->vfds->ends, LINK_ERROR_REFUSED,
                          "the server tells a node's peers before the node");
    if (n->record == record)
        return 0; /* itself */
    if (!(p = activations_add_peer(n)))
        return -EPROTO;
    *p =
        (struct activation_peer){.name = peer, .record = record, .event = event, .entry = p->entry};
    LIST_FOREACH (own, &a->nodes, entry)
        if (own->record == record)
            return 0; /* the same program's: woken by the host alone */
    return tell(a, &(struct link_mem_role_frame){
                       .id = record, .event = event, .node = name, .role = LINK_ROLE_PEER});
}

static int peer_gone(struct activation_node *n, struct activation_peer *p)
{
    struct activations *a = n->activations;
    uint32_t record = p->record;
    activations_remove_peer(n, p);
    return uses(a, record) || !find(a, record, LINK_VFD_MIRROR) ? 0 : activations_show(a, record);
}

int activations_peer_gone(struct activations *a, uint32_t name, uint32_t peer)
{
    struct activation_node *n = activations_find(a, name);
    struct activation_peer *p;
    if (n)
        LIST_FOREACH (p, &n->peers, entry)
            if (p->name == peer)
                return peer_gone(n, p);
    return 0;
}

int activations_node_gone(struct activations *a, uint32_t name)
{
    struct activation_node *n = activations_find(a, name);
    int e = 0;
    if (!n)
        return 0;
    if (n->awake)
        node_finish(n);
    while (e == 0 && !LIST_EMPTY(&n->peers))
        e = peer_gone(n, LIST_FIRST(&n->peers));
    uint32_t record = n->record;
    activations_remove(n);
    if (e == 0 && !uses(a, record) && find(a, record, LINK_VFD_MIRROR))
        e = activations_show(a, record);
    return e;
}
