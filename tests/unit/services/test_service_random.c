/* SPDX-License-Identifier: MIT */
/* Both halves of a tree of connections, and a long random program of all that two sides may do with
 * descriptors: against what they would see if there were nothing between them. WAYVSOCK_STEPS says
 * how long, WAYVSOCK_RANDOM_SEED where it begins. */
#include "tests/unit/services/pair.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/base/counter.h"
#include "common/base/fd.h"
#include "common/base/guard.h"

#define STEPS 3000
#define OBJECTS 24
#define WAYS 8
#define SIZE 5000u
#define AT_ONCE 5

/* A way from one side to the other: the service's own connection, or a socket that was passed. */
struct way {
    bool there;
    int end[2]; /* by side */
    int other;  /* of a socket pair: the end that was passed, where it came from */
    unsigned depth;
};

enum kind { READ_END, WRITE_END, SOCKET, MEMORY, EVENT, FILE_ONCE, _KIND_N };

/* Something that was passed. */
struct object {
    bool there;
    enum kind kind;
    int side; /* it was made on */
    int way;  /* that it was passed by */
    int original, copy;
    int peer;         /* the other end of a pipe or socket, on its side */
    uint8_t *map[2];  /* memory: by side */
    uint64_t pending; /* eventfd: what was signalled and not taken */
};

static struct way ways[WAYS];
static struct object objects[OBJECTS];
static struct pair A;
static uint64_t seed;

static unsigned any(unsigned n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(seed >> 33) % n;
}

static int any_way(void)
{
    for (;;) {
        int w = (int)any(WAYS);
        if (ways[w].there)
            return w; /* the service's own always is */
    }
}

static struct object *any_object(void)
{
    unsigned first = any(OBJECTS);
    for (unsigned i = 0; i < OBJECTS; i++)
        if (objects[(first + i) % OBJECTS].there)
            return &objects[(first + i) % OBJECTS];
    return NULL;
}

/* @n descriptors by @w from @side, in one message. */
static void pass(int w, int side, const int *fds, size_t n, int *ret)
{
    int got[SEND_FDS_MAX];
    size_t got_n;
    char text[8];
    size_t size = 1 + any(7);
    assert_int_equal(send_fds(ways[w].end[side], "message", size, fds, n), (ssize_t)size);
    assert_int_equal(pair_receive(ways[w].end[!side], text, size, got, &got_n), (ssize_t)size);
    assert_int_equal(got_n, n);
    if (n)
        memcpy(ret, got, n * sizeof(int));
}

static bool is_same(int a, int b)
{
    int flags = fcntl(a, F_GETFL);
    fcntl(a, F_SETFL, flags ^ O_NONBLOCK);
    bool same = fcntl(b, F_GETFL) == (flags ^ O_NONBLOCK);
    fcntl(a, F_SETFL, flags);
    return same && fcntl(b, F_GETFL) == flags;
}

static bool is_readable(void *user)
{
    struct pollfd p = {.fd = *(int *)user, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

/* What is written to @in comes out of @out. */
static void flows(int in, int out)
{
    uint8_t sent[300], got[300];
    size_t n = 1 + any(sizeof(sent)), have = 0;
    fill_pattern(sent, n, any(1000));
    assert_int_equal(write(in, sent, n), (ssize_t)n);
    turn_times(P.loop, any(4)); /* who should not take it has the time for it */
    while (have < n) {
        turn_until(P.loop, is_readable, &out);
        ssize_t r = read(out, got + have, n - have);
        assert_true(r > 0);
        have += (size_t)r;
    }
    assert_memory_equal(sent, got, n);
}

static uint64_t value_of(int fd)
{
    struct counter_info info;
    assert_int_equal(counter_inspect(fd, &info), 0);
    return info.value;
}

/* Signals go to the host's side. */
static void signal_it(struct object *o)
{
    int in = o->side == CARRIER_GUEST ? o->original : o->copy;
    int out = o->side == CARRIER_GUEST ? o->copy : o->original;
    uint64_t add = 1 + any(9), value;
    assert_int_equal(write(in, &add, sizeof(add)), sizeof(add));
    o->pending += add;
    for (int i = 0; i < 10000 && value_of(out) != o->pending; i++)
        turn_times(P.loop, 1);
    assert_int_equal(value_of(out), o->pending);
    if (any(2)) {
        assert_int_equal(read(out, &value, sizeof(value)), sizeof(value));
        o->pending = 0;
    }
}

/* Both sides write, each where the other does not. */
static void write_it(const struct object *o)
{
    for (unsigned n = any(60); n; n--) {
        unsigned at = any(SIZE);
        o->map[at & 1][at] = (uint8_t)any(256);
    }
    pass(o->way, 0, NULL, 0, NULL);
    pass(o->way, 1, NULL, 0, NULL);
    assert_memory_equal(o->map[0], o->map[1], SIZE);
}

static void use(struct object *o)
{
    char text[16] = "";
    pairs_join();
    switch (o->kind) {
    case READ_END:
        flows(o->peer, o->copy);
        break;
    case WRITE_END:
        flows(o->copy, o->peer);
        break;
    case SOCKET:
        flows(o->peer, o->copy);
        flows(o->copy, o->peer);
        break;
    case MEMORY:
        write_it(o);
        break;
    case EVENT:
        signal_it(o);
        break;
    default:
        assert_int_equal(pread(o->copy, text, sizeof(text), 0), 7);
        assert_string_equal(text, "content");
    }
}

static void drop(struct object *o)
{
    for (int i = 0; i < 2; i++)
        if (o->map[i])
            munmap(o->map[i], SIZE);
    fd_close(o->original);
    fd_close(o->copy);
    fd_close(o->peer);
    *o = (struct object){.original = -1, .copy = -1, .peer = -1};
}

static uint8_t *map(int fd)
{
    uint8_t *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(at != MAP_FAILED);
    return at;
}

static void make_object(struct object *o, int w, int side)
{
    int ends[2];
    *o = (struct object){.kind = (enum kind)any(_KIND_N), .side = side, .way = w, .peer = -1};
    switch (o->kind) {
    case READ_END:
    case WRITE_END:
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        o->original = ends[o->kind == WRITE_END];
        o->peer = ends[o->kind == READ_END];
        break;
    case SOCKET:
        make_sockets(ends, 0);
        o->original = ends[0];
        o->peer = ends[1];
        break;
    case MEMORY:
        o->original = fd_memfd("test", SIZE);
        o->map[side] = map(o->original);
        for (unsigned i = 0; i < 50; i++)
            o->map[side][any(SIZE)] = (uint8_t)any(256);
        break;
    case EVENT:
        o->original = eventfd(0, EFD_CLOEXEC);
        break;
    default:
        o->original = fd_memfd("test", 0);
        assert_int_equal(write(o->original, "content", 7), 7);
        if (any(2))
            fcntl(o->original, F_ADD_SEALS, F_SEAL_WRITE);
        else
            fcntl(o->original, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL | F_SEAL_GROW);
    }
}

static void pass_new(void)
{
    struct object *made[AT_ONCE];
    int fds[AT_ONCE], got[AT_ONCE], w = any_way(), side = (int)any(2);
    size_t n = 0, want = 1 + any(AT_ONCE);
    for (unsigned i = 0; i < OBJECTS && n < want; i++)
        if (!objects[i].there)
            made[n++] = &objects[i];
    for (size_t i = 0; i < n; i++) {
        make_object(made[i], w, side);
        fds[i] = made[i]->original;
    }
    if (!n)
        return;
    pass(w, side, fds, n, got);
    for (size_t i = 0; i < n; i++) {
        made[i]->there = true;
        made[i]->copy = got[i];
        if (made[i]->kind == MEMORY) {
            made[i]->map[!side] = map(got[i]);
            assert_memory_equal(made[i]->map[0], made[i]->map[1], SIZE);
        }
        assert_false(is_same(fds[i], got[i]));
    }
}

/* Perhaps for good: then there is nobody between its program and that of its other end. */
static void pass_home(struct object *o)
{
    int back, w = any_way();
    bool last = any(2) && o->kind <= SOCKET;
    int copy = o->copy;
    if (last) { /* the message alone has it */
        char text[8];
        int got[SEND_FDS_MAX];
        size_t n;
        assert_int_equal(send_fds(ways[w].end[!o->side], "m", 1, &copy, 1), 1);
        o->copy = fd_close(copy);
        assert_int_equal(pair_receive(ways[w].end[o->side], text, 1, got, &n), 1);
        assert_int_equal(n, 1);
        back = got[0];
    } else {
        pass(w, !o->side, &copy, 1, &back);
    }
    assert_true(is_same(o->original, back));
    fd_close(back);
    if (!last)
        return;
    turn_times(P.loop, any(2) * any(20));
    if (o->kind == SOCKET) {
        flows(o->original, o->peer);
        flows(o->peer, o->original);
    } else {
        flows(o->kind == READ_END ? o->peer : o->original,
              o->kind == READ_END ? o->original : o->peer);
    }
    drop(o);
}

static void pass_again(const struct object *o)
{
    struct stat x, y;
    int again;
    if (o->kind != MEMORY && o->kind != EVENT)
        return;
    pass(any_way(), o->side, &o->original, 1, &again);
    fstat(again, &x);
    fstat(o->copy, &y);
    assert_true(x.st_ino == y.st_ino);
    if (o->kind == EVENT)
        assert_int_equal(value_of(again), value_of(o->copy));
    fd_close(again);
}

static void open_way(void)
{
    int pair[2], w = any_way(), side = (int)any(2), free_way = -1;
    for (int i = 0; i < WAYS; i++)
        if (!ways[i].there)
            free_way = i;
    if (free_way < 0 || ways[w].depth == 3)
        return;
    struct way *new = &ways[free_way];
    make_sockets(pair, 0);
    pass(w, side, &pair[1], 1, &new->end[!side]);
    new->end[side] = pair[0];
    new->other = pair[1];
    new->depth = ways[w].depth + 1;
    new->there = true;
    pairs_join();
}

/* With what was passed on it: it lives no longer. */
static void close_way(int w)
{
    for (unsigned i = 0; i < OBJECTS; i++)
        if (objects[i].there && objects[i].way == w)
            drop(&objects[i]);
    fd_close(ways[w].end[0]);
    fd_close(ways[w].end[1]);
    fd_close(ways[w].other);
    ways[w] = (struct way){.end = {-1, -1}, .other = -1};
}

static void step(void)
{
    struct object *o = any_object();
    unsigned what = any(20);
    if (P.waiting_n > 100)
        pairs_join();
    P.held |= any(6) == 0; /* for a while nobody comes for sockets */
    if (what == 0)
        open_way();
    else if (what == 1 && any(3) == 0)
        close_way(1 + (int)any(WAYS - 1)); /* or nothing */
    else if (!o || what < 5)
        pass_new();
    else if (what < 7)
        drop(o);
    else if (what < 10)
        pass_home(o);
    else if (what < 12)
        pass_again(o);
    else
        use(o);
    if (any(4) == 0)
        turn_times(P.loop, any(6));
}

static unsigned long number_of(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

static void test_random(void **state)
{
    unsigned long steps = number_of("WAYVSOCK_STEPS", STEPS);
    (void)state;
    seed = number_of("WAYVSOCK_RANDOM_SEED", 7);
    guard_init(); /* here, since cmocka handles signals while a test runs */
    struct service_settings settings;
    service_settings_init(&settings, "random");
    settings.memory = LINK_MEMORY_MIRROR;
    settings.eventfds = LINK_SIGNALS_TO_HOST;
    pair_open(&A, &settings);
    for (unsigned i = 0; i < OBJECTS; i++)
        objects[i] = (struct object){.original = -1, .copy = -1, .peer = -1};
    ways[0] = (struct way){.there = true, .end = {A.client, A.server}, .other = -1};
    for (int i = 1; i < WAYS; i++)
        ways[i] = (struct way){.end = {-1, -1}, .other = -1};
    for (unsigned long i = 0; i < steps; i++)
        step();
    pairs_join();
    A.client = A.server = -1;
    for (int i = WAYS - 1; i >= 0; i--)
        close_way(i);
    for (int i = 0; i < 1000 && (A.guest || A.host); i++)
        turn_times(P.loop, 1);
    pair_close(&A);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random, pairs_setup, pairs_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
