/* SPDX-License-Identifier: MIT */
/* One relay against another proxy that was replaced by an attacker: each rule that it can break, by
 * name. And what merely comes late, which breaks none. */
#include "tests/unit/relays.h"

#include <sys/mman.h>

enum { REGISTRY = 2, SHM, DATA, SEAT, NEXT };

/* What is sent as the other proxy. */
static uint8_t bytes[6 << 20];
static size_t n_bytes;

static void put_wayland(size_t n, const uint8_t *messages)
{
    n_bytes += link_header_encode(bytes + n_bytes, LINK_WAYLAND, n);
    memcpy(bytes + n_bytes, messages, n);
    n_bytes += n;
}

#define MESSAGE(...)                                                                               \
    do {                                                                                           \
        uint8_t message_[1024];                                                                    \
        put_wayland(put_message(message_, __VA_ARGS__), message_);                                 \
    } while (0)

static void vfd(uint32_t id, uint16_t kind, uint16_t flags, uint64_t size)
{
    n_bytes += link_vfd_encode(bytes + n_bytes, &(struct link_vfd){id, kind, flags, size});
}

static void memory(uint32_t id, uint64_t size)
{
    vfd(id, LINK_VFD_MEMORY, 0, size);
}

static void sink(uint32_t id)
{
    vfd(id, LINK_VFD_STREAM, LINK_VFD_SINK, 0);
}

static void source(uint32_t id)
{
    vfd(id, LINK_VFD_STREAM, LINK_VFD_SOURCE, 0);
}

static void mem_write(uint32_t id, uint64_t offset, uint32_t row, uint32_t rows, uint32_t stride)
{
    n_bytes += link_mem_write_encode(bytes + n_bytes,
                                     &(struct link_mem_write){id, row, rows, stride, offset});
    memset(bytes + n_bytes, 0x77, (size_t)row * rows);
    n_bytes += (size_t)row * rows;
}

static void mem_size(uint32_t id, uint64_t size)
{
    n_bytes += link_mem_size_encode(bytes + n_bytes, &(struct link_mem_size){id, size});
}

static void punch(uint32_t id, uint64_t offset, uint64_t length)
{
    n_bytes += link_mem_punch_encode(bytes + n_bytes, &(struct link_mem_punch){id, offset, length});
}

static void with_id(enum link_type type, uint32_t id)
{
    n_bytes += link_id_encode(bytes + n_bytes, type, id);
}

static void credit(uint32_t id, uint32_t n)
{
    n_bytes += link_stream_credit_encode(bytes + n_bytes, id, n);
}

static void data(uint32_t id, size_t n)
{
    n_bytes += link_stream_data_encode(bytes + n_bytes, id, n);
    memset(bytes + n_bytes, 0x55, n);
    n_bytes += n;
}

static void empty(enum link_type type)
{
    n_bytes += link_header_encode(bytes + n_bytes, type, 0);
}

static void create_pool(int32_t size)
{
    MESSAGE(SHM, SHM_CREATE_POOL, "uu", NEXT, size);
}

static void ready(void)
{
    n_bytes = 0;
}

static void deliver(void)
{
    struct wire *w = &R.link;
    wire_send_fds(w, bytes, n_bytes, NULL, 0);
    ready();
}

/* --- the other end of the link --- */

static bool next_frame(struct link_header *ret, const uint8_t **ret_payload)
{
    struct wire *w = &R.link;
    wire_receive(w);
    if (w->n < LINK_HEADER_SIZE)
        return false;
    assert_int_equal(link_header_decode(w->in + w->first, ret),
                     LINK_OK); /* it never sends nonsense itself */
    if (w->n < LINK_HEADER_SIZE + ret->size)
        return false;
    *ret_payload = w->in + w->first + LINK_HEADER_SIZE;
    w->first += LINK_HEADER_SIZE + ret->size;
    w->n -= LINK_HEADER_SIZE + ret->size;
    return true;
}

static char reason[LINK_TEXT_MAX + 1];
static struct link_error_frame error;

static bool error_came(void *user)
{
    (void)user;
    struct link_header header;
    const uint8_t *payload;
    while (next_frame(&header, &payload)) {
        if (header.type != LINK_ERROR)
            continue;
        assert_int_equal(link_error_decode(payload, header.size, &error), LINK_OK);
        snprintf(reason, sizeof(reason), "%.*s", (int)error.text_size, error.text);
        return true;
    }
    return R.link.eof;
}

/* --- against the host --- */

static void start_host(void)
{
    relays_start(false, true);
    ready();
    MESSAGE(1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    deliver();
    wire_expect(&R.compositor, 1, "wl_display", "get_registry");
    static const char *const globals[] = {"wl_shm", "wl_data_device_manager", "wl_seat"};
    for (uint32_t i = 0; i < 3; i++)
        wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL, "usu", i + 1, globals[i], 1);
    turn_times(R.loop, 5);
    for (uint32_t i = 0; i < 3; i++)
        MESSAGE(REGISTRY, REGISTRY_BIND, "uN", i + 1, globals[i], 1, SHM + i);
    deliver();
    for (uint32_t i = 0; i < 3; i++)
        wire_expect(&R.compositor, REGISTRY, "wl_registry", "bind");
}

struct attack {
    const char *name;
    void (*build)(void);
    const char *reason;
};

static void id_gap(void)
{
    memory(2, 4096);
}
static void id_zero(void)
{
    memory(0, 4096);
}
static void id_of_ours(void)
{
    sink(LINK_HOST_ID | 1);
}
static void id_again(void)
{
    sink(1);
    sink(1);
}
static void file_id_again(void)
{
    vfd(1, LINK_VFD_FILE, 0, 0);
    vfd(1, LINK_VFD_FILE, 0, 0);
}
static void memory_as_stream(void)
{
    memory(1, 4096);
    sink(1);
}
static void closed_memory_again(void)
{
    memory(1, 4096);
    with_id(LINK_VFD_CLOSE, 1);
    memory(1, 4096);
}
static void write_unknown(void)
{
    mem_write(1, 0, 4, 1, 4);
}
static void write_zero(void)
{
    mem_write(0, 0, 4, 1, 4);
}
static void write_ours(void)
{
    mem_write(LINK_HOST_ID | 1, 0, 4, 1, 4);
}
static void write_beyond(void)
{
    memory(1, 4096);
    mem_write(1, 4093, 4, 1, 4);
}
static void write_rows_beyond(void)
{
    memory(1, 4096);
    mem_write(1, 0, 4, 5, 1024);
}
static void write_stride_beyond(void)
{
    memory(1, 4096);
    mem_write(1, 0, 1, 2, UINT32_MAX);
}
static void write_stride_wraps(void)
{
    memory(1, 4096);
    mem_write(1, 16, 1, 17, 0x10000000);
}
static void write_offset_beyond(void)
{
    memory(1, 4096);
    mem_write(1, LINK_MEMORY_MAX, 1, 1, 1);
}
static void file_rows(void)
{
    vfd(1, LINK_VFD_FILE, 0, 100);
    mem_write(1, 0, 10, 2, 10);
}
static void file_from_middle(void)
{
    vfd(1, LINK_VFD_FILE, 0, 100);
    mem_write(1, 10, 10, 1, 10);
}
static void file_beyond(void)
{
    vfd(1, LINK_VFD_FILE, 0, 100);
    mem_write(1, 0, 101, 1, 101);
}
static void file_twice(void)
{
    vfd(1, LINK_VFD_FILE, 0, 100);
    mem_write(1, 0, 10, 1, 10);
    mem_write(1, 0, 10, 1, 10);
}
static void half_message(void)
{
    uint8_t m[64];
    put_wayland(put_message(m, 1, DISPLAY_SYNC, "u", NEXT) - 4, m);
}
static void message_and_a_half(void)
{
    uint8_t m[64];
    size_t n = put_message(m, 1, DISPLAY_SYNC, "u", NEXT);
    put_wayland(n + put_message(m + n, 1, DISPLAY_SYNC, "u", NEXT + 1) - 1, m);
}
static void impossible_size(void)
{
    uint32_t m[2] = {1, 4 << 16};
    put_wayland(8, (const uint8_t *)m);
}
static void no_descriptor(void)
{
    create_pool(4096);
}
static void stream_as_pool(void)
{
    sink(1);
    create_pool(4096);
}
static void file_as_pool(void)
{
    vfd(1, LINK_VFD_FILE, 0, 0);
    create_pool(4096);
}
static void pool_beyond(void)
{
    memory(1, 4096);
    create_pool(4097);
}
static void pool_empty(void)
{
    memory(1, 4096);
    create_pool(0);
}
static void pool_negative(void)
{
    memory(1, 4096);
    create_pool(INT32_MIN);
}
static void resize_beyond(void)
{
    memory(1, 4096);
    create_pool(4096);
    MESSAGE(NEXT, POOL_RESIZE, "u", 8192);
}
static void size_unknown(void)
{
    mem_size(1, 4096);
}
static void size_of_stream(void)
{
    sink(1);
    mem_size(1, 4096);
}
static void punch_unknown(void)
{
    punch(1, 0, 4096);
}
static void punch_beyond(void)
{
    memory(1, 4096);
    punch(1, 4096, 1);
}
static void punch_far_beyond(void)
{
    memory(1, 4096);
    punch(1, LINK_MEMORY_MAX, LINK_MEMORY_MAX);
}
static void credit_unknown(void)
{
    credit(1, 1);
}
static void credit_unknown_of_ours(void)
{
    credit(LINK_HOST_ID | 1, 1);
}
static void credit_overflow(void)
{
    sink(1);
    credit(1, 1);
}
static void credit_overflow_far(void)
{
    sink(1);
    credit(1, UINT32_MAX);
}
static void credit_from_writer(void)
{
    source(1);
    credit(1, 1);
}
static void data_unknown(void)
{
    data(1, 10);
}
static void data_from_reader(void)
{
    sink(1);
    data(1, 10);
}
static void data_beyond_credit(void)
{
    source(1);
    for (int i = 0; i < 5; i++)
        data(1, LINK_STREAM_MAX);
}
static void end_unknown(void)
{
    with_id(LINK_STREAM_END, 1);
}
static void end_from_reader(void)
{
    sink(1);
    with_id(LINK_STREAM_END, 1);
}
static void close_unknown(void)
{
    with_id(LINK_VFD_CLOSE, 1);
}
static void close_zero(void)
{
    with_id(LINK_VFD_CLOSE, 0);
}
static void close_of_ours(void)
{
    with_id(LINK_VFD_CLOSE, LINK_HOST_ID | 1);
}
static void close_from_writer(void)
{
    source(1);
    with_id(LINK_VFD_CLOSE, 1);
}
static void many_files(void)
{
    for (uint32_t i = 1; i <= 1025; i++)
        vfd(i, LINK_VFD_FILE, 0, 0);
}
static void many_memories_again(void)
{
    for (uint32_t i = 1; i <= 1025; i++)
        memory(1, 4096);
}
static void many_streams(void)
{
    for (uint32_t i = 1; i <= 257; i++)
        sink(i);
}
static void many_memories(void)
{
    for (uint32_t i = 1; i <= 257; i++)
        memory(i, LINK_MEMORY_MAX);
}
static void hello(void)
{
    struct link_hello h = {.version_min = 1,
                           .version_max = 1,
                           .role = LINK_ROLE_CLIENT,
                           .proof_kind = LINK_PROOF_NONE};
    n_bytes += link_hello_encode(bytes + n_bytes, &h);
}
static void ping(void)
{
    n_bytes += link_ping_encode(bytes + n_bytes, 1);
}
static void end_twice(void)
{
    empty(LINK_END);
    empty(LINK_END);
}
static void event_as_request(void)
{
    MESSAGE(SEAT, 7, "u", 1);
}
static void unknown_object(void)
{
    MESSAGE(99, 0, "");
}
static void bind_unknown(void)
{
    MESSAGE(REGISTRY, REGISTRY_BIND, "uN", 9, "wl_shm", 1, NEXT);
}
static void bind_higher(void)
{
    MESSAGE(REGISTRY, REGISTRY_BIND, "uN", 1, "wl_shm", 2, NEXT);
}
static void id_of_server(void)
{
    MESSAGE(1, DISPLAY_SYNC, "u", 0xff000000u);
}
static void quota(void)
{
    R.quota = 10000;
    memory(1, 1 << 20);
    mem_write(1, 0, 10001, 1, 10001);
}
static void quota_of_files(void)
{
    R.quota = 10000;
    vfd(1, LINK_VFD_FILE, 0, 10001);
}
static void vfd_flags(void)
{
    sink(1);
    bytes[n_bytes - 10] = 3;
}
static void reserved(void)
{
    memory(1, 4096);
    mem_size(1, 8192);
    bytes[n_bytes - 9] = 1;
}

#define BROKE "the other proxy broke the link protocol: "
static const struct attack attacks[] = {
    {"an id leaves a gap", id_gap, BROKE "VFD ids must count up (id 0x2)"},
    {"id 0", id_zero, BROKE "VFD ids must count up (id 0)"},
    {"an id of the other side", id_of_ours,
     BROKE "VFD with an id or kind that is not the sender's (id 0x80000001)"},
    {"a stream's id again", id_again, BROKE "VFD ids must count up (id 0x1)"},
    {"a file's id again", file_id_again, BROKE "VFD ids must count up (id 0x1)"},
    {"memory turns into a stream", memory_as_stream, BROKE "VFD ids must count up (id 0x1)"},
    {"closed memory comes back", closed_memory_again, BROKE "VFD ids must count up (id 0x1)"},
    {"write to what never was", write_unknown, BROKE "MEM_WRITE to an id that never was (id 0x1)"},
    {"write to id 0", write_zero, BROKE "MEM_WRITE to an id that never was (id 0)"},
    {"write to an id that we never made", write_ours,
     BROKE "MEM_WRITE to an id that never was (id 0x80000001)"},
    {"write beyond the end", write_beyond, BROKE "MEM_WRITE beyond the memory (id 0x1)"},
    {"last row beyond the end", write_rows_beyond, BROKE "MEM_WRITE beyond the memory (id 0x1)"},
    {"largest stride", write_stride_beyond, BROKE "MEM_WRITE beyond the memory (id 0x1)"},
    {"rows × stride wraps 32 bits", write_stride_wraps,
     BROKE "MEM_WRITE beyond the memory (id 0x1)"},
    {"offset beyond the end", write_offset_beyond, BROKE "MEM_WRITE beyond the memory (id 0x1)"},
    {"a file in rows", file_rows,
     BROKE "a file must be written once, from its start to its end (id 0x1)"},
    {"a file from its middle", file_from_middle,
     BROKE "a file must be written once, from its start to its end (id 0x1)"},
    {"a file beyond its end", file_beyond,
     BROKE "a file must be written once, from its start to its end (id 0x1)"},
    {"a file twice", file_twice,
     BROKE "a file must be written once, from its start to its end (id 0x1)"},
    {"half a message", half_message, "a WAYLAND frame with an incomplete or malformed message"},
    {"a message and a half", message_and_a_half,
     "a WAYLAND frame with an incomplete or malformed message"},
    {"a message of size 4", impossible_size,
     "a WAYLAND frame with an incomplete or malformed message"},
    {"a message without its descriptor", no_descriptor,
     BROKE "a message lacks its descriptor (id 0x3)"},
    {"a stream as a pool", stream_as_pool,
     BROKE "a message's descriptor is of the wrong kind (id 0x1)"},
    {"a file as a pool", file_as_pool,
     BROKE "a message's descriptor is of the wrong kind (id 0x1)"},
    {"a pool larger than its memory", pool_beyond, "wl_shm#3.create_pool: invalid pool size"},
    {"a pool of no size", pool_empty, "wl_shm#3.create_pool: invalid pool size"},
    {"a pool of negative size", pool_negative, "wl_shm#3.create_pool: invalid pool size"},
    {"a pool grows beyond its memory", resize_beyond,
     "wl_shm_pool.resize to 8192 beyond its memory"},
    {"size of what never was", size_unknown, BROKE "MEM_SIZE of unknown memory (id 0x1)"},
    {"size of a stream", size_of_stream, BROKE "MEM_SIZE of unknown memory (id 0x1)"},
    {"punch what never was", punch_unknown, BROKE "MEM_PUNCH of unknown memory (id 0x1)"},
    {"punch beyond the end", punch_beyond, BROKE "MEM_PUNCH beyond the memory (id 0x1)"},
    {"punch far beyond the end", punch_far_beyond, BROKE "MEM_PUNCH beyond the memory (id 0x1)"},
    {"credit for what never was", credit_unknown,
     BROKE "STREAM_CREDIT for an id that never was (id 0x1)"},
    {"credit for what we never made", credit_unknown_of_ours,
     BROKE "STREAM_CREDIT for an id that never was (id 0x80000001)"},
    {"credit for bytes that were not sent", credit_overflow,
     BROKE "STREAM_CREDIT overflows the window (id 0x1)"},
    {"credit that wraps", credit_overflow_far, BROKE "STREAM_CREDIT overflows the window (id 0x1)"},
    {"credit from the writer", credit_from_writer, BROKE "STREAM_CREDIT from the writer (id 0x1)"},
    {"data for what never was", data_unknown,
     BROKE "STREAM_DATA for an id that never was (id 0x1)"},
    {"data from the reader", data_from_reader,
     BROKE "STREAM_DATA from the reader, or after the end (id 0x1)"},
    {"data beyond the credit", data_beyond_credit, BROKE "STREAM_DATA beyond its credit (id 0x1)"},
    {"end of what never was", end_unknown, BROKE "STREAM_END for an id that never was (id 0x1)"},
    {"end from the reader", end_from_reader, BROKE "STREAM_END from the reader, or twice (id 0x1)"},
    {"close what never was", close_unknown, BROKE "VFD_CLOSE of an id that never was (id 0x1)"},
    {"close id 0", close_zero, BROKE "VFD_CLOSE of an id that never was (id 0)"},
    {"close what we never made", close_of_ours,
     BROKE "VFD_CLOSE of an id that never was (id 0x80000001)"},
    {"close from the writer", close_from_writer,
     BROKE "VFD_CLOSE of a stream that the sender writes to (id 0x1)"},
    {"files that no message takes", many_files,
     BROKE "too many descriptors that no message takes (id 0x401)"},
    {"one memory again and again", many_memories_again,
     BROKE "too many descriptors that no message takes (id 0x1)"},
    {"streams beyond the limit", many_streams,
     "VFD: descriptor limit: 256 are open already (max-fds)"},
    {"memories beyond the limit", many_memories,
     "VFD: descriptor limit: 256 are open already (max-fds)"},
    {"HELLO again", hello, "the other proxy sent an unexpected HELLO frame"},
    {"PING", ping, "the other proxy sent an unexpected PING frame"},
    {"END twice", end_twice, "the other proxy sent an unexpected END frame"},
    {"an unknown opcode", event_as_request, "the client sent wl_seat#5.message 7: unknown opcode"},
    {"an unknown object", unknown_object, "the client used object 99: there is no such object"},
    {"bind of an unknown name", bind_unknown, "wl_registry.bind: there is no global 9 (wl_shm)"},
    {"bind of a higher version", bind_higher,
     "wl_registry.bind: wl_shm is offered up to version 1, not 2"},
    {"an id of the server's", id_of_server,
     "the client sent wl_display#1.sync, message 0: id out of range"},
    {"more memory than the quota", quota, "memory limit: "},
    {"larger files than the quota", quota_of_files, "memory limit: "},
    {"a malformed VFD", vfd_flags,
     "the other proxy sent a malformed VFD frame: field out of range"},
    {"a reserved word", reserved,
     "the other proxy sent a malformed MEM_SIZE frame: reserved field is not zero"},
};

static void test_each_attack_on_the_host(void **state)
{
    for (size_t i = 0; i < sizeof(attacks) / sizeof(*attacks); i++) {
        start_host();
        attacks[i].build();
        MESSAGE(1, DISPLAY_SYNC, "u", 50); /* nothing behind it is looked at */
        deliver();
        *reason = 0;
        turn_until(R.loop, error_came, NULL);
        if (strncmp(reason, attacks[i].reason, strlen(attacks[i].reason)) != 0)
            fail_msg("%s: \"%s\"", attacks[i].name, reason);
        turn_until(R.loop, wire_at_end, &R.compositor); /* and the compositor has lost one client */
        turn_until(R.loop, wire_at_end, &R.link);
        turn_until(R.loop, relays_over, NULL);
        assert_int_equal(R.ended, 1);
        if (relays_stop(state) != 0)
            fail_msg("%s: leaks a descriptor", attacks[i].name);
    }
}

/* --- what is late, not wrong --- */

static void late_close(void)
{
    source(1);
    with_id(LINK_STREAM_END, 1);
    sink(2);
    with_id(LINK_VFD_CLOSE, 2);
    with_id(LINK_VFD_CLOSE, 2);
}
static void late_credit(void)
{
    sink(1);
    with_id(LINK_VFD_CLOSE, 1);
    credit(1, 100);
}
static void late_data(void)
{
    source(1);
    with_id(LINK_STREAM_END, 1);
    data(1, 100);
    with_id(LINK_STREAM_END, 1);
}
static void late_write(void)
{
    memory(1, 4096);
    with_id(LINK_VFD_CLOSE, 1);
    mem_write(1, 0, 100, 1, 100);
    mem_write(1, 1 << 20, 9, 1, 9);
}
static void close_twice(void)
{
    memory(1, 4096);
    with_id(LINK_VFD_CLOSE, 1);
    with_id(LINK_VFD_CLOSE, 1);
}
static void close_before_the_pool(void)
{
    memory(1, 4096);
    with_id(LINK_VFD_CLOSE, 1);
    create_pool(4096);
    MESSAGE(NEXT, POOL_DESTROY, "");
}
static void smaller_size(void)
{
    memory(1, 8192);
    mem_size(1, 4096);
    mem_write(1, 8191, 1, 1, 1);
}
static void memory_again(void)
{
    memory(1, 4096);
    memory(1, 8192);
    create_pool(8192);
}

static void test_what_comes_late_is_harmless(void **state)
{
    static const struct {
        const char *name;
        void (*build)(void);
    } cases[] = {
        {"close twice", late_close},
        {"credit after the close", late_credit},
        {"data after the end", late_data},
        {"write after the close", late_write},
        {"memory closed twice", close_twice},
        {"closed before its pool is made", close_before_the_pool},
        {"a size below what it has", smaller_size},
        {"the same memory for another pool", memory_again},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        start_host();
        cases[i].build();
        uint32_t id = wl_objects_get(&R.host->objects, NEXT) ? NEXT + 1 : NEXT;
        deliver();
        turn_times(R.loop, 5);
        id = wl_objects_get(&R.host->objects, NEXT) ? NEXT + 1 : id;
        MESSAGE(1, DISPLAY_SYNC, "u", id);
        deliver();
        struct wl_message m;
        do {
            turn_until(R.loop, wire_has_message, &R.compositor);
            if (R.compositor.eof)
                fail_msg("%s: %s", cases[i].name, error_came(NULL) ? reason : "?");
            assert_int_equal(
                wl_message_header(R.compositor.in + R.compositor.first, R.compositor.n, &m),
                WL_MESSAGE_OK);
            R.compositor.first += m.size;
            R.compositor.n -= m.size;
        } while (m.object != 1);
        if (relays_stop(state) != 0)
            fail_msg("%s: leaks a descriptor", cases[i].name);
    }
}

static void test_a_malformed_frame(void **state)
{
    (void)state;
    start_host();
    empty(LINK_END);
    bytes[n_bytes - 2] = 1;
    deliver();
    turn_until(R.loop, error_came, NULL);
    assert_string_equal(reason, "malformed frame");
    assert_int_equal(error.code, LINK_ERROR_PROTOCOL);
    turn_until(R.loop, wire_at_end, &R.compositor);
    turn_until(R.loop, relays_over, NULL);
}

static void test_the_others_error(void **state)
{
    (void)state;
    start_host();
    n_bytes += link_error_encode(bytes, LINK_ERROR_WAYLAND, 3, 1, "it broke");
    deliver();
    turn_until(R.loop, wire_at_end, &R.compositor);
    turn_until(R.loop, relays_over, NULL);
}

static void test_the_link_ends_amid_pixels(void **state)
{
    (void)state;
    start_host();
    memory(1, 1 << 20);
    mem_write(1, 0, 1 << 20, 1, 1 << 20);
    n_bytes -= 1000;
    deliver();
    R.link.fd = fd_close(R.link.fd);
    turn_until(R.loop, wire_at_end, &R.compositor);
    turn_until(R.loop, relays_over, NULL);
}

static void test_a_guest_that_does_not_read(void **state)
{
    (void)state;
    static uint8_t events[64 << 10];
    size_t n = 0;
    start_host();
    R.host->limits.queue = 1 << 20;
    while (n + 16 < sizeof(events))
        n += put_message(events + n, SEAT, 0, "u", 3);
    for (int i = 0; i < 500 && R.host && !R.host->ending; i++) {
        wire_send_fds(&R.compositor, events, n, NULL, 0);
        turn_times(R.loop, 2);
    }
    turn_until(R.loop, error_came, NULL);
    assert_non_null(strstr(reason, "queue limit: the guest does not read"));
    turn_until(R.loop, relays_over, NULL);
}

/* --- against the guest --- */

enum { FILE_SIZE = 65536 };

/* A client with a pool (memory 1), a buffer in it and a data source. */
static int start_guest(void)
{
    relays_start(true, false);
    ready();
    wire_send(&R.client, 1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    turn_times(R.loop, 3);
    static const char *const globals[] = {"wl_shm", "wl_data_device_manager", "wl_seat"};
    for (uint32_t i = 0; i < 3; i++)
        MESSAGE(REGISTRY, REGISTRY_GLOBAL, "usu", i + 1, globals[i], 1);
    deliver();
    for (uint32_t i = 0; i < 3; i++)
        wire_expect(&R.client, REGISTRY, "wl_registry", "global");
    for (uint32_t i = 0; i < 3; i++)
        wire_send(&R.client, REGISTRY, REGISTRY_BIND, "uN", i + 1, globals[i], 1, SHM + i);
    int file = fd_memfd("pool", FILE_SIZE);
    wire_send_fd(&R.client, fcntl(file, F_DUPFD_CLOEXEC, 0), SHM, SHM_CREATE_POOL, "uu", NEXT,
                 FILE_SIZE);
    wire_send(&R.client, NEXT, POOL_CREATE_BUFFER, "uuuuuu", NEXT + 1, 0, 64, 64, 256, 0);
    wire_send(&R.client, DATA, MANAGER_CREATE_SOURCE, "u", NEXT + 2);
    turn_times(R.loop, 10);
    wire_receive(&R.link);
    assert_non_null(R.guest->memories);
    return file;
}

static void host_memory(void)
{
    memory(LINK_HOST_ID | 1, 4096);
}
static void guests_memory(void)
{
    memory(1, 4096);
}
static void guests_id(void)
{
    sink(2);
}
static void host_gap(void)
{
    sink(LINK_HOST_ID | 2);
}
static void host_size(void)
{
    mem_size(1, 8192);
}
static void host_punch(void)
{
    punch(1, 0, 4096);
}
static void host_write_beyond(void)
{
    mem_write(1, FILE_SIZE - 1, 2, 1, 2);
}
static void host_write_unknown(void)
{
    mem_write(2, 0, 2, 1, 2);
}
static void host_half(void)
{
    half_message();
}
static void host_no_descriptor(void)
{
    MESSAGE(NEXT + 2, SOURCE_SEND, "s", "a/b");
}
static void host_wrong_kind(void)
{
    vfd(LINK_HOST_ID | 1, LINK_VFD_FILE, 0, 0);
    MESSAGE(NEXT + 2, SOURCE_SEND, "s", "a/b");
}
static void host_unknown_object(void)
{
    MESSAGE(77, 0, "");
}
static void host_unknown_opcode(void)
{
    MESSAGE(NEXT, 0, "");
}
static void host_display_id(void)
{
    MESSAGE(1, DISPLAY_DELETE_ID, "");
}
static void host_welcome(void)
{
    n_bytes += link_welcome_encode(bytes + n_bytes, &(struct link_welcome){.version = 1});
}
static void host_string(void)
{
    MESSAGE(REGISTRY, REGISTRY_GLOBAL, "usu", 9, "wl_seat", 1);
    memset(bytes + n_bytes - 12, 'x', 8);
}
static void host_file_incomplete(void)
{
    MESSAGE(SEAT, 0, "u", 2);
    vfd(LINK_HOST_ID | 1, LINK_VFD_FILE, 0, 100);
    mem_write(LINK_HOST_ID | 1, 0, 99, 1, 99);
    MESSAGE(NEXT + 3, KEYBOARD_KEYMAP, "uu", 1, 100);
}

static void test_each_attack_on_the_guest(void **state)
{
    static const struct attack cases[] = {
        {"memory from the host", host_memory,
         BROKE "VFD with an id or kind that is not the sender's (id 0x80000001)"},
        {"memory of the guest's", guests_memory,
         BROKE "VFD with an id or kind that is not the sender's (id 0x1)"},
        {"an id of the guest's", guests_id,
         BROKE "VFD with an id or kind that is not the sender's (id 0x2)"},
        {"an id leaves a gap", host_gap, BROKE "VFD ids must count up (id 0x80000002)"},
        {"size of the client's file", host_size, BROKE "MEM_SIZE of unknown memory (id 0x1)"},
        {"a hole in the client's file", host_punch, BROKE "MEM_PUNCH of unknown memory (id 0x1)"},
        {"a write beyond", host_write_beyond, BROKE "MEM_WRITE beyond the memory (id 0x1)"},
        {"a write to what never was", host_write_unknown,
         BROKE "MEM_WRITE to an id that never was (id 0x2)"},
        {"half a message", host_half, "a WAYLAND frame with an incomplete or malformed message"},
        {"an event without its descriptor", host_no_descriptor,
         BROKE "a message lacks its descriptor (id 0x8)"},
        {"a file for a stream", host_wrong_kind,
         BROKE "a message's descriptor is of the wrong kind (id 0x80000001)"},
        {"an unknown object", host_unknown_object,
         "the compositor used object 77: there is no such object"},
        {"an unknown opcode", host_unknown_opcode,
         "the compositor sent wl_shm_pool#6.message 0: unknown opcode"},
        {"a malformed delete_id", host_display_id,
         "the compositor sent wl_display#1.delete_id, message 1: wrong size"},
        {"WELCOME", host_welcome, "the other proxy sent an unexpected WELCOME frame"},
        {"a string without end", host_string,
         "the compositor sent wl_registry#2.global, message 0: malformed string"},
        {"half a keymap", host_file_incomplete, BROKE "a file is incomplete (id 0x80000001)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int file = start_guest();
        uint8_t before[FILE_SIZE], after[FILE_SIZE];
        assert_int_equal(pread(file, before, FILE_SIZE, 0), FILE_SIZE);
        if (cases[i].build == host_file_incomplete) {
            wire_send(&R.client, SEAT, SEAT_GET_KEYBOARD, "u", NEXT + 3);
            turn_times(R.loop, 5);
        }
        cases[i].build();
        deliver();
        *reason = 0;
        turn_until(R.loop, error_came, NULL);
        if (strcmp(reason, cases[i].reason) != 0)
            fail_msg("%s: \"%s\"", cases[i].name, reason);
        bool told = false;
        for (struct wl_message m; !told;) { /* the client is told as well */
            turn_until(R.loop, wire_has_message, &R.client);
            if (wl_message_header(R.client.in + R.client.first, R.client.n, &m) != WL_MESSAGE_OK)
                fail_msg("%s: the client was not told", cases[i].name);
            told = m.object == 1 && m.opcode == DISPLAY_ERROR;
            R.client.first += m.size;
            R.client.n -= m.size;
        }
        turn_until(R.loop, relays_over, NULL);
        assert_int_equal(lseek(file, 0, SEEK_END), FILE_SIZE);
        assert_int_equal(pread(file, after, FILE_SIZE, 0), FILE_SIZE);
        assert_memory_equal(before, after, FILE_SIZE);
        fd_close(file);
        if (relays_stop(state) != 0)
            fail_msg("%s: leaks a descriptor", cases[i].name);
    }
}

/* The host may write only where the client asked for a screen copy. */
static void test_the_hosts_writes_stay_where_they_belong(void **state)
{
    (void)state;
    int file = start_guest();
    mem_write(1, 0, 1000, 1, 1000);
    MESSAGE(SEAT, 0, "u", 3);
    deliver();
    wire_expect(&R.client, SEAT, "wl_seat", "capabilities");
    uint8_t got[1000];
    assert_int_equal(pread(file, got, 1000, 0), 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(got[i], 0);
    fd_close(file);
}

static void test_the_hosts_error_reaches_the_client(void **state)
{
    (void)state;
    int file = start_guest();
    n_bytes += link_error_encode(bytes + n_bytes, LINK_ERROR_WAYLAND, NEXT + 1, 2, "no such thing");
    deliver();
    struct wl_message m = wire_expect(&R.client, 1, "wl_display", "error");
    assert_int_equal(m.args[0].u, NEXT + 1);
    assert_int_equal(m.args[1].u, 2);
    assert_string_equal(m.args[2].s.text, "no such thing");
    turn_until(R.loop, wire_at_end, &R.client);
    turn_until(R.loop, relays_over, NULL);
    fd_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_attack_on_the_host),
        cmocka_unit_test(test_what_comes_late_is_harmless),
        cmocka_unit_test_teardown(test_a_malformed_frame, relays_stop),
        cmocka_unit_test_teardown(test_the_others_error, relays_stop),
        cmocka_unit_test_teardown(test_the_link_ends_amid_pixels, relays_stop),
        cmocka_unit_test_teardown(test_a_guest_that_does_not_read, relays_stop),
        cmocka_unit_test(test_each_attack_on_the_guest),
        cmocka_unit_test_teardown(test_the_hosts_writes_stay_where_they_belong, relays_stop),
        cmocka_unit_test_teardown(test_the_hosts_error_reaches_the_client, relays_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
