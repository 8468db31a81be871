/* SPDX-License-Identifier: MIT */
/* A guest daemon makes up an instance at its start, and shows it whenever it connects. So one that
 * comes back takes over its own place, whether or not we have heard that it had gone; and nobody
 * else's: users of one VM, each with a daemon, do not end each other's windows. Daemons of former
 * versions have no instance and count as one. */
#include "host-proxy/sessions.h"

#include <stdio.h>
#include <string.h>

#include "common/transport/link.h"
#include "host-proxy/refuse.h"
#include "host-proxy/session.h"
#include "host-proxy/vm.h"

/* Not in a time that depends on how much of it was guessed. */
static bool same_secret(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint8_t different = 0;
    for (size_t i = 0; i < n; i++)
        different |= a[i] ^ b[i];
    return !different;
}

/* The connected session of the same daemon, or NULL. */
static struct session *sessions_same(const struct vm *vm, const struct link_hello *hello)
{
    static const uint8_t none[LINK_INSTANCE_SIZE];
    const uint8_t *instance = hello->instance ? hello->instance : none;
    struct session *s, *found = NULL;
    LIST_FOREACH (s, &vm->sessions, in_vm)
        if (same_secret(s->instance, instance, sizeof(none)) && s->control)
            found = s;
    return found;
}

/* The one that has been silent for longest, or NULL. */
static struct session *sessions_silent(const struct vm *vm)
{
    struct session *s, *found = NULL;
    LIST_FOREACH (s, &vm->sessions, in_vm)
        if (s->control && s->silent && (!found || s->missed > found->missed))
            found = s;
    return found;
}

void sessions_begin(struct vm *vm, struct link *link, const struct link_hello *hello)
{
    bool trial = hello->features & LINK_FEATURE_TRIAL;
    char text[128];
    struct session *same = trial ? NULL : sessions_same(vm, hello), *s;
    if (same)
        session_end(same, "its guest daemon connected anew");
    struct session *silent = trial ? NULL : sessions_silent(vm);
    if (vm->sessions_n >= vm->config->limits.daemons && silent)
        session_end(silent, "it was silent, and another daemon needs its place (max-daemons)");
    if (vm->sessions_n >= vm->config->limits.daemons) {
        snprintf(text, sizeof(text),
                 "daemon limit: %u daemons of this VM are connected already (max-daemons)",
                 vm->sessions_n);
        refuse(link, vm->subject, trial ? LINK_ERROR_BUSY : LINK_ERROR_LIMIT, text, NULL);
        return;
    }
    bool several = vm->sessions_n > 0;
    LIST_FOREACH (s, &vm->sessions, in_vm)
        if (several && !trial && s->control)
            session_tell_apart(s);
    session_begin(vm, link, hello, several);
}

struct session *sessions_find(const struct vm *vm, const struct link_hello *hello,
                              const char **ret_wrong)
{
    struct session *s, *found = NULL;
    bool any = false, key = hello->proof_kind == LINK_PROOF_KEY;
    LIST_FOREACH (s, &vm->sessions, in_vm) {
        any |= s->control != NULL;
        if (s->control && key && same_secret(hello->proof, s->key, sizeof(s->key)))
            found = s;
    }
    if (!found)
        *ret_wrong = any ? "a client's connection without the session's key"
                         : "a client's connection without a session";
    return found;
}

struct session *sessions_serving(const struct vm *vm, const struct session *after)
{
    struct session *s, *found = NULL;
    LIST_FOREACH (s, &vm->sessions, in_vm) { /* the newest comes first */
        if (s == after)
            break;
        if (s->control && s->features & LINK_FEATURE_SERVICES)
            found = s;
    }
    return found;
}

bool sessions_are_over(const struct vm *vm)
{
    return LIST_EMPTY(&vm->sessions) && deliveries_are_done(&vm->deliveries);
}

void sessions_finish(struct vm *vm)
{
    while (!LIST_EMPTY(&vm->sessions))
        session_destroy(LIST_FIRST(&vm->sessions));
}
