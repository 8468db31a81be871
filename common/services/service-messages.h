/* SPDX-License-Identifier: MIT */
#pragma once
/* service-messages: shows a connection's messages to its protocol's helper, and says what goes on.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/services/helper.h"
#include "protocol/frames.h"

#define MESSAGE_ROOM (SERVICE_LOOK_MAX + 4096) /* how large message() may make what it sees */

/* Bytes, and descriptors (owned) that belong to the first of them. */
struct service_piece {
    uint8_t *bytes;
    size_t size;
    int *fds;
    unsigned fds_n;
};

/* One direction. */
struct message_way {
    uint8_t *buffer; /* MESSAGE_ROOM bytes: the beginning of a message; NULL: not needed yet */
    size_t have;
    bool framed; /* @frame is known of it */
    struct service_frame frame;
    uint64_t left; /* bytes of the message that is on its way, or is being dropped */
    bool dropping;
    int fds[LINK_DATA_VFDS_MAX]; /* that came for the message in @buffer */
    unsigned fds_n;
    int given[LINK_DATA_VFDS_MAX]; /* that went with the last piece */
    uint8_t *later,
        *saying; /* what the helper says, once a message ends; and what goes out of it */
    size_t later_n;
};

struct messages {
    const struct service_helper_ops *ops; /* NULL: nothing is known of the protocol */
    struct service_helper *helper;
    struct service_sink sink;
    struct message_way way[_SERVICE_WAY_N];
    void (*fail)(void *user, const char *text); /* the connection ends */
    /* There is something to say of that way: messages_next(). */
    void (*said)(void *user, enum service_way way);
    void *user;
    int (*role)(void *user, const struct service_role *role); /* NULL: there are none */
    unsigned at_work; /* ways that messages_next() is at: bits */
};

/* @ops NULL: no helper. 0 or -ENOMEM. */
int messages_init(struct messages *messages, const struct service_helper_ops *ops,
                  const struct service_settings *settings, struct log_subject *subject,
                  void (*fail)(void *user, const char *text),
                  void (*said)(void *user, enum service_way way), void *user);
void messages_finish(struct messages *messages);

/* Takes from the beginning of @in, and gives what goes on (*ret, valid until the next call for that
 * way, and while what @in points to is). 1: *ret; 0: all is taken; negative: the connection has
 * ended. */
int messages_next(struct messages *messages, enum service_way way, struct service_piece *in,
                  struct service_piece *ret);
/* What is known of descriptor @i of the piece that was given last. */
void messages_descriptor(struct messages *messages, enum service_way way, unsigned i,
                         struct service_descriptor *ret);
/* Descriptor @i of that piece was sent as VFD @vfd; all of them were (0 or negative). */
void messages_sent(struct messages *messages, enum service_way way, unsigned i, uint32_t vfd);
int messages_passing(struct messages *messages, enum service_way way);
