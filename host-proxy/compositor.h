/* SPDX-License-Identifier: MIT */
#pragma once
/* compositor: how a VM's clients reach the host's compositor: directly, or through one security
 * context per VM, by which the compositor knows them. The only user of libwayland-client. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct log_subject;
struct vm_config;

/* A listener by which clients of a context come in, which the compositor has. */
struct compositor_door {
    int close_fd;   /* ours: the context ends when it is closed */
    char path[108]; /* as long as a socket's address */
};

struct compositor_context {
    const char *display; /* borrowed; NULL: the environment's */
    const struct vm_config *vm;
    struct log_subject *subject;
    int64_t deaf_until; /* it did not answer lately: nobody waits for it again so soon */
    bool tried, made;   /* a compositor was asked for a context; it gave one */
    pid_t pid;          /* the one that was asked; 0: it cannot be told from another */
    struct compositor_door door;
};

void compositor_context_init(struct compositor_context *context, const char *display,
                             const struct vm_config *vm, struct log_subject *subject);
void compositor_context_finish(struct compositor_context *context);

/* A connection for one client. The first makes the VM's context (asks the compositor; up to 6 s);
 * where the compositor has contexts, there is none without. Returns an owned, non-blocking fd, or
 * -errno with a message. */
int compositor_connect(struct compositor_context *context, char *error, size_t error_size);

/* Calls @global for each global that a client connected with @fd (taken) is shown. 0 or -errno. */
int compositor_globals(int fd, void (*global)(void *user, const char *interface, uint32_t version),
                       void *user);
