/* SPDX-License-Identifier: MIT */
/* Eventfds of others: looked at, taken from and added to, without waiting and without a trace. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#include "common/base/counter.h"
#include "common/base/fd.h"

static void test_what_it_is(void **state)
{
    struct counter_info a, b;
    (void)state;
    int one = eventfd(0xabc, EFD_CLOEXEC), other = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
    int same = dup(one), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(counter_inspect(one, &a), 0);
    assert_int_equal(a.value, 0xabc);
    assert_false(a.semaphore);
    assert_int_equal(counter_inspect(same, &b), 0);
    assert_true(a.id == b.id);
    assert_int_equal(counter_inspect(other, &b), 0);
    assert_true(a.id != b.id);
    assert_int_equal(counter_inspect(null, &b), -ENOTTY);
    int all[] = {one, other, same, null};
    for (int i = 0; i < 4; i++)
        fd_close(all[i]);
    assert_true(counter_inspect(one, &b) < 0);
}

static void test_taking_does_not_wait(void **state)
{
    uint64_t value = 99;
    (void)state;
    int fd = eventfd(0, EFD_CLOEXEC); /* blocking */
    assert_int_equal(counter_take(fd, &value), -EAGAIN);
    assert_int_equal(value, 99);
    counter_add(fd, 5);
    counter_add(fd, 6);
    counter_add(fd, 1);
    assert_int_equal(counter_take(fd, &value), 0);
    assert_int_equal(value, 12);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    fd_close(fd);
}

static void test_semaphore(void **state)
{
    uint64_t value;
    (void)state;
    int fd = eventfd(COUNTER_READS + 3, EFD_CLOEXEC | EFD_SEMAPHORE);
    assert_int_equal(counter_take(fd, &value), 0);
    assert_int_equal(value, COUNTER_READS);
    assert_int_equal(counter_take(fd, &value), 0);
    assert_int_equal(value, 3);
    fd_close(fd);
}

static void test_a_full_one_is_left_alone(void **state)
{
    struct counter_info info;
    uint64_t full = UINT64_MAX - 1;
    (void)state;
    int fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
    counter_add(fd, 7); /* would wait */
    counter_add(fd, 1);
    assert_int_equal(counter_inspect(fd, &info), 0);
    assert_true(info.value == full);
    fd_close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_is),
        cmocka_unit_test(test_taking_does_not_wait),
        cmocka_unit_test(test_semaphore),
        cmocka_unit_test(test_a_full_one_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
