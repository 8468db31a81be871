/* SPDX-License-Identifier: MIT */
/* Two sides, each with what a relay has: an ended stream leaves its table at once and is destroyed
 * later. Each test ends with as many descriptors as it began with. */
#include "tests/unit/carrier/streams.h"

struct loop *loop;
struct waiters *waiters;
struct side sides[2];
int before;

void on_ended(void *user, struct stream *s)
{
    struct side *side = user;
    assert_ptr_equal(side->streams[s->id], s);
    side->streams[s->id] = NULL;
    side->ended++;
    link_forget_sink(side->link, &s->sink);
    s->link = NULL;
    stream_destroy_later(s);
}

static int on_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    struct side *side = user;
    struct link_stream_credit credit = {0};
    side->types[type]++;
    if (type == LINK_STREAM_CREDIT)
        assert_int_equal(link_stream_credit_decode(payload, size, &credit), LINK_OK);
    else
        assert_int_equal(link_id_decode(payload, size, &credit.id), LINK_OK);
    assert_true(credit.id < STREAMS_MAX);
    struct stream *s = side->streams[credit.id];
    if (!s)
        return 0;
    if (type == LINK_STREAM_CREDIT)
        side->refused += !stream_add_credit(s, credit.bytes);
    else if (type == LINK_STREAM_END)
        stream_end(s);
    else
        stream_reader_gone(s);
    return 0;
}

static int on_data(void *user, uint32_t id, size_t size, struct link_sink **ret_sink)
{
    struct side *side = user;
    assert_true(id < STREAMS_MAX);
    struct stream *s = side->streams[id];
    *ret_sink = s ? &s->sink : NULL;
    if (s && !stream_take_credit(s, size))
        side->refused++;
    return 0;
}

static void on_batch_end(void *user)
{
    link_flush(((struct side *)user)->link);
}

static void on_drained(void *user)
{
    struct side *side = user;
    for (int i = 0; i < STREAMS_MAX; i++)
        if (side->streams[i])
            stream_resume(side->streams[i]);
}

static void on_closed(void *user, int reason, unsigned type)
{
    (void)user;
    (void)reason;
    (void)type;
}

static const struct link_ops ops = {.frame = on_frame,
                                    .stream_data = on_data,
                                    .batch_end = on_batch_end,
                                    .drained = on_drained,
                                    .closed = on_closed};

static int start(bool splice)
{
    int ends[2];
    signal(SIGPIPE, SIG_IGN);
    memset(sides, 0, sizeof(sides));
    before = count_fds();
    loop = loop_create();
    waiters = waiters_of(0);
    make_sockets(ends, 0);
    for (int i = 0; i < 2; i++)
        sides[i].link = link_create(loop, ends[i], splice, &ops, &sides[i]);
    return loop && sides[0].link && sides[1].link ? 0 : -1;
}

int streams_setup(void **state)
{
    (void)state;
    return start(true);
}

int streams_setup_copying(void **state)
{
    (void)state;
    return start(false);
}

int streams_teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        sendq_finish(&sides[i].link->out);
        for (int s = 0; s < STREAMS_MAX; s++)
            stream_destroy(sides[i].streams[s]);
        link_destroy(sides[i].link);
    }
    turn_times(loop, 2);
    loop_destroy(loop);
    waiters_unref(waiters);
    for (int tries = 0; tries < 5000 && count_fds() != before; tries++)
        usleep(1000); /* for threads that close theirs */
    return count_fds() == before && !sides[0].refused && !sides[1].refused ? 0 : -1;
}

void join(uint32_t id, int from, bool ours_from, int to, bool ours_to)
{
    sides[0].streams[id] = stream_create(loop, sides[0].link, id, from, true,
                                         ours_from ? NULL : waiters, NULL, on_ended, &sides[0]);
    assert_non_null(sides[0].streams[id]);
    sides[1].streams[id] = stream_create(loop, sides[1].link, id, to, false,
                                         ours_to ? NULL : waiters, NULL, on_ended, &sides[1]);
    assert_non_null(sides[1].streams[id]);
}

void join_pipes(uint32_t id, int *ret_write, int *ret_read)
{
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    fd_set_nonblock(in[0]);
    fd_set_nonblock(out[1]);
    fd_set_nonblock(in[1]); /* so that the test can be its own application */
    fd_set_nonblock(out[0]);
    join(id, in[0], true, out[1], true);
    *ret_write = in[1];
    *ret_read = out[0];
}

void transfer_start(struct transfer *t, int write, int read, size_t size, uint32_t seed)
{
    *t = (struct transfer){.write = write, .read = read, .seed = seed, .size = size};
    t->bytes = malloc(size + 1);
    t->back = malloc(size + 1);
    fill_pattern(t->bytes, size, seed);
}

bool transfer_step(void *user)
{
    struct transfer *t = user;
    if (t->write >= 0 && t->written < t->size) {
        ssize_t n = write(t->write, t->bytes + t->written, t->size - t->written);
        if (n > 0)
            t->written += (size_t)n;
    }
    if (t->write >= 0 && t->written == t->size)
        t->write = fd_close(t->write);
    if (!t->ended) {
        ssize_t n = read(t->read, t->back + t->got, t->size + 1 - t->got);
        if (n > 0)
            t->got += (size_t)n;
        t->ended = n == 0;
        assert_true(t->got <= t->size);
    }
    return t->ended;
}

void transfer_check(struct transfer *t)
{
    assert_true(t->ended);
    assert_int_equal(t->got, t->size);
    assert_memory_equal(t->back, t->bytes, t->size);
    fd_close(t->read);
    free(t->bytes);
    free(t->back);
}

bool both_ended(void *user)
{
    return sides[0].ended == *(unsigned *)user && sides[1].ended == *(unsigned *)user;
}

bool writer_sees_it(void *user)
{
    return write(*(int *)user, "x", 1) < 0 && errno == EPIPE;
}
