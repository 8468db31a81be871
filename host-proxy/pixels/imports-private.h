/* SPDX-License-Identifier: MIT */
#pragma once
/* What imports.c (what is named, and what it may become) and import-copies.c (rows out of it and
 * back) share with each other. */
#include "host-proxy/pixels/imports.h"

struct copy {
    struct copy *next;
    struct memory *memory; /* a reference */
    struct link_mem_copy what;
};

enum import_state { IMPORT_ASKED, IMPORT_HELD, IMPORT_GONE };
enum back_state { BACK_NONE, BACK_ASKED, BACK_DONE };

struct import {
    struct imports *owner;
    struct import *prev, *next;
    struct link_import said;
    enum import_state state;
    enum import_rule gone; /* why it is */
    bool released;         /* the guest does not name it any more */
    struct export_buffer buffer;
    int fd;                /* of its pages; -1: not to be had, or handed on */
    bool on_trial;         /* whether the compositor takes it as a dmabuf */
    struct memory *memory; /* that is its pages; NULL: nobody has (any more) */
    enum back_state back;
    struct memory *mirror; /* what the device fills; a reference */
    uint64_t mirror_size;
    struct copy *copies, **last; /* that wait for IMPORT_HELD */
};

/* imports.c */
struct import *imports_find(const struct imports *imports, uint32_t id);
/* Writes the message with the rule's name at its end. Returns @rule. */
enum import_rule imports_refuse(enum import_rule rule, char *text, size_t text_size,
                                const char *format, ...) __attribute__((format(printf, 4, 5)));
void imports_fail(struct imports *imports, enum import_rule rule, const char *text);
/* A request of @imports->waiting was answered. */
void imports_settle(struct imports *imports);
/* The guest does not name it, and something else has ended, too: it goes if all has. */
void import_finish_release(struct import *import);

/* import-copies.c */
/* Those that waited for the device's answer to EXPORT begin; @possible: it is held. */
void import_copies_start(struct import *import, bool possible);
void import_copies_drop(struct import *import);
/* The bytes of a picture's row without its gap, or 0: nothing that could be shown. */
uint32_t import_picture_row(const struct export_buffer *picture);
