/* SPDX-License-Identifier: MIT */
/* What comes beside a message's bytes is kept, or closed: nothing is lost sight of. */
#include "tests/unit/support.h"

#include <sys/socket.h>

#include "common/base/ancillary.h"
#include "common/base/fd.h"

#define PASSED 3

static struct {
    int ends[2], fds;
} T;

static int setup(void **state)
{
    (void)state;
    T.fds = count_fds();
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, T.ends);
}

static int teardown(void **state)
{
    (void)state;
    fd_close(T.ends[0]);
    fd_close(T.ends[1]);
    return count_fds() == T.fds ? 0 : -1;
}

union control {
    char bytes[ANCILLARY_FDS(PASSED) + ANCILLARY_CREDENTIALS];
    struct cmsghdr align;
};

/* A message with @n descriptors, with credentials before them or not. */
static void pass(size_t n, bool credentials)
{
    union control control;
    const int fds[PASSED] = {0, 1, 2};
    struct iovec iov = {"x", 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes};
    if (credentials)
        ancillary_add_credentials(&m);
    if (n)
        ancillary_add_fds(&m, fds, n);
    assert_int_equal(sendmsg(T.ends[0], &m, 0), 1);
}

/* How many are kept of those that fit into @room; they are closed again. */
static size_t take(size_t room, bool *ret_more)
{
    union control control;
    char byte;
    int fds[PASSED];
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    assert_int_equal(recvmsg(T.ends[1], &m, MSG_CMSG_CLOEXEC), 1);
    size_t kept = ancillary_take_fds(&m, fds, room, ret_more);
    assert_int_equal(count_fds(), T.fds + 2 + (int)kept);
    for (size_t i = 0; i < kept; i++)
        fd_close(fds[i]);
    return kept;
}

static void test_all_are_taken(void **state)
{
    bool more = true;
    (void)state;
    pass(PASSED, false);
    assert_int_equal(take(PASSED, &more), PASSED);
    assert_false(more);
    pass(0, false);
    assert_int_equal(take(PASSED, &more), 0);
    assert_false(more);
}

static void test_what_has_no_room_is_closed(void **state)
{
    bool more = false;
    (void)state;
    pass(PASSED, false);
    assert_int_equal(take(1, &more), 1);
    assert_true(more);
    pass(PASSED, false);
    assert_int_equal(take(0, NULL), 0);
}

static void test_other_parts_are_passed_over(void **state)
{
    const int on = 1;
    bool more = true;
    (void)state;
    assert_int_equal(setsockopt(T.ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
    pass(2, true);
    assert_int_equal(take(PASSED, &more), 2);
    assert_false(more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_are_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_has_no_room_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_parts_are_passed_over, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
