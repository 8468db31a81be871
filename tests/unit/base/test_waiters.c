/* SPDX-License-Identifier: MIT */
/* How the threads that may wait are shared between the processes that want them. */
#include "tests/unit/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/types.h>

#include "common/base/waiters.h"

#define MANY 300

static sem_t go, done;
static unsigned alone; /* as many as one gets */
static unsigned threads_before;

static void wait_for_go(void *user)
{
    (void)user;
    sem_wait(&go);
    sem_post(&done);
}

/* As many as @w gets, at most @max. */
static unsigned start(struct waiters *w, unsigned max)
{
    unsigned n = 0;
    int e = 0;
    while (n < max && (e = waiters_start(w, wait_for_go, NULL)) == 0)
        n++;
    assert_true(e == 0 || e == -EMFILE);
    return n;
}

/* How many threads this process has. */
static unsigned count_threads(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static int setup(void **state)
{
    (void)state;
    sem_init(&go, 0, 0);
    sem_init(&done, 0, 0);
    threads_before = count_threads();
    return 0;
}

/* Ends @n threads, and waits until they are gone: what they do last is that they count themselves
 * out. */
static void end(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        sem_post(&go);
    for (unsigned i = 0; i < n; i++)
        sem_wait(&done);
    for (int tries = 0; count_threads() > threads_before; tries++) {
        assert_true(tries < 5000);
        usleep(1000);
    }
}

/* Ends @n threads; then there is as much room as there was. */
static void finish(unsigned n)
{
    end(n);
    struct waiters *w = waiters_of(0);
    unsigned now = start(w, MANY);
    end(now);
    waiters_unref(w);
    assert_int_equal(now, alone);
}

static void test_one_alone_leaves_some(void **state)
{
    (void)state;
    struct waiters *bad = waiters_of(0), *good = waiters_of(0);
    unsigned n = alone = start(bad, MANY);
    assert_in_range(n, 32, 64);
    assert_int_equal(start(good, 16), 16);
    assert_int_equal(start(bad, 1), 0);
    finish(n + 16);
    waiters_unref(bad);
    waiters_unref(good);
}

static void test_there_is_one_for_somebody_new(void **state)
{
    (void)state;
    struct waiters *bad[20];
    unsigned n = 0;
    for (int i = 0; i < 20; i++) {
        bad[i] = waiters_of(0);
        n += start(bad[i], MANY);
    }
    for (int i = 0; i < 20; i++)
        n += start(bad[i], MANY); /* what is free now is not theirs */
    struct waiters *good = waiters_of(0);
    unsigned got = start(good, 1);
    assert_int_equal(got, 1);
    finish(n + got);
    for (int i = 0; i < 20; i++)
        waiters_unref(bad[i]);
    waiters_unref(good);
}

static void test_connections_of_a_process_share(void **state)
{
    (void)state;
    unsigned n = 0;
    for (int i = 0; i < 10; i++) { /* its threads stay when it connects anew */
        struct waiters *w = waiters_of(4711);
        n += start(w, 20);
        waiters_unref(w);
    }
    assert_int_equal(n, alone);
    struct waiters *other = waiters_of(4712);
    assert_int_equal(start(other, 16), 16);
    waiters_unref(other);
    finish(n + 16);
}

/* A file is closed by a thread; where all that the process may have wait, by the first that ends.
 */
static void test_what_waits_to_be_closed(void **state)
{
    (void)state;
    struct waiters *w = waiters_of(4713);
    unsigned n = start(w, MANY);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), ends[2];
    assert_int_equal(pipe(ends), 0);
    waiters_close(w, ends[0]); /* this cannot wait */
    assert_int_equal(fcntl(ends[0], F_GETFD), -1);
    waiters_close(w, file);
    assert_int_not_equal(fcntl(file, F_GETFD), -1);
    assert_int_equal(waiters_closing(4713), 1);
    waiters_unref(w); /* the connection is gone */
    finish(n);
    assert_int_equal(fcntl(file, F_GETFD), -1);
    assert_int_equal(waiters_closing(4713), 0);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_alone_leaves_some, setup),
        cmocka_unit_test_setup(test_there_is_one_for_somebody_new, setup),
        cmocka_unit_test_setup(test_connections_of_a_process_share, setup),
        cmocka_unit_test_setup(test_what_waits_to_be_closed, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
