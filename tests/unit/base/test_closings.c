/* SPDX-License-Identifier: MIT */
/* Files that were handed out: closes are heard of, and only of those that are watched. */
#include "tests/unit/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "common/base/closings.h"
#include "common/base/fd.h"
#include "common/base/loop.h"

struct seen {
    unsigned closed;
    bool reopened;
    struct closing *closing;
    bool over; /* stops at the first */
};

static void on_closed(void *user, bool reopened)
{
    struct seen *seen = user;
    seen->closed++;
    seen->reopened = reopened;
    if (seen->over) {
        closing_destroy(seen->closing);
        seen->closing = NULL;
    }
}

static struct loop *loop;

static void test_the_last_close(void **state)
{
    struct seen seen = {0};
    (void)state;
    int ours = fd_memfd("test", 8192), out = fd_reopen(ours, O_RDWR), other = dup(out);
    void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, out, 0);
    seen.closing = closing_watch(loop, ours, on_closed, &seen);
    assert_non_null(seen.closing);
    fd_close(out);
    fd_close(other);
    turn_times(loop, 3);
    assert_int_equal(seen.closed, 0); /* the mapping keeps it */
    munmap(map, 4096);
    turn_times(loop, 3);
    assert_int_equal(seen.closed, 1);
    assert_false(seen.reopened);
    closing_destroy(seen.closing);
    fd_close(ours);
}

static void test_who_opens_it_anew(void **state)
{
    struct seen seen = {0};
    (void)state;
    int ours = fd_memfd("test", 8192), out = fd_reopen(ours, O_RDWR);
    seen.closing = closing_watch(loop, ours, on_closed, &seen);
    int again = fd_reopen(out, O_RDONLY);
    fd_close(out);
    turn_times(loop, 3);
    assert_int_equal(seen.closed, 1);
    assert_true(seen.reopened);
    closing_destroy(seen.closing);
    fd_close(again);
    fd_close(ours);
}

static void test_several(void **state)
{
    struct seen seen[3] = {{.over = true}, {0}, {0}};
    int ours[3], out[3];
    (void)state;
    int before = count_fds();
    for (int i = 0; i < 3; i++) {
        ours[i] = fd_memfd("test", 1);
        out[i] = fd_reopen(ours[i], O_RDONLY);
        seen[i].closing = closing_watch(loop, ours[i], on_closed, &seen[i]);
        assert_non_null(seen[i].closing);
    }
    assert_null(closing_watch(loop, ours[1], on_closed, &seen[1])); /* there is one already */
    assert_int_equal(errno, EEXIST);
    for (int i = 0; i < 2; i++)
        fd_close(out[i]);
    turn_times(loop, 3);
    assert_int_equal(seen[0].closed, 1);
    assert_int_equal(seen[1].closed, 1);
    assert_int_equal(seen[2].closed, 0);
    closing_destroy(seen[1].closing);
    closing_destroy(seen[2].closing);
    fd_close(out[2]);
    for (int i = 0; i < 3; i++)
        fd_close(ours[i]);
    assert_int_equal(count_fds(), before); /* nothing is watched any more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_close),
        cmocka_unit_test(test_who_opens_it_anew),
        cmocka_unit_test(test_several),
    };
    loop = loop_create();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    loop_destroy(loop);
    return failed;
}
