/* SPDX-License-Identifier: MIT */
#pragma once
/* imports: the resources that one client's connection has named, what may be done with them, memory
 * that they are, and copies out of them and back. */
#include <stdbool.h>
#include <stdint.h>

#include "host-proxy/pixels/handles.h"
#include "protocol/frames.h"

struct import;
struct memory;
struct memory_buffer;
struct trials;

#define IMPORTS_MAX 1024 /* of one client */

/* Why something is refused. Everything is, unless each of these rules holds. */
enum import_rule {
    IMPORT_OK,
    IMPORT_SESSION, /* the session's guest has shown that it holds the VM's device, and that device
                       is there */
    IMPORT_UNIQUE,  /* an id is given once */
    IMPORT_QUOTA,   /* a client has only so many imports */
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
    /* imports_copy_back() has another answer. */
    void (*copied_back)(void *user);
    /* The guest may reuse the resource. */
    void (*released)(void *user, uint32_t id);
    /* The client has to end. @text is for people. From the loop, at most once. */
    void (*failed)(void *user, enum import_rule rule, const char *text);
};

struct imports {
    struct handles_user user; /* of @handles */
    struct handles *handles;  /* borrowed; NULL: the VM has no GPU that we know of */
    struct trials *trials;    /* borrowed; NULL: the compositor is given no dmabufs (yet) */
    bool linear;              /* then: not only pictures, but the guest's memory, too */
    const struct imports_ops *ops;
    void *owner;
    struct import *first;
    unsigned n;
    unsigned waiting; /* requests under way, and what waits for them */
    bool failed;
};

void imports_init(struct imports *imports, struct handles *handles, const struct imports_ops *ops,
                  void *owner);
/* Before what the client holds goes: nobody is told of anything any more. */
void imports_stop(struct imports *imports);
void imports_finish(struct imports *imports);

/* Each returns IMPORT_OK, or the rule that forbids it, with a text. */
enum import_rule imports_add(struct imports *imports, const struct link_import *import, char *text,
                             size_t text_size);
enum import_rule imports_release(struct imports *imports, uint32_t id, char *text,
                                 size_t text_size);
/* Rows of a resource into @memory (referenced until it is done), whose bounds were checked. */
enum import_rule imports_copy(struct imports *imports, struct memory *memory,
                              const struct link_mem_copy *copy, char *text, size_t text_size);
/* Memory that the compositor is to see: the guest's own pages where the device can give them, else
 * a mirror. *ret_memory: a new reference. */
enum import_rule imports_memory(struct imports *imports, const struct link_mem_import *said,
                                struct memory **ret_memory, char *text, size_t text_size);
/* A wl_buffer in memory that is an import, about to be shown to the compositor. */
enum import_rule imports_buffer(const struct memory_buffer *buffer, char *text, size_t text_size);
/* The compositor wrote @rows into such memory; where is it for the guest? In its resource; there
 * soon (copied_back() follows); or nowhere but in @memory (LOST: not even there: the client has to
 * end). */
enum imports_back { IMPORTS_BACK, IMPORTS_BACK_SOON, IMPORTS_BACK_NOT, IMPORTS_BACK_LOST };
enum imports_back imports_copy_back(struct imports *imports, struct memory *memory,
                                    const struct link_mem_write *rows);
/* False: a frame of that type is to wait for idle(). */
bool imports_may_go_on(const struct imports *imports, enum link_type type);
