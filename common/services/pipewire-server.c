/* SPDX-License-Identifier: MIT */
/* pipewire-server: which memory is for what (activations) is in the server's messages: a node's own
 * record, those of the nodes that wait for it, and what it plays into. All else the guest only
 * sees, and of the server and other programs no more than it needs. */
#include "common/services/pipewire-server.h"

#include <errno.h>
#include <string.h>

#include "common/services/pipewire-rewrite.h"
#include "common/services/settings.h"

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
        return pipewire_malformed(h);
    bool shown =
        id < PIPEWIRE_GLOBALS_MAX &&
        ((strcmp(type, PIPEWIRE_TYPE_NODE) == 0 && is_sound_device(dict)) ||
         strcmp(type, PIPEWIRE_TYPE_METADATA) == 0 || strcmp(type, PIPEWIRE_TYPE_CORE) == 0);
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
    struct pipewire_rewrite *r = pipewire_rewrite_begin(bytes, *size);
    struct pod_reader dict;
    const char *user, *host, *key, *value;
    uint32_t n, copied = 0;
    if (!r || !pipewire_rewrite_keep(&r->in, &r->out, 2) || !pod_read_string(&r->in, &user) ||
        !pod_read_string(&r->in, &host))
        return pipewire_malformed(h);
    pod_write_string(&r->out, "user");
    pod_write_string(&r->out, "host");
    if (!pod_read_string(&r->in, &value)) /* the version */
        return pipewire_malformed(h);
    pod_write_string(&r->out, value);
    if (!pod_read_string(&r->in, &value))
        return pipewire_malformed(h);
    pod_write_string(&r->out, "pipewire-0");
    if (!pipewire_rewrite_keep(&r->in, &r->out, 1) || !pod_read_struct(&r->in, &dict) ||
        !pod_read_int(&dict, &n))
        return pipewire_malformed(h);
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
    return pipewire_rewrite_end(h, r, bytes, size, room);
}

static int core_event(struct service_helper *h, const struct pipewire_head *head,
                      struct pod_reader in)
{
    struct pipewire_passing *p = &h->passing;
    uint32_t id, type;
    switch (head->opcode) {
    case CORE_REMOVE_ID_EVENT:
        if (!pod_read_int(&in, &id))
            return pipewire_malformed(h);
        if (is_node(h, id)) {
            int e = role(h, &(struct service_role){.what = SERVICE_ROLE_NODE_GONE, .node = id});
            if (e < 0)
                return e;
        }
        pipewire_object_remove(&h->objects, id);
        return SERVICE_PASS;
    case CORE_ADD_MEM_EVENT:
        if (!pod_read_int(&in, &p->memory) || !pod_read_id(&in, &type) || !pod_read_fd(&in, &p->fd))
            return pipewire_malformed(h);
        p->what = PASSING_MEMORY;
        return SERVICE_PASS;
    case CORE_REMOVE_MEM_EVENT:
        if (!pod_read_int(&in, &id))
            return pipewire_malformed(h);
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
        return pipewire_malformed(h);
    if (direction != DIRECTION_OUTPUT)
        return SERVICE_PASS; /* others have the same buffers */
    for (; n; n--) {
        if (!pod_read_int(&in, &memory) || !pod_read_int(&in, &offset) ||
            !pod_read_int(&in, &size) || !pod_read_int(&in, &metas))
            return pipewire_malformed(h);
        int e = share(h, memory);
        for (; metas; metas--)
            if (!pod_read_id(&in, &type) || !pod_read_int(&in, &data))
                return pipewire_malformed(h);
        if (!pod_read_int(&in, &datas))
            return pipewire_malformed(h);
        for (; e == 0 && datas; datas--) {
            if (!pod_read_id(&in, &type) || !pod_read_int(&in, &data) ||
                !pod_read_int(&in, &flags) || !pod_read_int(&in, &offset) ||
                !pod_read_int(&in, &size))
                return pipewire_malformed(h);
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
    struct pipewire_passing *p = &h->passing;
    uint32_t direction, port, mix, id, memory, offset, size;
    int64_t other;
    int e;
    p->node = head->id;
    switch (head->opcode) {
    case CLIENT_NODE_TRANSPORT_EVENT:
        if (!pod_read_fd(&in, &p->fd) || !pod_read_fd(&in, &other) ||
            !pod_read_int(&in, &p->memory) || !pod_read_int(&in, &offset) || offset)
            return pipewire_malformed(h);
        p->what = PASSING_NODE;
        h->to_guest = p->fd;
        pipewire_object_begins(&h->objects, head->id);
        return SERVICE_PASS;
    case CLIENT_NODE_USE_BUFFERS_EVENT:
        return use_buffers(h, in);
    case CLIENT_NODE_PORT_SET_IO_EVENT:
        if (!pod_read_int(&in, &direction) || !pod_read_int(&in, &port) ||
            !pod_read_int(&in, &mix) || !pod_read_id(&in, &id) || !pod_read_int(&in, &memory))
            return pipewire_malformed(h);
        e = id == IO_CLOCK || id == IO_POSITION ? 0 : share(h, memory);
        return e < 0 ? e : SERVICE_PASS;
    case CLIENT_NODE_SET_ACTIVATION_EVENT:
        if (!pod_read_int(&in, &p->peer) || !pod_read_fd(&in, &p->fd) ||
            !pod_read_int(&in, &p->memory) || !pod_read_int(&in, &offset) ||
            !pod_read_int(&in, &size) || offset)
            return pipewire_malformed(h);
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

int pipewire_server_message(struct service_helper *h, const struct pipewire_head *head,
                            uint8_t *bytes, size_t *whole, size_t room)
{
    size_t size = *whole;
    enum pipewire_kind kind = pipewire_object(&h->objects, head->id);
    struct pod_reader in;
    h->passing = (struct pipewire_passing){.fd = -1};
    h->to_guest = -1;
    memset(h->vfds, 0, head->fds * sizeof(*h->vfds));
    h->vfds_n = head->fds;
    if (kind != PIPEWIRE_CORE && !is_node(h, head->id) && kind != PIPEWIRE_REGISTRY)
        return SERVICE_PASS;
    if (size < h->whole[SERVICE_FROM_SERVER])
        return head->fds ? helper_fail(h->sink, "pipewire: a message that is too long")
                         : SERVICE_PASS;
    if (!pipewire_begin(&in, bytes, size))
        return pipewire_malformed(h);
    if (kind == PIPEWIRE_CORE && head->opcode == CORE_INFO_EVENT)
        return core_info(h, bytes, whole, room);
    if (kind == PIPEWIRE_CORE)
        return core_event(h, head, in);
    if (kind != PIPEWIRE_REGISTRY)
        return client_node_event(h, head, in);
    return head->opcode == REGISTRY_GLOBAL_EVENT ? global(h, in) : SERVICE_PASS;
}

void pipewire_server_sent(struct service_helper *h, unsigned i, uint32_t vfd)
{
    if (i < h->vfds_n)
        h->vfds[i] = vfd;
}

static uint32_t vfd_of(const struct service_helper *h, int64_t fd)
{
    return fd >= 0 && fd < (int64_t)h->vfds_n ? h->vfds[fd] : 0;
}

static int memory_added(struct service_helper *h)
{
    const struct pipewire_passing *p = &h->passing;
    uint32_t vfd = vfd_of(h, p->fd);
    int e = pipewire_memory_add(&h->objects, p->memory, vfd);
    if (!vfd)
        return helper_fail(h->sink, "pipewire: a message that lacks its descriptor");
    if (e < 0)
        return helper_fail(h->sink, e == -ERANGE ? "pipewire: a server with too much memory"
                                                 : "out of memory");
    return role(h, &(struct service_role){.what = SERVICE_ROLE_SHOWN, .memory = vfd});
}

int pipewire_server_passing(struct service_helper *h)
{
    struct pipewire_passing p = h->passing;
    struct service_role said = {.node = p.node, .peer = p.peer};
    if (p.what == PASSING_NOTHING)
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
