/* SPDX-License-Identifier: MIT */
#pragma once
/* import-note: what the host keeps with memory that is the guest's own pages: what the compositor
 * can be told of it. */
#include <stdbool.h>

#include "common/base/memory.h"

struct export_buffer;

struct import_note {
    struct memory_note note;
    const struct export_buffer *picture; /* no pool, but the dmabuf of one buffer, which lies so
                                            (borrowed); NULL: it is none */
    bool late; /* its pools are told to the compositor in other words (dmabufs) */
    void (*gone)(struct import_note *note); /* the memory is; NULL: nothing to do */
};

/* @note is borrowed until gone(). */
void import_note_attach(struct memory *memory, struct import_note *note);
/* NULL: the memory is a mirror. */
const struct import_note *import_note(const struct memory *memory);
