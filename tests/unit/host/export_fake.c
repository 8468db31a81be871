/* SPDX-License-Identifier: MIT */
/* One device and one session at a time. The device has at most one connection, that which came
 * last; what it keeps while it is silent belongs to that one. */
#include "tests/unit/host/export_fake.h"

struct fake F;

static void fake_send(const uint8_t *packet, size_t size)
{
    if (F.silent) {
        assert_true(F.pending_n < FAKE_PACKETS);
        memcpy(F.pending[F.pending_n].packet, packet, size);
        F.pending[F.pending_n++].size = size;
        return;
    }
    packets_send(F.packets, packet, size, -1);
}

void fake_answer_all(void)
{
    F.silent = false;
    for (unsigned i = 0; i < F.pending_n; i++)
        packets_send(F.packets, F.pending[i].packet, F.pending[i].size, -1);
    F.pending_n = 0;
}

static void fake_export(uint32_t serial, const struct export_export *ask)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_exported answer = {.status = ask->resource == F.resource ? F.export_status
                                                                           : EXPORT_UNKNOWN};
    F.asked = *ask;
    if (answer.status == EXPORT_OK) {
        answer.buffer = F.buffer;
        answer.buffer.id = ++F.next_id;
    }
    if (answer.status == EXPORT_OK && F.pages >= 0) {
        if (!answer.buffer.kind)
            answer.buffer.kind = EXPORT_KIND_UDMABUF;
        answer.buffer.reason = EXPORT_REASON_NONE;
        packets_send(F.packets, packet, export_exported_encode(packet, serial, &answer),
                     dup(F.pages));
        return;
    }
    fake_send(packet, export_exported_encode(packet, serial, &answer));
}

static void fake_received(void *user, const uint8_t *bytes, size_t size, int fd)
{
    struct export_header header;
    uint8_t packet[EXPORT_PACKET_MAX];
    const uint8_t *payload = bytes + EXPORT_HEADER_SIZE;
    union {
        struct export_hello hello;
        struct export_bind bind;
        struct export_export ask;
        struct export_mirror mirror;
        uint32_t id;
    } m;
    struct stat st;
    (void)user;
    assert_int_equal(export_header_decode(bytes, size, &header), EXPORT_E_OK);
    unsigned n = F.seen[header.type]++;
    assert_int_equal(fd >= 0, header.type == EXPORT_MIRROR);
    switch (header.type) {
    case EXPORT_HELLO:
        assert_int_equal(export_hello_decode(payload, header.size, &m.hello), EXPORT_E_OK);
        if (!F.deaf)
            packets_send(F.packets, packet,
                         export_welcome_encode(packet, header.serial, &F.welcome), -1);
        break;
    case EXPORT_BIND:
        assert_int_equal(export_bind_decode(payload, header.size, &m.bind), EXPORT_E_OK);
        F.bound.status = m.bind.resource == F.bind_resource ? EXPORT_OK : EXPORT_UNKNOWN;
        memcpy(F.bound.found, F.nonce, sizeof(F.nonce));
        fake_send(packet, export_bound_encode(packet, header.serial, &F.bound));
        break;
    case EXPORT_EXPORT:
        assert_int_equal(export_export_decode(payload, header.size, &m.ask), EXPORT_E_OK);
        fake_export(header.serial, &m.ask);
        break;
    case EXPORT_MIRROR:
        assert_int_equal(export_mirror_decode(payload, header.size, &m.mirror), EXPORT_E_OK);
        assert_int_equal(fstat(fd, &st), 0);
        assert_true((uint64_t)st.st_size >= m.mirror.size);
        if (F.mirror)
            munmap(F.mirror, F.mirror_size);
        F.mirror_size = m.mirror.size;
        F.mirror = mmap(NULL, F.mirror_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(F.mirror != MAP_FAILED);
        fd_close(fd);
        fake_send(packet, export_status_encode(packet, header.serial, F.mirror_status));
        break;
    case EXPORT_COPY:
        assert_int_equal(export_copy_decode(payload, header.size, &F.copy), EXPORT_E_OK);
        for (uint32_t y = 0; y < F.copy.rects[0].height && F.mirror && F.copy_status == EXPORT_OK;
             y++)
            memset(F.mirror + F.copy.target + (uint64_t)y * F.copy.target_stride, 0xc0,
                   F.copy.rects[0].width);
        fake_send(packet, export_status_encode(packet, header.serial, F.copy_status));
        break;
    case EXPORT_RELEASE:
        assert_int_equal(export_release_decode(payload, header.size, &m.id), EXPORT_E_OK);
        assert_true(n < FAKE_PACKETS);
        F.released[n] = m.id;
        break;
    default:
        fail_msg("unexpected %s", export_type_name(header.type));
    }
}

static void fake_closed(void *user, int reason)
{
    (void)user;
    (void)reason;
    F.seen[0]++; /* there is no such type */
}

static const struct packets_ops fake_ops = {.received = fake_received, .closed = fake_closed};

void fake_hang_up(void)
{
    packets_destroy(F.packets);
    F.packets = NULL;
    F.pending_n = 0;
}

static void fake_incoming(void *user, unsigned events)
{
    (void)user;
    (void)events;
    int fd = address_accept(F.listener);
    assert_true(fd >= 0);
    fake_hang_up();
    F.packets = packets_create(F.loop, fd, EXPORT_PACKET_MAX, FAKE_PACKETS, &fake_ops, NULL);
    assert_non_null(F.packets);
}

void fake_start(void)
{
    char error[256];
    F = (struct fake){.listener = -1, .resource = 7, .bind_resource = 3, .pages = -1};
    F.welcome = (struct export_welcome){.version = EXPORT_VERSION_MAX,
                                        .features = EXPORT_FEATURE_COPY | EXPORT_FEATURE_NEEDS_BIND,
                                        .driver = 1,
                                        .epoch = 1};
    F.buffer = (struct export_buffer){.generation = 42,
                                      .size = 65536,
                                      .memory = EXPORT_MEMORY_GUEST,
                                      .reason = EXPORT_REASON_NO_UDMABUF,
                                      .runs = 1};
    F.loop = loop_create();
    assert_non_null(F.loop);
    make_folder(F.folder);
    snprintf(F.path, sizeof(F.path), "%s/export", F.folder);
    F.listener = address_listen_path(F.path, SOCK_SEQPACKET, 0600, error, sizeof(error));
    assert_true(F.listener >= 0);
    F.io = loop_io_create(F.loop, F.listener, LOOP_READ, fake_incoming, NULL);
    assert_non_null(F.io);
}

void fake_stop(void)
{
    fake_hang_up();
    loop_io_destroy(F.io);
    address_unlisten(F.listener);
    if (F.mirror)
        munmap(F.mirror, F.mirror_size);
    fd_close(F.pages);
    turn_times(F.loop, 3);
    loop_destroy(F.loop);
    remove_folder(F.folder);
}

void fake_event_gone(uint32_t id)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_gone gone = {.id = id, .generation = F.buffer.generation};
    packets_send(F.packets, packet, export_gone_encode(packet, &gone), -1);
}

void fake_event_reset(uint64_t epoch, bool driver)
{
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_reset reset = {.epoch = epoch, .driver = driver};
    packets_send(F.packets, packet, export_reset_encode(packet, &reset), -1);
}

struct session S;

static void session_probe(void *user, const uint8_t nonce[LINK_NONCE_SIZE])
{
    assert_ptr_equal(user, &S);
    S.probes++;
    memcpy(S.nonce, nonce, sizeof(S.nonce));
}

static void session_bound(void *user, bool bound, const char *why)
{
    assert_ptr_equal(user, &S);
    S.answers++;
    S.bound = bound;
    snprintf(S.why, sizeof(S.why), "%s", why);
}

static const struct handles_ops session_ops = {.probe = session_probe, .bound = session_bound};

bool session_probed(void *user)
{
    return S.probes == *(unsigned *)user;
}

bool session_answered(void *user)
{
    return S.answers == *(unsigned *)user;
}

void session_start(void)
{
    unsigned one = 1;
    S = (struct session){.subject = {.name = "vm test"}};
    S.handles = handles_create(F.loop, F.path, &S.subject, &session_ops, &S);
    assert_non_null(S.handles);
    assert_true(handles_begin(S.handles));
    turn_until(F.loop, session_probed, &one);
    assert_false(handles_bound(S.handles));
}

void session_bind(void)
{
    unsigned next = S.answers + 1;
    memcpy(F.nonce, S.nonce, sizeof(F.nonce));
    assert_int_equal(handles_probed(S.handles, F.bind_resource), 0);
    turn_until(F.loop, session_answered, &next);
    assert_true(S.bound && handles_bound(S.handles));
}

void session_stop(void)
{
    handles_end(S.handles);
    turn_times(F.loop, 3);
    handles_destroy(S.handles);
}
