/* SPDX-License-Identifier: MIT */
#pragma once
/* export-table: what one client of the export socket holds of the guest's resources, by its own
 * ids. */
#include <stdbool.h>
#include <stdint.h>

#include "protocol/export.h"

struct device;
struct export_entry;
struct render_layout;
struct resource;

#define EXPORTS_MAX 16384u   /* in one table */
#define EXPORTS_RAM_TIMES 4u /* bytes of all udmabufs, as a multiple of the VM's memory */
#define EXPORT_TABLE_BUCKETS 256u

/* What all tables take their descriptors from. */
struct export_source {
    struct device *device;
    int udmabuf;      /* the kernel's device, or -1 */
    uint64_t given;   /* bytes in all udmabufs: each costs the kernel memory */
    uint64_t tickets; /* numbers given to what the renderer is asked */
};

struct export_table {
    struct export_source *source;
    struct export_entry *buckets[EXPORT_TABLE_BUCKETS];
    uint32_t n, last_id;
};

/* @source is borrowed. */
void export_table_init(struct export_table *table, struct export_source *source);
void export_table_finish(struct export_table *table); /* releases everything */

/* Whether the guest's resource may be exported now, whoever asks. */
enum export_status export_table_check(const struct export_table *table, uint32_t resource);
/* Exports what export_table_check() has allowed, and describes it. The descriptor is the caller's;
 * -1: there is none. EXPORT_OK or EXPORT_FAILED. Of a picture, *ret_ticket is not 0: the renderer
 * is asked, and export_table_told() describes it. */
enum export_status export_table_add(struct export_table *table, uint32_t resource,
                                    struct export_buffer *ret_buffer, int *ret_fd,
                                    uint64_t *ret_ticket);
/* The renderer has answered for the export @id: @fd (taken) with its layout, or -errno. As above;
 * EXPORT_UNKNOWN: the resource is gone meanwhile, and so is the export. */
enum export_status export_table_told(struct export_table *table, uint32_t id, int fd,
                                     const struct render_layout *layout,
                                     struct export_buffer *ret_buffer, int *ret_fd);
bool export_table_release(struct export_table *table, uint32_t id); /* false: no such export */

/* MIRROR (takes @fd) and COPY. */
enum export_status export_table_mirror(struct export_table *table,
                                       const struct export_mirror *mirror, int fd);
/* *ret_asked: how many answers of the renderer come for *ret_ticket before it is done; of those and
 * the status, the first failure counts. */
enum export_status export_table_copy(struct export_table *table, const struct export_copy *copy,
                                     uint64_t *ret_ticket, unsigned *ret_asked);

/* The guest took @resource away: calls @tell for each export of it that has not been told. */
void export_table_gone(struct export_table *table, const struct resource *resource,
                       void (*tell)(void *user, const struct export_gone *gone), void *user);
/* No pointer to @resource stays. */
void export_table_forget(struct export_table *table, const struct resource *resource);
