/* SPDX-License-Identifier: MIT */
/* A renderer at the other end of a socket: one that keeps the books, is killed, hangs or lies, and
 * what the device is told of it. */
#include "tests/unit/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "host-proxy/gpu/remote-renderer.h"
#include "host-proxy/gpu/render-channel.h"
#include "host-proxy/gpu/renderer/render-server.h"
#include "host-proxy/gpu/staging.h"
#include "tests/support/renderer_fake.h"
#include "tests/support/send_fds.h"

static struct {
    struct loop *loop;
    struct renderer *r;
    /* The process: a server in this one, or (mute) nobody but the test. */
    struct render_server *server;
    bool mute;
    const char *refusal; /* or it ends with that, or nothing, to say */
    int end;
    unsigned renewed, stopped;
    int64_t used_ms;
    /* What the device is told. */
    uint32_t finished;
    unsigned transferred, exported, lost, rested, failed;
    uint8_t pixels[64];
    int fd;
    char error[256];
} W;

static const struct render_resource picture = {.id = 5,
                                               .target = 2,
                                               .format = 1,
                                               .bind = 2,
                                               .width = 16,
                                               .height = 16,
                                               .depth = 1,
                                               .array_size = 1};

static void server_ended(void *user, int reason)
{
    (void)user;
    (void)reason;
    render_server_destroy(W.server);
    W.server = NULL;
}

static int source_renew(void *user, int connection)
{
    (void)user;
    W.renewed++;
    if (W.refusal) {
        if (*W.refusal)
            render_server_refuse(connection, W.refusal);
        close(connection);
        return 0;
    }
    if (W.mute) {
        W.end = connection;
        return 0;
    }
    W.server = render_server_create(W.loop, connection, fake_engine(), server_ended, NULL);
    return W.server ? 0 : -errno;
}

/* As SIGKILL: it has no last words. */
static void die(void)
{
    render_server_destroy(W.server);
    W.server = NULL;
    W.end = fd_close(W.end);
}

static void source_stop(void *user)
{
    (void)user;
    W.stopped++;
    die();
}

static int64_t source_used_ms(void *user)
{
    (void)user;
    return W.used_ms;
}

static void on_finished(void *user, uint32_t number)
{
    (void)user;
    W.finished = number;
}

static void on_transferred(void *user, const struct renderer_transfer *t, int result)
{
    (void)user;
    W.transferred++;
    W.failed += result < 0;
    if (result == 0 && t->stage.bytes && t->stage.range.size <= sizeof(W.pixels))
        memcpy(W.pixels, t->stage.bytes, t->stage.range.size);
}

static void on_exported(void *user, uint64_t ticket, int fd, const struct render_layout *layout)
{
    (void)user;
    (void)layout;
    assert_int_equal(ticket, 77);
    W.exported++;
    W.failed += fd < 0;
    W.fd = fd;
}

static void on_lost(void *user)
{
    (void)user;
    W.lost++;
}

static void on_rested(void *user)
{
    (void)user;
    W.rested++;
}

static const struct renderer_listener listener = {on_finished, on_transferred, on_exported, on_lost,
                                                  on_rested};

static const struct remote_source source = {source_renew, source_stop, source_used_ms, NULL};
/* Whoever ends soon waits an hour; nobody is stuck. */
static const struct remote_times slow = {3600000, 3600000, 3600000, 3600000};

static bool begin(const struct remote_times *times)
{
    W.r = remote_renderer_create(W.loop, &source, times, W.error, sizeof(W.error));
    if (W.r)
        W.r->listener = &listener;
    return W.r != NULL;
}

static int setup(void **state)
{
    (void)state;
    memset(&W, 0, sizeof(W));
    W.used_ms = -1; /* nobody knows */
    W.end = W.fd = -1;
    W.loop = loop_create();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (W.r)
        W.r->ops->destroy(W.r);
    die();
    assert_int_equal(fake.n_contexts, 0);
    assert_int_equal(fake.n_resources, 0);
    fd_close(W.fd);
    loop_destroy(W.loop);
    return 0;
}

static bool is_equal(void *user)
{
    unsigned **both = user;
    return *both[0] == *both[1];
}

static void turn_until_equal(unsigned *value, unsigned wanted)
{
    unsigned *both[2] = {value, &wanted};
    turn_until(W.loop, is_equal, both);
}

/* Reads 4 x 2 pixels. */
static int ask_pixels(uint32_t context)
{
    struct renderer_transfer t = {
        .what = {.resource = 5, .context = context, .stride = 16, .box = {0, 0, 0, 4, 2, 1}}};
    if (W.r->ops->stage(W.r, 32, &t.stage) < 0)
        return -1;
    t.what.range = t.stage.range;
    return W.r->ops->transfer(W.r, &t);
}

static void test_draws(void **state)
{
    (void)state;
    uint8_t set[1376];
    const uint32_t words[3] = {7, 8, 9};
    assert_true(begin(&slow));
    assert_int_equal(W.r->n_capsets, 2);
    assert_int_equal(W.r->capsets[1].size, 1376);
    W.r->ops->capset(W.r, 2, 1, set);
    assert_int_equal(set[1375], 0xa2);
    assert_int_equal(W.r->ops->context_create(W.r, 1, 2), 0);
    assert_int_equal(W.r->ops->resource_create(W.r, &picture), 0);
    W.r->ops->context_attach(W.r, 1, 5);
    assert_int_equal(W.r->ops->submit(W.r, 1, words, 3), 0);
    assert_int_equal(W.r->ops->fence(W.r, 1, 41), 0);
    turn_until_equal(&fake.fences, 1);
    assert_int_equal(fake.sum, 24);
    assert_int_equal(fake.attached, 1);
    fake.picture[1][3] = 0x12345678;
    assert_int_equal(ask_pixels(1), 0);
    turn_until_equal(&W.transferred, 1);
    assert_memory_equal(W.pixels + 16 + 12, "\x78\x56\x34\x12", 4);
    assert_int_equal(W.finished, 0);
    fake.engine.finished(fake.engine.user, 41);
    turn_until_equal(&W.finished, 41);
    /* A dmabuf it has not. */
    assert_int_equal(W.r->ops->export(W.r, 5, 77), 0);
    turn_until_equal(&W.exported, 1);
    assert_int_equal(W.failed, 1);
    W.r->ops->context_detach(W.r, 1, 5);
    W.r->ops->context_destroy(W.r, 1);
    W.r->ops->resource_destroy(W.r, 5);
    turn_times(W.loop, 5);
    assert_int_equal(fake.n_resources, 0);
    assert_int_equal(W.lost, 0);
}

/* What it cannot make is refused from then on, and nothing else. */
static void test_refusals(void **state)
{
    (void)state;
    const uint32_t word = 1;
    assert_true(begin(&slow));
    fake.refuses = true;
    W.r->ops->context_create(W.r, 1, 0);
    W.r->ops->resource_create(W.r, &picture);
    turn_times(W.loop, 5);
    fake.refuses = false;
    W.r->ops->context_attach(W.r, 1, 5);
    ask_pixels(0);
    ask_pixels(1);
    W.r->ops->submit(W.r, 1, &word, 1);
    W.r->ops->export(W.r, 5, 77);
    turn_until_equal(&W.exported, 1);
    assert_int_equal(W.transferred, 2);
    assert_int_equal(W.failed, 3);
    assert_int_equal(fake.words, 0);
    W.r->ops->context_destroy(W.r, 1);
    W.r->ops->resource_destroy(W.r, 5);
    assert_int_equal(W.r->ops->resource_create(W.r, &picture), 0);
    ask_pixels(0);
    turn_until_equal(&W.transferred, 3);
    assert_int_equal(W.failed, 3);
    assert_int_equal(W.lost, 0);
}

/* Rows of a mirror, and what is too large for the memory in common. */
static void test_memories(void **state)
{
    (void)state;
    uint32_t id;
    int fd = fd_memfd("mirror", 8192);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    uint8_t *mirror = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(begin(&slow));
    W.r->ops->resource_create(W.r, &picture);
    assert_int_equal(W.r->ops->memory_add(W.r, fd, 8192, &id), 0);
    close(fd);
    struct renderer_transfer t = {
        .what = {.resource = 5, .box = {0, 0, 0, 4, 1, 1}, .range = {id, 4096, 16}}, .ticket = 1};
    turn_times(W.loop, 5);
    fake.picture[0][0] = 0x11223344;
    assert_int_equal(W.r->ops->transfer(W.r, &t), 0);
    turn_until_equal(&W.transferred, 1);
    assert_memory_equal(mirror + 4096, "\x44\x33\x22\x11", 4);
    W.r->ops->memory_forget(W.r, id);
    struct renderer_stage large[2];
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(W.r->ops->stage(W.r, STAGING_SIZE - 64 + i, &large[i]), 0);
        assert_int_equal(large[i].whole, i);
        large[i].bytes[STAGING_SIZE - 65] = 1;
        t = (struct renderer_transfer){
            .what = {.resource = 5, .box = {0, 0, 0, 4, 1, 1}, .range = large[i].range},
            .stage = large[i]};
        assert_int_equal(W.r->ops->transfer(W.r, &t), 0);
    }
    /* That is enough for now. */
    assert_int_equal(W.r->ops->stage(W.r, STAGING_ONE_MAX + 1, &t.stage), -E2BIG);
    assert_int_equal(W.r->ops->busy(W.r), 2ull * STAGING_SIZE - 127 >= RENDER_CHANNEL_HELD_MAX);
    turn_until_equal(&W.transferred, 3);
    assert_false(W.r->ops->busy(W.r));
    assert_int_equal(W.failed, 0);
    munmap(mirror, 8192);
}

/* More than it can do at a time waits with whoever asks. */
static void test_busy(void **state)
{
    (void)state;
    unsigned n = 0;
    assert_true(begin(&slow));
    W.r->ops->resource_create(W.r, &picture);
    for (; !W.r->ops->busy(W.r); n++)
        assert_int_equal(ask_pixels(0), 0);
    assert_int_equal(n, RENDER_CHANNEL_PENDING_MAX);
    assert_int_equal(W.rested, 0);
    turn_until_equal(&W.transferred, n);
    assert_int_equal(W.rested, 1);
    assert_int_equal(W.failed, 0);
}

/* kill -9: whoever waits is told at once, in order, and the next one is there. */
static void test_killed(void **state)
{
    (void)state;
    assert_true(begin(&slow));
    uint64_t life = W.r->life;
    W.r->ops->context_create(W.r, 1, 0);
    W.r->ops->resource_create(W.r, &picture);
    turn_times(W.loop, 5);
    ask_pixels(1);
    W.r->ops->export(W.r, 5, 77);
    W.r->ops->fence(W.r, 1, 9);
    die();
    turn_until_equal(&W.lost, 1);
    assert_int_equal(W.transferred, 1);
    assert_int_equal(W.exported, 1);
    assert_int_equal(W.failed, 2);
    assert_int_equal(W.r->life, life + 1);
    assert_int_equal(W.renewed, 2);
    /* It knows nothing of what there was, and draws. */
    assert_int_equal(W.r->ops->resource_create(W.r, &picture), 0);
    assert_int_equal(ask_pixels(0), 0);
    assert_int_equal(W.r->ops->fence(W.r, 0, 10), 0);
    turn_until_equal(&W.transferred, 2);
    assert_int_equal(W.failed, 2);
    turn_until_equal(&fake.fences, 1);
    fake.engine.finished(fake.engine.user, 10);
    turn_until_equal(&W.finished, 10);
}

/* One that dies again and again: there is a pause, and who asks meanwhile is refused. */
static void test_killed_again(void **state)
{
    (void)state;
    struct renderer_stage stage;
    const uint32_t word = 1;
    uint32_t id;
    const struct remote_times times = {3600000, 3600000, 3600000, 1};
    assert_true(begin(&slow));
    for (unsigned i = 1; i <= 2; i++) {
        die();
        turn_until_equal(&W.lost, i);
    }
    assert_int_equal(W.renewed, 2);
    assert_int_equal(W.r->ops->context_create(W.r, 1, 0), -ENODEV);
    assert_int_equal(W.r->ops->resource_create(W.r, &picture), -ENODEV);
    assert_int_equal(W.r->ops->stage(W.r, 4, &stage), -ENODEV);
    assert_int_equal(W.r->ops->submit(W.r, 1, &word, 1), -ENODEV);
    assert_int_equal(W.r->ops->fence(W.r, 1, 1), -ENODEV);
    assert_int_equal(W.r->ops->export(W.r, 5, 77), -ENODEV);
    assert_int_equal(W.r->ops->memory_add(W.r, 0, 4096, &id), -ENODEV);
    assert_false(W.r->ops->busy(W.r));
    W.r->ops->destroy(W.r);
    /* After the pause, there is one again. */
    W.renewed = W.lost = 0;
    assert_true(begin(&times));
    for (unsigned i = 1; i <= 5; i++) {
        die();
        turn_until_equal(&W.lost, i);
        turn_until_equal(&W.renewed, i + 1);
    }
    assert_int_equal(W.r->ops->resource_create(W.r, &picture), 0);
    ask_pixels(0);
    turn_until_equal(&W.transferred, 1);
    assert_int_equal(W.failed, 0);
}

/* At any moment: what was asked is answered once, and the next one draws. WAYVSOCK_KILLS says how
 * often; each time there is a pause of a millisecond. */
static void test_killed_at_any_moment(void **state)
{
    (void)state;
    const char *times_wanted = getenv("WAYVSOCK_KILLS");
    const unsigned kills = times_wanted ? (unsigned)atoi(times_wanted) : 30;
    const struct remote_times times = {3600000, 3600000, 3600000, 1};
    const uint32_t words[3] = {1, 2, 3};
    unsigned asked = 0;
    srandom(kills);
    assert_true(begin(&times));
    for (unsigned i = 1; i <= kills; i++) {
        bool known = W.r->ops->resource_create(W.r, &picture) == 0;
        W.r->ops->context_create(W.r, 1, 0);
        for (long n = random() % 12; n > 0; n--) {
            if (random() % 2)
                turn_times(W.loop, 1);
            if (random() % 2 && known && !W.r->ops->busy(W.r))
                asked += ask_pixels(1) == 0;
            W.r->ops->submit(W.r, 1, words, 3);
            W.r->ops->fence(W.r, 1, i);
        }
        die();
        turn_until_equal(&W.lost, i);
        assert_int_equal(W.transferred, asked);
        turn_until_equal(&W.renewed, i + 1);
    }
    assert_int_equal(W.r->ops->resource_create(W.r, &picture), 0);
    W.failed = 0;
    assert_int_equal(ask_pixels(0), 0);
    turn_until_equal(&W.transferred, asked + 1);
    assert_int_equal(W.failed, 0);
}

static void say(unsigned type, uint32_t serial, const union render_message *m, const void *data,
                uint32_t size, int fd)
{
    uint8_t packet[RENDER_PACKET_MAX];
    size_t n = render_encode(packet, type, serial, m, data, size);
    assert_int_equal(send_fds(W.end, packet, n, &fd, fd >= 0), n);
}

/* As the one before, but for what the test makes it say. */
static void introduce_as(uint32_t id, uint32_t size)
{
    union render_message m = {.hello = {RENDER_VERSION, 2 + 3}};
    uint8_t bytes[1376] = {0};
    say(RENDER_HELLO, 0, &m, NULL, 0, -1);
    for (uint32_t set = 1; set <= 2; set++) {
        for (uint32_t version = 0; version <= set; version++) {
            m.capset = (struct render_capset){set == 1 ? id : 2, version, set};
            say(RENDER_CAPSET, 0, &m, bytes, set == 1 ? size : 1376, -1);
        }
    }
    say(RENDER_READY, 0, &m, NULL, 0, -1);
}

/* A life in which it hears what the test has it say. */
static void begin_mute(const struct remote_times *times)
{
    assert_true(begin(times));
    W.mute = true;
    die();
    turn_until_equal(&W.lost, 1);
    assert_true(W.end >= 0);
    W.stopped = 0;
}

/* SIGSTOP, or a wait for what does not come: it is ended, and nobody waits for ever. */
static void test_hangs(void **state)
{
    (void)state;
    const struct remote_times times = {1, 3600000, 3600000, 3600000};
    begin_mute(&times);
    W.used_ms = 0; /* it does nothing, not even begin */
    turn_until_equal(&W.lost, 2);
    assert_int_equal(W.stopped, 1);
}

static void test_hangs_while_it_draws(void **state)
{
    (void)state;
    const struct remote_times times = {1, 3600000, 3600000, 3600000};
    begin_mute(&times);
    introduce_as(1, 308);
    assert_int_equal(W.r->ops->fence(W.r, 1, 9), 0);
    turn_times(W.loop, 5);
    assert_int_equal(W.lost, 1);
    W.used_ms = 5; /* more than all of the time */
    turn_until_equal(&W.lost, 2);
    assert_int_equal(W.stopped, 1);
}

static const union render_message done = {.done = {RENDER_OK}};

enum lie {
    CAPSETS_CHANGE,
    CAPSET_SIZE_CHANGES,
    READY_TWICE,
    READY_AT_ONCE,
    DONE_OF_NOTHING,
    DONE_OUT_OF_ORDER,
    DONE_OF_AN_EXPORT,
    EXPORTED_OF_A_TRANSFER,
    FENCE_OF_NOBODY,
    FENCE_BEFORE_WHAT_IT_FOLLOWS,
    FENCE_AGAIN,
    EXPORTED_WITHOUT_A_DESCRIPTOR,
    EXPORTED_A_MEMFD,
    EXPORTED_A_SOCKET,
    REFUSED_WITH_A_DESCRIPTOR,
    DONE_WITH_A_DESCRIPTOR,
    THE_DEVICES_OWN_WORDS,
    NO_PACKET,
    LIES
};

static void tell(enum lie lie, uint32_t serial)
{
    union render_message m = {0};
    int fd = -1;
    switch (lie) {
    case READY_TWICE:
        say(RENDER_READY, 0, &m, NULL, 0, -1);
        break;
    case DONE_OF_NOTHING:
        say(RENDER_DONE, serial + 9, &done, NULL, 0, -1);
        break;
    case DONE_OUT_OF_ORDER:
        say(RENDER_DONE, serial + 1, &done, NULL, 0, -1);
        break;
    case DONE_OF_AN_EXPORT:
        say(RENDER_DONE, serial, &done, NULL, 0, -1);
        say(RENDER_DONE, serial + 1, &done, NULL, 0, -1);
        break;
    case EXPORTED_OF_A_TRANSFER:
        m.exported.status = RENDER_REFUSED;
        say(RENDER_EXPORTED, serial, &m, NULL, 0, -1);
        break;
    case FENCE_OF_NOBODY:
        m.fenced.number = 2;
        say(RENDER_DONE, serial, &done, NULL, 0, -1);
        say(RENDER_FENCED, 0, &m, NULL, 0, -1);
        break;
    case FENCE_BEFORE_WHAT_IT_FOLLOWS:
        m.fenced.number = 1;
        say(RENDER_FENCED, 0, &m, NULL, 0, -1);
        break;
    case FENCE_AGAIN:
        say(RENDER_DONE, serial, &done, NULL, 0, -1);
        m.exported.status = RENDER_REFUSED;
        say(RENDER_EXPORTED, serial + 1, &m, NULL, 0, -1);
        m.fenced.number = 1;
        say(RENDER_FENCED, 0, &m, NULL, 0, -1);
        say(RENDER_FENCED, 0, &m, NULL, 0, -1);
        break;
    case EXPORTED_WITHOUT_A_DESCRIPTOR:
    case EXPORTED_A_MEMFD:
    case EXPORTED_A_SOCKET:
        say(RENDER_DONE, serial, &done, NULL, 0, -1);
        m.exported = (struct render_exported){.status = RENDER_OK, .layout = {.n_planes = 1}};
        fd = lie == EXPORTED_A_MEMFD    ? fd_memfd("picture", 4096)
             : lie == EXPORTED_A_SOCKET ? socket(AF_UNIX, SOCK_STREAM, 0)
                                        : -1;
        say(RENDER_EXPORTED, serial + 1, &m, NULL, 0, fd);
        break;
    case REFUSED_WITH_A_DESCRIPTOR:
        say(RENDER_DONE, serial, &done, NULL, 0, -1);
        m.exported.status = RENDER_REFUSED;
        fd = fd_memfd("picture", 4096);
        say(RENDER_EXPORTED, serial + 1, &m, NULL, 0, fd);
        break;
    case DONE_WITH_A_DESCRIPTOR:
        fd = fd_memfd("picture", 4096);
        say(RENDER_DONE, serial, &done, NULL, 0, fd);
        break;
    case THE_DEVICES_OWN_WORDS:
        m.id.id = 5;
        say(RENDER_FORGET, 0, &m, NULL, 0, -1);
        break;
    default:
        assert_int_equal(send(W.end, "?", 1, 0), 1);
        break;
    }
    fd_close(fd);
}

/* Each lie ends it, with what it was asked for, and the device goes on. */
static void test_lies(void **state)
{
    (void)state;
    for (enum lie lie = 0; lie < LIES; lie++) {
        unsigned before = count_fds();
        W.mute = false;
        W.lost = W.transferred = W.exported = W.failed = 0;
        begin_mute(&slow);
        if (lie == READY_AT_ONCE)
            say(RENDER_READY, 0, &done, NULL, 0, -1);
        else
            introduce_as(lie == CAPSETS_CHANGE ? 3 : 1, lie == CAPSET_SIZE_CHANGES ? 309 : 308);
        ask_pixels(0);
        W.r->ops->export(W.r, 5, 77);
        W.r->ops->fence(W.r, 0, 1);
        turn_times(W.loop, 5);
        if (lie > READY_AT_ONCE || lie == READY_TWICE)
            tell(lie, 1);
        turn_until_equal(&W.lost, 2);
        assert_int_equal(W.stopped, 1);
        assert_int_equal(W.transferred, 1);
        assert_int_equal(W.exported, 1);
        assert_true(W.failed > 0);
        W.r->ops->destroy(W.r);
        W.r = NULL;
        assert_int_equal(count_fds(), before);
    }
}

/* It says why, and there is none. */
static void test_does_not_start(void **state)
{
    (void)state;
    W.refusal = "EGL does not start";
    assert_false(begin(&slow));
    assert_string_equal(W.error, "EGL does not start");
    W.refusal = "";
    assert_false(begin(&slow));
    assert_non_null(strstr(W.error, "does not start"));
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_draws),        TEST(test_refusals),       TEST(test_memories),
        TEST(test_busy),         TEST(test_killed),         TEST(test_killed_at_any_moment),
        TEST(test_killed_again), TEST(test_hangs),          TEST(test_hangs_while_it_draws),
        TEST(test_lies),         TEST(test_does_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
