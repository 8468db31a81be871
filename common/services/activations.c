/* SPDX-License-Identifier: MIT */
/* activations: owns the nodes and their peers, by the numbers of their VFDs: memory and eventfds
 * may go before them. What each side does with them is in activations-host and
 * activations-guest. */
#include "common/services/activations.h"

#include <stdlib.h>
#include <time.h>

#include "common/carrier/ends.h"
#include "common/carrier/tree.h"
#include "common/carrier/vfd-event.h"
#include "common/carrier/vfd-mirror.h"
#include "common/carrier/vfds.h"
#include "common/services/activation-record.h"

#define NODES_MAX 1024 /* of one connection, with their peers */

void activations_init(struct activations *a, struct vfds *vfds)
{
    *a = (struct activations){.vfds = vfds};
}

void activations_finish(struct activations *a)
{
    while (!LIST_EMPTY(&a->nodes))
        activations_remove(LIST_FIRST(&a->nodes));
    loop_timer_destroy(a->timer);
    a->timer = NULL;
}

uint8_t *activations_record(const struct activations *a, uint32_t id)
{
    const struct branch *b = a->vfds->branch;
    const struct known *k = tree_find(b->tree, b->ticket, id);
    uint64_t size;
    uint8_t *map = k && k->kind == LINK_VFD_MIRROR ? vfd_mirror_map(k, &size) : NULL;
    return map && size >= ACTIVATION_SIZE ? map : NULL;
}

const uint8_t *activations_shadow(const struct activations *a, uint32_t id)
{
    const struct branch *b = a->vfds->branch;
    return vfd_mirror_shadow(tree_find(b->tree, b->ticket, id));
}

struct activation_node *activations_find(const struct activations *a, uint32_t name)
{
    struct activation_node *n;
    LIST_FOREACH (n, &a->nodes, entry)
        if (n->name == name)
            return n;
    return NULL;
}

static int too_many(const struct activations *a)
{
    return ends_failf(a->vfds->ends, LINK_ERROR_LIMIT, "more nodes than a connection may have");
}

struct activation_node *activations_add(struct activations *a, uint32_t name)
{
    if (a->n >= NODES_MAX) {
        too_many(a);
        return NULL;
    }
    struct activation_node *n = calloc(1, sizeof(*n));
    if (!n) {
        ends_failf(a->vfds->ends, LINK_ERROR_INTERNAL, "out of memory");
        return NULL;
    }
    n->activations = a;
    n->name = name;
    a->n++;
    LIST_INSERT_HEAD(&a->nodes, n, entry);
    return n;
}

struct activation_peer *activations_add_peer(struct activation_node *n)
{
    struct activations *a = n->activations;
    if (a->n >= NODES_MAX) {
        too_many(a);
        return NULL;
    }
    struct activation_peer *p = calloc(1, sizeof(*p));
    if (!p) {
        ends_failf(a->vfds->ends, LINK_ERROR_INTERNAL, "out of memory");
        return NULL;
    }
    a->n++;
    LIST_INSERT_HEAD(&n->peers, p, entry);
    return p;
}

void activations_remove_peer(struct activation_node *n, struct activation_peer *p)
{
    n->activations->n--;
    LIST_REMOVE(p, entry);
    free(p);
}

void activations_remove(struct activation_node *n)
{
    while (!LIST_EMPTY(&n->peers))
        activations_remove_peer(n, LIST_FIRST(&n->peers));
    n->activations->n--;
    LIST_REMOVE(n, entry);
    loop_timer_destroy(n->deadline);
    free(n);
}

uint64_t activations_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
