/* SPDX-License-Identifier: MIT */
/* How large the pipes are that we make: what all of a user's hold together has a limit. */
#include "tests/unit/carrier/streams.h"

#define N 60
#define CHUNK 40000

static int writes[N + 1], reads[N + 1];

static void join_all(void)
{
    for (uint32_t i = 1; i <= N; i++)
        join_pipes(i, &writes[i], &reads[i]);
}

static void close_all(void)
{
    for (int i = 1; i <= N; i++) {
        fd_close(writes[i]);
        fd_close(reads[i]);
    }
}

/* Bytes that all pipes of streams may hold together. */
static size_t room(void)
{
    size_t all = 0;
    for (int i = 1; i <= N; i++) {
        int in = fcntl(writes[i], F_GETPIPE_SZ), out = fcntl(reads[i], F_GETPIPE_SZ);
        assert_true(in > 0 && out > 0);
        all += (size_t)in + (size_t)out;
    }
    return all;
}

static size_t written[N + 1], got[N + 1];

/* Writes up to CHUNK to each, and reads nothing. */
static void write_all(void)
{
    static const char bytes[CHUNK];
    for (int i = 1; i <= N; i++) {
        ssize_t n = write(writes[i], bytes, CHUNK - written[i]);
        written[i] += n > 0 ? (size_t)n : 0;
    }
}

static bool all_came(void *user)
{
    static char bytes[CHUNK];
    size_t *what = user, done = 0;
    write_all();
    for (int i = 1; i <= N; i++) {
        ssize_t n = read(reads[i], bytes, sizeof(bytes));
        got[i] += n > 0 ? (size_t)n : 0;
        done += got[i] == CHUNK;
    }
    return done == *what;
}

/* Small where nothing happens, and however many are busy, few are large. */
static void test_few_are_large(void **state)
{
    (void)state;
    size_t all = N;
    memset(written, 0, sizeof(written));
    memset(got, 0, sizeof(got));
    join_all();
    assert_true(room() <= 2 * N * 8192);
    for (int i = 0; i < 50; i++) {
        write_all();
        turn_times(loop, 2);
    }
    assert_true(room() <= 2 * N * 8192 + 16 * (256 << 10));
    turn_until(loop, all_came, &all);
    assert_true(room() <= 2 * N * 8192 + 16 * (256 << 10));
    close_all();
}

static bool becomes_large(int i)
{
    static char bytes[65536];
    while (write(writes[i], bytes, sizeof(bytes)) > 0)
        ;
    turn_times(loop, 1);
    while (read(reads[i], bytes, sizeof(bytes)) > 0)
        ;
    return fcntl(writes[i], F_GETPIPE_SZ) >= 256 << 10;
}

/* One that is busy now gets what others do not need any more. */
static void test_the_idle_give_way(void **state)
{
    (void)state;
    join_all();
    for (int i = 1; i <= N; i++) {
        int tries = 1000;
        while (tries > 0 && !becomes_large(i))
            tries--;
        assert_true(tries > 0);
    }
    close_all();
}

/* Bytes that may wait in pipes for applications' pipes to take more. */
static size_t spills(unsigned *ret_large)
{
    size_t all = 0;
    *ret_large = 0;
    for (int i = 1; i <= N; i++) {
        int spill = sides[1].streams[i]->spill[0];
        int size = spill >= 0 ? fcntl(spill, F_GETPIPE_SZ) : 0;
        *ret_large += size > 8192;
        all += (size_t)size;
    }
    return all;
}

/* So it is where the pipe is an application's, and what it does not take yet waits in one of ours.
 */
static void test_few_wait_in_large_ones(void **state)
{
    struct transfer t[N + 1];
    unsigned large;
    (void)state;
    for (uint32_t i = 1; i <= N; i++) {
        int in[2], out[2];
        assert_int_equal(pipe2(in, O_CLOEXEC), 0);
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        fd_set_nonblock(in[1]);
        fd_set_nonblock(out[0]);
        join(i, in[0], false, out[1], false);
        transfer_start(&t[i], in[1], out[0], 400000, i);
    }
    for (int k = 0; k < 300; k++) {
        for (int i = 1; i <= N; i++) { /* nobody reads */
            ssize_t n = write(t[i].write, t[i].bytes + t[i].written, t[i].size - t[i].written);
            t[i].written += n > 0 ? (size_t)n : 0;
        }
        turn_times(loop, 1);
    }
    assert_true(spills(&large) <= N * 8192 + 16 * (512 << 10));
    assert_in_range(large, 1, 16);
    for (int i = 1; i <= N; i++) {
        turn_until(loop, transfer_step, &t[i]);
        transfer_check(&t[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAMS_TEST(test_few_are_large),
        STREAMS_TEST_COPYING(test_few_are_large),
        STREAMS_TEST(test_the_idle_give_way),
        STREAMS_TEST(test_few_wait_in_large_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
