/* SPDX-License-Identifier: MIT */
#pragma once
/* import: a resource that one client's connection has named: what the device has said of it, who
 * uses it, and the client's list of all of them. imports and import-copies say what may be done. */
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/memory.h"
#include "common/base/refusal.h"
#include "host-proxy/pixels/handles.h"
#include "host-proxy/pixels/import-note.h"
#include "protocol/frames.h"

struct trials;

/* Why something is refused. Everything is, unless each of these rules holds. */
enum import_rule {
    IMPORT_OK,
    IMPORT_SESSION, /* the session's guest has shown that it holds the VM's device, and that device
                       is there */
    IMPORT_UNIQUE,  /* an id is given once */
    IMPORT_QUOTA,   /* the VM has the memory and descriptors for it */
    IMPORT_LOOKUP,  /* the VM's own table has such a resource, with memory, within a bounded time */
    IMPORT_MARK,    /* the guest has shared it */
    IMPORT_MEMORY,  /* it is guest memory, or a picture that the device draws */
    IMPORT_SIZE,    /* it is as large as the guest says */
    IMPORT_KNOWN,   /* a copy or release names an import that is there */
    IMPORT_GEOMETRY,   /* a copy, memory or row of pixels stays within what it is a part of */
    IMPORT_FORMAT,     /* a buffer in such memory has a format that we know */
    IMPORT_EPOCH,      /* the guest's driver did not start anew since the import */
    IMPORT_GENERATION, /* the import still has the memory that it had */
    IMPORT_DEVICE,     /* the device can do it, and answers */
    _IMPORT_RULE_N,
};
const char *import_rule_name(enum import_rule rule);

struct imports_ops {
    /* Nothing waits for the GPU any more. */
    void (*idle)(void *user);
    /* What the device has answered for @id; NULL: nobody wants to know. */
    void (*answered)(void *user, uint32_t id, enum link_imported_as how);
    /* imports_copy_back() has another answer. */
    void (*copied_back)(void *user);
    /* The guest may reuse the resource. */
    void (*released)(void *user, uint32_t id);
    /* The client has to end. From the loop, at most once. */
    void (*failed)(void *user, const struct refusal *why);
};

struct imports {
    struct handles_user user; /* of @handles */
    struct handles *handles;  /* borrowed; NULL: the VM has no GPU that we know of */
    struct trials *trials;    /* borrowed; NULL: the compositor is given no dmabufs (yet) */
    const char *holder;       /* who is given memory, for the log: "the compositor shows" */
    bool direct;              /* it is, as the device gives it, and nobody is asked */
    bool linear;              /* then: not only pictures, but the guest's memory, too */
    const struct imports_ops *ops;
    void *owner;
    struct budget *budget; /* the VM's (borrowed): each import has a descriptor; NULL: none */
    LIST_HEAD(, import) all;
    void *named, *held; /* trees (search.h) of struct import: those that the guest names, by its id;
                           those that the device holds, by its id */
    unsigned pages_n;   /* that have a descriptor of their pages */
    unsigned waiting;   /* requests under way, and what waits for them */
    bool failed;
};

struct import_copy {
    struct import_copy *next;
    struct memory *memory; /* a reference */
    struct link_mem_copy what;
};

enum import_state { IMPORT_ASKED, IMPORT_HELD, IMPORT_GONE };
enum back_state { BACK_NONE, BACK_ASKED, BACK_DONE };

struct import {
    struct import_note note; /* on @memory */
    struct imports *owner;
    LIST_ENTRY(import) entry;
    struct link_import said;
    enum import_state state;
    enum import_rule gone; /* why it is */
    bool released;         /* the guest does not name it any more */
    struct export_buffer buffer;
    int fd;                /* of its pages; -1: not to be had, or handed on */
    bool on_trial;         /* whether the compositor takes it as a dmabuf */
    struct memory *memory; /* that is its pages; NULL: nobody has (any more) */
    bool given;            /* its descriptor is the holder's, by imports_open() */
    enum back_state back;
    struct memory *mirror; /* what the device fills; a reference */
    uint64_t mirror_size;
    struct import_copy *copies, **last; /* that wait for IMPORT_HELD */
};

/* NULL: errno, of budget_take() as well. */
struct import *import_create(struct imports *imports, const struct link_import *said);
void import_destroy(struct import *import);
struct import *imports_find(const struct imports *imports, uint32_t id);
/* That the device holds as @id. */
struct import *imports_find_held(const struct imports *imports, uint32_t id);
/* The device holds it as @buffer says. 0, -ENOMEM, or -EEXIST: it holds another one so. */
int import_hold(struct import *import, const struct export_buffer *buffer);
/* The guest does not name it any more. */
void import_unname(struct import *import);
/* Takes @fd (-1: none), of its pages. */
void import_set_pages(struct import *import, int fd);
/* Its pages are not to be had any more, because of @why. */
void import_let_go(struct import *import, enum import_rule why);
/* @memory is its pages from now on, with its note. */
void import_give_pages(struct import *import, struct memory *memory);
/* When the guest does not name it, no compositor sees it, and nothing is written to it: it goes. */
void import_finish_release(struct import *import);
void import_copies_drop(struct import *import);

/* Writes the message with the rule's name at its end. Returns @rule. */
int imports_refuse(struct refusal *why, enum import_rule rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void imports_fail(struct imports *imports, const struct refusal *why);
/* A request of @imports->waiting was answered. */
void imports_settle(struct imports *imports);

/* The bytes of a picture's row without its gap, or 0: nothing that could be shown. */
uint32_t import_picture_row(const struct export_buffer *picture);
