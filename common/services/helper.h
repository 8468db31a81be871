/* SPDX-License-Identifier: MIT */
#pragma once
/* helper: what a service's protocol needs known of it: where its messages end, which of them may
 * pass, what its descriptors are. A helper runs on the host, one for each connection, and sees
 * both directions there. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_subject;
struct service_helper;
struct service_helper_ops;
struct service_settings;

#define SERVICE_LOOK_MAX (64u << 10) /* bytes of a message that message() may want at once */
#define SERVICE_HEAD_MAX 64u         /* bytes that frame() may need before it can tell */

/* Who speaks: the program that connected to the service, or the service. */
enum service_way { SERVICE_FROM_CLIENT, SERVICE_FROM_SERVER, _SERVICE_WAY_N };

struct service_frame {
    uint64_t size; /* bytes of the whole message, its header included; at least 1 */
    size_t look;   /* how many of its first bytes message() is to see at once, at most
                      SERVICE_LOOK_MAX and @size; 0: the message passes as it comes */
    unsigned fds;  /* descriptors that belong to it, where its header says so (counts_fds) */
};

/* What becomes of a message. */
enum service_verdict {
    SERVICE_PASS,
    SERVICE_DROP, /* all of it, with its descriptors, which are closed */
};

/* Which way an eventfd's signals go. */
enum service_signals { SERVICE_SIGNALS_UNKNOWN, SERVICE_SIGNALS_TO_HOST, SERVICE_SIGNALS_TO_GUEST };

/* What is known of a descriptor besides what it is. */
struct service_descriptor {
    enum service_signals signals;            /* an eventfd */
    const struct service_helper_ops *speaks; /* a connected socket: its protocol; NULL: unknown */
};

/* What memory is for that was passed: PipeWire's (activations). Numbers are those of VFDs; a node's
 * is the helper's own, and a peer's the server's. */
struct service_role {
    enum {
        SERVICE_ROLE_SHOWN,  /* .memory: only the host writes to it */
        SERVICE_ROLE_SHARED, /* .memory: both do */
        SERVICE_ROLE_NODE,   /* .memory: the record of .node, which .event wakes */
        SERVICE_ROLE_PEER,   /* .memory: that of .peer, which waits for .node; .event wakes it */
        SERVICE_ROLE_PEER_GONE,
        SERVICE_ROLE_NODE_GONE,
    } what;
    uint32_t memory, event, node, peer;
};

/* What a helper may ask of the connection that it serves. */
struct service_sink {
    /* @bytes go out as if @way's speaker had said them, after the message of that way that is on
     * its way now. They are not shown to the helper. 0, or negative: the connection ends. */
    int (*say)(void *user, enum service_way way, const void *bytes, size_t size);
    /* The connection ends for this reason (a whole text for people). Returns -EPROTO, to be handed
     * on by frame() or message(). */
    int (*fail)(void *user, const char *text);
    /* 0, or negative: the connection ends. */
    int (*role)(void *user, const struct service_role *role);
    void *user;
};

/* For a helper: return helper_fail(sink, "…"). */
static inline int helper_fail(const struct service_sink *sink, const char *text)
{
    return (sink->fail)(sink->user, text); /* cmocka has a macro of that name */
}

struct service_helper_ops {
    const char *name; /* of the protocol, as the configuration says it: "pulse" */
    /* Descriptors may come ahead of the message that they belong to, which says how many it has. */
    bool counts_fds;
    bool needs_mirrors; /* of shared memory */
    /* Connects to the service at @path so that it can tell the VM called @vm from the user's own
     * programs; @listen is a path in a private folder. Returns the connection (owned), and
     * *ret_kept (owned; -1: none), which is closed when that ends; or negative with a message. In a
     * process of its own (program-keeper): it may wait. NULL: it is connected to as it is. */
    int (*connect)(const char *path, const char *vm, const char *listen, int *ret_kept, char *error,
                   size_t error_size);
    /* Once for each service, at the start, while files may still be read: what is the same for all
     * connections. 0, or -errno with a message. NULL: nothing. */
    int (*prepare)(struct service_settings *settings, char *error, size_t error_size);
    /* One for each connection, on the host; what it is given outlives it. NULL: out of memory. */
    struct service_helper *(*create)(const struct service_settings *settings,
                                     const struct service_sink *sink, struct log_subject *subject);
    void (*destroy)(struct service_helper *helper); /* accepts NULL */
    /* What begins at @bytes. 1 and *ret; 0: more bytes are needed to say, never when there are
     * SERVICE_HEAD_MAX or more; negative: the connection ends, after sink->fail() for that reason,
     * or as one that is no such protocol. */
    int (*frame)(struct service_helper *helper, enum service_way way, const uint8_t *bytes,
                 size_t size, struct service_frame *ret);
    /* The first `look` bytes of a message (*size). May change them in place, and *size, up to
     * @room. enum service_verdict, or negative as frame(). NULL: all messages pass. A message that
     * grows or shrinks must be one that was seen whole, or say so in its own header. */
    int (*message)(struct service_helper *helper, enum service_way way, uint8_t *bytes,
                   size_t *size, size_t room);
    /* Descriptor @i of the message that message() saw last of @way (of frame(), without a
     * message()). *ret is zeroed. NULL: nothing is known of any. */
    void (*descriptor)(struct service_helper *helper, enum service_way way, unsigned i,
                       struct service_descriptor *ret);
    /* Descriptor @i of that message goes to the guest as VFD @vfd. NULL: nobody wants to know. */
    void (*sent)(struct service_helper *helper, enum service_way way, unsigned i, uint32_t vfd);
    /* All of them do, and the message itself is next. 0 or negative. NULL: the same. */
    int (*passing)(struct service_helper *helper, enum service_way way);
};
