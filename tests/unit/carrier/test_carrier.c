/* SPDX-License-Identifier: MIT */
/* Two carriers, a guest's and a host's, with a user that is not Wayland: lines of text (of eight
 * bytes at least, as the frame type asks). A line that
 * begins with a letter of its own has a descriptor: M memory, F a file, S a stream. What is shown
 * is that the carrier knows nothing else of what it carries, and how a connection ends. */
#include "tests/support/even.h"
#include "tests/support/send_fds.h"
#include "tests/unit/turn.h"

#include <errno.h>

#include "common/base/fd.h"
#include "common/base/memory.h"
#include "common/carrier/carrier.h"
#include "common/carrier/deliveries.h"
#include "common/carrier/file-reader.h"
#include "common/carrier/vfd-kinds.h"
#include "common/carrier/vfd-memory.h"

struct end {
    struct carrier carrier;
    struct carrier_party party;
    bool there;
    int local; /* the other end of its local socket */
    struct log_subject subject;
    unsigned ended, told;
    uint32_t told_code;
    char told_text[256];
    char held;                  /* a line that begins so waits */
    unsigned slow, since, most; /* of lines that begin with 's': how many; in a row, and at most */
};

static struct {
    struct loop *loop;
    struct end guest, host;
    struct deliveries deliveries;
    int before;
} T;

static struct end *of(const void *user)
{
    return (struct end *)user;
}

static enum link_vfd_kind kind_of(char letter)
{
    return letter == 'M' ? LINK_VFD_MEMORY : letter == 'F' ? LINK_VFD_FILE : LINK_VFD_STREAM;
}

static bool has_descriptor(char letter)
{
    return letter == 'M' || letter == 'F' || letter == 'S';
}

/* Sends the descriptor that a line of the local side has. False: the line has to wait, or is the
 * last. */
static bool send_descriptor(struct end *e, char letter)
{
    struct vfd_offer offer = {.what = "a line", .role = "its memory", .announced = 4096};
    if (letter == 'F')
        offer.announced = 0;
    switch (vfds_send(&e->carrier.vfds, kind_of(letter), &offer)) {
    case 0:
        return true;
    case VFD_WAIT:
        return false;
    default:
        ends_fail(&e->carrier.ends,
                  &(struct carrier_error){
                      .kind = LINK_ERROR_WAYLAND, .object = 5, .code = 77, .text = offer.problem});
        return false;
    }
}

static size_t from_local(void *user, const uint8_t *bytes, size_t size)
{
    struct end *e = of(user);
    const uint8_t *end;
    while (size && (end = memchr(bytes, '\n', size))) {
        size_t n = (size_t)(end - bytes) + 1;
        uint8_t head[LINK_HEADER_SIZE];
        if (e->held && *bytes == (uint8_t)e->held) {
            ends_hold(&e->carrier.ends, CARRIER_HOLD_USER);
            break;
        }
        if (!carrier_has_room(&e->carrier) ||
            (has_descriptor((char)*bytes) && !send_descriptor(e, (char)*bytes)))
            break;
        if (*bytes == 's') { /* there is much to do for it, on any machine */
            e->slow++;
            e->most = ++e->since > e->most ? e->since : e->most;
            for (int64_t until = loop_now_ms() + 2; loop_now_ms() < until;)
                ;
        }
        sendq_copy(&e->carrier.ends.link->out, head, link_header_encode(head, LINK_WAYLAND, n));
        sendq_copy(&e->carrier.ends.link->out, bytes, n);
        bytes += n;
        size -= n;
    }
    return size;
}

static int from_link(void *user, const uint8_t *payload, size_t size)
{
    struct end *e = of(user);
    struct vfd vfd;
    if (has_descriptor((char)*payload)) {
        int r = vfds_take(&e->carrier.vfds, kind_of((char)*payload), 9, &vfd);
        if (r < 0)
            return r;
        int fd = vfd_open(&e->carrier.vfds, &vfd);
        vfd_release(&vfd);
        if (fd < 0)
            return fd;
        sendq_fd(&e->carrier.ends.local.out, fd, NULL);
    }
    sendq_copy(&e->carrier.ends.local.out, payload, size);
    return 0;
}

static void tell(void *user, const struct carrier_error *error)
{
    struct end *e = of(user);
    e->told++;
    e->told_code = error->code;
    snprintf(e->told_text, sizeof(e->told_text), "%s", error->text);
}

static void ended(void *user)
{
    struct end *e = of(user);
    e->ended++;
    carrier_stop(&e->carrier);
    carrier_finish(&e->carrier);
    e->there = false;
}

static const struct carrier_ops ops = {
    .from_local = from_local,
    .from_link = from_link,
    .tell = tell,
    .ended = ended,
    .name = "lines",
    .local = {"reader", "writer"},
    .type = LINK_WAYLAND, /* the only user's there is */
    .codes = {[LINK_ERROR_PROTOCOL] = 100, [LINK_ERROR_LIMIT] = 101, [LINK_ERROR_INTERNAL] = 102}};
static const struct link_ops no_ops;

static void make(struct end *e, enum carrier_side side, int link_fd)
{
    e->party = (struct carrier_party){
        .deliveries = &T.deliveries, .budget = budget_create(NULL), .queue = 1 << 20};
    int local[2];
    make_sockets(local, 0);
    e->local = local[0];
    e->subject.name = side == CARRIER_GUEST ? "guest" : "host";
    struct link *link = link_create(T.loop, link_fd, true, &no_ops, NULL);
    assert_non_null(link);
    assert_int_equal(
        carrier_init(&e->carrier, T.loop, side, local[1], link, &e->party, &ops, e, &e->subject),
        0);
    e->there = true;
}

static int setup(void **state)
{
    int link[2];
    (void)state;
    memset(&T, 0, sizeof(T));
    signal(SIGPIPE, SIG_IGN);
    log_init("test", getenv("TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    T.before = count_fds();
    T.loop = loop_create();
    make_sockets(link, 0);
    make(&T.guest, CARRIER_GUEST, link[0]);
    make(&T.host, CARRIER_HOST, link[1]);
    return 0;
}

static void destroy(struct end *e)
{
    if (e->there) {
        carrier_stop(&e->carrier);
        carrier_finish(&e->carrier);
    }
    fd_close(e->local);
}

static int teardown(void **state)
{
    (void)state;
    destroy(&T.guest);
    destroy(&T.host);
    deliveries_finish(&T.deliveries);
    turn_times(T.loop, 2);
    loop_destroy(T.loop);
    bool even = budget_is_even(T.guest.party.budget) && budget_is_even(T.host.party.budget);
    return even && count_fds() == T.before ? 0 : -1;
}

static void send_line(struct end *from, const char *line, int fd)
{
    size_t n = strlen(line);
    assert_int_equal(send_fds(from->local, line, n, &fd, fd >= 0), n);
    fd_close(fd);
}

static char got[256];
static int got_fd;

static bool line_came(void *user)
{
    const struct end *to = of(user);
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {got, sizeof(got) - 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_LEN(sizeof(int))};
    ssize_t n = recvmsg(to->local, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return false;
    got[n] = 0;
    got_fd = -1;
    if (CMSG_FIRSTHDR(&message))
        memcpy(&got_fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    return true;
}

static void expect_line(struct end *to, const char *line)
{
    turn_until(T.loop, line_came, to);
    assert_string_equal(got, line);
}

static bool is_over(void *user)
{
    return !of(user)->there;
}

static bool has_state(void *user)
{
    const enum carrier_state *pair = user; /* of the guest, of the host */
    return T.guest.carrier.state == pair[0] && T.host.carrier.state == pair[1];
}

static void expect_states(enum carrier_state guest, enum carrier_state host)
{
    enum carrier_state pair[2] = {guest, host};
    turn_until(T.loop, has_state, pair);
}

/* --- what crosses --- */

static void test_bytes_cross_both_ways(void **state)
{
    (void)state;
    send_line(&T.guest, "hello there\n", -1);
    expect_line(&T.host, "hello there\n");
    send_line(&T.host, "and back\n", -1);
    expect_line(&T.guest, "and back\n");
}

static void others_turn(void *user, unsigned events)
{
    (void)events;
    of(user)->since = 0;
}

static bool all_slow(void *user)
{
    while (line_came(&T.host))
        ;
    return of(user)->slow == 120;
}

/* An application whose messages cost much does not keep the others waiting for all of them. */
static void test_others_have_their_turn(void **state)
{
    (void)state;
    int ends[2];
    make_sockets(ends, 0);
    struct loop_io *io = loop_io_create(T.loop, ends[0], LOOP_WRITE, others_turn, &T.guest);
    for (int i = 0; i < 120; i++)
        send_line(&T.guest, "slow line\n", -1);
    turn_until(T.loop, all_slow, &T.guest);
    assert_true(T.guest.most <= 60);
    send_line(&T.host, "and back\n", -1);
    expect_line(&T.guest, "and back\n");
    loop_io_destroy(io);
    fd_close(ends[0]);
    fd_close(ends[1]);
}

static void test_half_a_line_waits_for_the_rest(void **state)
{
    (void)state;
    send_line(&T.guest, "the first\nthe sec", -1);
    expect_line(&T.host, "the first\n");
    send_line(&T.guest, "ond\n", -1);
    expect_line(&T.host, "the second\n");
}

static void test_memory_is_a_mirror(void **state)
{
    (void)state;
    int fd = fd_memfd("test", 4096);
    assert_int_equal(pwrite(fd, "pixels", 6, 0), 6);
    send_line(&T.guest, "Memory, that is\n", fcntl(fd, F_DUPFD_CLOEXEC, 0));
    expect_line(&T.host, "Memory, that is\n");
    int mirror = got_fd;
    char bytes[6] = {0};
    assert_int_equal(pread(mirror, bytes, 6, 0), 6);
    assert_memory_equal(bytes, "\0\0\0\0\0\0", 6); /* nobody has sent them yet */
    struct memory *m = vfd_memory_find(&T.guest.carrier.vfds, 1);
    assert_non_null(m);
    vfd_memory_send(&T.guest.carrier.vfds, m,
                    (struct link_mem_write){.row = 6, .rows = 1, .stride = 6}, 0);
    send_line(&T.guest, "they are there\n", -1);
    expect_line(&T.host, "they are there\n");
    assert_int_equal(pread(mirror, bytes, 6, 0), 6);
    assert_memory_equal(bytes, "pixels", 6);
    fd_close(mirror);
    fd_close(fd);
}

/* The same file again is the same memory. */
static void test_a_file_has_one_memory(void **state)
{
    (void)state;
    int fd = fd_memfd("test", 4096);
    for (int i = 0; i < 3; i++) {
        send_line(&T.guest, "Memory, that is\n", fcntl(fd, F_DUPFD_CLOEXEC, 0));
        expect_line(&T.host, "Memory, that is\n");
        fd_close(got_fd);
    }
    fd_close(fd);
    assert_int_equal(T.guest.party.budget->used[BUDGET_FDS], 3); /* the sockets, and one file */
    assert_int_equal(T.host.party.budget->used[BUDGET_FDS], 3);
}

static void test_files_cross_both_ways(void **state)
{
    (void)state;
    struct end *ends[2] = {&T.guest, &T.host};
    for (int i = 0; i < 2; i++) {
        char bytes[8] = {0};
        int fd = fd_memfd("test", 7);
        assert_int_equal(pwrite(fd, "content", 7, 0), 7);
        send_line(ends[i], "File, that is\n", fd);
        expect_line(ends[!i], "File, that is\n");
        assert_int_equal(read(got_fd, bytes, 8), 7);
        assert_string_equal(bytes, "content");
        fd_close(got_fd);
    }
}

static void test_streams_cross_both_ways(void **state)
{
    (void)state;
    struct end *ends[2] = {&T.guest, &T.host};
    for (int i = 0; i < 2; i++) {
        int pipe_ends[2];
        char bytes[8] = {0};
        assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
        send_line(ends[i], "Stream, that is\n", pipe_ends[1]); /* who gets it may write */
        expect_line(ends[!i], "Stream, that is\n");
        assert_int_equal(write(got_fd, "flows", 5), 5);
        fd_close(got_fd);
        turn_times(T.loop, 20);
        assert_int_equal(read(pipe_ends[0], bytes, 8), 5);
        assert_string_equal(bytes, "flows");
        assert_int_equal(read(pipe_ends[0], bytes, 8), 0);
        fd_close(pipe_ends[0]);
    }
    assert_int_equal(T.guest.carrier.vfds.streams_n + T.host.carrier.vfds.streams_n, 0);
}

static void test_an_offer_that_is_unfit(void **state)
{
    (void)state;
    int pipe_ends[2];
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    fd_close(pipe_ends[1]);
    send_line(&T.guest, "Memory, that is\n", pipe_ends[0]);
    turn_until(T.loop, is_over, &T.guest);
    assert_int_equal(T.guest.told, 1);
    assert_int_equal(T.guest.told_code, 77);
    assert_string_equal(T.guest.told_text,
                        "wayvsock: its memory must be readable shared memory, not pipe");
    turn_until(T.loop, is_over, &T.host);
}

static void test_a_limit_has_the_users_code(void **state)
{
    (void)state;
    T.host.party.budget->limit[BUDGET_FDS] = 5;
    for (int i = 0; i < 5; i++)
        send_line(&T.guest, "Memory, that is\n", fd_memfd("test", 4096));
    turn_until(T.loop, is_over, &T.guest);
    assert_int_equal(T.guest.told_code, 101);
    assert_non_null(strstr(T.guest.told_text, "max-fds"));
    turn_until(T.loop, is_over, &T.host);
    while (line_came(&T.host) && got[0])
        fd_close(got_fd);
}

/* --- holding --- */

static void test_a_held_line_comes_again(void **state)
{
    (void)state;
    T.guest.held = 'W';
    send_line(&T.guest, "before it\nWait for it\nafter it\n", -1);
    expect_line(&T.host, "before it\n");
    turn_times(T.loop, 10);
    assert_false(line_came(&T.host));
    assert_int_equal(T.guest.carrier.ends.hold, CARRIER_HOLD_USER);
    ends_resume(&T.guest.carrier.ends, CARRIER_HOLD_FILE); /* another reason */
    assert_int_equal(T.guest.carrier.ends.hold, CARRIER_HOLD_USER);
    T.guest.held = 0;
    ends_resume(&T.guest.carrier.ends, CARRIER_HOLD_USER);
    turn_times(T.loop, 5);
    expect_line(&T.host, "Wait for it\nafter it\n");
}

/* --- ends --- */

static void test_the_guests_side_ends_first(void **state)
{
    (void)state;
    int pipe_ends[2];
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    send_line(&T.guest, "Stream, that is\n", pipe_ends[1]);
    expect_line(&T.host, "Stream, that is\n");
    T.guest.local = fd_close(T.guest.local);
    /* The stream goes on. */
    expect_states(CARRIER_DRAINING, CARRIER_DRAINING);
    turn_times(T.loop, 10);
    assert_true(T.guest.there && T.host.there);
    fd_close(got_fd);
    turn_until(T.loop, is_over, &T.host);
    turn_until(T.loop, is_over, &T.guest);
    assert_int_equal(T.guest.ended + T.host.ended, 2);
    assert_int_equal(T.guest.told, 0);
    fd_close(pipe_ends[0]);
}

static void test_the_hosts_side_ends_first(void **state)
{
    (void)state;
    send_line(&T.host, "last words\n", -1);
    turn_times(T.loop, 1);
    T.host.local = fd_close(T.host.local);
    expect_line(&T.guest, "last words\n");
    turn_until(T.loop, is_over, &T.host);
    turn_until(T.loop, is_over, &T.guest);
}

static void test_an_error_of_the_host_is_told_to_the_guest(void **state)
{
    (void)state;
    ends_fail(&T.host.carrier.ends,
              &(struct carrier_error){
                  .kind = LINK_ERROR_LIMIT, .object = 3, .code = 42, .text = "too much of it"});
    assert_int_equal(T.host.carrier.state, CARRIER_FAILING);
    assert_int_equal(ends_failf(&T.host.carrier.ends, LINK_ERROR_LIMIT, "a second reason"),
                     -EPROTO);
    turn_until(T.loop, is_over, &T.host);
    turn_until(T.loop, is_over, &T.guest);
    assert_int_equal(T.host.told, 0); /* its server is not told: it is not its fault */
    assert_int_equal(T.guest.told, 1);
    assert_int_equal(T.guest.told_code, 42);
    assert_string_equal(T.guest.told_text, "too much of it");
}

static void test_a_lost_link_is_told(void **state)
{
    (void)state;
    carrier_stop(&T.host.carrier);
    carrier_finish(&T.host.carrier);
    T.host.there = false;
    turn_until(T.loop, is_over, &T.guest);
    assert_int_equal(T.guest.told, 1);
    assert_int_equal(T.guest.told_code, 100);
    assert_string_equal(T.guest.told_text, "wayvsock: the connection to the host was lost");
}

/* --- tables --- */

static void test_each_kind_has_a_row(void **state)
{
    (void)state;
    for (int kind = LINK_VFD_MEMORY; kind < _LINK_VFD_KIND_N; kind++) {
        const struct vfd_kind *row = vfd_kinds[kind];
        assert_non_null(row);
        assert_true(row->name && row->classify && row->send && row->frame && row->take);
    }
}

/* The cache of file contents keeps descriptors: it is full before anybody counts. */
static int fill_cache(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 32; i++) {
        struct memory *m = memory_create(16, NULL);
        fill_pattern(m->map, 16, 1000 + i);
        fd_close(file_share(m));
        memory_unref(m);
    }
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bytes_cross_both_ways),     TEST(test_others_have_their_turn),
        TEST(test_bytes_cross_both_ways),     TEST(test_half_a_line_waits_for_the_rest),
        TEST(test_memory_is_a_mirror),        TEST(test_a_file_has_one_memory),
        TEST(test_files_cross_both_ways),     TEST(test_streams_cross_both_ways),
        TEST(test_an_offer_that_is_unfit),    TEST(test_a_limit_has_the_users_code),
        TEST(test_a_held_line_comes_again),   TEST(test_the_guests_side_ends_first),
        TEST(test_the_hosts_side_ends_first), TEST(test_an_error_of_the_host_is_told_to_the_guest),
        TEST(test_a_lost_link_is_told),       cmocka_unit_test(test_each_kind_has_a_row),
    };
    return cmocka_run_group_tests(tests, fill_cache, NULL);
}
