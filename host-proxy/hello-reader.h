/* SPDX-License-Identifier: MIT */
#pragma once
/* hello-reader: the first frame of a connection and no byte more, so that whoever gets the
 * connection afterwards finds all that came behind it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/frames.h"

struct hello_reader {
    uint8_t bytes[LINK_FRAME_SMALL_MAX]; /* as large as the largest HELLO */
    size_t n;
    uint16_t type;       /* of the frame, as its header says */
    int error;           /* LINK_E_*: what is wrong with it */
    bool got_descriptor; /* one came along, over a Unix socket; it is closed again */
};

enum hello_state {
    HELLO_PARTIAL,   /* more is to come */
    HELLO_WHOLE,     /* in order: hello_reader_get() has it */
    HELLO_OTHER,     /* it is no HELLO, or none that can be read: ->type, ->error */
    HELLO_MALFORMED, /* not even a frame: the same */
};

/* Reads what the non-blocking @fd has of it. A new reader is all zeros. enum hello_state,
 * -ECONNRESET: the connection ended before, or another -errno. */
int hello_reader_read(struct hello_reader *reader, int fd);
/* What a whole one says; refers to the reader's bytes. */
void hello_reader_get(const struct hello_reader *reader, struct link_hello *ret_hello);
