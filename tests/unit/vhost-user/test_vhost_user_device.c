/* SPDX-License-Identifier: MIT */
/* A device of another kind than the GPU: three queues, no configuration space, no display. It gives
 * back what it gets, with the index of the queue before it. */
#include "tests/unit/vhost-user/fake_frontend.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "common/base/fd.h"
#include "common/vhost-user/vhost-user.h"

#define QUEUES 3
#define DRIVER_QUEUE 1 /* for the test's sake: queue 0 may stay unused */
#define OWN_FEATURE FEATURE(5)

struct echo {
    struct vhost_user *vu; /* NULL: not connected */
    struct virtqueue_chain *chain;
    uint64_t features;
    unsigned kicks[QUEUES], stops[QUEUES], resets, memories;
    void (*closed)(void *user, int reason);
    void *closed_user;
};

struct world {
    struct loop *loop;
    struct echo echo;
    struct fake_frontend f;
};

static int fds_before;

static void echo_features(void *user, uint64_t features)
{
    ((struct echo *)user)->features = features;
}

static void echo_kick(void *user, unsigned queue)
{
    struct echo *e = user;
    struct virtqueue *vring = vhost_user_running(e->vu, queue);
    assert_non_null(vring);
    e->kicks[queue]++;
    do {
        int r;
        while ((r = virtqueue_pop(vring, &e->vu->ram, e->chain)) > 0) {
            uint8_t bytes[1 + SLOT_OUT] = {(uint8_t)queue};
            size_t n = 1 + virtqueue_gather(e->chain, bytes + 1, SLOT_OUT);
            n = virtqueue_scatter(e->chain->out, e->chain->n_out, bytes, n);
            virtqueue_push(vring, e->chain->head, (uint32_t)n);
        }
        if (r < 0)
            vhost_user_queue_broken(e->vu, queue);
    } while (virtqueue_listen(vring));
    virtqueue_notify(vring);
}

static void echo_stopping(void *user, unsigned queue)
{
    struct echo *e = user;
    assert_non_null(vhost_user_running(e->vu, queue));
    e->stops[queue]++;
}

static void echo_reset(void *user)
{
    struct echo *e = user;
    for (unsigned i = 0; i < QUEUES; i++)
        assert_null(vhost_user_running(e->vu, i));
    e->resets++;
}

static void echo_memory(void *user, const struct guest_ram *before)
{
    (void)before;
    ((struct echo *)user)->memories++;
}

static void echo_closed(void *user, int reason)
{
    struct echo *e = user;
    vhost_user_destroy(e->vu);
    e->vu = NULL;
    e->closed(e->closed_user, reason);
}

static const struct vhost_user_ops echo_ops = {
    .features = echo_features,
    .kick = echo_kick,
    .stopping = echo_stopping,
    .reset = echo_reset,
    .memory = echo_memory,
    .closed = echo_closed,
};

static int echo_connect(void *user, int fd, void (*closed)(void *user, int reason),
                        void *closed_user)
{
    static const struct vhost_user_device description = {
        .n_queues = QUEUES,
        .driver_queue = DRIVER_QUEUE,
        .features = OWN_FEATURE,
    };
    struct world *w = user;
    w->echo.closed = closed;
    w->echo.closed_user = closed_user;
    w->echo.vu = vhost_user_create(w->loop, fd, &description, &echo_ops, &w->echo);
    return w->echo.vu ? 0 : -errno;
}

static int setup(void **state)
{
    fds_before = count_fds();
    struct world *w = calloc(1, sizeof(*w));
    w->loop = loop_create();
    w->echo.chain = malloc(sizeof(*w->echo.chain));
    frontend_init(&w->f, w->loop, QUEUES, echo_connect, w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    frontend_finish(&w->f);
    vhost_user_destroy(w->echo.vu);
    loop_destroy(w->loop);
    free(w->echo.chain);
    free(w);
    assert_int_equal(count_fds(), fds_before);
    return 0;
}

static void start(struct world *w)
{
    frontend_negotiate(&w->f, FRONTEND_FEATURES | OWN_FEATURE);
    frontend_start(&w->f);
}

/* Sends @text through a queue, and has it back. */
static void check_echo(struct world *w, unsigned queue, const char *text)
{
    uint32_t written;
    size_t size = strlen(text);
    unsigned slot = frontend_put(&w->f, queue, text, size, SLOT_OUT);
    frontend_kick(&w->f, queue);
    assert_int_equal(frontend_take(&w->f, queue, &written), slot);
    assert_int_equal(written, 1 + size);
    assert_int_equal(*frontend_answer(&w->f, queue, slot), queue);
    assert_memory_equal(frontend_answer(&w->f, queue, slot) + 1, text, size);
}

static void test_says_what_it_is(void **state)
{
    struct world *w = *state;
    assert_int_equal(frontend_get(&w->f, VHOST_USER_GET_QUEUE_NUM), QUEUES);
    assert_int_equal(frontend_get(&w->f, VHOST_USER_GET_FEATURES), FRONTEND_FEATURES | OWN_FEATURE);
    assert_int_equal(frontend_get(&w->f, VHOST_USER_GET_PROTOCOL_FEATURES),
                     FEATURE(VHOST_USER_PROTOCOL_F_MQ) | FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
                         FEATURE(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |
                         FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS));
    frontend_negotiate(&w->f, FRONTEND_FEATURES | OWN_FEATURE);
    assert_int_equal(w->echo.features, OWN_FEATURE); /* the transport's are not its business */
    frontend_negotiate(&w->f, FRONTEND_FEATURES);
    assert_int_equal(w->echo.features, 0);
}

static void test_refuses_what_it_has_not(void **state)
{
    struct world *w = *state;
    struct {
        struct vhost_user_config c;
        uint8_t bytes[8];
    } config = {.c = {.size = 8}};
    int ends[2];
    uint8_t byte;
    frontend_negotiate(&w->f, FRONTEND_FEATURES);
    frontend_send(&w->f, VHOST_USER_GET_CONFIG, 0, &config, sizeof(config), NULL, 0);
    assert_int_equal(frontend_receive(&w->f, VHOST_USER_GET_CONFIG, &config, sizeof(config)), 0);
    assert_int_equal(frontend_try(&w->f, VHOST_USER_SET_CONFIG, &config, sizeof(config), NULL, 0),
                     1);
    uint64_t protocol = FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK);
    uint64_t more = protocol | FEATURE(VHOST_USER_PROTOCOL_F_CONFIG);
    assert_int_equal(
        frontend_try(&w->f, VHOST_USER_SET_PROTOCOL_FEATURES, &more, sizeof(more), NULL, 0), 1);
    frontend_set_u64(&w->f, VHOST_USER_SET_PROTOCOL_FEATURES, protocol);
    make_sockets(ends, 0);
    assert_int_equal(frontend_try(&w->f, VHOST_USER_GPU_SET_SOCKET, NULL, 0, &ends[1], 1), 1);
    close(ends[1]);
    assert_int_equal(recv(ends[0], &byte, 1, 0), 0); /* nobody holds it */
    close(ends[0]);
    frontend_start(&w->f);
    check_echo(w, 0, "goes on");
}

static void test_each_queue(void **state)
{
    struct world *w = *state;
    start(w);
    for (unsigned round = 0; round < 100; round++) { /* around the rings */
        for (unsigned i = QUEUES; i-- > 0;)
            check_echo(w, i, i == 0 ? "first" : i == 1 ? "second queue" : "third");
    }
    for (unsigned i = 0; i < QUEUES; i++)
        assert_true(w->echo.kicks[i] >= 100);
}

static void test_queues_that_are_not_there(void **state)
{
    struct world *w = *state;
    start(w);
    static const uint32_t states[] = {VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE,
                                      VHOST_USER_SET_VRING_ENABLE};
    static const uint32_t fds[] = {VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL,
                                   VHOST_USER_SET_VRING_ERR};
    for (uint32_t i = QUEUES; i < VHOST_USER_QUEUES_MAX; i += 84) {
        struct vhost_user_state s = {i, 1};
        struct vhost_user_addr addr = {.index = i};
        uint64_t index = i;
        for (unsigned k = 0; k < 3; k++) {
            assert_int_equal(frontend_try(&w->f, states[k], &s, sizeof(s), NULL, 0), 1);
            assert_int_equal(frontend_try(&w->f, fds[k], &index, 8, &w->f.q[0].call, 1), 1);
        }
        assert_int_equal(
            frontend_try(&w->f, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0), 1);
    }
    check_echo(w, 2, "goes on");
    struct vhost_user_state s = {QUEUES, 0};
    assert_int_equal(frontend_try(&w->f, VHOST_USER_GET_VRING_BASE, &s, sizeof(s), NULL, 0), -1);
    assert_int_equal(w->f.closed_reason, -EPROTO);
}

static void test_stops_are_told_apart(void **state)
{
    struct world *w = *state;
    start(w);
    check_echo(w, 2, "one");
    check_echo(w, 2, "two");
    assert_int_equal(frontend_get_base(&w->f, 2), 2);
    assert_int_equal(w->echo.stops[2], 1);
    frontend_set_state(&w->f, VHOST_USER_SET_VRING_ENABLE, 0, 0);
    assert_int_equal(w->echo.stops[0], 1);
    assert_int_equal(w->echo.stops[1], 0);
    check_echo(w, 1, "still runs");
    frontend_start_queue(&w->f, 2, 2, false);
    check_echo(w, 2, "three");
    assert_int_equal(w->echo.resets, 0);
    /* Other memory: what runs stops before, and goes on after. */
    unsigned memories = w->echo.memories;
    frontend_set_memory(&w->f);
    assert_int_equal(w->echo.memories, memories + 1);
    assert_int_equal(w->echo.stops[0], 1);
    assert_int_equal(w->echo.stops[1], 1);
    assert_int_equal(w->echo.stops[2], 2);
    check_echo(w, 1, "in the new memory");
}

static void test_its_own_queue_tells_a_new_driver(void **state)
{
    struct world *w = *state;
    start(w);
    for (unsigned i = 0; i < QUEUES; i++)
        check_echo(w, i, "one");
    /* A pause. */
    for (unsigned i = 0; i < QUEUES; i++)
        assert_int_equal(frontend_get_base(&w->f, i), 1);
    for (unsigned i = 0; i < QUEUES; i++)
        frontend_start_queue(&w->f, i, 1, false);
    assert_int_equal(w->echo.resets, 0);
    check_echo(w, DRIVER_QUEUE, "two");
    /* Others may begin anew by themselves. */
    frontend_start_queue(&w->f, 0, 0, true);
    frontend_start_queue(&w->f, 2, 0, true);
    assert_int_equal(w->echo.resets, 0);
    frontend_start_queue(&w->f, DRIVER_QUEUE, 0, true);
    assert_int_equal(w->echo.resets, 1);
    check_echo(w, DRIVER_QUEUE, "one");
    frontend_set(&w->f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
    assert_int_equal(w->echo.resets, 2);
}

static void test_unused_queue(void **state)
{
    struct world *w = *state;
    frontend_negotiate(&w->f, FRONTEND_FEATURES);
    frontend_set_memory(&w->f);
    frontend_start_queue(&w->f, 1, 0, true);
    frontend_start_queue(&w->f, 2, 0, true);
    check_echo(w, 1, "without the first");
    check_echo(w, 2, "without the first");
    assert_null(vhost_user_running(w->echo.vu, 0));
    assert_int_equal(w->echo.kicks[0], 0);
    frontend_set(&w->f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
    assert_int_equal(w->echo.stops[0], 0);
}

static void test_broken_ring_is_one_queues(void **state)
{
    struct world *w = *state;
    struct frontend_queue *q = &w->f.q[2];
    uint64_t index = 2, count;
    start(w);
    int error = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    frontend_set(&w->f, VHOST_USER_SET_VRING_ERR, &index, 8, &error, 1);
    q->avail->ring[q->avail->idx % RING_SIZE] = RING_SIZE;
    __atomic_store_n(&q->avail->idx, (uint16_t)(q->avail->idx + 1), __ATOMIC_RELEASE);
    frontend_kick(&w->f, 2);
    turn_times(w->loop, 10);
    assert_int_equal(read(error, &count, 8), 8);
    assert_null(vhost_user_running(w->echo.vu, 2));
    check_echo(w, 0, "not affected");
    check_echo(w, 1, "not affected");
    frontend_start_queue(&w->f, 2, 0, true);
    check_echo(w, 2, "anew");
    close(error);
}

static void test_reconnect(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 3; i++) {
        memset(w->echo.stops, 0, sizeof(w->echo.stops));
        start(w);
        check_echo(w, i, "here");
        w->f.socket = fd_close(w->f.socket);
        turn_until(w->loop, frontend_is_closed, &w->f);
        assert_null(w->echo.vu); /* within the call */
        assert_int_equal(w->f.closed_reason, 0);
        for (unsigned k = 0; k < QUEUES; k++)
            assert_int_equal(w->echo.stops[k], 1);
        frontend_connect(&w->f);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_says_what_it_is),
        TEST(test_refuses_what_it_has_not),
        TEST(test_each_queue),
        TEST(test_queues_that_are_not_there),
        TEST(test_stops_are_told_apart),
        TEST(test_its_own_queue_tells_a_new_driver),
        TEST(test_unused_queue),
        TEST(test_broken_ring_is_one_queues),
        TEST(test_reconnect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
