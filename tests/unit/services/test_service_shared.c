/* SPDX-License-Identifier: MIT */
/* What programs of both sides share over a service's connection: memory, eventfds; descriptors that
 * were sent before, and that come home. */
#include "tests/unit/services/pair.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/base/budget.h"
#include "common/base/counter.h"
#include "common/base/fd.h"
#include "common/base/guard.h"

static struct pair A;

static void open_with(enum link_signals signals)
{
    struct service_settings settings;
    service_settings_init(&settings, "shared");
    settings.memory = LINK_MEMORY_MIRROR;
    settings.eventfds = signals;
    guard_init(); /* here, since cmocka handles signals while a test runs */
    pair_open(&A, &settings);
}

static void close_all(void)
{
    A.client = fd_close(A.client);
    pair_until_end(A.server);
    A.server = fd_close(A.server);
    for (int i = 0; i < 100 && (A.guest || A.host); i++)
        turn_times(P.loop, 1);
    assert_null(A.guest);
    assert_null(A.host);
    pair_close(&A);
}

/* What arrives when @from sends @fd, which stays open. */
static int pass(int from, int to, int fd)
{
    int got[SEND_FDS_MAX];
    size_t n;
    char byte;
    assert_int_equal(send_fds(from, "x", 1, &fd, 1), 1);
    assert_int_equal(pair_receive(to, &byte, 1, got, &n), 1);
    assert_int_equal(n, 1);
    return got[0];
}

/* A message, so that what changed is there before it. */
static void tell(int from, int to)
{
    char byte;
    pair_write(from, "t", 1);
    pair_read(to, &byte, 1);
}

static int memory_of(size_t size, int seals)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    if (seals)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static uint8_t *map(int fd, size_t size)
{
    uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(at != MAP_FAILED);
    return at;
}

static void same_file(int a, int b, bool same)
{
    struct stat x, y;
    fstat(a, &x);
    fstat(b, &y);
    assert_int_equal(x.st_dev == y.st_dev && x.st_ino == y.st_ino, same);
}

#define SIZE 10000u /* not whole pages, nor blocks */

/* Both sides write to bytes beside each other. */
static void mirror(int from, int to)
{
    int ours = memory_of(SIZE, F_SEAL_SHRINK | F_SEAL_GROW);
    uint8_t *a = map(ours, SIZE);
    fill_pattern(a, SIZE, 3);
    int theirs = pass(from, to, ours);
    same_file(ours, theirs, false);
    assert_int_equal(fcntl(theirs, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
                     F_SEAL_SHRINK | F_SEAL_GROW);
    uint8_t *b = map(theirs, SIZE);
    assert_memory_equal(a, b, SIZE);
    for (unsigned i = 0; i < 20; i++) {
        for (unsigned at = i; at < SIZE; at += 1 + i) /* before either hears of the other's */
            *(at % 2 ? &a[at] : &b[at]) += 1 + (uint8_t)at;
        tell(from, to);
        tell(to, from);
        assert_memory_equal(a, b, SIZE);
    }
    a[SIZE - 1] = 77;
    tell(from, to);
    assert_int_equal(b[SIZE - 1], 77);
    munmap(a, SIZE);
    munmap(b, SIZE);
    fd_close(ours);
    fd_close(theirs);
}

static void test_mirror(void **state)
{
    (void)state;
    open_with(LINK_SIGNALS_NONE);
    mirror(A.client, A.server);
    mirror(A.server, A.client);
    close_all();
}

/* A counter, and behind it what it counts: more than fits into a frame. */
#define LARGE (512u << 10)

static struct {
    uint8_t *map;
    _Atomic bool over;
    uint32_t too_early;
} looking;

static uint32_t number_at(const uint8_t *at)
{
    return __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_ACQUIRE);
}

static void *look_all_the_time(void *user)
{
    (void)user;
    while (!looking.over) {
        uint32_t count = number_at(looking.map);
        for (unsigned at = 64; at < LARGE; at += 4096)
            looking.too_early += number_at(looking.map + at) < count;
    }
    return NULL;
}

static void test_mirror_order(void **state)
{
    pthread_t reader;
    (void)state;
    open_with(LINK_SIGNALS_NONE);
    int ours = memory_of(LARGE, 0), theirs = pass(A.client, A.server, ours);
    uint8_t *a = map(ours, LARGE);
    looking.map = map(theirs, LARGE);
    assert_int_equal(pthread_create(&reader, NULL, look_all_the_time, NULL), 0);
    for (uint32_t i = 1; i <= 100; i++) {
        for (unsigned at = 64; at < LARGE; at += 4)
            memcpy(a + at, &i, 4);
        memcpy(a, &i, 4);
        tell(A.client, A.server);
        assert_memory_equal(a, looking.map, LARGE);
    }
    looking.over = true;
    pthread_join(reader, NULL);
    assert_int_equal(looking.too_early, 0);
    munmap(a, LARGE);
    munmap(looking.map, LARGE);
    fd_close(ours);
    fd_close(theirs);
    close_all();
}

static void test_mirror_one_way(void **state)
{
    (void)state;
    open_with(LINK_SIGNALS_NONE);
    int ours = memory_of(SIZE, 0), reading = fd_reopen(ours, O_RDONLY);
    uint8_t *a = map(ours, SIZE);
    int theirs = pass(A.client, A.server, reading);
    assert_int_equal(fcntl(theirs, F_GETFL) & O_ACCMODE, O_RDONLY);
    const uint8_t *b = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, theirs, 0);
    a[5000] = 9;
    tell(A.client, A.server);
    assert_int_equal(b[5000], 9);
    /* Once more, for writing: the same memory. */
    int again = pass(A.client, A.server, ours);
    same_file(theirs, again, true);
    uint8_t *c = map(again, SIZE);
    c[5001] = 10;
    tell(A.server, A.client);
    assert_int_equal(a[5001], 10);
    munmap(a, SIZE);
    munmap((void *)(uintptr_t)b, SIZE);
    munmap(c, SIZE);
    int all[] = {ours, reading, theirs, again};
    for (int i = 0; i < 4; i++)
        fd_close(all[i]);
    close_all();
}

/* The program's file becomes smaller: that connection ends, and we do not. */
static void test_mirror_that_shrinks(void **state)
{
    (void)state;
    open_with(LINK_SIGNALS_NONE);
    int ours = memory_of(SIZE, 0);
    fd_close(pass(A.client, A.server, ours));
    assert_int_equal(ftruncate(ours, 0), 0);
    assert_int_equal(send(A.client, "x", 1, 0), 1);
    pair_until_end(A.server);
    fd_close(ours);
    close_all();
}

static void test_mirror_limits(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        int fds[20], n = i ? 17 : 1;
        open_with(LINK_SIGNALS_NONE);
        for (int k = 0; k < n; k++)
            fds[k] = memory_of((1 << 20) + (i ? 0 : 1), 0);
        for (int k = 0; k + 1 < n; k++)
            assert_true(fcntl(fds[k], F_SETFD, FD_CLOEXEC) == 0 &&
                        fd_close(pass(A.client, A.server, fds[k])) == -1);
        /* They are let go of, so there is room again: those that are kept count. */
        if (!i) {
            assert_int_equal(send_fds(A.client, "x", 1, fds, 1), 1);
        } else {
            assert_int_equal(send_fds(A.client, "x", 1, fds, 17), 1);
        }
        pair_until_end(A.server);
        for (int k = 0; k < n; k++)
            fd_close(fds[k]);
        close_all();
    }
}

static uint64_t value_of(int fd)
{
    struct counter_info info;
    assert_int_equal(counter_inspect(fd, &info), 0);
    return info.value;
}

static bool has_value(void *user)
{
    return value_of(*(int *)user) != 0;
}

static uint64_t take(int fd)
{
    uint64_t value;
    turn_until(P.loop, has_value, &fd);
    assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
    return value;
}

static void add(int fd, uint64_t value)
{
    assert_int_equal(write(fd, &value, sizeof(value)), sizeof(value));
}

/* From where it is written to, whoever passes it, with what changed in memory before. */
static void signals(int writer, int waiter, bool writer_passes, bool semaphore)
{
    int ours = eventfd(3, EFD_CLOEXEC | (semaphore ? EFD_SEMAPHORE : 0));
    int memory = memory_of(SIZE, 0);
    int from = writer_passes ? writer : waiter, to = writer_passes ? waiter : writer;
    int theirs = pass(from, to, ours), mirrored = pass(from, to, memory);
    uint8_t *a = map(memory, SIZE), *b = map(mirrored, SIZE);
    int in = writer_passes ? ours : theirs, out = writer_passes ? theirs : ours;
    uint8_t *written = writer_passes ? a : b, *seen = writer_passes ? b : a;
    if (semaphore) {
        for (int i = 0; i < 3; i++)
            assert_int_equal(take(out), 1);
    } else {
        assert_int_equal(take(out), 3);
    }
    for (uint8_t i = 1; i < 50; i++) {
        written[i * 10u] = i;
        add(in, 1);
        assert_int_equal(take(out), 1);
        assert_int_equal(seen[i * 10u], i);
    }
    add(in, 5);
    turn_until(P.loop, has_value, &out);
    assert_int_equal(value_of(out), 5);
    assert_int_equal(value_of(in), 0);
    add(out, 2); /* who waits has written to it: nobody else hears of that */
    turn_times(P.loop, 20);
    assert_int_equal(value_of(out), 7);
    struct counter_info info;
    counter_inspect(theirs, &info);
    assert_int_equal(info.semaphore, semaphore);
    munmap(a, SIZE);
    munmap(b, SIZE);
    int all[] = {ours, theirs, memory, mirrored};
    for (int i = 0; i < 4; i++)
        fd_close(all[i]);
}

static void test_signals(void **state)
{
    (void)state;
    for (int semaphore = 0; semaphore < 2; semaphore++) {
        for (int way = LINK_SIGNALS_TO_HOST; way <= LINK_SIGNALS_TO_GUEST; way++) {
            open_with((enum link_signals)way);
            bool to_host = way == LINK_SIGNALS_TO_HOST;
            int writer = to_host ? A.client : A.server, waiter = to_host ? A.server : A.client;
            signals(writer, waiter, true, semaphore);
            signals(writer, waiter, false, semaphore);
            close_all();
        }
    }
}

static void test_signal_refused(void **state)
{
    (void)state;
    open_with(LINK_SIGNALS_NONE);
    int fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(send_fds(A.client, "x", 1, &fd, 1), 1);
    fd_close(fd);
    pair_until_end(A.server);
    close_all();
}

/* --- the same again, and home --- */

static bool same_description(int a, int b)
{
    /* The offset of a file and the flags of all are a description's. */
    int flags = fcntl(a, F_GETFL);
    fcntl(a, F_SETFL, flags ^ O_NONBLOCK);
    bool same = fcntl(b, F_GETFL) == (flags ^ O_NONBLOCK);
    fcntl(a, F_SETFL, flags);
    return same && fcntl(b, F_GETFL) == flags;
}

/* @fd goes there, and comes back as itself, though its first descriptor there is gone. */
static void home(int from, int to, int fd)
{
    for (int i = 0; i < 3; i++) {
        int there = pass(from, to, fd);
        assert_false(same_description(fd, there));
        int kept = i == 1 ? dup(there) : -1;
        int back = pass(to, from, there);
        assert_true(same_description(fd, back));
        fd_close(there);
        fd_close(back);
        fd_close(kept);
    }
}

static void test_home(void **state)
{
    (void)state;
    open_with(LINK_SIGNALS_TO_HOST);
    for (int way = 0; way < 2; way++) {
        int from = way ? A.server : A.client, to = way ? A.client : A.server;
        int pipe[2], sockets[2], memory = memory_of(SIZE, 0), event = eventfd(0, EFD_CLOEXEC);
        int file = memory_of(SIZE, F_SEAL_WRITE);
        assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
        make_sockets(sockets, 0);
        home(from, to, pipe[0]);
        home(from, to, pipe[1]);
        home(from, to, sockets[1]);
        home(from, to, memory);
        home(from, to, event);
        home(from, to, file);
        /* What came home is what it was: open, both ways. */
        char byte = 0;
        assert_int_equal(write(pipe[1], "p", 1), 1);
        assert_int_equal(read(pipe[0], &byte, 1), 1);
        assert_int_equal(send(sockets[0], "s", 1, 0), 1);
        turn_times(P.loop, 10);
        assert_int_equal(recv(sockets[1], &byte, 1, MSG_DONTWAIT), 1);
        assert_int_equal(send(sockets[1], "s", 1, MSG_NOSIGNAL), 1);
        assert_int_equal(recv(sockets[0], &byte, 1, MSG_DONTWAIT), 1);
        int all[] = {pipe[0], pipe[1], sockets[0], sockets[1], memory, event, file};
        for (int i = 0; i < 7; i++)
            fd_close(all[i]);
    }
    close_all();
}

/* Before anybody has come for its connection: which is then over at once, and shuts nothing down,
 * nor reads what is the program's. */
static void test_home_at_once(void **state)
{
    (void)state;
    open_with(LINK_SIGNALS_NONE);
    for (int way = 0; way < 4; way++) {
        int from = way % 2 ? A.server : A.client, to = way % 2 ? A.client : A.server;
        int sockets[2], got[SEND_FDS_MAX];
        size_t n;
        char text[8];
        make_sockets(sockets, 0);
        P.held = true;
        int there = pass(from, to, sockets[1]);
        assert_int_equal(send_fds(to, "h", 1, &there, 1), 1);
        fd_close(there);
        assert_int_equal(pair_receive(from, text, 1, got, &n), 1);
        assert_true(n == 1 && same_description(got[0], sockets[1]));
        fd_close(got[0]);
        assert_int_equal(send(sockets[0], "mine", 4, 0), 4);
        pairs_join();
        turn_times(P.loop, 50);
        assert_int_equal(recv(sockets[1], text, sizeof(text), MSG_DONTWAIT), 4);
        assert_int_equal(send(sockets[1], "up", 2, MSG_NOSIGNAL), 2);
        assert_int_equal(recv(sockets[0], text, sizeof(text), MSG_DONTWAIT), 2);
        fd_close(sockets[0]);
        fd_close(sockets[1]);
    }
    close_all();
}

/* The last one, while there is more on its way to whoever has the other end than that reads: its
 * connection goes on for that, and reads nothing more of what is the program's again. */
static void test_home_with_more_to_come(void **state)
{
    (void)state;
    open_with(LINK_SIGNALS_NONE);
    for (int way = 0; way < 2; way++) {
        int from = way ? A.server : A.client, to = way ? A.client : A.server;
        int sockets[2], got[SEND_FDS_MAX];
        size_t n, written = 0;
        static uint8_t bytes[4 << 20];
        char text[8];
        make_sockets(sockets, 0);
        int there = pass(from, to, sockets[1]);
        for (int idle = 0; idle < 100;) {
            ssize_t w = send(there, bytes, sizeof(bytes), MSG_DONTWAIT);
            written += w > 0 ? (size_t)w : 0;
            idle = w > 0 ? 0 : idle + 1;
            turn_times(P.loop, 1);
        }
        assert_true(written > 512u << 10 && written < sizeof(bytes));
        assert_int_equal(send_fds(to, "h", 1, &there, 1), 1);
        fd_close(there);
        assert_int_equal(pair_receive(from, text, 1, got, &n), 1);
        assert_true(n == 1 && same_description(got[0], sockets[1]));
        fd_close(got[0]);
        assert_int_equal(send(sockets[0], "mine", 4, 0), 4);
        turn_times(P.loop, 50);
        assert_int_equal(recv(sockets[1], text, sizeof(text), MSG_DONTWAIT), 4);
        pair_read(sockets[0], bytes, written);
        turn_times(P.loop, 50);
        assert_int_equal(send(sockets[1], "up", 2, MSG_NOSIGNAL), 2);
        assert_int_equal(recv(sockets[0], text, sizeof(text), MSG_DONTWAIT), 2);
        fd_close(sockets[0]);
        fd_close(sockets[1]);
    }
    close_all();
}

/* On the connection of a socket that was passed, two deep. */
static void test_home_by_another_way(void **state)
{
    (void)state;
    open_with(LINK_SIGNALS_TO_HOST);
    int pair[2], inner[2], memory = memory_of(SIZE, 0), event = eventfd(0, EFD_CLOEXEC);
    make_sockets(pair, 0);
    make_sockets(inner, 0);
    int there = pass(A.client, A.server, pair[1]);
    int below = pass(there, pair[0], inner[1]);
    int m = pass(A.client, A.server, memory), e = pass(inner[0], below, event);
    int m_back = pass(inner[0], below, m), e_back = pass(A.server, A.client, e);
    same_file(memory, m_back, true);
    (void)e_back;
    int all[] = {pair[0], pair[1], inner[0], inner[1], memory, event,
                 there,   below,   m,        e,        m_back, e_back};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        fd_close(all[i]);
    close_all();
}

static void test_again(void **state)
{
    int pipe[2], sockets[2], got[SEND_FDS_MAX];
    size_t n;
    char byte;
    (void)state;
    open_with(LINK_SIGNALS_TO_HOST);
    assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
    make_sockets(sockets, 0);
    int memory = memory_of(SIZE, 0), event = eventfd(0, EFD_CLOEXEC);
    int twice[] = {pipe[0], pipe[0], sockets[1], sockets[1], memory, memory, event, event};
    assert_int_equal(send_fds(A.client, "x", 1, twice, 8), 1);
    assert_int_equal(pair_receive(A.server, &byte, 1, got, &n), 1);
    assert_int_equal(n, 8);
    for (int i = 0; i < 8; i += 2)
        same_file(got[i], got[i + 1], true);
    add(got[6], 2);
    assert_int_equal(value_of(got[7]), 2);
    int later = pass(A.client, A.server, event), memory_later = pass(A.client, A.server, memory);
    assert_int_equal(value_of(later), 2);
    same_file(memory_later, got[4], true);
    fd_close(later);
    fd_close(memory_later);
    for (int i = 0; i < 8; i++)
        fd_close(got[i]);
    fd_close(pipe[0]);
    fd_close(pipe[1]);
    fd_close(sockets[0]);
    fd_close(sockets[1]);
    fd_close(memory);
    fd_close(event);
    close_all();
}

/* --- nothing is left --- */

/* WAYVSOCK_PASSES says how many. */
static void test_nothing_leaks(void **state)
{
    const char *text = getenv("WAYVSOCK_PASSES");
    long passes = text ? strtol(text, NULL, 10) : 600;
    (void)state;
    open_with(LINK_SIGNALS_TO_HOST);
    int event = eventfd(0, EFD_CLOEXEC), before = 0;
    uint64_t used[2][2] = {{0}};
    for (long i = 0; i < passes; i++) {
        int from = i % 2 ? A.server : A.client, to = i % 2 ? A.client : A.server;
        int pipe[2], sockets[2];
        assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
        make_sockets(sockets, 0);
        int sent[] = {memory_of(SIZE, 0),
                      memory_of(100, F_SEAL_WRITE),
                      event,
                      pipe[i % 4 > 1],
                      sockets[1],
                      pipe[i % 4 <= 1],
                      sockets[0]};
        for (int k = 0; k < 5; k++) {
            int there = pass(from, to, sent[k]);
            if (i % 3 == 0 || k == 2) {
                int back = pass(to, from, there);
                if (!same_description(sent[k], back))
                    fail_msg("pass %ld, descriptor %d: it is another", i, k);
                fd_close(back);
            }
            fd_close(there);
        }
        for (int k = 0; k < 7; k++)
            if (k != 2)
                fd_close(sent[k]);
        if (i % 100 == 99) {
            turn_times(P.loop, 100);
            int now = count_fds();
            if (!before)
                before = now;
            assert_int_equal(now, before);
            for (int side = 0; side < 2; side++)
                for (int kind = 0; kind < 2; kind++) {
                    uint64_t u = P.party[side].budget->used[kind];
                    if (i == 99)
                        used[side][kind] = u;
                    assert_int_equal(u, used[side][kind]);
                }
        }
    }
    fd_close(event);
    close_all();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pairs_setup, pairs_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_mirror),
        TEST(test_mirror_order),
        TEST(test_mirror_one_way),
        TEST(test_mirror_that_shrinks),
        TEST(test_mirror_limits),
        TEST(test_signals),
        TEST(test_signal_refused),
        TEST(test_home),
        TEST(test_home_at_once),
        TEST(test_home_with_more_to_come),
        TEST(test_home_by_another_way),
        TEST(test_again),
        TEST(test_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
