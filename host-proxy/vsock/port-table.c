/* SPDX-License-Identifier: MIT */
/* port-table: owns its buckets, not what is in them. Ports are the guest's choice; a random
 * multiplier keeps it from choosing those of one bucket. */
#include "host-proxy/vsock/port-table.h"

#include <errno.h>
#include <stddef.h>
#include <sys/random.h>

int port_table_init(struct port_table *table)
{
    *table = (struct port_table){0};
    if (getrandom(&table->multiplier, sizeof(table->multiplier), 0) != sizeof(table->multiplier))
        return -errno;
    table->multiplier |= 1;
    return 0;
}

static unsigned bucket_of(const struct port_table *table, uint32_t guest, uint32_t host)
{
    uint64_t key = ((uint64_t)guest << 32 | host) * table->multiplier;
    return (unsigned)(key >> 54) % PORT_TABLE_BUCKETS;
}

struct port_entry *port_table_find(const struct port_table *table, uint32_t guest, uint32_t host)
{
    struct port_entry *e;
    LIST_FOREACH (e, &table->buckets[bucket_of(table, guest, host)], entry) {
        if (e->guest == guest && e->host == host)
            return e;
    }
    return NULL;
}

void port_table_add(struct port_table *table, struct port_entry *e)
{
    LIST_INSERT_HEAD(&table->buckets[bucket_of(table, e->guest, e->host)], e, entry);
}

void port_table_remove(struct port_entry *e)
{
    LIST_REMOVE(e, entry);
}
