/* SPDX-License-Identifier: MIT */
/* A link whose owner lets frames wait: nothing is lost, nothing overtakes, and nothing is read
 * meanwhile. */
#include "tests/unit/turn.h"

#include <errno.h>
#include <unistd.h>

#include "common/base/budget.h"
#include "common/base/fd.h"
#include "common/transport/link.h"
#include "common/base/memory.h"

static struct {
    struct loop *loop;
    struct link *link;
    int raw, before;
    bool go;      /* PING frames may go on */
    unsigned let; /* so many may go on, whatever @go says */
    unsigned asked, closed;
    char order[4096]; /* one letter per frame */
    size_t n;
    struct memory *memory;
} f;

static bool may_go_on(void *user, enum link_type type)
{
    assert_ptr_equal(user, &f);
    f.asked++;
    if (type != LINK_PING && type != LINK_MEM_WRITE)
        return true;
    if (!f.go && !f.let)
        return false;
    f.let -= f.let > 0;
    return true;
}

static int frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    uint64_t serial = 0;
    (void)user;
    if (type == LINK_PING)
        link_ping_decode(payload, size, &serial);
    assert_true(f.n < sizeof(f.order));
    f.order[f.n++] = type == LINK_PING ? (char)('a' + serial % 26) : type == LINK_END ? '.' : '?';
    return 0;
}

static int mem_write(void *user, const struct link_mem_write *write, struct memory **ret_memory)
{
    (void)user;
    (void)write;
    f.order[f.n++] = 'M';
    *ret_memory = f.memory;
    return 0;
}

static void closed(void *user, int reason, unsigned type)
{
    (void)user;
    (void)reason;
    (void)type;
    f.closed++;
}

static const struct link_ops ops = {
    .frame = frame, .mem_write = mem_write, .closed = closed, .may_go_on = may_go_on};

static int setup(void **state)
{
    (void)state;
    int ends[2];
    memset(&f, 0, sizeof(f));
    f.before = count_fds();
    f.loop = loop_create();
    make_sockets(ends, 0);
    f.raw = ends[1];
    f.link = link_create(f.loop, ends[0], false, &ops, &f);
    f.memory = memory_create(1 << 20, NULL);
    return f.link && f.memory ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    link_destroy(f.link);
    memory_unref(f.memory);
    fd_close(f.raw);
    loop_destroy(f.loop);
    return count_fds() == f.before ? 0 : -1;
}

static size_t put_ping(uint8_t *at, char letter)
{
    return link_ping_encode(at, (uint64_t)(letter - 'a'));
}

static size_t put_end(uint8_t *at)
{
    return link_header_encode(at, LINK_END, 0);
}

static void send_raw(const uint8_t *bytes, size_t n)
{
    assert_int_equal(send(f.raw, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT), n);
    turn_times(f.loop, 4);
}

static void assert_order(const char *expected)
{
    f.order[f.n] = 0;
    assert_string_equal(f.order, expected);
}

static void test_frames_wait_in_order(void **state)
{
    (void)state;
    uint8_t bytes[200];
    size_t n = put_end(bytes);
    n += put_ping(bytes + n, 'a');
    n += put_end(bytes + n);
    n += put_ping(bytes + n, 'b');
    send_raw(bytes, n);
    assert_order(".");
    turn_times(f.loop, 10);
    assert_order(".");
    f.let = 1;
    link_resume(f.link);
    assert_order("."); /* not from within */
    turn_times(f.loop, 3);
    assert_order(".a.");
    f.go = true;
    link_resume(f.link);
    turn_times(f.loop, 3);
    assert_order(".a.b");
    send_raw(bytes, put_end(bytes));
    assert_order(".a.b.");
}

static void test_nothing_is_read_meanwhile(void **state)
{
    (void)state;
    uint8_t bytes[64];
    send_raw(bytes, put_ping(bytes, 'a'));
    uint64_t received = f.link->received;
    for (int i = 0; i < 20; i++)
        send_raw(bytes, put_end(bytes));
    assert_true(f.link->received == received);
    assert_order("");
    f.go = true;
    link_resume(f.link);
    turn_times(f.loop, 10);
    assert_order("a....................");
}

static void test_in_pieces(void **state)
{
    (void)state;
    uint8_t bytes[400];
    for (size_t step = 1; step < 40; step++) {
        size_t n = 0, at = 0;
        f.n = 0;
        for (char c = 'a'; c < 'i'; c++) {
            n += put_ping(bytes + n, c);
            n += put_end(bytes + n);
        }
        while (f.n < 16) {
            if (at < n) {
                send_raw(bytes + at, n - at < step ? n - at : step);
                at += step;
            }
            f.let = 1;
            link_resume(f.link);
            turn_times(f.loop, 3);
            f.let = 0;
        }
        assert_order("a.b.c.d.e.f.g.h.");
        turn_times(f.loop, 3);
        assert_null(f.link->pending);
    }
}

static void test_resuming_twice_or_for_nothing(void **state)
{
    (void)state;
    uint8_t bytes[64];
    link_resume(f.link);
    turn_times(f.loop, 3);
    send_raw(bytes, put_ping(bytes, 'a'));
    link_resume(f.link); /* it still may not */
    link_resume(f.link);
    turn_times(f.loop, 3);
    assert_order("");
    f.go = true;
    link_resume(f.link);
    link_resume(f.link);
    turn_times(f.loop, 3);
    assert_order("a");
}

static void test_rows_wait_too(void **state)
{
    (void)state;
    static uint8_t bytes[LINK_HEADER_SIZE + LINK_MEM_WRITE_SIZE + 200000];
    struct link_mem_write write = {
        .id = 1, .row = 200000, .rows = 1, .stride = 200000, .offset = 5};
    size_t n = link_mem_write_encode(bytes, &write);
    fill_pattern(bytes + n, 200000, 9);
    n += 200000;
    for (size_t at = 0; at < n;) {
        ssize_t w = send(f.raw, bytes + at, n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w > 0)
            at += (size_t)w;
        else if (f.n == 0 && !f.go) { /* the socket is full, since nobody reads */
            f.go = true;
            link_resume(f.link);
        }
        turn_times(f.loop, 3);
    }
    f.go = true;
    link_resume(f.link);
    turn_times(f.loop, 20);
    assert_order("M");
    assert_memory_equal(f.memory->map + 5, bytes + n - 200000, 200000);
}

static void test_destroyed_while_it_waits(void **state)
{
    (void)state;
    uint8_t bytes[64];
    send_raw(bytes, put_ping(bytes, 'a'));
    f.go = true;
    link_resume(f.link);
    link_destroy(f.link);
    f.link = NULL;
    turn_times(f.loop, 5);
    assert_order("");
}

static void test_stopped_while_it_waits(void **state)
{
    (void)state;
    uint8_t bytes[64];
    send_raw(bytes, put_ping(bytes, 'a'));
    f.go = true;
    link_resume(f.link);
    link_stop(f.link);
    turn_times(f.loop, 5);
    assert_order("");
    assert_int_equal(f.closed, 0);
}

static void test_the_end_is_seen_afterwards(void **state)
{
    (void)state;
    uint8_t bytes[64];
    send_raw(bytes, put_ping(bytes, 'a'));
    fd_close(f.raw);
    f.raw = -1;
    turn_times(f.loop, 5);
    assert_int_equal(f.closed, 0);
    f.go = true;
    link_resume(f.link);
    turn_times(f.loop, 5);
    assert_order("a");
    assert_int_equal(f.closed, 1);
}

/* What waited when nobody counted is not given back to who counts from now on. */
static void test_a_budget_that_comes_later(void **state)
{
    struct budget *budget = budget_create(NULL);
    (void)state;
    assert_non_null(budget);
    for (unsigned i = 0; i < _BUDGET_N; i++)
        budget->limit[i] = UINT32_MAX;
    uint8_t bytes[100];
    size_t n = put_ping(bytes, 'a');
    n += put_ping(bytes + n, 'b');
    n += put_ping(bytes + n, 'c');
    send_raw(bytes, n);
    assert_order("");
    assert_true(f.link->pending_n > 0);
    link_set_budget(f.link, budget);
    f.go = true;
    link_resume(f.link);
    turn_times(f.loop, 5);
    assert_order("abc");
    assert_int_equal(budget->used[BUDGET_MEMORY], 0);
    link_set_budget(f.link, NULL);
    budget_unref(budget);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_frames_wait_in_order),
        TEST(test_nothing_is_read_meanwhile),
        TEST(test_in_pieces),
        TEST(test_resuming_twice_or_for_nothing),
        TEST(test_rows_wait_too),
        TEST(test_destroyed_while_it_waits),
        TEST(test_stopped_while_it_waits),
        TEST(test_the_end_is_seen_afterwards),
        TEST(test_a_budget_that_comes_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
