/* SPDX-License-Identifier: MIT */
#pragma once
/* memory: bytes of a file that are shared with somebody: a mirror of our own, a client's file, a
 * part of one, or pages of the guest. Who backs it decides what may be done with it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/budget.h"
#include "common/base/pages.h"

struct memory;

/* Who has the bytes: one of memory.c's. */
struct memory_backing {
    const char *name;
    int (*grow)(struct memory *memory, uint64_t size);
    int (*store)(struct memory *memory, uint64_t offset, const void *bytes, size_t size);
    bool (*truncated)(const struct memory *memory, uint64_t end);
};

/* What one module keeps with a memory, embedded first in its own struct; told apart by @type. */
struct memory_note {
    const struct memory_note_type {
        const char *name;
        void (*destroy)(struct memory_note *note); /* the memory is going; NULL: nothing to do */
    } * type;
    struct memory_note *next;
};

struct memory {
    unsigned refs;
    const struct memory_backing *backing;
    int fd;              /* owned; -1: a part has none */
    uint8_t *map;        /* all of @size, NULL where it is not mapped here; see memory_map() */
    uint64_t size;       /* bytes */
    bool writable;       /* the other side may write into it (screen copies) */
    struct memory *file; /* a part: of this one (a reference), */
    uint64_t base;       /* from there on */
    uint64_t dev, ino;   /* a client's file: which */
    struct memory_note *notes;
    struct budget *budget; /* a reference: who pays for it; NULL: nobody counts */
    uint64_t charged;      /* bytes taken from there */
    uint64_t reserved;     /* bytes of memory_reserve(), each as often as it was */
    struct pages pages;    /* a mirror: what was written, or may have been read by others */
};

/* A mirror: a new memfd of @size bytes, sealed against shrinking, mapped. @budget (also below) is
 * referenced; it pays for the descriptor, and for the pages that are made use of. NULL: errno, of
 * budget_take() as well. */
struct memory *memory_create(uint64_t size, struct budget *budget);
/* A client's file (takes @fd), mapped up to @size, for writing too when it was opened so. NULL:
 * errno. */
struct memory *memory_import(int fd, uint64_t size, bool writable, uint64_t dev, uint64_t ino,
                             struct budget *budget);
/* @size bytes of @file from @base on, which has to reach so far. NULL: out of memory. */
struct memory *memory_part(struct memory *file, uint64_t base, uint64_t size);
/* Pages of the guest (takes @fd, a dmabuf), not mapped here. NULL: errno. */
struct memory *memory_share(int fd, uint64_t size, struct budget *budget);
struct memory *memory_ref(struct memory *memory);
void memory_unref(struct memory *memory); /* accepts NULL */

/* The note of that type, or NULL. */
struct memory_note *memory_note(const struct memory *memory, const struct memory_note_type *type);
/* Takes @note, which has its type; there is none of it yet. */
void memory_attach(struct memory *memory, struct memory_note *note);
/* Its destroy is not called. */
void memory_detach(struct memory *memory, struct memory_note *note);

/* Pages of the guest: nothing is written to them here. */
bool memory_is_foreign(const struct memory *memory);
/* Where its byte 0 is mapped. A mirror's is safe to touch; a client's file is for system calls and
 * guard_copy() only. */
uint8_t *memory_map(const struct memory *memory);
/* Another descriptor of the same imported file (taken) that may be written through: screen copies
 * can come in from now on. Keeps what it had where the kernel refuses. */
void memory_make_writable(struct memory *memory, int fd);
/* Maps more of it; a mirror's file grows too. 0, as budget_take(), or another -errno; -EINVAL: it
 * is a part, or foreign. */
int memory_grow(struct memory *memory, uint64_t size);
/* Puts @size bytes at @offset (bounds checked by the caller against @memory->size), never dying of
 * a file that shrank. 0 or -errno; -EFAULT: the file is shorter now. */
int memory_store(struct memory *memory, uint64_t offset, const void *bytes, size_t size);
/* Bytes that others may look at, and so make the kernel allocate, until they are given free with
 * the same range. 0, or as budget_take(). */
int memory_reserve(struct memory *memory, uint64_t offset, uint64_t size);
void memory_unreserve(struct memory *memory, uint64_t offset, uint64_t size);
/* Rows are about to be written. 0, or as budget_take(). */
int memory_touch(struct memory *memory, uint64_t offset, uint32_t row, uint32_t rows,
                 uint32_t stride);
/* A mirror: gives the pages that lie wholly within the range back. */
void memory_punch(struct memory *memory, uint64_t offset, uint64_t length);
/* True when the file does not (any more) reach up to @end. */
bool memory_truncated(const struct memory *memory, uint64_t end);
