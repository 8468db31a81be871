/* SPDX-License-Identifier: MIT */
#pragma once
/* pod: the typed values ("plain old data") that a PipeWire message consists of: read, checked,
 * written. Numbers have this machine's order; a value is u32 size, u32 type and @size bytes, and
 * begins at a multiple of 8. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pod_type {
    POD_NONE = 1,
    POD_BOOL,
    POD_ID,
    POD_INT,
    POD_LONG,
    POD_STRING = 8,
    POD_STRUCT = 14,
    POD_FD = 18,
};

/* What is left to read, of somebody else's. */
struct pod_reader {
    const uint8_t *at, *end;
};

struct pod {
    uint32_t type;
    const uint8_t *body;
    uint32_t size;
};

/* They move on and return true, or there is no such value, and nothing is written. */
bool pod_read(struct pod_reader *reader, struct pod *ret);
bool pod_read_int(struct pod_reader *reader, uint32_t *ret);
bool pod_read_id(struct pod_reader *reader, uint32_t *ret);
bool pod_read_long(struct pod_reader *reader, uint64_t *ret);
bool pod_read_fd(struct pod_reader *reader, int64_t *ret);
/* Terminated, without another zero. */
bool pod_read_string(struct pod_reader *reader, const char **ret);
/* What is in it, behind which @reader goes on. */
bool pod_read_struct(struct pod_reader *reader, struct pod_reader *ret);

/* Values being put together. Zero-initialise but for the first two. */
struct pod_writer {
    uint8_t *bytes;
    size_t room, n;
    bool full; /* something did not fit: nothing was written since */
};

void pod_write(struct pod_writer *writer, uint32_t type, const void *body, uint32_t size);
void pod_write_int(struct pod_writer *writer, uint32_t value);
void pod_write_string(struct pod_writer *writer, const char *text);
/* What is written until it is ended is in it. */
size_t pod_begin_struct(struct pod_writer *writer);
void pod_end_struct(struct pod_writer *writer, size_t begin);
/* A number written before, at that place. */
void pod_patch_int(struct pod_writer *writer, size_t at, uint32_t value);
