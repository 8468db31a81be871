/* SPDX-License-Identifier: MIT */
/* The host's relay against a guest proxy that was replaced by an attacker: each rule that it can
 * break, by name. */
#include "tests/unit/wayland/attacker.h"

static void id_gap(void)
{
    attack_memory(2, 4096);
}
static void id_zero(void)
{
    attack_memory(0, 4096);
}
static void id_of_ours(void)
{
    attack_sink(LINK_HOST_ID | 1);
}
static void id_again(void)
{
    attack_sink(1);
    attack_sink(1);
}
static void file_id_again(void)
{
    attack_vfd(1, LINK_VFD_FILE, 0, 0);
    attack_vfd(1, LINK_VFD_FILE, 0, 0);
}
static void memory_as_stream(void)
{
    attack_memory(1, 4096);
    attack_sink(1);
}
static void closed_memory_again(void)
{
    attack_memory(1, 4096);
    attack_with_id(LINK_VFD_CLOSE, 1);
    attack_memory(1, 4096);
}
static void write_unknown(void)
{
    attack_mem_write(1, 0, 4, 1, 4);
}
static void write_zero(void)
{
    attack_mem_write(0, 0, 4, 1, 4);
}
static void write_ours(void)
{
    attack_mem_write(LINK_HOST_ID | 1, 0, 4, 1, 4);
}
static void write_beyond(void)
{
    attack_memory(1, 4096);
    attack_mem_write(1, 4093, 4, 1, 4);
}
static void write_rows_beyond(void)
{
    attack_memory(1, 4096);
    attack_mem_write(1, 0, 4, 5, 1024);
}
static void write_stride_beyond(void)
{
    attack_memory(1, 4096);
    attack_mem_write(1, 0, 1, 2, UINT32_MAX);
}
static void write_stride_wraps(void)
{
    attack_memory(1, 4096);
    attack_mem_write(1, 16, 1, 17, 0x10000000);
}
static void write_offset_beyond(void)
{
    attack_memory(1, 4096);
    attack_mem_write(1, LINK_MEMORY_MAX, 1, 1, 1);
}
static void file_rows(void)
{
    attack_vfd(1, LINK_VFD_FILE, 0, 100);
    attack_mem_write(1, 0, 10, 2, 10);
}
static void file_from_middle(void)
{
    attack_vfd(1, LINK_VFD_FILE, 0, 100);
    attack_mem_write(1, 10, 10, 1, 10);
}
static void file_beyond(void)
{
    attack_vfd(1, LINK_VFD_FILE, 0, 100);
    attack_mem_write(1, 0, 101, 1, 101);
}
static void file_twice(void)
{
    attack_vfd(1, LINK_VFD_FILE, 0, 100);
    attack_mem_write(1, 0, 10, 1, 10);
    attack_mem_write(1, 0, 10, 1, 10);
}
static void message_and_a_half(void)
{
    uint8_t m[64];
    size_t n = wl_build(m, 1, DISPLAY_SYNC, "u", NEXT);
    attack_wayland(n + wl_build(m + n, 1, DISPLAY_SYNC, "u", NEXT + 1) - 1, m);
}
static void impossible_size(void)
{
    uint32_t m[2] = {1, 4 << 16};
    attack_wayland(8, (const uint8_t *)m);
}
static void no_descriptor(void)
{
    attack_create_pool(4096);
}
static void stream_as_pool(void)
{
    attack_sink(1);
    attack_create_pool(4096);
}
static void file_as_pool(void)
{
    attack_vfd(1, LINK_VFD_FILE, 0, 0);
    attack_create_pool(4096);
}
static void pool_beyond(void)
{
    attack_memory(1, 4096);
    attack_create_pool(4097);
}
static void pool_empty(void)
{
    attack_memory(1, 4096);
    attack_create_pool(0);
}
static void pool_negative(void)
{
    attack_memory(1, 4096);
    attack_create_pool(INT32_MIN);
}
static void resize_beyond(void)
{
    attack_memory(1, 4096);
    attack_create_pool(4096);
    ATTACK_MESSAGE(NEXT, POOL_RESIZE, "u", 8192);
}
static void size_unknown(void)
{
    attack_mem_size(1, 4096);
}
static void size_of_stream(void)
{
    attack_sink(1);
    attack_mem_size(1, 4096);
}
static void punch_unknown(void)
{
    attack_punch(1, 0, 4096);
}
static void punch_beyond(void)
{
    attack_memory(1, 4096);
    attack_punch(1, 4096, 1);
}
static void punch_far_beyond(void)
{
    attack_memory(1, 4096);
    attack_punch(1, LINK_MEMORY_MAX, LINK_MEMORY_MAX);
}
static void credit_unknown(void)
{
    attack_credit(1, 1);
}
static void credit_unknown_of_ours(void)
{
    attack_credit(LINK_HOST_ID | 1, 1);
}
static void credit_overflow(void)
{
    attack_sink(1);
    attack_credit(1, 1);
}
static void credit_overflow_far(void)
{
    attack_sink(1);
    attack_credit(1, UINT32_MAX);
}
static void credit_from_writer(void)
{
    attack_source(1);
    attack_credit(1, 1);
}
static void data_unknown(void)
{
    attack_data(1, 10);
}
static void data_from_reader(void)
{
    attack_sink(1);
    attack_data(1, 10);
}
static void data_beyond_credit(void)
{
    attack_source(1);
    for (int i = 0; i < 5; i++)
        attack_data(1, LINK_STREAM_MAX);
}
static void end_unknown(void)
{
    attack_with_id(LINK_STREAM_END, 1);
}
static void end_from_reader(void)
{
    attack_sink(1);
    attack_with_id(LINK_STREAM_END, 1);
}
static void close_unknown(void)
{
    attack_with_id(LINK_VFD_CLOSE, 1);
}
static void close_zero(void)
{
    attack_with_id(LINK_VFD_CLOSE, 0);
}
static void close_of_ours(void)
{
    attack_with_id(LINK_VFD_CLOSE, LINK_HOST_ID | 1);
}
static void close_from_writer(void)
{
    attack_source(1);
    attack_with_id(LINK_VFD_CLOSE, 1);
}
static void many_files(void)
{
    for (uint32_t i = 1; i <= 1025; i++)
        attack_vfd(i, LINK_VFD_FILE, 0, 0);
}
static void many_memories_again(void)
{
    for (uint32_t i = 1; i <= 1025; i++)
        attack_memory(1, 4096);
}
static void many_streams(void)
{
    R.host_party.budget->limit[BUDGET_FDS] = 50; /* two of them are the sockets' */
    for (uint32_t i = 1; i <= 17; i++)
        attack_sink(i);
}
static void many_memories(void)
{
    R.host_party.budget->limit[BUDGET_FDS] = 50;
    for (uint32_t i = 1; i <= 49; i++)
        attack_memory(i, LINK_MEMORY_MAX);
}
static void hello(void)
{
    struct link_hello h = {.version_min = 1,
                           .version_max = 1,
                           .role = LINK_ROLE_CLIENT,
                           .proof_kind = LINK_PROOF_NONE};
    attack_n += link_hello_encode(attack_bytes + attack_n, &h);
}
static void ping(void)
{
    attack_n += link_ping_encode(attack_bytes + attack_n, 1);
}
static void end_twice(void)
{
    attack_empty(LINK_END);
    attack_empty(LINK_END);
}
static void event_as_request(void)
{
    ATTACK_MESSAGE(SEAT, 7, "u", 1);
}
static void unknown_object(void)
{
    ATTACK_MESSAGE(99, 0, "");
}
static void bind_unknown(void)
{
    ATTACK_MESSAGE(REGISTRY, REGISTRY_BIND, "uN", 9, "wl_shm", 1, NEXT);
}
static void bind_higher(void)
{
    ATTACK_MESSAGE(REGISTRY, REGISTRY_BIND, "uN", 1, "wl_shm", 2, NEXT);
}
static void id_of_server(void)
{
    ATTACK_MESSAGE(1, DISPLAY_SYNC, "u", 0xff000000u);
}
static void quota(void)
{
    R.host_party.budget->limit[BUDGET_MEMORY] = CARRIER_MEMORY + 10000;
    attack_memory(1, 1 << 20);
    attack_mem_write(1, 0, 10001, 1, 10001);
}
static void quota_of_files(void)
{
    R.host_party.budget->limit[BUDGET_MEMORY] = CARRIER_MEMORY + 10000;
    attack_vfd(1, LINK_VFD_FILE, 0, 10001);
}
static void vfd_flags(void)
{
    attack_sink(1);
    attack_bytes[attack_n - 10] = 3;
}
static void reserved(void)
{
    attack_memory(1, 4096);
    attack_mem_size(1, 8192);
    attack_bytes[attack_n - 9] = 1;
}
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
    {"half a message", attack_half_message,
     "a WAYLAND frame with an incomplete or malformed message"},
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
     "VFD: descriptor limit: the VM takes 50 already (max-fds)"},
    {"memories beyond the limit", many_memories,
     "VFD: descriptor limit: the VM takes 50 already (max-fds)"},
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
    {"more memory than the quota", quota, "MEM_WRITE: memory limit: "},
    {"larger files than the quota", quota_of_files, "VFD: memory limit: "},
    {"a malformed VFD", vfd_flags,
     "the other proxy sent a malformed VFD frame: field out of range"},
    {"a reserved word", reserved,
     "the other proxy sent a malformed MEM_SIZE frame: reserved field is not zero"},
};

static void test_each_attack_on_the_host(void **state)
{
    for (size_t i = 0; i < sizeof(attacks) / sizeof(*attacks); i++) {
        attack_start_host();
        attacks[i].build();
        ATTACK_MESSAGE(1, DISPLAY_SYNC, "u", 50); /* nothing behind it is looked at */
        attack_deliver();
        *attack_reason = 0;
        turn_until(R.loop, attack_error_came, NULL);
        if (strncmp(attack_reason, attacks[i].reason, strlen(attacks[i].reason)) != 0)
            fail_msg("%s: \"%s\"", attacks[i].name, attack_reason);
        turn_until(R.loop, wire_at_end, &R.compositor); /* and the compositor has lost one client */
        turn_until(R.loop, wire_at_end, &R.link);
        turn_until(R.loop, relays_over, NULL);
        assert_int_equal(R.ended, 1);
        if (relays_stop(state) != 0)
            fail_msg("%s: leaks a descriptor", attacks[i].name);
    }
}

static void test_a_malformed_frame(void **state)
{
    (void)state;
    attack_start_host();
    attack_empty(LINK_END);
    attack_bytes[attack_n - 2] = 1;
    attack_deliver();
    turn_until(R.loop, attack_error_came, NULL);
    assert_string_equal(attack_reason, "malformed frame");
    assert_int_equal(attack_error.code, LINK_ERROR_PROTOCOL);
    turn_until(R.loop, wire_at_end, &R.compositor);
    turn_until(R.loop, relays_over, NULL);
}

/* The compositor maps what the message speaks of. */
static void test_a_file_that_is_too_short(void **state)
{
    enum { KEYBOARD = NEXT + 1 };
    static const char manager[] = "zwp_virtual_keyboard_manager_v1";
    if (!wl_iface_find(manager, strlen(manager)))
        skip();
    attack_start_host();
    wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL, "usu", 9, manager, 1);
    turn_times(R.loop, 5);
    ATTACK_MESSAGE(REGISTRY, REGISTRY_BIND, "uN", 9, manager, 1, NEXT);
    ATTACK_MESSAGE(NEXT, 0, "uu", SEAT, KEYBOARD);
    attack_vfd(1, LINK_VFD_FILE, 0, 5);
    attack_mem_write(1, 0, 5, 1, 5);
    ATTACK_MESSAGE(KEYBOARD, 0, "uu", 1, 4097);
    attack_deliver();
    turn_until(R.loop, attack_error_came, NULL);
    assert_string_equal(
        attack_reason,
        "zwp_virtual_keyboard_v1#7.keymap: the file is shorter than the message says");
    turn_until(R.loop, relays_over, NULL);
    if (relays_stop(state) != 0)
        fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_attack_on_the_host),
        cmocka_unit_test(test_a_file_that_is_too_short),
        cmocka_unit_test_teardown(test_a_malformed_frame, relays_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
