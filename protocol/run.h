/* SPDX-License-Identifier: MIT */
#pragma once
/* run: what the host's program that starts one in a VM and who starts it there say to each other,
 * over a stream that passes descriptors: a connection of the service wayvsock.run, one for each
 * program. docs/run.md tells the story; this is the reference.
 *
 * Everything is little-endian. A message is a header {u32 size; u16 type, zero} and @size bytes of
 * payload. The first one is COMMAND, ENTRY or MENU; COMMAND and ENTRY come with three pipes: the
 * program's standard input, output and error. Texts end with a zero byte. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The service. Names that begin like this are ours, and nobody's in a configuration. */
#define RUN_SERVICE_PREFIX "wayvsock."
#define RUN_SERVICE RUN_SERVICE_PREFIX "run"

#define RUN_HEADER_SIZE 8
#define RUN_TEXTS_MAX (128u << 10) /* bytes, of a COMMAND's words and variables together */
#define RUN_WORDS_MAX 4096u
#define RUN_VARIABLES_MAX 16u
#define RUN_TEXT_MAX 512u /* of FAILED */
#define RUN_ID_MAX 255u   /* of ENTRY */
#define RUN_FDS 3

#define RUN_NAME_MAX 256u         /* bytes of an entry's name, and its other texts */
#define RUN_ICON_EDGE_MAX 64      /* pixels */
#define RUN_LIST_MAX 1024u        /* entries of a VM */
#define RUN_ENTRY_TEXTS_MAX 2048u /* bytes: of all texts of one */
#define RUN_ICON_MAX (RUN_ICON_EDGE_MAX * RUN_ICON_EDGE_MAX * 4)
#define RUN_PAYLOAD_MAX (RUN_TEXTS_MAX + 32)

enum run_type {
    /* from the host */
    RUN_COMMAND = 1,
    RUN_ENTRY, /* the same, for an entry of the guest's menu, which the guest looks up */
    RUN_MENU,  /* the entries of the guest's menu, now and whenever they change */
    RUN_SIGNAL,
    RUN_SIZE, /* the terminal's */
    /* from the guest */
    RUN_STARTED,
    RUN_FAILED, /* it was not started, and why; the last message */
    RUN_EXITED, /* the last message */
    RUN_ITEM,   /* an entry; its icon, if it has one, is in the ICON that follows */
    RUN_ICON,
    RUN_LISTED, /* those were all: what is not among them is gone */
    _RUN_TYPE_N,
};

enum run_flags {
    RUN_FLAG_TERMINAL = 1, /* a terminal of its own, of the size that is told */
};

/* COMMAND and ENTRY {u16 flags, rows, columns, zero; u32 words, variables} and the texts: the words
 * (of ENTRY one, its id), then variables of the environment as NAME=VALUE. */
struct run_command {
    uint16_t flags, rows, columns;
    uint32_t words, variables;
};

/* SIGNAL {u32 number, zero}: as Linux has them, to all of the program's process group. */
struct run_signal {
    uint32_t number;
};

/* SIZE {u16 rows, columns; u32 zero} */
struct run_size {
    uint16_t rows, columns;
};

/* STARTED, LISTED and MENU {u64 zero} */
struct run_nothing {
    uint8_t none;
};

/* FAILED {u32 status, zero} and the text for a person. */
struct run_failed {
    uint32_t status; /* what a shell would say: 127: it is not there, 126: it cannot be run */
};
#define RUN_STATUS_REFUSED 125 /* nothing was tried */

/* EXITED {u32 status, signal}: one of them is 0. */
struct run_exited {
    uint32_t status, signal;
};

/* ITEM {u16 flags, zero; u32 zero} and its texts: id, name, generic name, comment, categories,
 * keywords, and the application id of its windows; each may be empty but the first two. */
enum run_item_text {
    RUN_ITEM_ID,
    RUN_ITEM_NAME,
    RUN_ITEM_GENERIC_NAME,
    RUN_ITEM_COMMENT,
    RUN_ITEM_CATEGORIES,
    RUN_ITEM_KEYWORDS,
    RUN_ITEM_APP_ID,
    _RUN_ITEM_TEXT_N,
};
enum run_item_flags {
    RUN_ITEM_TERMINAL = 1, /* it has to be run in a terminal */
};
struct run_item {
    uint16_t flags;
};

/* ICON {u16 width, height; u32 zero} and the pixels: bytes of red, green, blue, alpha (not
 * premultiplied), rows from the top. */
struct run_icon {
    uint16_t width, height;
};

union run_message {
    struct run_command command; /* COMMAND, ENTRY */
    struct run_signal signal;
    struct run_size size;
    struct run_nothing nothing; /* MENU, STARTED, LISTED */
    struct run_failed failed;
    struct run_exited exited;
    struct run_item item;
    struct run_icon icon;
};

enum { RUN_E_OK, RUN_E_TYPE, RUN_E_SIZE, RUN_E_RESERVED, RUN_E_VALUE };

/* Bytes of the payload that follows, of a header that is there. RUN_E_*. */
int run_decode_header(const uint8_t header[RUN_HEADER_SIZE], unsigned *ret_type,
                      uint32_t *ret_size);
/* Decodes the payload of a type whose size run_decode_header() told. *ret_data: what comes behind
 * the fields, in @payload. RUN_E_*; on anything but OK nothing is written. */
int run_decode(unsigned type, const uint8_t *payload, uint32_t size, union run_message *ret_message,
               const uint8_t **ret_data, uint32_t *ret_data_size);
/* Writes header, fields and @data (its size must be one that the type may have) into @bytes, which
 * has room for that. Returns the number of bytes. */
size_t run_encode(uint8_t *bytes, unsigned type, const union run_message *message, const void *data,
                  uint32_t data_size);
/* The largest fixed part: what run_encode() needs beside the data. */
#define RUN_FIXED_MAX (RUN_HEADER_SIZE + 16)

/* Whether that may be an entry's id: letters, digits and few others, as it is a word of a command
 * on the host. */
bool run_id_is_valid(const char *id);
/* The next of texts that end with a zero byte: what *at points to, which moves behind it; NULL:
 * there is none, or it does not end within @end. */
const char *run_text_next(const uint8_t **at, const uint8_t *end);
