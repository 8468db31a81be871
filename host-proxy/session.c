/* SPDX-License-Identifier: MIT */
/* session: owns what a guest daemon has here. One that is silent may be suspended, so its clients'
 * windows stay, within the VM's quotas, until it speaks again, or a reset, the end of the
 * connection, its own new connection, one that needs its place, or --peer-timeout says that it will
 * not. Each has a connection of its own to the VM's GPU device, so that nothing that one was given
 * outlives it, and what one asks for delays no other. */
#include "host-proxy/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/loop.h"
#include "common/transport/link.h"
#include "host-proxy/pixels/handles.h"
#include "host-proxy/refuse.h"
#include "host-proxy/vm.h"

#define SILENT_TICKS 3 /* when to say so: one more than a heartbeat may be late */

static void session_unref(struct session *s)
{
    if (--s->refs)
        return;
    LIST_REMOVE(s, in_vm);
    vm_tickets_clear(&s->tickets);
    handles_destroy(s->handles);
    loop_timer_destroy(s->tick);
    explicit_bzero(s, sizeof(*s)); /* the key, the instance */
    free(s);
}

void session_end(struct session *s, const char *reason)
{
    struct vm *vm = s->vm;
    if (!s->control)
        return;
    log_info(s->subject, "gone: %s (%u clients)", reason, s->clients_n);
    link_stop(s->control);
    link_flush(s->control);
    link_destroy_later(s->control);
    s->control = NULL;
    vm->sessions_n--;
    explicit_bzero(s->key, sizeof(s->key));
    loop_timer_disarm(s->tick);
    struct session_client *c, *after;
    LIST_FOREACH_SAFE (c, &s->clients, in_session, after)
        c->ops->disconnect(c, reason);
    vm_tickets_clear(&s->tickets);
    if (s->handles)
        handles_end(s->handles);
    session_unref(s);
    vm->ops->changed(vm->user);
}

void session_destroy(struct session *s)
{
    s->refs++;
    while (!LIST_EMPTY(&s->clients))
        LIST_FIRST(&s->clients)->ops->destroy(LIST_FIRST(&s->clients));
    if (s->control) {
        link_destroy(s->control);
        s->vm->sessions_n--;
        session_unref(s);
    }
    session_unref(s);
}

/* --- its GPU --- */

static void session_probe(void *user, const uint8_t nonce[LINK_NONCE_SIZE])
{
    struct session *s = user;
    if (!s->control)
        return;
    link_queue(s->control, link_probe_encode, nonce);
    link_flush(s->control);
}

static void session_bound(void *user, bool bound, const char *why)
{
    struct session *s = user;
    if (!s->control)
        return;
    link_queue(s->control, link_bound_encode, bound, why);
    link_flush(s->control);
}

static void session_had(void *user, const uint8_t device[HANDLES_DEVICE_SIZE])
{
    const struct session *s = user;
    s->vm->ops->had(s->vm->user, device);
}

static bool session_anothers(void *user, const uint8_t device[HANDLES_DEVICE_SIZE])
{
    const struct session *s = user;
    return s->vm->ops->anothers(s->vm->user, device);
}

static const struct handles_ops handles_ops = {.probe = session_probe,
                                               .bound = session_bound,
                                               .had = session_had,
                                               .anothers = session_anothers};

/* --- what it says --- */

static int session_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    struct session *s = user;
    uint64_t serial;
    uint32_t resource;
    struct link_error_frame error;
    char reason[LINK_TEXT_MAX + 32];
    s->heard = true;
    if (s->silent) {
        log_info(s->subject, "is back after %u missed heartbeats", s->missed);
        s->silent = false;
    }
    if (type == LINK_PING && link_ping_decode(payload, size, &serial) == LINK_OK) {
        link_answer_ping(s->control, serial);
        if (sendq_size(&s->control->out) > s->vm->config->limits.queue) {
            session_end(s, "it does not read what it asks for");
            return -EPROTO;
        }
        return 0;
    }
    if (type == LINK_PROBED && s->handles &&
        link_probed_decode(payload, size, &resource) == LINK_OK &&
        handles_probed(s->handles, resource) == 0)
        return 0;
    struct link_rejected rejected;
    if (type == LINK_REJECTED && link_rejected_decode(payload, size, &rejected) == LINK_OK) {
        vm_tickets_reject(&s->tickets, &rejected);
        return 0;
    }
    struct link_display display;
    if (type == LINK_DISPLAY && link_display_decode(payload, size, &display) == LINK_OK) {
        snprintf(s->display, sizeof(s->display), "%.*s", (int)display.path_size, display.path);
        return 0;
    }
    if (type == LINK_ERROR && link_error_decode(payload, size, &error) == LINK_OK)
        snprintf(reason, sizeof(reason), "it said: %.*s", (int)error.text_size, error.text);
    else
        snprintf(reason, sizeof(reason), "it sent an unexpected or malformed %s frame",
                 link_type_name(type));
    session_end(s, reason);
    return -EPROTO;
}

static void session_closed(void *user, int reason, unsigned type)
{
    char text[128];
    if (reason > 0)
        snprintf(text, sizeof(text), "it sent a malformed %s frame: %s", link_type_name(type),
                 link_decode_error_name(reason));
    else
        snprintf(text, sizeof(text), "%s", reason ? strerror(-reason) : "it closed the connection");
    session_end(user, text);
}

static const struct link_ops link_ops = {.frame = session_frame, .closed = session_closed};

static void session_ticked(void *user)
{
    struct session *s = user;
    s->missed = s->heard ? 0 : s->missed + 1;
    s->heard = false;
    if (s->missed == SILENT_TICKS) {
        s->silent = true;
        log_warn(s->subject, "is silent; its windows stay for %u s",
                 s->vm->silent_max * LINK_TICK_MS / 1000);
    }
    if (s->missed >= s->vm->silent_max) {
        session_end(s, "it was silent for too long (--peer-timeout)");
        return;
    }
    loop_timer_arm(s->tick, LINK_TICK_MS);
}

/* --- its beginning --- */

void session_tell_apart(struct session *s)
{
    if (s->subject == &s->own)
        return;
    const uint8_t *id = s->instance;
    snprintf(s->name, sizeof(s->name), "daemon %02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
    s->own = (struct log_subject){.name = s->name, .parent = s->vm->subject};
    s->subject = &s->own;
}

static struct session *session_create(struct vm *vm, const struct link_hello *hello)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->vm = vm;
    s->refs = 1;
    s->subject = vm->subject;
    s->heard = true;
    if (hello->instance)
        memcpy(s->instance, hello->instance, sizeof(s->instance));
    s->tick = loop_timer_create(vm->loop, session_ticked, s);
    if (!s->tick || getrandom(s->key, sizeof(s->key), 0) != sizeof(s->key)) {
        loop_timer_destroy(s->tick);
        free(s);
        return NULL;
    }
    return s;
}

static void session_welcome(struct session *s, const struct link_hello *hello)
{
    const char *name = s->vm->config->name;
    struct link_welcome welcome = {.version = (uint16_t)s->version,
                                   .features = LINK_FEATURE_INSTANCE | LINK_FEATURE_DISPLAY |
                                               (s->features & LINK_FEATURE_SERVICES),
                                   .name = name,
                                   .name_size = (uint16_t)strlen(name)};
    memcpy(welcome.key, s->key, sizeof(s->key));
    if (s->handles && hello->features & LINK_FEATURE_HANDLES)
        welcome.features |= handles_begin(s->handles) ? LINK_FEATURE_HANDLES : 0;
    else if (s->vm->config->gpu)
        log_info(s->subject, "its daemon has no virtio-gpu to offer: pixels go over the link");
    link_queue(s->control, link_welcome_encode, &welcome);
    explicit_bzero(&welcome, sizeof(welcome));
}

void session_begin(struct vm *vm, struct link *link, const struct link_hello *hello, bool name)
{
    struct session *s = session_create(vm, hello);
    if (!s) {
        refuse(link, vm->subject, LINK_ERROR_INTERNAL, "out of memory", NULL);
        return;
    }
    if (name)
        session_tell_apart(s);
    s->features = hello->features;
    s->since = json_now();
    snprintf(s->host_name, sizeof(s->host_name), "%.*s", (int)hello->label_size, hello->label);
    s->tickets = (struct vm_tickets){.loop = vm->loop, .subject = s->subject};
    if (vm->config->gpu && hello->features & LINK_FEATURE_HANDLES)
        s->handles = handles_create(vm->loop, vm->config->gpu, s->subject, &handles_ops, s);
    LIST_INSERT_HEAD(&vm->sessions, s, in_vm);
    vm->sessions_n++;
    link_adopt(link, &link_ops, s);
    s->control = link;
    s->version = hello->version_max < LINK_VERSION_MAX ? hello->version_max : LINK_VERSION_MAX;
    session_welcome(s, hello);
    loop_timer_arm(s->tick, LINK_TICK_MS);
    if (hello->label_size)
        log_info(s->subject, "connected (its host name: %.*s)", (int)hello->label_size,
                 hello->label);
    else
        log_info(s->subject, "connected (its host name: none)");
    link_flush(link);
}

json_t *session_describe(const struct session *s)
{
    return json_pack("{so so so sb}", "host_name", json_words(s->host_name), "display",
                     json_words(*s->display ? s->display : NULL), "since", json_time(s->since),
                     "silent", s->silent);
}

void session_join(struct session *s, struct session_client *c)
{
    c->since = json_now();
    LIST_INSERT_HEAD(&s->clients, c, in_session);
    s->refs++;
    s->clients_n += !c->uncounted;
    s->vm->clients_n += !c->uncounted;
}

void session_leave(struct session *s, struct session_client *c)
{
    struct vm *vm = s->vm;
    LIST_REMOVE(c, in_session);
    s->clients_n -= !c->uncounted;
    vm->clients_n -= !c->uncounted;
    session_unref(s);
    vm->ops->changed(vm->user);
}
