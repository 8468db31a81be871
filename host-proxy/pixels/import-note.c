/* SPDX-License-Identifier: MIT */
/* import-note: owns nothing: a note belongs to the import whose pages the memory has. */
#include "host-proxy/pixels/import-note.h"

#include <stddef.h>

static void import_note_destroy(struct memory_note *note)
{
    struct import_note *n = (struct import_note *)note;
    if (n->gone)
        n->gone(n);
}

static const struct memory_note_type import_note_type = {"import", import_note_destroy};

void import_note_attach(struct memory *memory, struct import_note *n)
{
    n->note.type = &import_note_type;
    memory_attach(memory, &n->note);
}

const struct import_note *import_note(const struct memory *memory)
{
    return (const struct import_note *)memory_note(memory, &import_note_type);
}
