/* SPDX-License-Identifier: MIT */
#pragma once
/* wl-tables: every Wayland interface that this build knows, as tables made from the protocol XML.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WL_HEADER_SIZE 8     /* object id, size << 16 | opcode */
#define WL_MESSAGE_MAX 65532 /* the size field has 16 bits, sizes are multiples of 4 */
#define WL_ARGS_MAX 20       /* libwayland's WL_CLOSURE_MAX_ARGS */
#define WL_SERVER_ID_BASE 0xff000000u

/* How the descriptors of a message are carried (common/wayland/messages.rules). */
enum wl_fd_rule {
    WL_FD_NONE,    /* the message has none */
    WL_FD_REFUSED, /* has one that nobody can carry: the interface is not offered */
    WL_FD_POOL,    /* wl_shm pool: shared memory, mirrored */
    WL_FD_FILE,    /* content that is read once */
    WL_FD_STREAM,  /* pipe, socket or file that data flows into (or out of) */
    WL_FD_DMABUF,  /* never crosses: the guest offers such interfaces itself, the host hides them */
    _WL_FD_N,
};

/* Who reads the strings of a message (common/wayland/messages.rules), and so what becomes of them
 * on their way. */
enum wl_text {
    WL_TEXT_NONE,    /* the message has none */
    WL_TEXT_UNKNOWN, /* no rule says: of a request, as a label */
    WL_TEXT_PASSES,  /* a program: types, handles, content that somebody types */
    WL_TEXT_HIDDEN,  /* nobody: the message is dropped */
    WL_TEXT_TITLE,   /* a person: cleaned, behind the VM's title prefix */
    WL_TEXT_APP_ID,  /* it says which application it is: cleaned, behind the VM's app-id prefix */
    WL_TEXT_LABEL,   /* a person: cleaned */
    WL_TEXT_OUTPUT,  /* the VM: which of the host's screens it is (events) */
    _WL_TEXT_N,
};

/* What the proxies do with a message beyond checking it and passing it on; one name per message,
 * given in common/wayland/messages.rules. */
enum wl_hook {
    WL_HOOK_NONE,
#define WL_HOOK(name) WL_HOOK_##name,
#include "common/wayland/hooks.def"
#undef WL_HOOK
    _WL_HOOK_N,
};

/* Messages that are known by name (common/wayland/named.def). */
enum wl_named {
#define WL_NAMED(name, interface, message) MSG_##name,
#include "common/wayland/named.def"
#undef WL_NAMED
    _WL_NAMED_N,
};

struct wl_iface;

struct wl_msg_info {
    const char *name;      /* "create_buffer" */
    const char *signature; /* one letter per wire argument: i u f s S o O n N a h;
                            * capital S, O: may be null; N: new id of any interface, on
                            * the wire string, uint, new id (counts as one letter) */
    const struct wl_iface *const
        *types;    /* one per letter: the interface of o, O, n; NULL if none */
    uint8_t since; /* first version that has it */
    uint8_t n_args;
    uint8_t n_fds;
    bool variable;     /* has strings or arrays */
    bool creates;      /* has n or N */
    bool destructor;   /* the object ends with it */
    uint8_t fd_rule;   /* enum wl_fd_rule */
    uint8_t text;      /* enum wl_text */
    uint8_t hook;      /* enum wl_hook; of a message with text that does not pass, WL_HOOK_TEXT */
    uint16_t min_size; /* bytes on the wire with header; exact unless variable */
};

struct wl_iface {
    const char *name;
    uint32_t version;
    uint16_t n_requests;
    uint16_t n_events;
    const struct wl_msg_info *requests;
    const struct wl_msg_info *events;
    bool carried; /* false: it or an interface reachable from it has a message that cannot be
                     carried */
};

struct wl_named_message {
    const struct wl_msg_info *info; /* NULL: the XML lacks it */
    uint16_t opcode;
};
extern const struct wl_named_message wl_named[_WL_NAMED_N];

/* The interface named by the @len bytes at @name, or NULL. */
const struct wl_iface *wl_iface_find(const char *name, size_t len);
/* Every interface, sorted by name. */
extern const struct wl_iface *const wl_ifaces[];
extern const size_t wl_ifaces_n;
