/* SPDX-License-Identifier: MIT */
#pragma once
/* vfd-memory: memory that both proxies know by an id: a client's file here, a mirror of it there,
 * or pages of the guest's GPU. */
#include <stdbool.h>
#include <stdint.h>

#include "common/base/memory.h"
#include "common/carrier/vfd-kind.h"

/* The carrier's note on a memory. It is in the connection's table until the guest says that it is
 * not referred to any more. */
struct vfd_memory {
    struct memory_note note;
    struct memory *memory; /* that has the note; a reference while in the table */
    uint32_t id;
    uint32_t import; /* the resource of the guest's GPU that these bytes are; 0: none */
    unsigned uses;   /* of the carrier's user: pools and buffers */
};

/* NULL: the memory has no id. */
struct vfd_memory *vfd_memory(const struct memory *memory);
/* Takes a reference to @memory, which gets @id. 0 or -ENOMEM. */
int vfd_memory_add(struct vfds *vfds, struct memory *memory, uint32_t id);
struct memory *vfd_memory_find(const struct vfds *vfds, uint32_t id);
void vfd_memories_finish(struct vfds *vfds);

/* guest: memory of our own that the host mirrors, with one use of it, and a VFD for the next
 * message that takes one. @what wants it. NULL: errno; EMFILE: after ends_fail(). */
struct memory *vfd_memory_make(struct vfds *vfds, uint64_t size, const char *what);
/* guest: a VFD for it, for the next message of our own that takes one. */
void vfd_memory_hand_out(struct vfds *vfds, const struct memory *memory);
/* guest: it is at least @size bytes from now on, for the host too. 0 or -errno. */
int vfd_memory_grow(struct vfds *vfds, struct memory *memory, uint64_t size);
/* guest: the host need not keep these bytes. */
void vfd_memory_punch(struct vfds *vfds, const struct memory *memory, uint64_t offset,
                      uint64_t length);
/* One use more (and a reference); one less: the last one tells the host. */
void vfd_memory_use(struct memory *memory);
void vfd_memory_unuse(struct vfds *vfds, struct memory *memory);
/* Rows that the other side needs before what is queued next (@rows->id is filled in). @tag: what to
 * blame if they cannot be read. */
void vfd_memory_send(struct vfds *vfds, struct memory *memory, struct link_mem_write rows,
                     uint32_t tag);
/* The same with bytes of the caller's for @offset of it (copied, at most 4 GiB). */
void vfd_memory_send_bytes(struct vfds *vfds, const struct memory *memory, uint64_t offset,
                           const void *bytes, uint32_t size);

extern const struct vfd_kind vfd_kind_memory;
/* MEM_SIZE and MEM_PUNCH. */
int vfd_memory_frame(struct vfds *vfds, enum link_type type, const uint8_t *payload, size_t size);
/* MEM_WRITE to what is no file: as link_ops.mem_write. */
int vfd_memory_write(struct vfds *vfds, const struct link_mem_write *write,
                     struct memory **ret_memory);
