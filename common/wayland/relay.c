/* SPDX-License-Identifier: MIT */
/* relay: small services for the hooks of a connection. Whatever is queued for the link goes behind
 * the messages that were read before it. */
#include "common/wayland/relay.h"

#include <stdarg.h>
#include <stdio.h>

#define COPY_MAX 1024 /* bytes: so few are copied behind their frame's head */

enum relay_verdict relay_fail(struct relay *r, enum link_error kind, uint32_t object,
                              uint32_t wl_code, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    ends_fail(&r->carrier.ends, &(struct carrier_error){
                                    .kind = kind, .object = object, .code = wl_code, .text = text});
    return RELAY_END;
}

enum relay_verdict relay_out_of_memory(struct relay *r)
{
    return relay_fail(r, LINK_ERROR_INTERNAL, 0, WL_DISPLAY_NO_MEMORY, "out of memory");
}

void relay_wait(struct relay *r)
{
    ends_hold(&r->carrier.ends, CARRIER_HOLD_USER);
}

void relay_wait_over(struct relay *r)
{
    ends_resume(&r->carrier.ends, CARRIER_HOLD_USER);
}

void *relay_data(struct relay *r, uint32_t id, const struct wl_data_type *type)
{
    struct wl_object *object = wl_objects_get(&r->objects, id);
    return object && !object->zombie && object->data && object->data->type == type ? object->data
                                                                                   : NULL;
}

void relay_attach(struct relay *r, uint32_t id, struct wl_data *data)
{
    struct wl_object *object = wl_objects_get(&r->objects, id);
    if (object->data && object->data->type->destroy)
        object->data->type->destroy(object->data);
    object->data = data;
}

int relay_take_fd(struct relay *r)
{
    return local_socket_claim_fd(&r->carrier.ends.local);
}

void relay_queue_runs(struct relay *r)
{
    if (!r->runs_size)
        return;
    struct sendq *out = &r->carrier.ends.link->out;
    uint8_t head[LINK_HEADER_SIZE];
    sendq_copy(out, head, link_header_encode(head, LINK_WAYLAND, r->runs_size));
    for (size_t i = 0; i < r->runs_n; i++) {
        if (r->runs_size <=
            COPY_MAX) /* behind the head in one piece: cheaper for the socket than two */
            sendq_copy(out, r->runs[i].at, r->runs[i].size);
        else
            sendq_borrow(out, r->runs[i].at, r->runs[i].size);
    }
    r->carrier.ends.sent.own += r->runs_size;
    r->runs_n = r->runs_size = 0;
}

void relay_inject_local(struct relay *r, const void *message, size_t size)
{
    if (ends_has_local(&r->carrier.ends))
        sendq_copy(&r->carrier.ends.local.out, message, size);
}

void relay_inject_link(struct relay *r, const void *message, size_t size)
{
    struct sendq *out = &r->carrier.ends.link->out;
    uint8_t head[LINK_HEADER_SIZE];
    relay_queue_runs(r); /* what came before it */
    sendq_copy(out, head, link_header_encode(head, LINK_WAYLAND, size));
    sendq_copy(out, message, size);
}
