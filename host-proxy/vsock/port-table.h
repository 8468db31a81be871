/* SPDX-License-Identifier: MIT */
#pragma once
/* port-table: what belongs to a pair of ports, the guest's and the host's, found at once. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define PORT_TABLE_BUCKETS 1024u

/* Part of whatever is in the table. */
struct port_entry {
    LIST_ENTRY(port_entry) entry;
    uint32_t guest, host;
};

LIST_HEAD(port_bucket, port_entry);

struct port_table {
    uint64_t multiplier;
    struct port_bucket buckets[PORT_TABLE_BUCKETS];
};

int port_table_init(struct port_table *table); /* 0 or -errno */
struct port_entry *port_table_find(const struct port_table *table, uint32_t guest, uint32_t host);
/* Under the pair that @entry says, which is free. */
void port_table_add(struct port_table *table, struct port_entry *entry);
void port_table_remove(struct port_entry *entry);
