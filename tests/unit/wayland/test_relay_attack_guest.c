/* SPDX-License-Identifier: MIT */
/* The guest's relay against a host proxy that was replaced by an attacker: each rule that it can
 * break, by name. */
#include "tests/unit/wayland/attacker.h"

enum { FILE_SIZE = 65536 };

/* A client with a pool (memory 1), a buffer in it and a data source. */
static int start_guest(void)
{
    relays_start(true, false);
    attack_ready();
    wire_send(&R.client, 1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    turn_times(R.loop, 3);
    static const char *const globals[] = {"wl_shm", "wl_data_device_manager", "wl_seat"};
    for (uint32_t i = 0; i < 3; i++)
        ATTACK_MESSAGE(REGISTRY, REGISTRY_GLOBAL, "usu", i + 1, globals[i], 1);
    attack_deliver();
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
    assert_non_null(relays_memory(R.guest));
    return file;
}

static void host_memory(void)
{
    attack_memory(LINK_HOST_ID | 1, 4096);
}
static void guests_memory(void)
{
    attack_memory(1, 4096);
}
static void guests_id(void)
{
    attack_sink(2);
}
static void host_gap(void)
{
    attack_sink(LINK_HOST_ID | 2);
}
static void host_size(void)
{
    attack_mem_size(1, 8192);
}
static void host_punch(void)
{
    attack_punch(1, 0, 4096);
}
static void host_write_beyond(void)
{
    attack_mem_write(1, FILE_SIZE - 1, 2, 1, 2);
}
static void host_write_unknown(void)
{
    attack_mem_write(2, 0, 2, 1, 2);
}
static void host_half(void)
{
    attack_half_message();
}
static void host_no_descriptor(void)
{
    ATTACK_MESSAGE(NEXT + 2, SOURCE_SEND, "s", "a/b");
}
static void host_wrong_kind(void)
{
    attack_vfd(LINK_HOST_ID | 1, LINK_VFD_FILE, 0, 0);
    ATTACK_MESSAGE(NEXT + 2, SOURCE_SEND, "s", "a/b");
}
static void host_unknown_object(void)
{
    ATTACK_MESSAGE(77, 0, "");
}
static void host_unknown_opcode(void)
{
    ATTACK_MESSAGE(NEXT, 0, "");
}
static void host_display_id(void)
{
    ATTACK_MESSAGE(1, DISPLAY_DELETE_ID, "");
}
static void host_welcome(void)
{
    attack_n += link_welcome_encode(attack_bytes + attack_n, &(struct link_welcome){.version = 1});
}
static void host_string(void)
{
    ATTACK_MESSAGE(REGISTRY, REGISTRY_GLOBAL, "usu", 9, "wl_seat", 1);
    memset(attack_bytes + attack_n - 12, 'x', 8);
}
static void host_file_incomplete(void)
{
    ATTACK_MESSAGE(SEAT, 0, "u", 2);
    attack_vfd(LINK_HOST_ID | 1, LINK_VFD_FILE, 0, 100);
    attack_mem_write(LINK_HOST_ID | 1, 0, 99, 1, 99);
    ATTACK_MESSAGE(NEXT + 3, KEYBOARD_KEYMAP, "uu", 1, 100);
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
        attack_deliver();
        *attack_reason = 0;
        turn_until(R.loop, attack_error_came, NULL);
        if (strcmp(attack_reason, cases[i].reason) != 0)
            fail_msg("%s: \"%s\"", cases[i].name, attack_reason);
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
    attack_mem_write(1, 0, 1000, 1, 1000);
    ATTACK_MESSAGE(SEAT, 0, "u", 3);
    attack_deliver();
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
    attack_n += link_error_encode(attack_bytes + attack_n, LINK_ERROR_WAYLAND, NEXT + 1, 2,
                                  "no such thing");
    attack_deliver();
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
        cmocka_unit_test(test_each_attack_on_the_guest),
        cmocka_unit_test_teardown(test_the_hosts_writes_stay_where_they_belong, relays_stop),
        cmocka_unit_test_teardown(test_the_hosts_error_reaches_the_client, relays_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
