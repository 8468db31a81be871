/* SPDX-License-Identifier: MIT */
/* The loop: level-triggered watches, changes of what is watched, timers, postponed calls, signals;
 * and that anything may be destroyed from any callback. Run under ASan to see the last. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "common/base/fd.h"
#include "common/base/loop.h"

struct fixture {
    struct loop *loop;
    struct loop_io *io, *other;
    struct loop_timer *timer;
    int ends[2];
    char log[256]; /* what was called, in order */
    unsigned events;
    int count, limit;
    struct loop_job first, second, stop;
};

static void stop(void *user);
static void later_first(void *user);
static void later_second(void *user);

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->loop = loop_create();
    assert_non_null(f->loop);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, f->ends),
                     0);
    f->first = (struct loop_job){.run = later_first, .user = f};
    f->second = (struct loop_job){.run = later_second, .user = f};
    f->stop = (struct loop_job){.run = stop, .user = f};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    loop_io_destroy(f->io);
    loop_io_destroy(f->other);
    loop_timer_destroy(f->timer);
    loop_destroy(f->loop);
    fd_close(f->ends[0]);
    fd_close(f->ends[1]);
    free(f);
    return 0;
}

static void note(struct fixture *f, const char *what)
{
    size_t n = strlen(f->log);
    snprintf(f->log + n, sizeof(f->log) - n, "%s ", what);
}

static void stop(void *user)
{
    struct fixture *f = user;
    loop_stop(f->loop);
}

/* Runs the loop for @ms: for what must not happen, and what happens at once anyway. */
static void run_for(struct fixture *f, uint64_t ms)
{
    struct loop_timer *timer = loop_timer_create(f->loop, stop, f);
    loop_timer_arm(timer, ms);
    assert_int_equal(loop_run(f->loop), 0);
    loop_timer_destroy(timer);
}

static void count_ready(void *user, unsigned events)
{
    struct fixture *f = user;
    f->events |= events;
    if (++f->count >= f->limit)
        loop_stop(f->loop);
}

static void test_reading_is_level_triggered(void **state)
{
    struct fixture *f = *state;
    f->limit = 3;
    f->io = loop_io_create(f->loop, f->ends[0], LOOP_READ, count_ready, f);
    assert_int_equal(write(f->ends[1], "x", 1), 1);
    assert_int_equal(loop_run(f->loop), 0); /* never read: reported until we stop */
    assert_int_equal(f->count, 3);
    assert_int_equal(f->events, LOOP_READ);
}

static void test_writing(void **state)
{
    struct fixture *f = *state;
    f->limit = 1;
    f->io = loop_io_create(f->loop, f->ends[0], LOOP_WRITE, count_ready, f);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->events, LOOP_WRITE);
}

static void test_changing_what_is_watched(void **state)
{
    struct fixture *f = *state;
    f->limit = 1;
    f->io = loop_io_create(f->loop, f->ends[0], 0, count_ready, f);
    assert_non_null(f->io);
    assert_int_equal(write(f->ends[1], "x", 1), 1);
    run_for(f, 20);
    assert_int_equal(f->count, 0);

    static const unsigned masks[] = {LOOP_READ, LOOP_READ | LOOP_WRITE, LOOP_WRITE,
                                     LOOP_READ, LOOP_READ | LOOP_WRITE, LOOP_READ};
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        assert_int_equal(loop_io_set(f->io, masks[i]), 0);
        assert_int_equal(loop_io_set(f->io, masks[i]), 0);
        f->events = 0;
        f->count = 0;
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(f->events, masks[i]);
    }

    assert_int_equal(loop_io_set(f->io, 0), 0);
    f->count = 0;
    run_for(f, 20);
    assert_int_equal(f->count, 0);
}

static void set_from_callback(void *user, unsigned events)
{
    struct fixture *f = user;
    f->events |= events;
    assert_int_equal(loop_io_set(f->io, f->count++ ? 0 : LOOP_WRITE), 0);
    if (f->count == 2)
        loop_stop(f->loop);
}

static void test_changing_from_the_callback(void **state)
{
    struct fixture *f = *state;
    f->io = loop_io_create(f->loop, f->ends[0], LOOP_READ, set_from_callback, f);
    assert_int_equal(write(f->ends[1], "x", 1), 1);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->events, LOOP_READ | LOOP_WRITE);
    run_for(f, 20);
    assert_int_equal(f->count, 2);
}

static void test_hangup_wakes_readers_and_writers(void **state)
{
    struct fixture *f = *state;
    f->limit = 1;
    f->io = loop_io_create(f->loop, f->ends[0], LOOP_READ, count_ready, f);
    f->ends[1] = fd_close(f->ends[1]);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->events, LOOP_READ);
    f->events = 0;
    assert_int_equal(loop_io_set(f->io, LOOP_READ | LOOP_WRITE), 0);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->events, LOOP_READ | LOOP_WRITE);
}

static void test_closed_pipe_wakes_the_writer(void **state)
{
    struct fixture *f = *state;
    char block[4096] = {0};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(ends[1], block, sizeof(block)) > 0)
        ; /* full: only the reader's end can wake it */
    f->limit = 1;
    f->io = loop_io_create(f->loop, ends[1], LOOP_WRITE, count_ready, f);
    run_for(f, 20);
    assert_int_equal(f->count, 0);
    close(ends[0]);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->events, LOOP_WRITE);
    loop_io_destroy(f->io);
    f->io = NULL;
    close(ends[1]);
}

static void test_half_close_is_read(void **state)
{
    struct fixture *f = *state;
    f->limit = 1;
    f->io = loop_io_create(f->loop, f->ends[0], LOOP_READ, count_ready, f);
    assert_int_equal(shutdown(f->ends[1], SHUT_WR), 0);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->events, LOOP_READ);
}

static void test_unwatchable_descriptor_is_an_error(void **state)
{
    struct fixture *f = *state;
    int fd = fd_memfd("test", 1); /* always ready, so epoll refuses it */
    errno = 0;
    assert_null(loop_io_create(f->loop, fd, LOOP_READ, count_ready, f));
    assert_int_equal(errno, EPERM);
    close(fd);
    assert_null(loop_io_create(f->loop, 99999, LOOP_READ, count_ready, f));
}

static void destroy_both(void *user, unsigned events)
{
    struct fixture *f = user;
    (void)events;
    f->count++;
    loop_io_destroy(f->io);
    loop_io_destroy(f->other);
    f->io = f->other = NULL;
}

static void test_destroying_itself_and_another_that_is_ready(void **state)
{
    struct fixture *f = *state;
    f->io = loop_io_create(f->loop, f->ends[0], LOOP_READ | LOOP_WRITE, destroy_both, f);
    f->other = loop_io_create(f->loop, f->ends[1], LOOP_READ | LOOP_WRITE, destroy_both, f);
    assert_int_equal(write(f->ends[0], "x", 1), 1);
    assert_int_equal(write(f->ends[1], "x", 1), 1);
    run_for(f, 20);
    assert_int_equal(f->count, 1);
}

static void destroy_timer(void *user)
{
    struct fixture *f = user;
    note(f, "timer");
    loop_timer_destroy(f->timer);
    f->timer = NULL;
    loop_io_destroy(f->io);
    f->io = NULL;
    loop_stop(f->loop);
}

static void test_timer_destroys_itself_and_a_watch(void **state)
{
    struct fixture *f = *state;
    f->io = loop_io_create(f->loop, f->ends[0], LOOP_READ, count_ready, f);
    f->timer = loop_timer_create(f->loop, destroy_timer, f);
    loop_timer_arm(f->timer, 0);
    assert_int_equal(loop_run(f->loop), 0);
    assert_string_equal(f->log, "timer ");
}

static void rearm(void *user)
{
    struct fixture *f = user;
    if (++f->count == 3)
        loop_stop(f->loop);
    else
        loop_timer_arm(f->timer, 1);
}

static void test_timer_is_one_shot_and_can_be_rearmed(void **state)
{
    struct fixture *f = *state;
    f->limit = 1;
    f->timer = loop_timer_create(f->loop, rearm, f);
    loop_timer_disarm(f->timer);
    run_for(f, 10);
    assert_int_equal(f->count, 0);

    int64_t before = loop_now_ms();
    loop_timer_arm(f->timer, 100000);
    loop_timer_arm(f->timer, 30); /* the later word counts */
    f->count = 2;
    assert_int_equal(loop_run(f->loop), 0);
    assert_true(loop_now_ms() - before >= 29); /* never early */

    f->count = 0;
    loop_timer_arm(f->timer, 0);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->count, 3);
    run_for(f, 20);
    assert_int_equal(f->count, 3);

    loop_timer_arm(f->timer, 5);
    loop_timer_disarm(f->timer);
    run_for(f, 20);
    assert_int_equal(f->count, 3);
}

static void stop_it(void *user)
{
    struct fixture *f = user;
    note(f, "other");
    loop_stop(f->loop);
}

/* The descriptor of the loop's clock, the only timerfd here. */
static int clock_of_loop(void)
{
    for (int fd = 3; fd < 256; fd++) {
        char path[32], target[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof(target));
        if (n > 0 && memmem(target, (size_t)n, "[timerfd]", 9))
            return fd;
    }
    fail();
    return -1;
}

static void test_timer_that_is_called_off(void **state)
{
    struct fixture *f = *state;
    struct itimerspec when;
    f->timer = loop_timer_create(f->loop, rearm, f);
    struct loop_timer *other = loop_timer_create(f->loop, stop_it, f);
    loop_timer_call_off(NULL);
    loop_timer_call_off(f->timer);
    loop_timer_arm(f->timer, 10);
    loop_timer_arm(other, 30);
    loop_timer_call_off(f->timer);
    assert_int_equal(loop_run(f->loop), 0); /* the other one is not forgotten */
    assert_string_equal(f->log, "other ");
    loop_timer_arm(other, 5);
    loop_timer_arm(f->timer, 100000);
    loop_timer_call_off(f->timer); /* a later one */
    assert_int_equal(loop_run(f->loop), 0);
    assert_string_equal(f->log, "other other ");
    assert_int_equal(f->count, 0);
    loop_timer_arm(f->timer, 100);
    loop_timer_call_off(f->timer);
    assert_int_equal(timerfd_gettime(clock_of_loop(), &when), 0);
    assert_true(when.it_value.tv_sec > 100000); /* nobody is woken */
    loop_timer_destroy(other);
}

static void later_second(void *user)
{
    note(user, "second");
}

static void later_first(void *user)
{
    struct fixture *f = user;
    note(f, "first");
    loop_later(f->loop, &f->second);
}

static void postpone(void *user, unsigned events)
{
    struct fixture *f = user;
    (void)events;
    note(f, "begin");
    loop_later(f->loop, &f->first);
    loop_later(f->loop, &f->first); /* asked twice, called once */
    note(f, "end");
    if (++f->count == 2)
        loop_stop(f->loop);
}

static void test_later_runs_after_the_callback_and_before_others(void **state)
{
    struct fixture *f = *state;
    f->io = loop_io_create(f->loop, f->ends[0], LOOP_WRITE, postpone, f);
    f->other = loop_io_create(f->loop, f->ends[1], LOOP_WRITE, postpone, f);
    assert_int_equal(loop_run(f->loop), 0);
    assert_string_equal(f->log, "begin end first second begin end first second ");
}

static void turn_second(void *user)
{
    struct fixture *f = user;
    note(f, "turn");
    if (++f->count < 4)
        loop_next_turn(f->loop, &f->second);
    else
        loop_stop(f->loop);
}

static void ready_between(void *user, unsigned events)
{
    (void)events;
    note(user, "ready");
}

/* Whoever else is ready comes between two turns, always. */
static void test_next_turn_lets_others_go_first(void **state)
{
    struct fixture *f = *state;
    f->second.run = turn_second;
    f->io = loop_io_create(f->loop, f->ends[0], LOOP_WRITE, ready_between, f);
    loop_next_turn(f->loop, &f->second);
    loop_next_turn(f->loop, &f->second); /* asked twice, called once */
    assert_int_equal(loop_run(f->loop), 0);
    assert_null(strstr(f->log, "turn turn"));
    assert_int_equal(f->count, 4);
}

static void test_next_turn_beside_timers(void **state)
{
    struct fixture *f = *state;
    f->first.run = later_second;
    loop_next_turn(f->loop, &f->first);
    loop_next_turn(f->loop, &f->stop);
    loop_next_turn_cancel(f->loop, &f->stop);
    loop_next_turn_cancel(f->loop, &f->stop);
    run_for(f, 10); /* whose timer fires all the same */
    assert_string_equal(f->log, "second ");
}

static void test_later_before_the_loop_runs(void **state)
{
    struct fixture *f = *state;
    loop_later(f->loop, &f->second);
    assert_string_equal(f->log, "");
    loop_later(f->loop, &f->stop);
    assert_int_equal(loop_run(f->loop), 0);
    assert_string_equal(f->log, "second ");
}

static void test_later_cancelled(void **state)
{
    struct fixture *f = *state, other = {.second = {.run = later_second, .user = &other}};
    loop_later(f->loop, &f->second);
    loop_later(f->loop, &other.second);
    loop_later(f->loop, &f->first);
    loop_later_cancel(f->loop, &f->first);
    loop_later_cancel(f->loop, &f->second);
    loop_later_cancel(f->loop, &f->second); /* of one that nobody asked for */
    run_for(f, 10);
    assert_string_equal(f->log, "");
    assert_string_equal(other.log, "second ");
}

struct again {
    struct fixture *f;
    unsigned left;
    struct loop_job job;
};

static void call_again(void *user)
{
    struct again *again = user;
    if (again->left--)
        loop_later(again->f->loop, &again->job);
}

/* However long those that ask for others go on. */
static void test_later_calls_of_later_calls_take_no_room(void **state)
{
    struct fixture *f = *state;
    struct again again[3];
    for (int i = 0; i < 3; i++) {
        again[i] = (struct again){f, 200000, {.run = call_again, .user = &again[i]}};
        loop_later(f->loop, &again[i].job);
    }
    struct mallinfo2 before = mallinfo2();
    loop_stop(f->loop);
    assert_int_equal(loop_run(f->loop), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(again[i].left, UINT_MAX);
    struct mallinfo2 after = mallinfo2();
    assert_true(after.uordblks + after.hblkhd < before.uordblks + before.hblkhd + 65536);
}

static void test_many_later_calls(void **state)
{
    struct fixture *f = *state;
    static struct fixture each[300];
    for (size_t i = 0; i < 300; i++) {
        each[i].second = (struct loop_job){.run = later_second, .user = &each[i]};
        loop_later(f->loop, &each[i].second);
    }
    run_for(f, 1);
    for (size_t i = 0; i < 300; i++)
        assert_string_equal(each[i].log, "second ");
}

static void caught(void *user, int signo)
{
    struct fixture *f = user;
    f->count = signo;
    loop_stop(f->loop);
}

static void raise_user(void *user)
{
    (void)user;
    raise(SIGUSR1);
}

static void test_signals(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(loop_signal(f->loop, SIGUSR1, caught, f), 0);
    assert_int_equal(loop_signal(f->loop, SIGUSR2, caught, f), 0);
    f->timer = loop_timer_create(f->loop, raise_user, f);
    loop_timer_arm(f->timer, 0);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->count, SIGUSR1);
    raise(SIGUSR2); /* before the loop runs again: kept */
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->count, SIGUSR2);
}

static void test_stop_before_run(void **state)
{
    struct fixture *f = *state;
    loop_stop(f->loop);
    assert_int_equal(loop_run(f->loop), 0);
    f->limit = 1; /* and only once */
    f->io = loop_io_create(f->loop, f->ends[0], LOOP_WRITE, count_ready, f);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->count, 1);
}

static void test_nothing_leaks(void **state)
{
    (void)state;
    loop_destroy(loop_create()); /* libevent opens what it keeps for the process */
    int before = count_fds();
    for (int i = 0; i < 20; i++) {
        struct loop *loop = loop_create();
        struct loop_timer *timer = loop_timer_create(loop, stop, NULL);
        loop_timer_arm(timer, 1000);
        loop_timer_destroy(timer);
        loop_timer_destroy(NULL);
        loop_io_destroy(NULL);
        loop_destroy(loop);
    }
    loop_destroy(NULL);
    assert_int_equal(count_fds(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reading_is_level_triggered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changing_what_is_watched, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changing_from_the_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hangup_wakes_readers_and_writers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_pipe_wakes_the_writer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_close_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unwatchable_descriptor_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_destroying_itself_and_another_that_is_ready, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_timer_destroys_itself_and_a_watch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timer_is_one_shot_and_can_be_rearmed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timer_that_is_called_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later_runs_after_the_callback_and_before_others, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_next_turn_lets_others_go_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_next_turn_beside_timers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later_before_the_loop_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_later_calls_of_later_calls_take_no_room, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_many_later_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_before_run, setup, teardown),
        cmocka_unit_test(test_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
