/* SPDX-License-Identifier: MIT */
#pragma once
/* imports: the resources that one client's connection has named, and what may be done with them:
 * memory that they are, and buffers in it. */
#include "host-proxy/pixels/import.h"

struct memory_buffer;

/* @handles and @budget are borrowed, and may be NULL. */
void imports_init(struct imports *imports, struct handles *handles, struct budget *budget,
                  const struct imports_ops *ops, void *owner);
/* Before what the client holds goes: nobody is told of anything any more. */
void imports_stop(struct imports *imports);
void imports_finish(struct imports *imports);

/* Each returns IMPORT_OK, or the rule that forbids it, with *why. */
int imports_add(struct imports *imports, const struct link_import *import, struct refusal *why);
int imports_release(struct imports *imports, uint32_t id, struct refusal *why);
/* Memory that the compositor is to see: the guest's own pages where the device can give them, else
 * a mirror. *ret_memory: a new reference. */
int imports_memory(struct imports *imports, const struct link_mem_import *said,
                   struct memory **ret_memory, struct refusal *why);
/* The descriptor of its memory, for the only time (owned), *ret_size bytes of it; -1: there is none
 * (any more). */
int imports_open(struct imports *imports, uint32_t id, uint64_t *ret_size);
/* A wl_buffer in memory that is import @id, about to be shown to the compositor. */
int imports_buffer(const struct memory_buffer *buffer, uint32_t id, struct refusal *why);
/* False: a frame of that type is to wait for idle(). */
bool imports_may_go_on(const struct imports *imports, enum link_type type);
