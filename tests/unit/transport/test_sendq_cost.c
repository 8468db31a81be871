/* SPDX-License-Identifier: MIT */
/* What waits in a socket's queue is paid for, and what it takes to queue one thing more does not
 * depend on how much waits already. */
#include "tests/unit/turn.h"

#include <errno.h>
#include <sys/mman.h>

#include "common/base/budget.h"
#include "common/base/fd.h"
#include "common/base/memory.h"
#include "common/transport/sendq.h"

static struct {
    struct sendq q;
    struct budget *budget;
    int ends[2];
} f;

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    signal(SIGPIPE, SIG_IGN);
    make_sockets(f.ends, 4096);
    sendq_init(&f.q, NULL, NULL);
    f.q.budget = f.budget = budget_create(NULL);
    return f.budget ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    sendq_finish(&f.q);
    assert_int_equal(f.budget->used[BUDGET_MEMORY], 0);
    assert_int_equal(f.budget->used[BUDGET_FDS], 0);
    budget_unref(f.budget);
    fd_close(f.ends[0]);
    fd_close(f.ends[1]);
    return 0;
}

static void take_all(void)
{
    char buffer[65536];
    int e;
    do {
        while (recv(f.ends[1], buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
            ;
        e = sendq_flush(&f.q, f.ends[0]);
    } while (e == -EAGAIN);
    assert_int_equal(e, 0);
}

static void test_what_waits_is_paid_for(void **state)
{
    (void)state;
    static const uint8_t bytes[1000];
    uint64_t before = 0;
    for (int i = 0; i < 3000; i++) {
        sendq_copy(&f.q, bytes, 8); /* of two kinds, as a daemon queues them */
        sendq_borrow(&f.q, bytes, sizeof(bytes));
        sendq_flush(&f.q, f.ends[0]);
        assert_true(f.budget->used[BUDGET_MEMORY] >= before);
        before = f.budget->used[BUDGET_MEMORY];
    }
    uint64_t waits = sendq_size(&f.q);
    assert_true(waits > 2u << 20);
    assert_true(before >= waits - SENDQ_OWN);
    assert_true(before < 3 * waits);
    take_all();
    assert_int_equal(f.budget->used[BUDGET_MEMORY], 0);
}

/* One byte at a time, each flushed: what a segment takes is paid for as well. */
static void test_small_ones_are_paid_for(void **state)
{
    (void)state;
    static const uint8_t byte;
    for (int i = 0; i < 60000; i++) {
        sendq_copy(&f.q, &byte, 1);
        sendq_borrow(&f.q, &byte, 1);
        sendq_flush(&f.q, f.ends[0]);
    }
    assert_true(f.budget->used[BUDGET_MEMORY] > 20 * sendq_size(&f.q));
    take_all();
}

static void test_a_little_is_free(void **state)
{
    (void)state;
    static const uint8_t bytes[4096];
    f.budget->limit[BUDGET_MEMORY] = 0;
    for (int i = 0; i < 3; i++) {
        sendq_copy(&f.q, bytes, sizeof(bytes));
        sendq_flush(&f.q, f.ends[0]);
    }
    assert_true(sendq_size(&f.q) > 0);
    assert_false(f.q.over);
}

/* It goes on, since what was queued has to go out; its owner stops. */
static void test_more_than_there_is(void **state)
{
    (void)state;
    static const uint8_t bytes[4096];
    f.budget->limit[BUDGET_MEMORY] = 100000;
    for (int i = 0; i < 200 && !f.q.over; i++) {
        sendq_copy(&f.q, bytes, sizeof(bytes));
        assert_true(sendq_flush(&f.q, f.ends[0]) != -ENOMEM);
    }
    assert_true(f.q.over);
    assert_false(f.q.failed);
    assert_true(f.budget->used[BUDGET_MEMORY] <= 100000);
    take_all();
    assert_false(f.q.over);
}

/* As long as it waits: who queued it may have let go of it. */
static void test_memory_of_a_descriptor_is_paid_for(void **state)
{
    (void)state;
    static const uint8_t bytes[65536];
    sendq_copy(&f.q, bytes, sizeof(bytes));
    sendq_flush(&f.q, f.ends[0]);
    uint64_t without = f.budget->used[BUDGET_MEMORY];
    struct memory *m = memory_create(1 << 20, f.budget);
    assert_non_null(m);
    assert_int_equal(memory_reserve(m, 0, 1 << 20), 0);
    assert_int_equal(sendq_fd(&f.q, fcntl(m->fd, F_DUPFD_CLOEXEC, 0), m), 0);
    memory_unref(m);
    sendq_copy(&f.q, bytes, 1);
    sendq_flush(&f.q, f.ends[0]);
    assert_true(f.budget->used[BUDGET_MEMORY] >= without + (1 << 20));
    take_all();
    assert_int_equal(f.budget->used[BUDGET_MEMORY], 0);
    assert_int_equal(f.budget->used[BUDGET_FDS], 0);
}

/* A peer that takes a little at a time: the rest is not moved each time. Memory is what tells. */
static void test_a_peer_that_takes_little(void **state)
{
    (void)state;
    static uint8_t bytes[65536];
    char buffer[2048];
    uint64_t from = 0, most = 0;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i % 251);
    for (int i = 0; i < 20; i++)
        sendq_copy(&f.q, bytes, sizeof(bytes) - sizeof(bytes) % 251);
    for (int i = 0; i < 2000; i++) {
        sendq_flush(&f.q, f.ends[0]);
        ssize_t n = recv(f.ends[1], buffer, sizeof(buffer), MSG_DONTWAIT);
        for (ssize_t k = 0; k < n; k++)
            assert_int_equal((uint8_t)buffer[k], (from + (uint64_t)k) % 251);
        from += n > 0 ? (uint64_t)n : 0;
        sendq_copy(&f.q, bytes, 251 * 4);
        most = sendq_size(&f.q) > most ? sendq_size(&f.q) : most;
    }
    sendq_flush(&f.q, f.ends[0]);
    assert_true(f.budget->used[BUDGET_MEMORY] < 5 * most);
    while (sendq_size(&f.q)) {
        ssize_t n = recv(f.ends[1], buffer, sizeof(buffer), MSG_DONTWAIT);
        for (ssize_t k = 0; k < n; k++)
            assert_int_equal((uint8_t)buffer[k], (from + (uint64_t)k) % 251);
        from += n > 0 ? (uint64_t)n : 0;
        sendq_flush(&f.q, f.ends[0]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_waits_is_paid_for),
        TEST(test_small_ones_are_paid_for),
        TEST(test_a_little_is_free),
        TEST(test_more_than_there_is),
        TEST(test_memory_of_a_descriptor_is_paid_for),
        TEST(test_a_peer_that_takes_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
