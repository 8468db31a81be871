/* SPDX-License-Identifier: MIT */
/* ends: holds what the modules of the carrier share, and hands on to the carrier what they ask for.
 * At most one reason holds the local side at a time, since only its first message waits. */
#include "common/carrier/ends.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/budget.h"

void ends_flow_add(struct ends_flow *flow, const struct ends *e)
{
    flow->sent += e->sent.own + e->sent.memory + e->sent.streams;
    flow->got += e->got.own + e->got.memory + e->got.streams;
}

bool ends_has_local(const struct ends *e)
{
    return e->local.io != NULL;
}

int ends_fail(struct ends *e, const struct carrier_error *error)
{
    e->ops->fail(e, error);
    return -EPROTO;
}

int ends_failf(struct ends *e, enum link_error kind, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return ends_fail(e,
                     &(struct carrier_error){.kind = kind, .code = e->codes[kind], .text = text});
}

int ends_overf(struct ends *e, enum link_error kind, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return ends_fail(e, &(struct carrier_error){
                            .kind = kind, .code = e->codes[kind], .text = text, .unblamed = true});
}

int ends_broken(struct ends *e, const char *what, uint32_t id)
{
    return ends_failf(e, LINK_ERROR_PROTOCOL,
                      "the other proxy broke the link protocol: %s (id %#x)", what, id);
}

int ends_malformed(struct ends *e, enum link_type type, int error)
{
    return ends_failf(e, LINK_ERROR_PROTOCOL, "the other proxy sent a malformed %s frame: %s",
                      link_type_name(type), link_decode_error_name(error));
}

int ends_scarce(struct ends *e, const char *what, int error)
{
    const struct budget *b = budget_limiting(e->party->budget);
    bool guest = e->side == CARRIER_GUEST;
    if (error == -EMFILE && b)
        return ends_failf(e, LINK_ERROR_LIMIT, "%s: descriptor limit: %s %llu already (%s)", what,
                          guest ? "the application takes" : "the VM takes",
                          (unsigned long long)b->used[BUDGET_FDS],
                          guest ? "LimitNOFILE of wayvsock-guest" : "max-fds");
    if (error == -EDQUOT && b)
        return ends_failf(e, LINK_ERROR_LIMIT, "%s: memory limit: %s %llu bytes already (%s)", what,
                          guest ? "the application takes" : "the VM takes",
                          (unsigned long long)b->used[BUDGET_MEMORY],
                          guest ? "half of what the VM has, for all" : "max-memory");
    return ends_failf(e, LINK_ERROR_INTERNAL, "%s: %s", what, strerror(-error));
}

void ends_hold(struct ends *e, enum carrier_hold why)
{
    assert(e->hold == CARRIER_HOLD_NONE || e->hold == why);
    e->hold = why;
    if (why != CARRIER_HOLD_QUEUE)
        local_socket_pause(&e->local, true);
}

void ends_resume(struct ends *e, enum carrier_hold why)
{
    if (e->hold != why)
        return;
    e->hold = CARRIER_HOLD_NONE;
    e->ops->resumed(e);
}
