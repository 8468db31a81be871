/* SPDX-License-Identifier: MIT */
/* This process may start nothing, and names no command: it hands one end of a socket pair to the
 * gate, with the service's number. Whoever starts the command has that end, answers on it, and ends
 * the command when ours is closed, which it is with this process at the latest. */
#include "host-proxy/programs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/transport/packets.h"
#include "host-proxy/program-keeper.h"
#include "host-proxy/vm.h"

struct program {
    unsigned refs;
    struct packets *asked; /* its end ends the command */
    bool answered;
    const struct program_ops *ops; /* NULL: nobody waits */
    void *user;
};

/* @later: in one of its own callbacks. */
static void program_destroy(struct program *p, bool later)
{
    packets_stop(p->asked);
    if (later)
        packets_destroy_later(p->asked);
    else
        packets_destroy(p->asked);
    free(p);
}

static void program_answer(struct program *p, int fd, const char *why)
{
    const struct program_ops *ops = p->ops;
    if (p->answered || !ops) {
        fd_close(fd);
        return;
    }
    p->answered = true;
    p->ops = NULL;
    p->refs++;
    ops->ready(p->user, fd, why);
    if (--p->refs == 0)
        program_destroy(p, true);
}

static void program_said(void *user, const uint8_t *bytes, size_t size, int fd)
{
    char why[PROGRAM_ANSWER_MAX + 1];
    snprintf(why, sizeof(why), "%.*s", (int)size, (const char *)bytes);
    program_answer(user, fd, why);
}

static void program_gone(void *user, int reason)
{
    (void)reason;
    program_answer(user, -1,
                   "no program was started: as many run as may (max-connections), or the host has "
                   "no room for one");
}

static const struct packets_ops packets_ops = {.received = program_said, .closed = program_gone};

struct program *program_start(struct vm_service *of, const struct program_ops *ops, void *user)
{
    struct vm *vm = of->vm;
    struct program *p = calloc(1, sizeof(*p));
    int ends[2];
    if (!p || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
        free(p);
        return NULL;
    }
    *p = (struct program){.refs = 1, .ops = ops, .user = user};
    p->asked = packets_create(vm->loop, ends[0], PROGRAM_ANSWER_MAX, 1, &packets_ops, p);
    if (!p->asked) {
        fd_close(ends[1]);
        free(p);
        errno = ENOMEM;
        return NULL;
    }
    vm->ops->start_program(vm->user, (uint32_t)(of - vm->services.at), ends[1]);
    return p;
}

void program_leave(struct program *p)
{
    p->ops = NULL;
}

struct program *program_ref(struct program *p)
{
    if (p)
        p->refs++;
    return p;
}

void program_unref(struct program *p)
{
    if (p && --p->refs == 0)
        program_destroy(p, false);
}
