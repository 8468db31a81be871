/* SPDX-License-Identifier: MIT */
/* helper-pipewire: PipeWire's native protocol. Owns who of a connection's objects is which, what
 * the server's memory was sent as, and what a guest may ask for: a list, as with PulseAudio. What a
 * client is refused must still get the number that it chose, or the server would take none of the
 * next ones; so it asks the server for what there is not.
 *
 * Which memory is for what (activations) is in the server's messages: a node's own record, those of
 * the nodes that wait for it, and what it plays into. All else it only sees. */
#include "common/services/helper-pipewire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/refused.h"
#include "common/services/pipewire-context.h"
#include "common/services/pipewire-messages.h"
#include "common/services/pipewire-names.h"
#include "common/services/pipewire-objects.h"
#include "common/services/pod.h"
#include "common/services/settings.h"

#define FDS_MAX 253u
#define GLOBALS_MAX 4096u
#define TYPE_CORE "PipeWire:Interface:Core"
#define TYPE_NODE "PipeWire:Interface:Node"
#define TYPE_METADATA "PipeWire:Interface:Metadata"
#define FACTORY "client-node"
#define NO_FACTORY "refused-by-host"

/* What has to wait until the descriptors of the server's message are VFDs. */
struct passing {
    enum { PASSING_NOTHING, PASSING_MEMORY, PASSING_NODE, PASSING_PEER } what;
    uint32_t node, peer, memory;
    int64_t fd; /* which of the message's */
};

struct service_helper {
    const struct service_settings *settings;
    const struct service_sink *sink;
    struct log_subject *subject;
    struct pipewire_objects objects;
    uint8_t globals[GLOBALS_MAX / 8]; /* a bit for each that the client was shown */
    uint64_t whole[_SERVICE_WAY_N];   /* bytes of the message that is looked at */
    struct passing passing;
    uint32_t vfds[FDS_MAX]; /* of that message's descriptors, */
    uint32_t vfds_n;        /* so many */
    int64_t to_guest;       /* which of them is signalled by the host; -1: none */
    unsigned told;          /* what the log has already: bits */
};

enum reason { TOLD_OBJECT, TOLD_METHOD, TOLD_RECORD, TOLD_FACTORY, TOLD_BIND };

static struct service_helper *pipewire_create(const struct service_settings *settings,
                                              const struct service_sink *sink,
                                              struct log_subject *subject)
{
    struct service_helper *h = calloc(1, sizeof(*h));
    if (h && pipewire_objects_init(&h->objects) < 0) {
        free(h);
        return NULL;
    }
    if (!h)
        return NULL;
    h->settings = settings;
    h->sink = sink;
    h->subject = subject;
    return h;
}

static void pipewire_destroy(struct service_helper *h)
{
    if (!h)
        return;
    pipewire_objects_finish(&h->objects);
    free(h);
}

static int malformed(const struct service_helper *h)
{
    return helper_fail(h->sink, "pipewire: a message that is not what it has to be");
}

static int pipewire_frame(struct service_helper *h, enum service_way way, const uint8_t *bytes,
                          size_t size, struct service_frame *ret)
{
    struct pipewire_head head;
    if (size < PIPEWIRE_HEAD)
        return 0;
    pipewire_head_read(bytes, &head);
    uint64_t whole = (uint64_t)PIPEWIRE_HEAD + head.size;
    if (way == SERVICE_FROM_CLIENT && head.fds)
        return helper_fail(h->sink, "pipewire: a client that passes descriptors");
    if (way == SERVICE_FROM_CLIENT && whole > SERVICE_LOOK_MAX)
        return helper_fail(h->sink, "pipewire: a message that is too long");
    if (head.fds > FDS_MAX)
        return helper_fail(h->sink, "pipewire: a message with too many descriptors");
    h->whole[way] = whole;
    *ret =
        (struct service_frame){.size = whole,
                               .look = whole < SERVICE_LOOK_MAX ? (size_t)whole : SERVICE_LOOK_MAX,
                               .fds = head.fds};
    return 1;
}

/* --- what the client asks for --- */

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

/* A message that is being written anew: its values, and where it may go to. */
struct rewrite {
    struct pod_reader in, all; /* the values in its struct; behind that: a footer */
    struct pod_writer out;
    uint8_t bytes[SERVICE_LOOK_MAX + 4096];
    size_t begin;
};

/* The struct that a message is. False: it is none. */
static bool begin(struct pod_reader *in, const uint8_t *bytes, size_t size)
{
    struct pod_reader all = {bytes + PIPEWIRE_HEAD, bytes + size};
    return pod_read_struct(&all, in);
}

static bool rewrite_begin(struct rewrite *r, const uint8_t *bytes, size_t size)
{
    r->all = (struct pod_reader){bytes + PIPEWIRE_HEAD, bytes + size};
    r->out = (struct pod_writer){.bytes = r->bytes, .room = sizeof(r->bytes)};
    if (!pod_read_struct(&r->all, &r->in))
        return false;
    r->begin = pod_begin_struct(&r->out);
    return true;
}

/* The next @n values as they are. */
static bool rewrite_keep(struct pod_reader *in, struct pod_writer *out, uint32_t n)
{
    struct pod pod;
    for (; n; n--) {
        if (!pod_read(in, &pod))
            return false;
        pod_write(out, pod.type, pod.body, pod.size);
    }
    return true;
}

/* Puts it in the message's place, with what is left of it and its footer. */
static int rewrite_end(struct service_helper *h, struct rewrite *r, uint8_t *bytes, size_t *size,
                       size_t room)
{
    struct pipewire_head head;
    struct pod pod;
    while (pod_read(&r->in, &pod))
        pod_write(&r->out, pod.type, pod.body, pod.size);
    pod_end_struct(&r->out, r->begin);
    while (pod_read(&r->all, &pod))
        pod_write(&r->out, pod.type, pod.body, pod.size);
    if (r->out.full || PIPEWIRE_HEAD + r->out.n > room)
        return helper_fail(h->sink, "pipewire: a message that is too long");
    pipewire_head_read(bytes, &head);
    head.size = (uint32_t)r->out.n;
    pipewire_head_write(bytes, &head);
    memcpy(bytes + PIPEWIRE_HEAD, r->out.bytes, r->out.n);
    *size = PIPEWIRE_HEAD + r->out.n;
    return SERVICE_PASS;
}

/* It fits into one buffer: nothing here is called while it is in use. */
static struct rewrite *rewrite_of(void)
{
    static struct rewrite rewrite;
    return &rewrite;
}

static bool copy_names(const struct service_helper *h, struct pod_reader *in,
                       struct pod_writer *out)
{
    return pipewire_names_copy(in, out, h->settings->prefix, h->settings->record);
}

static int create_object(struct service_helper *h, uint8_t *bytes, size_t *size, size_t room)
{
    struct rewrite *r = rewrite_of();
    struct pod_reader dict;
    const char *factory, *type;
    uint32_t version, id;
    if (!rewrite_begin(r, bytes, *size) || !pod_read_string(&r->in, &factory) ||
        !pod_read_string(&r->in, &type) || !pod_read_int(&r->in, &version) ||
        !pod_read_struct(&r->in, &dict) || !pod_read_int(&r->in, &id))
        return malformed(h);
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
        return malformed(h);
    pod_end_struct(&r->out, props);
    pod_write_int(&r->out, id);
    return rewrite_end(h, r, bytes, size, room);
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
        if (!begin(&in, bytes, *size) || !pod_read_int(&in, &version) || !pod_read_int(&in, &id))
            return malformed(h);
        return new_object(h, id, PIPEWIRE_REGISTRY);
    case CORE_CREATE_OBJECT:
        return create_object(h, bytes, size, room);
    case CORE_DESTROY:
        if (!begin(&in, bytes, *size) || !pod_read_int(&in, &id))
            return malformed(h);
        return id > 1 ? SERVICE_PASS : may_not(h, head);
    default:
        return may_not(h, head);
    }
}

static int client_method(struct service_helper *h, const struct pipewire_head *head, uint8_t *bytes,
                         size_t *size, size_t room)
{
    struct rewrite *r = rewrite_of();
    struct pod_reader dict;
    if (head->opcode == CLIENT_GET_PERMISSIONS)
        return SERVICE_PASS;
    if (head->opcode != CLIENT_UPDATE_PROPERTIES)
        return may_not(h, head);
    if (!rewrite_begin(r, bytes, *size) || !pod_read_struct(&r->in, &dict))
        return malformed(h);
    size_t props = pod_begin_struct(&r->out);
    if (!copy_names(h, &dict, &r->out))
        return malformed(h);
    pod_end_struct(&r->out, props);
    return rewrite_end(h, r, bytes, size, room);
}

static bool is_shown(const struct service_helper *h, uint32_t id)
{
    return id < GLOBALS_MAX && h->globals[id / 8] & 1u << id % 8;
}

static enum pipewire_kind kind_of(const char *type)
{
    return strcmp(type, TYPE_NODE) == 0   ? PIPEWIRE_OTHER
           : strcmp(type, TYPE_CORE) == 0 ? PIPEWIRE_CORE
                                          : PIPEWIRE_METADATA;
}

static int registry_bind(struct service_helper *h, uint8_t *bytes, size_t *size, size_t room)
{
    struct rewrite *r = rewrite_of();
    const char *type;
    uint32_t global, version, id;
    if (!rewrite_begin(r, bytes, *size) || !pod_read_int(&r->in, &global) ||
        !pod_read_string(&r->in, &type) || !pod_read_int(&r->in, &version) ||
        !pod_read_int(&r->in, &id))
        return malformed(h);
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
    return rewrite_end(h, r, bytes, size, room);
}

/* The client's words for its node, or for a port of it: @first values, then as many parameters as
 * the last of them says; then a struct with @head values ahead of properties, or none. */
static int update(struct service_helper *h, uint8_t *bytes, size_t *size, size_t room,
                  uint32_t first, uint32_t head)
{
    struct rewrite *r = rewrite_of();
    struct pod_reader info;
    struct pod none;
    uint32_t params;
    if (!rewrite_begin(r, bytes, *size) || !rewrite_keep(&r->in, &r->out, first) ||
        !pod_read_int(&r->in, &params))
        return malformed(h);
    pod_write_int(&r->out, params);
    if (!rewrite_keep(&r->in, &r->out, params))
        return malformed(h);
    if (!pod_read_struct(&r->in, &info)) {
        if (!pod_read(&r->in, &none) || none.type != POD_NONE)
            return malformed(h);
        pod_write(&r->out, POD_NONE, NULL, 0);
        return rewrite_end(h, r, bytes, size, room);
    }
    size_t begin = pod_begin_struct(&r->out);
    if (!rewrite_keep(&info, &r->out, head) || !copy_names(h, &info, &r->out))
        return malformed(h);
    while (pod_read(&info, &none))
        pod_write(&r->out, none.type, none.body, none.size);
    pod_end_struct(&r->out, begin);
    return rewrite_end(h, r, bytes, size, room);
}

static int client_node_method(struct service_helper *h, const struct pipewire_head *head,
                              uint8_t *bytes, size_t *size, size_t room)
{
    struct pod_reader in;
    uint32_t version, id, direction;
    switch (head->opcode) {
    case CLIENT_NODE_GET_NODE:
        if (!begin(&in, bytes, *size) || !pod_read_int(&in, &version) || !pod_read_int(&in, &id))
            return malformed(h);
        return new_object(h, id, PIPEWIRE_NODE);
    case CLIENT_NODE_UPDATE:
        return update(h, bytes, size, room, 1, 4);
    case CLIENT_NODE_PORT_UPDATE:
        if (!begin(&in, bytes, *size) || !pod_read_int(&in, &direction))
            return malformed(h);
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

static int client_message(struct service_helper *h, const struct pipewire_head *head,
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

/* --- what the server says --- */

static int role(const struct service_helper *h, const struct service_role *said)
{
    return h->sink->role(h->sink->user, said);
}

/* Memory that the client writes to, too. */
static int share(const struct service_helper *h, uint32_t memory)
{
    uint32_t vfd = pipewire_memory(&h->objects, memory);
    return vfd ? role(h, &(struct service_role){.what = SERVICE_ROLE_SHARED, .memory = vfd}) : 0;
}

static bool is_sound_device(struct pod_reader dict)
{
    uint32_t n;
    const char *key, *value;
    if (!pod_read_int(&dict, &n))
        return false;
    for (; n && pod_read_string(&dict, &key) && pod_read_string(&dict, &value); n--)
        if (strcmp(key, "media.class") == 0)
            return strcmp(value, "Audio/Sink") == 0 || strcmp(value, "Audio/Source") == 0;
    return false;
}

/* Other programs' things are not the guest's to know. */
static int global(struct service_helper *h, struct pod_reader in)
{
    uint32_t id, permissions, version;
    const char *type;
    struct pod_reader dict;
    if (!pod_read_int(&in, &id) || !pod_read_int(&in, &permissions) ||
        !pod_read_string(&in, &type) || !pod_read_int(&in, &version) ||
        !pod_read_struct(&in, &dict))
        return malformed(h);
    bool shown =
        id < GLOBALS_MAX && ((strcmp(type, TYPE_NODE) == 0 && is_sound_device(dict)) ||
                             strcmp(type, TYPE_METADATA) == 0 || strcmp(type, TYPE_CORE) == 0);
    if (shown)
        h->globals[id / 8] |= (uint8_t)(1u << id % 8);
    return shown ? SERVICE_PASS : SERVICE_DROP;
}

static bool is_node(const struct service_helper *h, uint32_t id)
{
    enum pipewire_kind kind = pipewire_object(&h->objects, id);
    return kind == PIPEWIRE_NEW_NODE || kind == PIPEWIRE_CLIENT_NODE;
}

/* The settings that streams go by; who and where the server is, is not theirs to know. */
static int core_info(struct service_helper *h, uint8_t *bytes, size_t *size, size_t room)
{
    static const char *const kept[] = {"core.", "default.", "link.", "mem.", "settings."};
    struct rewrite *r = rewrite_of();
    struct pod_reader dict;
    const char *user, *host, *key, *value;
    uint32_t n, copied = 0;
    if (!rewrite_begin(r, bytes, *size) || !rewrite_keep(&r->in, &r->out, 2) ||
        !pod_read_string(&r->in, &user) || !pod_read_string(&r->in, &host))
        return malformed(h);
    pod_write_string(&r->out, "user");
    pod_write_string(&r->out, "host");
    if (!pod_read_string(&r->in, &value)) /* the version */
        return malformed(h);
    pod_write_string(&r->out, value);
    if (!pod_read_string(&r->in, &value))
        return malformed(h);
    pod_write_string(&r->out, "pipewire-0");
    if (!rewrite_keep(&r->in, &r->out, 1) || !pod_read_struct(&r->in, &dict) ||
        !pod_read_int(&dict, &n))
        return malformed(h);
    size_t props = pod_begin_struct(&r->out), count = r->out.n;
    pod_write_int(&r->out, 0);
    for (; n && pod_read_string(&dict, &key) && pod_read_string(&dict, &value); n--)
        for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
            if (strncmp(key, kept[i], strlen(kept[i])) == 0 && strcmp(key, "core.name") != 0) {
                pod_write_string(&r->out, key);
                pod_write_string(&r->out, value);
                copied++;
            }
    pod_patch_int(&r->out, count, copied);
    pod_end_struct(&r->out, props);
    return rewrite_end(h, r, bytes, size, room);
}

static int core_event(struct service_helper *h, const struct pipewire_head *head,
                      struct pod_reader in)
{
    struct passing *p = &h->passing;
    uint32_t id, type;
    switch (head->opcode) {
    case CORE_REMOVE_ID_EVENT:
        if (!pod_read_int(&in, &id))
            return malformed(h);
        if (is_node(h, id)) {
            int e = role(h, &(struct service_role){.what = SERVICE_ROLE_NODE_GONE, .node = id});
            if (e < 0)
                return e;
        }
        pipewire_object_remove(&h->objects, id);
        return SERVICE_PASS;
    case CORE_ADD_MEM_EVENT:
        if (!pod_read_int(&in, &p->memory) || !pod_read_id(&in, &type) || !pod_read_fd(&in, &p->fd))
            return malformed(h);
        p->what = PASSING_MEMORY;
        return SERVICE_PASS;
    case CORE_REMOVE_MEM_EVENT:
        if (!pod_read_int(&in, &id))
            return malformed(h);
        pipewire_memory_remove(&h->objects, id);
        return SERVICE_PASS;
    default:
        return SERVICE_PASS;
    }
}

static int use_buffers(const struct service_helper *h, struct pod_reader in)
{
    uint32_t direction, port, mix, flags, n, memory, offset, size, metas, datas, type, data;
    if (!pod_read_int(&in, &direction) || !pod_read_int(&in, &port) || !pod_read_int(&in, &mix) ||
        !pod_read_int(&in, &flags) || !pod_read_int(&in, &n))
        return malformed(h);
    if (direction != DIRECTION_OUTPUT)
        return SERVICE_PASS; /* others have the same buffers */
    for (; n; n--) {
        if (!pod_read_int(&in, &memory) || !pod_read_int(&in, &offset) ||
            !pod_read_int(&in, &size) || !pod_read_int(&in, &metas))
            return malformed(h);
        int e = share(h, memory);
        for (; metas; metas--)
            if (!pod_read_id(&in, &type) || !pod_read_int(&in, &data))
                return malformed(h);
        if (!pod_read_int(&in, &datas))
            return malformed(h);
        for (; e == 0 && datas; datas--) {
            if (!pod_read_id(&in, &type) || !pod_read_int(&in, &data) ||
                !pod_read_int(&in, &flags) || !pod_read_int(&in, &offset) ||
                !pod_read_int(&in, &size))
                return malformed(h);
            if (type == DATA_MEM_FD || type == DATA_DMABUF || type == DATA_MEM_ID)
                e = share(h, data);
        }
        if (e < 0)
            return e;
    }
    return SERVICE_PASS;
}

static int client_node_event(struct service_helper *h, const struct pipewire_head *head,
                             struct pod_reader in)
{
    struct passing *p = &h->passing;
    uint32_t direction, port, mix, id, memory, offset, size;
    int64_t other;
    int e;
    p->node = head->id;
    switch (head->opcode) {
    case CLIENT_NODE_TRANSPORT_EVENT:
        if (!pod_read_fd(&in, &p->fd) || !pod_read_fd(&in, &other) ||
            !pod_read_int(&in, &p->memory) || !pod_read_int(&in, &offset) || offset)
            return malformed(h);
        p->what = PASSING_NODE;
        h->to_guest = p->fd;
        pipewire_object_begins(&h->objects, head->id);
        return SERVICE_PASS;
    case CLIENT_NODE_USE_BUFFERS_EVENT:
        return use_buffers(h, in);
    case CLIENT_NODE_PORT_SET_IO_EVENT:
        if (!pod_read_int(&in, &direction) || !pod_read_int(&in, &port) ||
            !pod_read_int(&in, &mix) || !pod_read_id(&in, &id) || !pod_read_int(&in, &memory))
            return malformed(h);
        e = id == IO_CLOCK || id == IO_POSITION ? 0 : share(h, memory);
        return e < 0 ? e : SERVICE_PASS;
    case CLIENT_NODE_SET_ACTIVATION_EVENT:
        if (!pod_read_int(&in, &p->peer) || !pod_read_fd(&in, &p->fd) ||
            !pod_read_int(&in, &p->memory) || !pod_read_int(&in, &offset) ||
            !pod_read_int(&in, &size) || offset)
            return malformed(h);
        /* The first that a node has, from 1.2 on, is itself: what it is woken by. */
        if (pipewire_object(&h->objects, head->id) == PIPEWIRE_NEW_NODE)
            h->to_guest = p->fd;
        else
            p->what = PASSING_PEER;
        return SERVICE_PASS;
    default:
        return SERVICE_PASS;
    }
}

static int server_message(struct service_helper *h, const struct pipewire_head *head,
                          uint8_t *bytes, size_t *whole, size_t room)
{
    size_t size = *whole;
    enum pipewire_kind kind = pipewire_object(&h->objects, head->id);
    struct pod_reader in;
    h->passing = (struct passing){.fd = -1};
    h->to_guest = -1;
    memset(h->vfds, 0, head->fds * sizeof(*h->vfds));
    h->vfds_n = head->fds;
    if (kind != PIPEWIRE_CORE && !is_node(h, head->id) && kind != PIPEWIRE_REGISTRY)
        return SERVICE_PASS;
    if (size < h->whole[SERVICE_FROM_SERVER])
        return head->fds ? helper_fail(h->sink, "pipewire: a message that is too long")
                         : SERVICE_PASS;
    if (!begin(&in, bytes, size))
        return malformed(h);
    if (kind == PIPEWIRE_CORE && head->opcode == CORE_INFO_EVENT)
        return core_info(h, bytes, whole, room);
    if (kind == PIPEWIRE_CORE)
        return core_event(h, head, in);
    if (kind != PIPEWIRE_REGISTRY)
        return client_node_event(h, head, in);
    return head->opcode == REGISTRY_GLOBAL_EVENT ? global(h, in) : SERVICE_PASS;
}

static int pipewire_message(struct service_helper *h, enum service_way way, uint8_t *bytes,
                            size_t *size, size_t room)
{
    struct pipewire_head head;
    pipewire_head_read(bytes, &head);
    return way == SERVICE_FROM_CLIENT ? client_message(h, &head, bytes, size, room)
                                      : server_message(h, &head, bytes, size, room);
}

static void pipewire_descriptor(struct service_helper *h, enum service_way way, unsigned i,
                                struct service_descriptor *ret)
{
    (void)way;
    ret->signals = h->to_guest == (int64_t)i ? SERVICE_SIGNALS_TO_GUEST : SERVICE_SIGNALS_TO_HOST;
}

static void pipewire_sent(struct service_helper *h, enum service_way way, unsigned i, uint32_t vfd)
{
    if (way == SERVICE_FROM_SERVER && i < h->vfds_n)
        h->vfds[i] = vfd;
}

static uint32_t vfd_of(const struct service_helper *h, int64_t fd)
{
    return fd >= 0 && fd < (int64_t)h->vfds_n ? h->vfds[fd] : 0;
}

static int memory_added(struct service_helper *h)
{
    const struct passing *p = &h->passing;
    uint32_t vfd = vfd_of(h, p->fd);
    int e = pipewire_memory_add(&h->objects, p->memory, vfd);
    if (!vfd)
        return helper_fail(h->sink, "pipewire: a message that lacks its descriptor");
    if (e < 0)
        return helper_fail(h->sink, e == -ERANGE ? "pipewire: a server with too much memory"
                                                 : "out of memory");
    return role(h, &(struct service_role){.what = SERVICE_ROLE_SHOWN, .memory = vfd});
}

static int pipewire_passing(struct service_helper *h, enum service_way way)
{
    struct passing p = h->passing;
    struct service_role said = {.node = p.node, .peer = p.peer};
    if (way != SERVICE_FROM_SERVER || p.what == PASSING_NOTHING)
        return 0;
    h->passing.what = PASSING_NOTHING;
    if (p.what == PASSING_MEMORY)
        return memory_added(h);
    if (p.what == PASSING_PEER && p.memory == PIPEWIRE_NO_ID) {
        said.what = SERVICE_ROLE_PEER_GONE;
        return role(h, &said);
    }
    said.what = p.what == PASSING_NODE ? SERVICE_ROLE_NODE : SERVICE_ROLE_PEER;
    said.memory = pipewire_memory(&h->objects, p.memory);
    said.event = vfd_of(h, p.fd);
    if (!said.memory || !said.event)
        return helper_fail(h->sink, "pipewire: a message that lacks its descriptor");
    return role(h, &said);
}

const struct service_helper_ops helper_pipewire = {
    .name = "pipewire",
    .counts_fds = true,
    .needs_mirrors = true,
    .connect = pipewire_context_connect,
    .create = pipewire_create,
    .destroy = pipewire_destroy,
    .frame = pipewire_frame,
    .message = pipewire_message,
    .descriptor = pipewire_descriptor,
    .sent = pipewire_sent,
    .passing = pipewire_passing,
};
