/* SPDX-License-Identifier: MIT */
/* A node of PipeWire's in a guest: woken, done, late, stopped; and what a guest cannot do to the
 * records of others. The test is the server, and the program in the guest. */
#include "tests/unit/services/pair.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/guard.h"
#include "common/services/activation-record.h"
#include "common/services/helper-pipewire.h"
#include "tests/unit/services/pipewire_build.h"

enum {
    STATUS = 0,
    REQUIRED = 12,
    PENDING = 16,
    POSITION = 560,
    SERVER_VERSION = 544,
    FLAGS = 556,
    CLIENT_VERSION = 540
};
enum { NODE = 2, OWN = 1, PEER = 2, AREA = 3, HEARD = 4 /* numbers of the server's memory */ };

static struct pair A;

/* Memory of the server's, and what the program in the guest got of it. */
static struct memories {
    int fd;
    uint8_t *real, *guests;
} memories[5];
static int wake, guests_wake, trigger, guests_trigger; /* eventfds: the node's, the peer's */

static uint32_t get(const uint8_t *record, unsigned at)
{
    uint32_t value;
    memcpy(&value, record + at, sizeof(value));
    return value;
}

static void set(uint8_t *record, unsigned at, uint32_t value)
{
    memcpy(record + at, &value, sizeof(value));
}

static uint64_t taken(int event)
{
    uint64_t value = 0;
    return read(event, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static bool is_signalled(void *user)
{
    struct pollfd p = {.fd = *(int *)user, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

/* The server says what was built, and the program hears it, with as many descriptors. */
static void server(uint32_t object, uint8_t opcode, const int *fds, size_t n, int *ret)
{
    static uint8_t heard[sizeof(pw_bytes)];
    size_t size = pw_finish(object, opcode, (uint32_t)n), have = 0;
    int got[SEND_FDS_MAX];
    assert_int_equal(send_fds(A.server, pw_bytes, size, fds, n), size);
    for (size_t came = 0; have < size;) {
        size_t fds_n;
        ssize_t r = pair_receive(A.client, heard + have, size - have, got, &fds_n);
        assert_true(r > 0);
        for (size_t i = 0; i < fds_n; i++)
            ret[came++] = got[i];
        have += (size_t)r;
    }
    assert_memory_equal(heard, pw_bytes, size);
}

static void client(uint32_t object, uint8_t opcode)
{
    static uint8_t heard[sizeof(pw_bytes)];
    size_t size = pw_finish(object, opcode, 0);
    pair_write(A.client, pw_bytes, size);
    /* It may be written anew; here it is as long. */
    pair_read(A.server, heard, size);
}

static uint8_t *map(int fd, size_t size)
{
    uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(at != MAP_FAILED);
    return at;
}

static void add_memory(uint32_t number, int seals)
{
    struct memories *m = &memories[number];
    int got = -1;
    m->fd = memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(m->fd, ACTIVATION_SIZE), 0);
    assert_int_equal(fcntl(m->fd, F_ADD_SEALS, seals), 0);
    m->real = map(m->fd, ACTIVATION_SIZE);
    pw_message();
    PW_INTS(number);
    pw_id(DATA_MEM_FD);
    pw_fd(0);
    PW_INTS(3);
    server(0, CORE_ADD_MEM_EVENT, &m->fd, 1, &got);
    assert_true(got >= 0);
    m->guests = map(got, ACTIVATION_SIZE);
    fd_close(got);
}

static void build_transport(void)
{
    pw_message();
    pw_fd(0);
    pw_fd(1);
    PW_INTS(OWN, 0, ACTIVATION_SIZE);
}

static void build_peer(void)
{
    pw_message();
    PW_INTS(50);
    pw_fd(0);
    PW_INTS(PEER, 0, ACTIVATION_SIZE);
}

/* A node of the guest's, of which a peer on the host waits, among others. */
static void begin(uint32_t version)
{
    struct service_settings settings;
    int events[2], got[2];
    service_settings_init(&settings, "pipewire");
    settings.memory = LINK_MEMORY_MIRROR;
    settings.helper = &helper_pipewire;
    guard_init(); /* here, since cmocka handles signals while a test runs */
    pair_open(&A, &settings);
    pw_message();
    pod_write_string(&pw_w, "client-node");
    pod_write_string(&pw_w, "PipeWire:Interface:ClientNode");
    PW_INTS(4);
    pw_properties((const char *const[]){NULL});
    PW_INTS(NODE);
    client(0, CORE_CREATE_OBJECT);
    for (uint32_t i = OWN; i <= HEARD; i++)
        add_memory(i, F_SEAL_SHRINK | F_SEAL_GROW);
    set(memories[OWN].real, SERVER_VERSION, version);
    set(memories[PEER].real, SERVER_VERSION, version);
    set(memories[PEER].real, REQUIRED, 2);
    set(memories[OWN].real, STATUS, version ? ACTIVATION_INACTIVE : 0);
    wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    trigger = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    events[0] = wake;
    events[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    build_transport();
    server(NODE, CLIENT_NODE_TRANSPORT_EVENT, events, 2, got);
    fd_close(events[1]);
    fd_close(got[1]);
    guests_wake = got[0];
    build_peer();
    server(NODE, CLIENT_NODE_SET_ACTIVATION_EVENT, &trigger, 1, &guests_trigger);
    pw_message();
    PW_INTS(DIRECTION_OUTPUT, 0, 0);
    pw_id(IO_BUFFERS);
    PW_INTS(AREA, 0, 8);
    server(NODE, CLIENT_NODE_PORT_SET_IO_EVENT, NULL, 0, NULL);
}

static void end(void)
{
    A.client = fd_close(A.client);
    pair_until_end(A.server);
    A.server = fd_close(A.server);
    for (int i = 0; i < 100 && (A.guest || A.host); i++)
        turn_times(P.loop, 1);
    assert_null(A.guest);
    assert_null(A.host);
    pair_close(&A);
    for (unsigned i = OWN; i <= HEARD; i++) {
        fd_close(memories[i].fd);
        munmap(memories[i].real, ACTIVATION_SIZE);
        munmap(memories[i].guests, ACTIVATION_SIZE);
    }
    fd_close(wake);
    fd_close(trigger);
    fd_close(guests_wake);
    fd_close(guests_trigger);
}

static bool is_status(void *user)
{
    return get(memories[OWN].real, STATUS) == *(uint32_t *)user;
}

static void until_status(uint32_t status)
{
    turn_until(P.loop, is_status, &status);
}

/* The server's driver begins a cycle: @pending more than our node are waited for by the peer. */
static void cycle(uint32_t pending)
{
    struct activation_node *node = activations_find(&A.host->activations, NODE);
    if (node) /* a second after the last one: the host is patient, however busy the machine is */
        node->woken_ms = loop_now_ms() - 1000;
    set(memories[PEER].real, STATUS, ACTIVATION_NOT_TRIGGERED);
    set(memories[PEER].real, PENDING, 1 + pending);
    set(memories[OWN].real, STATUS, ACTIVATION_TRIGGERED);
    assert_int_equal(eventfd_write(wake, 1), 0);
}

/* The program does what PipeWire's clients do: 0.3, or 1.2 and later. */
static void work(uint32_t version, uint8_t data)
{
    uint8_t *own = memories[OWN].guests, *peer = memories[PEER].guests;
    turn_until(P.loop, is_signalled, &guests_wake);
    assert_int_equal(taken(guests_wake), 1);
    if (version)
        assert_int_equal(get(own, STATUS), ACTIVATION_TRIGGERED);
    set(own, STATUS, ACTIVATION_AWAKE);
    memories[AREA].guests[0] = data;
    set(own, STATUS, ACTIVATION_FINISHED);
    if (__atomic_sub_fetch((int32_t *)(void *)(peer + PENDING), 1, __ATOMIC_SEQ_CST) == 0) {
        assert_int_equal(get(peer, STATUS), ACTIVATION_NOT_TRIGGERED);
        set(peer, STATUS, ACTIVATION_TRIGGERED);
        assert_int_equal(eventfd_write(guests_trigger, 1), 0);
    }
}

/* Each cycle the peer is counted down once, and signalled if that was the last. */
static void test_cycles(void **state)
{
    (void)state;
    for (uint32_t version = 0; version < 2; version++) {
        begin(version);
        set(memories[OWN].guests, STATUS, ACTIVATION_FINISHED); /* as clients do when they start */
        turn_times(P.loop, 50);
        for (uint32_t i = 1; i < 20; i++) {
            cycle(i % 2);
            work(version, (uint8_t)i);
            until_status(ACTIVATION_FINISHED);
            assert_int_equal(get(memories[PEER].real, PENDING), i % 2);
            assert_int_equal(taken(trigger), i % 2 ? 0 : 1);
            assert_int_equal(get(memories[PEER].real, STATUS),
                             i % 2 ? ACTIVATION_NOT_TRIGGERED : ACTIVATION_TRIGGERED);
            assert_int_equal(memories[AREA].real[0], i); /* what it made is there before */
        }
        end();
    }
}

/* A node that nobody waits for signals nobody: that it is done is seen from its record alone. */
static void test_asynchronous(void **state)
{
    (void)state;
    begin(1);
    set(memories[OWN].real, FLAGS, 2);
    set(memories[OWN].guests, STATUS, ACTIVATION_FINISHED);
    until_status(ACTIVATION_FINISHED);
    cycle(0);
    turn_until(P.loop, is_signalled, &guests_wake);
    taken(guests_wake);
    memories[AREA].guests[0] = 5;
    set(memories[OWN].guests, STATUS, ACTIVATION_FINISHED);
    until_status(ACTIVATION_FINISHED);
    assert_int_equal(memories[AREA].real[0], 5);
    assert_int_equal(get(memories[PEER].real, PENDING), 1); /* not its to count */
    assert_int_equal(taken(trigger), 0);
    end();
}

/* The program becomes ready to be woken, and stops, without saying so. */
static void test_active(void **state)
{
    (void)state;
    begin(1);
    turn_times(P.loop, 20);
    assert_int_equal(get(memories[OWN].real, STATUS), ACTIVATION_INACTIVE);
    set(memories[OWN].guests, CLIENT_VERSION, 1);
    set(memories[OWN].guests, STATUS, ACTIVATION_FINISHED);
    until_status(ACTIVATION_FINISHED);
    assert_int_equal(get(memories[OWN].real, CLIENT_VERSION), 1);
    cycle(0);
    turn_until(P.loop, is_signalled, &guests_wake);
    set(memories[OWN].guests, STATUS, ACTIVATION_INACTIVE);
    until_status(ACTIVATION_INACTIVE);
    assert_int_equal(taken(trigger), 1); /* who waited for it does not any more */
    end();
}

static void count_down_itself(void)
{
    __atomic_sub_fetch((uint32_t *)(void *)(memories[OWN].guests + PENDING), 1, __ATOMIC_SEQ_CST);
    pw_message();
    PW_INTS(0, 7);
    server(0, CORE_DONE_EVENT, NULL, 0, NULL); /* then the daemon looks */
}

/* A program triggers a node of its own, which waits for that: once in a cycle, however often. */
static void test_triggered(void **state)
{
    (void)state;
    begin(1);
    set(memories[OWN].guests, STATUS, ACTIVATION_FINISHED);
    until_status(ACTIVATION_FINISHED);
    set(memories[PEER].real, PENDING, 5);
    set(memories[OWN].real, PENDING, 1); /* all others are done */
    set(memories[OWN].real, STATUS, ACTIVATION_NOT_TRIGGERED);
    count_down_itself();
    work(1, 3);
    until_status(ACTIVATION_FINISHED);
    assert_int_equal(memories[AREA].real[0], 3);
    assert_int_equal(get(memories[PEER].real, PENDING), 4);
    for (int i = 0; i < 5; i++)
        count_down_itself();
    turn_times(P.loop, 50);
    assert_int_equal(taken(guests_wake), 0);
    assert_int_equal(get(memories[PEER].real, PENDING), 4);
    end();
}

/* A program that does not answer costs the others no cycle; when it is back, it is waited for. */
static void test_late(void **state)
{
    (void)state;
    begin(0);
    for (uint32_t i = 0; i < 5; i++) {
        cycle(0);
        activations_find(&A.host->activations, NODE)->woken_ms = 0; /* it is impatient */
        turn_until(P.loop, is_signalled, &trigger);
        assert_int_equal(taken(trigger), 1);
        assert_int_equal(get(memories[OWN].real, STATUS), ACTIVATION_FINISHED);
    }
    turn_until(P.loop, is_signalled, &guests_wake);
    turn_times(P.loop, 20);
    assert_int_equal(taken(guests_wake), 5);
    assert_int_equal(eventfd_write(guests_wake, 1), 0);
    work(0, 1); /* for all of them: the peer is not counted down again */
    turn_times(P.loop, 50);
    assert_int_equal(get(memories[PEER].real, PENDING), 0);
    assert_int_equal(taken(trigger), 0);
    cycle(0);
    work(0, 2);
    until_status(ACTIVATION_FINISHED);
    assert_int_equal(taken(trigger), 1);
    assert_int_equal(memories[AREA].real[0], 2);
    end();
}

/* What a program writes where it must not stays in the guest. */
static void test_others_records(void **state)
{
    (void)state;
    begin(1);
    memset(memories[PEER].guests, 0xee, ACTIVATION_SIZE);
    memset(memories[HEARD].guests, 0xee, ACTIVATION_SIZE);
    memset(memories[OWN].guests + FLAGS, 0xee, ACTIVATION_SIZE - FLAGS);
    set(memories[OWN].guests, REQUIRED, 77);
    for (int i = 0; i < 100; i++)
        assert_int_equal(eventfd_write(guests_trigger, 1), 0);
    pw_message();
    PW_INTS(0, 7);
    client(0, CORE_SYNC);
    turn_times(P.loop, 50);
    assert_int_equal(get(memories[PEER].real, PENDING), 0);
    assert_int_equal(get(memories[PEER].real, REQUIRED), 2);
    assert_int_equal(get(memories[PEER].real, POSITION), 0);
    assert_int_equal(get(memories[HEARD].real, 0), 0);
    assert_int_equal(get(memories[OWN].real, FLAGS), 0);
    assert_int_equal(get(memories[OWN].real, POSITION), 0);
    assert_int_equal(get(memories[OWN].real, REQUIRED), 0);
    assert_int_equal(taken(trigger), 0);
    /* The other way, all of it is seen. */
    set(memories[PEER].real, POSITION, 0x1010101);
    memories[HEARD].real[100] = 9;
    pw_message();
    PW_INTS(0, 7);
    server(0, CORE_DONE_EVENT, NULL, 0, NULL);
    assert_int_equal(get(memories[PEER].guests, POSITION), 0x1010101);
    assert_int_equal(memories[HEARD].guests[100], 9);
    end();
}

/* A peer that is gone is not counted down, and a node that is gone is not waited for. */
static void test_gone(void **state)
{
    (void)state;
    begin(0);
    cycle(0);
    turn_until(P.loop, is_signalled, &guests_wake);
    pw_message();
    PW_INTS(NODE);
    server(0, CORE_REMOVE_ID_EVENT, NULL, 0, NULL);
    assert_int_equal(taken(trigger), 1);
    end();
    begin(0);
    pw_message();
    PW_INTS(50);
    pw_fd(-1);
    PW_INTS(PIPEWIRE_NO_ID, 0, 0);
    server(NODE, CLIENT_NODE_SET_ACTIVATION_EVENT, NULL, 0, NULL);
    cycle(0);
    turn_until(P.loop, is_signalled, &guests_wake);
    set(memories[OWN].guests, STATUS, ACTIVATION_FINISHED);
    until_status(ACTIVATION_FINISHED);
    assert_int_equal(get(memories[PEER].real, PENDING), 1);
    end();
}

/* Frames that only the other side may send, or of what there is not. */
static void test_frames(void **state)
{
    (void)state;
    begin(0);
    uint8_t frame[LINK_FRAME_SMALL_MAX];
    struct link_cycle cycle = {999, LINK_CYCLE_DONE};
    struct link_mem_role_frame role = {.id = LINK_HOST_ID | 1, .role = LINK_ROLE_SHARED};
    size_t n = link_cycle_encode(frame, &cycle) - LINK_HEADER_SIZE;
    assert_int_equal(activations_cycle(&A.host->activations, frame + LINK_HEADER_SIZE, n), 0);
    cycle.node = NODE; /* it was not woken */
    link_cycle_encode(frame, &cycle);
    set(memories[PEER].real, PENDING, 1);
    assert_int_equal(activations_cycle(&A.host->activations, frame + LINK_HEADER_SIZE, n), 0);
    assert_int_equal(get(memories[PEER].real, PENDING), 1);
    n = link_mem_role_encode(frame, &role) - LINK_HEADER_SIZE;
    assert_true(activations_role(&A.host->activations, frame + LINK_HEADER_SIZE, n) < 0);
    pair_until_end(A.client);
    end();
    begin(0);
    n = link_cycle_encode(frame, &cycle) - LINK_HEADER_SIZE;
    assert_true(activations_cycle(&A.guest->activations, frame + LINK_HEADER_SIZE, n) < 0);
    end();
    begin(0);
    role = (struct link_mem_role_frame){
        .id = LINK_HOST_ID | 2, .event = LINK_HOST_ID | 1, .node = 7, .role = LINK_ROLE_PEER};
    n = link_mem_role_encode(frame, &role) - LINK_HEADER_SIZE;
    assert_true(activations_role(&A.guest->activations, frame + LINK_HEADER_SIZE, n) < 0);
    end();
    begin(0);
    role = (struct link_mem_role_frame){.id = LINK_HOST_ID | 500, .role = LINK_ROLE_SHARED};
    n = link_mem_role_encode(frame, &role) - LINK_HEADER_SIZE;
    assert_true(activations_role(&A.guest->activations, frame + LINK_HEADER_SIZE, n) < 0);
    end();
}

/* A server's record that could become smaller under us, or is too small. */
static void test_records_that_are_none(void **state)
{
    struct service_settings settings;
    (void)state;
    service_settings_init(&settings, "pipewire");
    settings.memory = LINK_MEMORY_MIRROR;
    settings.helper = &helper_pipewire;
    for (int i = 0; i < 2; i++) {
        int fds[2] = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)};
        int memory = memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        pair_open(&A, &settings);
        assert_int_equal(ftruncate(memory, i ? ACTIVATION_SIZE - 1 : ACTIVATION_SIZE), 0);
        if (i)
            assert_int_equal(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        pw_message();
        pod_write_string(&pw_w, "client-node");
        pod_write_string(&pw_w, "PipeWire:Interface:ClientNode");
        PW_INTS(4);
        pw_properties((const char *const[]){NULL});
        PW_INTS(NODE);
        client(0, CORE_CREATE_OBJECT);
        pw_message();
        PW_INTS(OWN);
        pw_id(DATA_MEM_FD);
        pw_fd(0);
        PW_INTS(3);
        size_t n = pw_finish(0, CORE_ADD_MEM_EVENT, 1);
        assert_int_equal(send_fds(A.server, pw_bytes, n, &memory, 1), n);
        build_transport();
        n = pw_finish(NODE, CLIENT_NODE_TRANSPORT_EVENT, 2);
        assert_int_equal(send_fds(A.server, pw_bytes, n, fds, 2), n);
        for (int turns = 0; turns < 200 && A.host; turns++)
            turn_times(P.loop, 1);
        assert_null(A.host);
        fd_close(fds[0]);
        fd_close(fds[1]);
        fd_close(memory);
        pair_close(&A);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cycles, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_asynchronous, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_active, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_triggered, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_late, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_others_records, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_gone, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_frames, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_records_that_are_none, pairs_setup, pairs_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
