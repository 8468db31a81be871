/* SPDX-License-Identifier: MIT */
/* The gate's side of a VM's process: who gets a connection, when the next process starts, and that
 * nothing that one says is believed. The spawner and the processes are the test. */
#include "tests/unit/turn.h"

#include <errno.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "host-proxy/channel.h"
#include "common/base/spawner.h"
#include "host-proxy/vm-process.h"

#define VMS 2

static struct {
    struct loop *loop;
    int ends[2], fds; /* [1]: the spawner's */
    struct spawner spawner;
    struct vm_processes *all;
    struct vm_process *vm[VMS];
    struct log_subject subjects[VMS];
    struct spawner_request request; /* the last one */
    int channel;                    /* which came with it */
    unsigned lost, absent, again;
} T;

static void lost(void *user)
{
    (void)user;
    T.lost++;
}

static void absent(void *user, size_t number, bool again, const char *line, size_t n, int fd)
{
    (void)user;
    assert_int_equal(number, 0);
    assert_int_equal(n, 2);
    assert_memory_equal(line, "{}", 2);
    assert_true(fd >= 0);
    T.absent++;
    T.again += again;
    fd_close(fd);
}

static const struct vm_processes_ops ops = {.lost = lost, .absent = absent};

static int setup(void **state)
{
    (void)state;
    memset(&T, 0, sizeof(T));
    T.channel = -1;
    T.fds = count_fds();
    T.loop = loop_create();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, T.ends) < 0)
        return -1;
    T.spawner.fd = T.ends[0];
    T.all = vm_processes_create(T.loop, &T.spawner, VMS, &ops, NULL);
    for (int i = 0; i < VMS; i++) {
        T.subjects[i].name = "test";
        T.vm[i] = vm_processes_at(T.all, (size_t)i, &T.subjects[i]);
    }
    return T.all ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    vm_processes_destroy(T.all);
    loop_destroy(T.loop);
    fd_close(T.ends[0]);
    fd_close(T.ends[1]);
    fd_close(T.channel);
    return count_fds() == T.fds ? 0 : -1;
}

/* A packet with at most one descriptor. The number of bytes, or 0: none is there, or the end. */
static size_t take(int from, void *bytes, size_t size, int *ret_fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {bytes, size};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    *ret_fd = -1;
    if (n > 0 && CMSG_FIRSTHDR(&m))
        memcpy(ret_fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
    return n > 0 ? (size_t)n : 0;
}

static bool asked(void *user)
{
    (void)user;
    int fd;
    if (take(T.ends[1], &T.request, sizeof(T.request), &fd) != sizeof(T.request))
        return false;
    if (fd >= 0) {
        fd_close(T.channel);
        T.channel = fd;
    }
    return true;
}

static bool nothing_asked(void)
{
    turn_times(T.loop, 10);
    return !asked(NULL);
}

static void expect_asked(uint32_t kind, uint32_t number)
{
    turn_until(T.loop, asked, NULL);
    assert_int_equal(T.request.kind, kind);
    assert_int_equal(T.request.number, number);
}

static void give(int vm)
{
    struct channel_packet arrival = {
        .kind = CHANNEL_ARRIVAL,
        .hello = {.version_min = 1, .version_max = 1, .role = LINK_ROLE_CONTROL, .label = ""}};
    assert_int_equal(vm_process_give(T.vm[vm], &arrival, fd_memfd("connection", 0)), 0);
}

static void say(const struct channel_packet *packet)
{
    uint8_t bytes[CHANNEL_PACKET_MAX];
    size_t n = channel_encode(bytes, packet);
    assert_int_equal(send(T.channel, bytes, n, MSG_NOSIGNAL), n);
    turn_times(T.loop, 5);
}

static void report(uint32_t taken, bool idle)
{
    say(&(struct channel_packet){.kind = CHANNEL_REPORT, .taken = taken, .idle = idle});
}

/* How many connections wait in the channel; they are taken. -1: it is closed. */
static int arrivals(void)
{
    uint8_t bytes[CHANNEL_PACKET_MAX];
    struct channel_packet packet;
    int n = 0, fd;
    size_t size;
    turn_times(T.loop, 5);
    while ((size = take(T.channel, bytes, sizeof(bytes), &fd))) {
        assert_int_equal(channel_decode(bytes, size, &packet), 0);
        assert_true(packet.kind == CHANNEL_DEVICE || fd >= 0);
        n += packet.kind == CHANNEL_ARRIVAL;
        fd_close(fd);
        turn_times(T.loop, 3);
    }
    return n == 0 && recv(T.channel, bytes, 1, MSG_DONTWAIT | MSG_PEEK) == 0 ? -1 : n;
}

static void end(uint32_t number, int status)
{
    struct spawner_report said = {.kind = SPAWNER_START, .number = number, .status = status};
    assert_int_equal(send(T.ends[1], &said, sizeof(said), MSG_NOSIGNAL), sizeof(said));
    turn_times(T.loop, 5);
}

static void test_one_process_gets_all(void **state)
{
    (void)state;
    assert_false(vm_process_is_there(T.vm[1]));
    give(1);
    assert_true(vm_process_is_there(T.vm[1]));
    assert_false(vm_process_is_there(T.vm[0]));
    expect_asked(SPAWNER_START, 1);
    give(1);
    give(1);
    assert_true(nothing_asked());
    assert_int_equal(arrivals(), 3);
}

static void test_idle(void **state)
{
    (void)state;
    give(0);
    expect_asked(SPAWNER_START, 0);
    assert_int_equal(arrivals(), 1);
    give(0);         /* meanwhile */
    report(1, true); /* so this is not so any more */
    assert_int_equal(arrivals(), 1);
    report(2, false);
    assert_int_equal(arrivals(), 0);
    report(2, true);
    assert_int_equal(arrivals(), -1);
    assert_false(vm_process_is_there(T.vm[0]));
    give(0); /* before it has ended */
    assert_true(nothing_asked());
    end(0, 0);
    expect_asked(SPAWNER_START, 0);
    assert_int_equal(arrivals(), 1);
}

static void test_a_crash(void **state)
{
    (void)state;
    give(0);
    expect_asked(SPAWNER_START, 0);
    T.channel = fd_close(T.channel);
    end(0, SIGSEGV);
    assert_false(vm_process_is_there(T.vm[0]));
    give(0);
    give(1); /* the other VM does not wait for it */
    expect_asked(SPAWNER_START, 1);
    expect_asked(SPAWNER_START, 0); /* after a second */
    assert_int_equal(arrivals(), 1);
}

static void test_none_can_be_started(void **state)
{
    (void)state;
    give(0);
    expect_asked(SPAWNER_START, 0);
    end(0, -EAGAIN);
    assert_int_equal(arrivals(), 1); /* which the test has, who is nobody now */
    assert_false(vm_process_is_there(T.vm[0]));
}

/* Whatever a process says: it is ended, and nobody else. */
static void test_lies(void **state)
{
    (void)state;
    const struct channel_packet lies[] = {
        {.kind = CHANNEL_REPORT, .taken = 2},
        {.kind = CHANNEL_REPORT, .taken = UINT32_MAX, .idle = true},
        {.kind = CHANNEL_REPORT},
        {.kind = CHANNEL_HEARD},
        {.kind = CHANNEL_ABSENT, .number = 1},
        {.kind = CHANNEL_CONTROL, .line = "{}", .line_size = 2},
        {.kind = CHANNEL_ARRIVAL,
         .hello = {.version_min = 1, .version_max = 1, .role = 1, .label = ""}},
    };
    give(1);
    expect_asked(SPAWNER_START, 1);
    int of_other = T.channel;
    T.channel = -1;
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        give(0);
        expect_asked(SPAWNER_START, 0);
        say(&lies[i]);
        expect_asked(SPAWNER_KILL, 0);
        assert_false(vm_process_is_there(T.vm[0]));
        end(0, SIGKILL);
        assert_true(vm_process_is_there(T.vm[1]));
    }
    give(0);
    expect_asked(SPAWNER_START, 0);
    report(1, false);
    report(1, false); /* once more */
    expect_asked(SPAWNER_KILL, 0);
    fd_close(of_other);
}

static void test_room(void **state)
{
    (void)state;
    unsigned n = 0;
    while (vm_process_has_room(T.vm[0])) {
        give(0);
        n++;
    }
    assert_in_range(n, 16, 1024);
    assert_true(vm_process_has_room(T.vm[1]));
    expect_asked(SPAWNER_START, 0);
    assert_int_equal(arrivals(), n);
    report(1, false);
    assert_true(vm_process_has_room(T.vm[0]));
}

static bool ask_for(bool run)
{
    if (vm_process_unasked(T.vm[0], run))
        return false;
    vm_process_ask(T.vm[0], "{}", 2, run, fd_memfd("somebody asks", 0));
    return true;
}

static bool ask(void)
{
    return ask_for(false);
}

/* Those who ask start no process, and one that does not take them keeps few of them. */
static void test_asking(void **state)
{
    (void)state;
    int n = 0;
    assert_false(ask());
    assert_true(nothing_asked());
    assert_string_equal(vm_process_state(T.vm[0]), "absent");
    give(0);
    expect_asked(SPAWNER_START, 0);
    assert_string_equal(vm_process_state(T.vm[0]), "running");
    while (ask())
        n++;
    assert_in_range(n, 8, 64);
    assert_false(ask());
    assert_int_equal(arrivals(), 1);
    say(&(struct channel_packet){.kind = CHANNEL_HEARD});
    assert_true(ask());
    assert_false(ask());
    report(1, false);
    assert_true(nothing_asked()); /* it is not ended for them */
}

/* Who wants a program of a VM that is not there comes back; of one that has come since, as well,
 * but not without end. */
static void test_nobody_there(void **state)
{
    (void)state;
    const struct channel_packet absent_now = {.kind = CHANNEL_ABSENT, .number = 1};
    const struct channel_packet absent_before = {.kind = CHANNEL_ABSENT, .number = 0};
    give(0);
    expect_asked(SPAWNER_START, 0);
    assert_true(ask_for(true));
    assert_int_equal(arrivals(), 1);
    say(&absent_now);
    assert_int_equal(T.absent, 1);
    assert_int_equal(T.again, 0);
    assert_true(ask_for(false)); /* is not kept */
    assert_int_equal(arrivals(), 0);
    say(&absent_now);
    assert_int_equal(T.absent, 1);
    int n = 0;
    while (T.again == (unsigned)n && n < 10000) {
        assert_true(ask_for(true));
        assert_int_equal(arrivals(), 0);
        say(&absent_before);
        n++;
    }
    assert_in_range(n, 64, 1024);
    expect_asked(SPAWNER_KILL, 0);
}

/* One that has nothing to do is not let go before it has heard those who ask. */
static void test_asked_when_idle(void **state)
{
    (void)state;
    give(0);
    expect_asked(SPAWNER_START, 0);
    assert_true(ask_for(true));
    report(1, true);
    assert_true(vm_process_is_there(T.vm[0]));
    assert_int_equal(arrivals(), 1);
    say(&(struct channel_packet){.kind = CHANNEL_ABSENT, .number = 1});
    assert_int_equal(T.absent, 1);
    assert_false(vm_process_is_there(T.vm[0]));
}

static bool hears_of_device(uint32_t number, const char *device)
{
    uint8_t bytes[CHANNEL_PACKET_MAX];
    struct channel_packet packet;
    int fd;
    turn_times(T.loop, 5);
    size_t n = take(T.channel, bytes, sizeof(bytes), &fd);
    fd_close(fd);
    return n && channel_decode(bytes, n, &packet) == 0 && packet.kind == CHANNEL_DEVICE &&
           packet.number == number && memcmp(packet.device, device, sizeof(packet.device)) == 0;
}

/* A device is the VM's that had it first, also for processes that come later. */
static void test_devices(void **state)
{
    (void)state;
    struct channel_packet first = {
        .kind = CHANNEL_DEVICE, .number = 9, .device = "the first one's"};
    struct channel_packet other = {.kind = CHANNEL_DEVICE, .device = "another device"};
    give(0);
    expect_asked(SPAWNER_START, 0);
    say(&first);
    say(&first);
    assert_int_equal(arrivals(), 1);
    int of_first = T.channel;
    T.channel = -1;
    give(1);
    expect_asked(SPAWNER_START, 1);
    assert_true(hears_of_device(0, (char *)first.device));
    assert_int_equal(arrivals(), 1);
    say(&first); /* it says so */
    say(&other);
    fd_close(T.channel);
    T.channel = of_first;
    assert_true(hears_of_device(1, (char *)other.device));
    assert_int_equal(arrivals(), 0);
    say(&other); /* is taken */
    assert_int_equal(arrivals(), 0);
}

/* A process may have commands started, by number; not without end, and not after it. */
static void test_programs(void **state)
{
    (void)state;
    struct channel_packet packet = {.kind = CHANNEL_PROGRAM, .number = 5};
    struct spawner_report ended = {.kind = SPAWNER_ASSIST, .number = 0, .status = 0};
    uint8_t bytes[CHANNEL_PACKET_MAX];
    size_t n = channel_encode(bytes, &packet);
    unsigned asked_n = 0;
    give(0);
    expect_asked(SPAWNER_START, 0);
    int channel = T.channel;
    T.channel = -1;
    for (unsigned i = 0; i < SPAWNER_ASSISTANTS_MAX + 10; i++) {
        int fd = fd_memfd("asker", 0);
        struct iovec iov = {bytes, n};
        union {
            char bytes[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } control = {0};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof(control.bytes)};
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(fd));
        assert_int_equal(sendmsg(channel, &m, MSG_NOSIGNAL), n);
        fd_close(fd);
        turn_times(T.loop, 3);
        while (asked(NULL)) {
            assert_int_equal(T.request.kind, SPAWNER_ASSIST);
            assert_int_equal(T.request.number, 0);
            assert_int_equal(T.request.what, 5);
            assert_true(T.channel >= 0);
            T.channel = fd_close(T.channel);
            asked_n++;
        }
    }
    assert_int_equal(asked_n, SPAWNER_ASSISTANTS_MAX);
    assert_int_equal(send(T.ends[1], &ended, sizeof(ended), MSG_NOSIGNAL), sizeof(ended));
    turn_times(T.loop, 5);
    assert_true(vm_process_is_there(T.vm[0])); /* that was not the process's end */
    T.channel = channel;
    say(&packet); /* without a descriptor */
    expect_asked(SPAWNER_KILL, 0);
}

static void test_the_spawner_is_gone(void **state)
{
    (void)state;
    T.ends[1] = fd_close(T.ends[1]);
    turn_times(T.loop, 5);
    assert_int_equal(T.lost, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_one_process_gets_all),
        TEST(test_idle),
        TEST(test_a_crash),
        TEST(test_none_can_be_started),
        TEST(test_lies),
        TEST(test_nobody_there),
        TEST(test_asked_when_idle),
        TEST(test_room),
        TEST(test_asking),
        TEST(test_devices),
        TEST(test_programs),
        TEST(test_the_spawner_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
