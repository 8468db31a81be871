/* SPDX-License-Identifier: MIT */
#pragma once
/* memory: a file whose bytes are shared with an application: a client's pool, or our mirror of one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct damage_file;
struct export_buffer;
struct memory_buffer;

struct memory {
    unsigned refs;
    unsigned users;   /* wl_shm_pools and wl_buffers on it */
    uint64_t covered; /* bytes of its live buffers, summed up */
    int fd;           /* owned */
    uint32_t id;      /* on the link */
    uint8_t *map;     /* all of @size; our own code reads it with guard_copy() only, unless @ours */
    uint64_t size;
    bool ours;           /* a memfd of ours, sealed against shrinking: safe to touch */
    bool writable;       /* the other side may write into it (screen copies) */
    struct memory *file; /* guest: the client's file that this is a part of (a reference); */
    uint64_t base;       /* it begins there, and has no descriptor or mapping of its own */
    uint32_t import;     /* the resource of the guest's GPU that these bytes are; 0: none */
    bool shared;         /* host: @fd is the guest's own memory, and not mapped here */
    const struct export_buffer *picture; /* host: then: no pool for the compositor, but the dmabuf
                                            of one buffer, which lies so (borrowed) */
    bool late; /* host: then: the owner's hook tells the compositor of its pools */
    void (*gone)(void *user, struct memory *memory); /* with the last reference; may be NULL */
    void *user;
    uint64_t dev, ino;          /* which file, for pools that share one */
    uint64_t filled;            /* FILE: bytes written from the start, without a gap */
    struct damage_file *damage; /* guest-proxy: what the host holds, and how to forget it */
    void (*damage_destroy)(struct damage_file *damage);
    struct memory_buffer *buffers; /* live wl_buffers in it */
    struct memory *next;           /* owner's list */
};

/* A mirror: a new memfd of @size bytes, sealed against shrinking, mapped. NULL: errno. */
struct memory *memory_create(uint64_t size);
/* A client's file (takes @fd), mapped up to @size, for writing too when it was opened so. NULL:
 * errno. */
struct memory *memory_import(int fd, uint64_t size, bool writable, uint64_t dev, uint64_t ino);
/* @size bytes of @file from @base on, which has to reach so far. NULL: out of memory. */
struct memory *memory_part(struct memory *file, uint64_t base, uint64_t size);
/* Memory of the guest (takes @fd, a dmabuf), not mapped here. NULL: errno. */
struct memory *memory_share(int fd, uint64_t size);
struct memory *memory_ref(struct memory *memory);
void memory_unref(struct memory *memory); /* accepts NULL */

/* Where its byte 0 is mapped; see @map for who may touch it. */
uint8_t *memory_map(const struct memory *memory);
/* Another descriptor of the same imported file (taken) that may be written through: screen copies
 * can come in from now on. Keeps what it had where the kernel refuses. */
void memory_make_writable(struct memory *memory, int fd);
/* Maps more of it; a mirror's file grows too. 0 or -errno; -EINVAL: it is the guest's own. */
int memory_grow(struct memory *memory, uint64_t size);
/* Puts @size bytes at @offset (bounds checked by the caller against @memory->size), never dying of
 * a file that shrank. 0 or -errno; -EFAULT: the file is shorter now. */
int memory_store(struct memory *memory, uint64_t offset, const void *bytes, size_t size);
/* Gives the pages that lie wholly within the range back. */
void memory_punch(struct memory *memory, uint64_t offset, uint64_t length);
/* Bytes that the file has allocated now. */
uint64_t memory_allocated(const struct memory *memory);
/* True when the file does not (any more) reach up to @end. */
bool memory_truncated(const struct memory *memory, uint64_t end);
