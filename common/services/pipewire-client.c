/* SPDX-License-Identifier: MIT */
/* pipewire-client: what a guest's program may ask for: a list, as with PulseAudio. What it is
 * refused must still get the number that it chose, or the server would take none of the next ones;
 * so it asks the server for what there is not. */
#include "common/services/pipewire-client.h"

#include <errno.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/refused.h"
#include "common/services/pipewire-names.h"
#include "common/services/pipewire-rewrite.h"
#include "common/services/settings.h"

#define FACTORY "client-node"
#define NO_FACTORY "refused-by-host"

enum reason { TOLD_OBJECT, TOLD_METHOD, TOLD_RECORD, TOLD_FACTORY, TOLD_BIND };

static void tell_once(struct service_helper *h, enum reason reason, const char *text)
{
    if (h->told & 1u << reason)
        return;
    h->told |= 1u << reason;
    log_info(h->subject, "pipewire: refused %s", text);
    refused_note(h->subject, "service", text);
}

/* The client hears that it may not, and goes on. */
static int decline(struct service_helper *h, const struct pipewire_head *head, enum reason reason,
                   const char *text)
{
    uint8_t bytes[512];
    struct pod_writer w = {.bytes = bytes + PIPEWIRE_HEAD, .room = sizeof(bytes) - PIPEWIRE_HEAD};
    size_t all = pod_begin_struct(&w);
    pod_write_int(&w, head->id);
    pod_write_int(&w, head->seq);
    pod_write_int(&w, (uint32_t)-EACCES);
    pod_write_string(&w, text);
    pod_end_struct(&w, all);
    struct pipewire_head said = {.id = 0, .opcode = CORE_ERROR_EVENT, .size = (uint32_t)w.n};
    pipewire_head_write(bytes, &said);
    tell_once(h, reason, text);
    int e = h->sink->say(h->sink->user, SERVICE_FROM_SERVER, bytes, PIPEWIRE_HEAD + w.n);
    return e < 0 ? e : SERVICE_DROP;
}

static int may_not(struct service_helper *h, const struct pipewire_head *head)
{
    return decline(h, head, TOLD_METHOD, "what a VM's programs may not do");
}

static int new_object(struct service_helper *h, uint32_t id, enum pipewire_kind kind)
{
    int e = pipewire_object_add(&h->objects, id, kind);
    if (e == 0)
        return SERVICE_PASS;
    return helper_fail(h->sink, e == -ERANGE   ? "pipewire: a client with too many objects"
                                : e == -EEXIST ? "pipewire: an object's number is given twice"
                                               : "out of memory");
}

static bool copy_names(const struct service_helper *h, struct pod_reader *in,
                       struct pod_writer *out)
{
    return pipewire_names_copy(in, out, h->settings->prefix, h->settings->record);
}

static int create_object(struct service_helper *h, uint8_t *bytes, size_t *size, size_t room)
{
    struct pipewire_rewrite *r = pipewire_rewrite_begin(bytes, *size);
    struct pod_reader dict;
    const char *factory, *type;
    uint32_t version, id;
    if (!r || !pod_read_string(&r->in, &factory) || !pod_read_string(&r->in, &type) ||
        !pod_read_int(&r->in, &version) || !pod_read_struct(&r->in, &dict) ||
        !pod_read_int(&r->in, &id))
        return pipewire_malformed(h);
    bool node = strcmp(factory, FACTORY) == 0;
    if (!node)
        tell_once(h, TOLD_FACTORY, "an object that is no stream");
    int e = new_object(h, id, node ? PIPEWIRE_NEW_NODE : PIPEWIRE_REFUSED);
    if (e < 0)
        return e;
    pod_write_string(&r->out, node ? FACTORY : NO_FACTORY);
    pod_write_string(&r->out, type);
    pod_write_int(&r->out, version);
    size_t props = pod_begin_struct(&r->out);
    if (!copy_names(h, &dict, &r->out))
        return pipewire_malformed(h);
    pod_end_struct(&r->out, props);
    pod_write_int(&r->out, id);
    return pipewire_rewrite_end(h, r, bytes, size, room);
}

static int core_method(struct service_helper *h, const struct pipewire_head *head, uint8_t *bytes,
                       size_t *size, size_t room)
{
    struct pod_reader in;
    uint32_t version, id;
    switch (head->opcode) {
    case CORE_HELLO:
    case CORE_SYNC:
    case CORE_PONG:
    case CORE_ERROR:
        return SERVICE_PASS;
    case CORE_GET_REGISTRY:
        if (!pipewire_begin(&in, bytes, *size) || !pod_read_int(&in, &version) ||
            !pod_read_int(&in, &id))
            return pipewire_malformed(h);
        return new_object(h, id, PIPEWIRE_REGISTRY);
    case CORE_CREATE_OBJECT:
        return create_object(h, bytes, size, room);
    case CORE_DESTROY:
        if (!pipewire_begin(&in, bytes, *size) || !pod_read_int(&in, &id))
            return pipewire_malformed(h);
        return id > 1 ? SERVICE_PASS : may_not(h, head);
    default:
        return may_not(h, head);
    }
}

static int client_method(struct service_helper *h, const struct pipewire_head *head, uint8_t *bytes,
                         size_t *size, size_t room)
{
    struct pipewire_rewrite *r = pipewire_rewrite_begin(bytes, *size);
    struct pod_reader dict;
    if (head->opcode == CLIENT_GET_PERMISSIONS)
        return SERVICE_PASS;
    if (head->opcode != CLIENT_UPDATE_PROPERTIES)
        return may_not(h, head);
    if (!r || !pod_read_struct(&r->in, &dict))
        return pipewire_malformed(h);
    size_t props = pod_begin_struct(&r->out);
    if (!copy_names(h, &dict, &r->out))
        return pipewire_malformed(h);
    pod_end_struct(&r->out, props);
    return pipewire_rewrite_end(h, r, bytes, size, room);
}

static bool is_shown(const struct service_helper *h, uint32_t id)
{
    return id < PIPEWIRE_GLOBALS_MAX && h->globals[id / 8] & 1u << id % 8;
}

static enum pipewire_kind kind_of(const char *type)
{
    return strcmp(type, PIPEWIRE_TYPE_NODE) == 0   ? PIPEWIRE_OTHER
           : strcmp(type, PIPEWIRE_TYPE_CORE) == 0 ? PIPEWIRE_CORE
                                                   : PIPEWIRE_METADATA;
}

static int registry_bind(struct service_helper *h, uint8_t *bytes, size_t *size, size_t room)
{
    struct pipewire_rewrite *r = pipewire_rewrite_begin(bytes, *size);
    const char *type;
    uint32_t global, version, id;
    if (!r || !pod_read_int(&r->in, &global) || !pod_read_string(&r->in, &type) ||
        !pod_read_int(&r->in, &version) || !pod_read_int(&r->in, &id))
        return pipewire_malformed(h);
    bool shown = is_shown(h, global);
    int e = new_object(h, id, !shown ? PIPEWIRE_REFUSED : kind_of(type));
    if (e < 0)
        return e;
    if (!shown)
        tell_once(h, TOLD_BIND, "an object that is not shown to a VM");
    pod_write_int(&r->out, shown ? global : PIPEWIRE_NO_ID);
    pod_write_string(&r->out, type);
    pod_write_int(&r->out, version);
    pod_write_int(&r->out, id);
    return pipewire_rewrite_end(h, r, bytes, size, room);
}

/* The client's words for its node, or for a port of it: @first values, then as many parameters as
 * the last of them says; then a struct with @head values ahead of properties, or none. */
static int update(struct service_helper *h, uint8_t *bytes, size_t *size, size_t room,
                  uint32_t first, uint32_t head)
{
    struct pipewire_rewrite *r = pipewire_rewrite_begin(bytes, *size);
    struct pod_reader info;
    struct pod none;
    uint32_t params;
    if (!r || !pipewire_rewrite_keep(&r->in, &r->out, first) || !pod_read_int(&r->in, &params))
        return pipewire_malformed(h);
    pod_write_int(&r->out, params);
    if (!pipewire_rewrite_keep(&r->in, &r->out, params))
        return pipewire_malformed(h);
    if (!pod_read_struct(&r->in, &info)) {
        if (!pod_read(&r->in, &none) || none.type != POD_NONE)
            return pipewire_malformed(h);
        pod_write(&r->out, POD_NONE, NULL, 0);
        return pipewire_rewrite_end(h, r, bytes, size, room);
    }
    size_t begin = pod_begin_struct(&r->out);
    if (!pipewire_rewrite_keep(&info, &r->out, head) || !copy_names(h, &info, &r->out))
        return pipewire_malformed(h);
    while (pod_read(&info, &none))
        pod_write(&r->out, none.type, none.body, none.size);
    pod_end_struct(&r->out, begin);
    return pipewire_rewrite_end(h, r, bytes, size, room);
}

static int client_node_method(struct service_helper *h, const struct pipewire_head *head,
                              uint8_t *bytes, size_t *size, size_t room)
{
    struct pod_reader in;
    uint32_t version, id, direction;
    switch (head->opcode) {
    case CLIENT_NODE_GET_NODE:
        if (!pipewire_begin(&in, bytes, *size) || !pod_read_int(&in, &version) ||
            !pod_read_int(&in, &id))
            return pipewire_malformed(h);
        return new_object(h, id, PIPEWIRE_NODE);
    case CLIENT_NODE_UPDATE:
        return update(h, bytes, size, room, 1, 4);
    case CLIENT_NODE_PORT_UPDATE:
        if (!pipewire_begin(&in, bytes, *size) || !pod_read_int(&in, &direction))
            return pipewire_malformed(h);
        if (direction != DIRECTION_OUTPUT && !h->settings->record)
            return decline(h, head, TOLD_RECORD, "recording (record = yes would allow it)");
        return update(h, bytes, size, room, 3, 4);
    case CLIENT_NODE_SET_ACTIVE:
    case CLIENT_NODE_EVENT:
        return SERVICE_PASS;
    default:
        return may_not(h, head);
    }
}

int pipewire_client_message(struct service_helper *h, const struct pipewire_head *head,
                            uint8_t *bytes, size_t *size, size_t room)
{
    switch (pipewire_object(&h->objects, head->id)) {
    case PIPEWIRE_CORE:
        return core_method(h, head, bytes, size, room);
    case PIPEWIRE_CLIENT:
        return client_method(h, head, bytes, size, room);
    case PIPEWIRE_REGISTRY:
        if (head->opcode == REGISTRY_BIND)
            return registry_bind(h, bytes, size, room);
        break;
    case PIPEWIRE_NEW_NODE:
    case PIPEWIRE_CLIENT_NODE:
        return client_node_method(h, head, bytes, size, room);
    case PIPEWIRE_NODE:
        if (head->opcode >= NODE_SUBSCRIBE_PARAMS && head->opcode <= NODE_SEND_COMMAND)
            return SERVICE_PASS;
        break;
    case PIPEWIRE_OTHER:
        if (head->opcode == NODE_SUBSCRIBE_PARAMS || head->opcode == NODE_ENUM_PARAMS)
            return SERVICE_PASS;
        break;
    default:
        return decline(h, head, TOLD_OBJECT, "a message to an object that there is not");
    }
    return may_not(h, head);
}
