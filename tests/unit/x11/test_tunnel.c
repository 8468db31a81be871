/* SPDX-License-Identifier: MIT */
/* The X server's connection with objects of ours among its own: who is called what on which side,
 * what passes, with its descriptors, and what ends it. */
#include "tests/unit/turn.h"

#include "common/base/fd.h"
#include "guest-proxy/x11/tunnel.h"
#include "tests/support/send_fds.h"
#include "tests/support/wl_build.h"

/* Opcodes of requests and events. */
enum { DISPLAY_SYNC, DISPLAY_GET_REGISTRY };
enum { DISPLAY_ERROR, DISPLAY_DELETE_ID };
enum { REGISTRY_BIND, REGISTRY_GLOBAL = 0 };
enum { SURFACE_DESTROY, SURFACE_ATTACH };
enum { REGISTRY = 2, COMPOSITOR, SEAT, SHM, DEVICES, NEXT };

static struct world {
    struct loop *loop;
    struct tunnel *tunnel;
    int server, compositor; /* our ends */
    bool swallow;           /* what is asked about does not pass */
    unsigned asked, settled, ended, own;
    char why[128];
    int fd; /* that came for an object of ours */
    int fds;
} T;

static bool on_message(void *user, uint32_t id, const struct wl_message *m)
{
    (void)user, (void)id, (void)m;
    T.asked++;
    return !T.swallow;
}

static void on_settled(void *user)
{
    (void)user;
    T.settled++;
}

static void on_ended(void *user, const char *why)
{
    (void)user;
    T.ended++;
    snprintf(T.why, sizeof(T.why), "%s", why ? why : "the X server left");
}

static void on_own(void *user, uint32_t id, const struct wl_message *m, int fd)
{
    (void)user, (void)id, (void)m;
    T.own++;
    fd_close(T.fd);
    T.fd = fd;
}

static const struct tunnel_ops ops = {
    .request = on_message, .event = on_message, .settled = on_settled, .ended = on_ended};

static void say(int to, const uint8_t *bytes, size_t n, int fd)
{
    assert_int_equal(send_fds(to, bytes, n, &fd, fd >= 0), n);
    turn_times(T.loop, 4);
}
#define SAY(to, fd, object, ...)                                                                   \
    do {                                                                                           \
        uint8_t bytes_[512];                                                                       \
        say(to, bytes_, wl_build(bytes_, object, __VA_ARGS__), fd);                                \
    } while (0)
#define X_SAYS(object, ...) SAY(T.server, -1, object, __VA_ARGS__)
#define COMPOSITOR_SAYS(object, ...) SAY(T.compositor, -1, object, __VA_ARGS__)

/* What has come is this and nothing else. */
static void hears(int at, const uint8_t *expected, size_t n)
{
    uint8_t bytes[1024];
    ssize_t got = recv(at, bytes, sizeof(bytes), MSG_DONTWAIT);
    assert_int_equal(got < 0 ? 0 : got, n);
    assert_memory_equal(bytes, expected, n);
}
#define HEARS(at, object, ...)                                                                     \
    do {                                                                                           \
        uint8_t bytes_[512];                                                                       \
        hears(at, bytes_, wl_build(bytes_, object, __VA_ARGS__));                                  \
    } while (0)
#define X_HEARS(object, ...) HEARS(T.server, object, __VA_ARGS__)
#define COMPOSITOR_HEARS(object, ...) HEARS(T.compositor, object, __VA_ARGS__)
#define NOBODY_HEARS()                                                                             \
    do {                                                                                           \
        hears(T.server, NULL, 0);                                                                  \
        hears(T.compositor, NULL, 0);                                                              \
    } while (0)

/* A global, and the X server's object for it. */
static void bind_global(uint32_t name, const char *interface, uint32_t version, uint32_t id)
{
    COMPOSITOR_SAYS(REGISTRY, REGISTRY_GLOBAL, "usu", name, interface, version);
    X_HEARS(REGISTRY, REGISTRY_GLOBAL, "usu", name, interface, version);
    X_SAYS(REGISTRY, REGISTRY_BIND, "uN", name, interface, version, id);
    COMPOSITOR_HEARS(REGISTRY, REGISTRY_BIND, "uN", name, interface, version, id);
}

static int setup(void **state)
{
    (void)state;
    int server[2], compositor[2];
    signal(SIGPIPE, SIG_IGN);
    T = (struct world){.fds = count_fds(), .fd = -1};
    T.loop = loop_create();
    make_sockets(server, 0);
    make_sockets(compositor, 0);
    T.server = server[0];
    T.compositor = compositor[0];
    T.tunnel = tunnel_create(T.loop, server[1], compositor[1], &ops, NULL);
    assert_non_null(T.tunnel);
    X_SAYS(1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    COMPOSITOR_HEARS(1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    bind_global(1, "wl_compositor", 4, COMPOSITOR);
    bind_global(2, "wl_seat", 5, SEAT);
    bind_global(3, "wl_shm", 1, SHM);
    bind_global(4, "wl_data_device_manager", 3, DEVICES);
    assert_int_equal(T.ended, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tunnel_destroy(T.tunnel);
    loop_destroy(T.loop);
    fd_close(T.server);
    fd_close(T.compositor);
    fd_close(T.fd);
    assert_int_equal(count_fds(), T.fds);
    return 0;
}

static uint32_t new_own(const char *interface)
{
    uint32_t id = tunnel_new(T.tunnel, tunnel_iface(interface), 1, on_own, NULL);
    assert_int_not_equal(id, 0);
    return id;
}

static void test_ids_with_ours_between(void **state)
{
    (void)state;
    uint32_t ours = new_own("wl_surface"), first = NEXT, second = NEXT + 1;
    assert_int_equal(ours, NEXT);
    X_SAYS(COMPOSITOR, 0, "u", first);
    COMPOSITOR_HEARS(COMPOSITOR, 0, "u", first + 1);
    X_SAYS(COMPOSITOR, 0, "u", second);
    COMPOSITOR_HEARS(COMPOSITOR, 0, "u", second + 1);
    assert_int_equal(tunnel_id(T.tunnel, first), first + 1);
    assert_int_equal(tunnel_servers_id(T.tunnel, second + 1), second);
    assert_int_equal(tunnel_servers_id(T.tunnel, ours), 0);
    assert_int_equal(tunnel_version(T.tunnel, first + 1), 4);
    COMPOSITOR_SAYS(first + 1, 0, "u", SEAT); /* enters it */
    X_HEARS(first, 0, "u", SEAT);
    COMPOSITOR_SAYS(first + 1, 0, "u", 77); /* of what is gone */
    NOBODY_HEARS();
}

static void test_ids_are_free_when_both_know(void **state)
{
    (void)state;
    uint32_t surface = NEXT;
    X_SAYS(COMPOSITOR, 0, "u", surface);
    COMPOSITOR_HEARS(COMPOSITOR, 0, "u", surface);
    X_SAYS(surface, SURFACE_DESTROY, "");
    COMPOSITOR_HEARS(surface, SURFACE_DESTROY, "");
    assert_int_equal(tunnel_id(T.tunnel, surface), 0);
    assert_int_equal(new_own("wl_surface"), surface + 1); /* the compositor has not said so yet */
    COMPOSITOR_SAYS(1, DISPLAY_DELETE_ID, "u", surface);
    X_HEARS(1, DISPLAY_DELETE_ID, "u", surface);
    uint32_t ours = new_own("wl_surface");
    assert_int_equal(ours, surface);
    tunnel_retire(T.tunnel, ours);
    COMPOSITOR_SAYS(1, DISPLAY_DELETE_ID, "u", ours); /* which is none of the X server's */
    COMPOSITOR_SAYS(1, DISPLAY_DELETE_ID, "u", 4000);
    NOBODY_HEARS();
    assert_int_equal(T.ended, 0);
}

static void test_an_id_twice(void **state)
{
    (void)state;
    X_SAYS(COMPOSITOR, 0, "u", NEXT);
    X_SAYS(COMPOSITOR, 0, "u", NEXT);
    assert_string_equal(T.why, "the X server's new object has no id that it could have");
    X_SAYS(COMPOSITOR, 0, "u", NEXT + 1);
    COMPOSITOR_HEARS(COMPOSITOR, 0, "u", NEXT); /* nothing passes any more */
    assert_int_equal(T.ended, 1);
}

static void test_the_compositors_objects(void **state)
{
    (void)state;
    const uint32_t first = WL_SERVER_ID_BASE;
    X_SAYS(DEVICES, 1, "uu", NEXT, SEAT);
    COMPOSITOR_HEARS(DEVICES, 1, "uu", NEXT, SEAT);
    uint32_t ours = new_own("wl_data_device");
    COMPOSITOR_SAYS(ours, 0, "u", first); /* an offer for us */
    assert_int_equal(T.own, 1);
    tunnel_adopt(T.tunnel, first, on_own, NULL);
    COMPOSITOR_SAYS(first, 0, "s", "text/plain");
    assert_int_equal(T.own, 2);
    NOBODY_HEARS();
    COMPOSITOR_SAYS(NEXT, 0, "u", first + 1); /* and one for the X server */
    X_HEARS(NEXT, 0, "u", first);
    COMPOSITOR_SAYS(first + 1, 0, "s", "text/html");
    X_HEARS(first, 0, "s", "text/html");
    COMPOSITOR_SAYS(NEXT, 5, "u", first + 1); /* is the selection */
    X_HEARS(NEXT, 5, "u", first);
    COMPOSITOR_SAYS(NEXT, 5, "u", first); /* ours is not for the X server */
    NOBODY_HEARS();
    X_SAYS(first, 2, ""); /* it destroys its own, whose id is free at once */
    COMPOSITOR_HEARS(first + 1, 2, "");
    tunnel_retire(T.tunnel, first);
    COMPOSITOR_SAYS(NEXT, 0, "u", first);
    X_HEARS(NEXT, 0, "u", first);
    assert_int_equal(T.ended, 0);
    COMPOSITOR_SAYS(NEXT, 0, "u", first + 7);
    assert_string_equal(T.why, "the compositor's new object has no id that it could have");
}

static void test_events_about_ours(void **state)
{
    (void)state;
    X_SAYS(SEAT, 0, "u", NEXT);
    COMPOSITOR_HEARS(SEAT, 0, "u", NEXT);
    uint32_t ours = new_own("wl_surface");
    COMPOSITOR_SAYS(NEXT, 0, "uuuu", 1, ours, 0, 0); /* the pointer is on it */
    NOBODY_HEARS();
    assert_int_equal(T.ended, 0);
    X_SAYS(NEXT, 0, "uuuu", 1, ours, 0, 0); /* who could not know it cannot name it */
    assert_string_equal(T.why, "the X server names an object that is not there");
}

static void test_descriptors(void **state)
{
    (void)state;
    int pipe_fds[2], got[1] = {-1};
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    uint8_t bytes[64];
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {bytes, sizeof(bytes)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    SAY(T.server, pipe_fds[0], SHM, 0, "uu", NEXT, 4096); /* create_pool */
    assert_int_equal(recvmsg(T.compositor, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), 16);
    assert_non_null(CMSG_FIRSTHDR(&message));
    memcpy(got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(got));
    fd_close(got[0]);

    X_SAYS(NEXT, 0, "uuuuuu", NEXT + 1, 0, 16, 8, 64, 0); /* create_buffer */
    int32_t width = 0, height = 0;
    assert_true(tunnel_buffer_size(T.tunnel, NEXT + 1, &width, &height));
    assert_int_equal(width, 16);
    assert_int_equal(height, 8);
    assert_false(tunnel_buffer_size(T.tunnel, NEXT + 2, &width, &height));

    uint32_t ours = new_own("wl_keyboard");
    SAY(T.compositor, pipe_fds[0], ours, 0, "uu", 1, 4096); /* a keymap for us */
    assert_true(T.fd >= 0);
    fd_close(pipe_fds[0]);
    fd_close(pipe_fds[1]);
    assert_int_equal(T.ended, 0);
    X_SAYS(SHM, 0, "uu", NEXT + 2, 4096);
    assert_string_equal(T.why, "the X server's message lacks a descriptor");
}

static void test_globals(void **state)
{
    (void)state;
    uint32_t known = tunnel_iface("wl_output")->version;
    COMPOSITOR_SAYS(REGISTRY, REGISTRY_GLOBAL, "usu", 9, "wl_output", known + 5);
    X_HEARS(REGISTRY, REGISTRY_GLOBAL, "usu", 9, "wl_output", known);
    COMPOSITOR_SAYS(REGISTRY, REGISTRY_GLOBAL, "usu", 10, "of_the_future_v1", 1);
    NOBODY_HEARS();
    X_SAYS(REGISTRY, REGISTRY_BIND, "uN", 10, "of_the_future_v1", 1, NEXT);
    assert_string_equal(T.why, "the X server's new object has no id that it could have");
}

static void test_what_is_swallowed(void **state)
{
    (void)state;
    T.swallow = true;
    T.asked = 0;
    X_SAYS(1, DISPLAY_SYNC, "u", NEXT);
    COMPOSITOR_SAYS(SEAT, 0, "u", 3);
    NOBODY_HEARS();
    assert_int_equal(T.asked, 2);
    tunnel_answer(T.tunnel, NEXT); /* as if the compositor had */
    tunnel_flush(T.tunnel);
    uint8_t bytes[64];
    assert_int_equal(recv(T.server, bytes, sizeof(bytes), MSG_DONTWAIT), 24);
    T.swallow = false;
    X_SAYS(1, DISPLAY_SYNC, "u", NEXT); /* the id is free again */
    COMPOSITOR_HEARS(1, DISPLAY_SYNC, "u", NEXT);
}

static void test_messages_in_pieces(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t n = wl_build(bytes, COMPOSITOR, 0, "u", NEXT);
    for (size_t i = 0; i < n; i++) {
        NOBODY_HEARS();
        say(T.server, bytes + i, 1, -1);
    }
    COMPOSITOR_HEARS(COMPOSITOR, 0, "u", NEXT);
}

static void test_what_ends_it(void **state)
{
    (void)state;
    static const struct {
        bool compositor;
        uint32_t object;
        uint16_t opcode;
        const char *why;
    } cases[] = {
        {false, 4000, 0, "the X server's message is of no object"},
        {false, 0, 0, "the X server's message is of no object"},
        {false, WL_SERVER_ID_BASE, 0, "the X server's message is of no object"},
        {false, UINT32_MAX, 0, "the X server's message is of no object"},
        {false, COMPOSITOR, 99, "the X server's message is of no object"},
        {true, SEAT, 99, "the compositor's message is none that is known"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (i) {
            teardown(NULL);
            setup(NULL);
        }
        SAY(cases[i].compositor ? T.compositor : T.server, -1, cases[i].object, cases[i].opcode,
            "u", 1);
        assert_string_equal(T.why, cases[i].why);
        tunnel_send(T.tunnel, SEAT, MSG_SEAT_GET_POINTER, 9u); /* nobody hears it */
        tunnel_flush(T.tunnel);
        NOBODY_HEARS();
    }
    teardown(NULL);
    setup(NULL);
    COMPOSITOR_SAYS(4000, 0, ""); /* it may have been destroyed meanwhile */
    assert_int_equal(T.ended, 0);
    shutdown(T.compositor, SHUT_RDWR);
    turn_times(T.loop, 4);
    assert_string_equal(T.why, "the compositor is gone");
    teardown(NULL);
    setup(NULL);
    shutdown(T.server, SHUT_RDWR);
    turn_times(T.loop, 4);
    assert_string_equal(T.why, "the X server left");
}

/* Who does not read is not written to without end. */
static void test_a_slow_compositor(void **state)
{
    (void)state;
    uint8_t bytes[512 * 8];
    size_t n = 0;
    uint64_t sent = 0;
    X_SAYS(COMPOSITOR, 0, "u", NEXT);
    for (int i = 0; i < 512; i++)
        n += wl_build(bytes + n, NEXT, 6, "");
    for (unsigned idle = 0; idle < 100;) {
        ssize_t r = send(T.server, bytes, n, MSG_DONTWAIT);
        sent += r > 0 ? (uint64_t)r : 0;
        assert_true(r < 0 || r % 8 == 0);
        idle = r > 0 ? 0 : idle + 1;
        turn_times(T.loop, 2);
        assert_true(sent < (32u << 20));
    }
    uint64_t got = 0;
    for (unsigned idle = 0; idle < 100;) {
        uint8_t some[64 << 10];
        ssize_t r = recv(T.compositor, some, sizeof(some), MSG_DONTWAIT);
        got += r > 0 ? (uint64_t)r : 0;
        idle = r > 0 ? 0 : idle + 1;
        turn_times(T.loop, 2);
    }
    assert_int_equal(got, sent + 12);
    assert_int_equal(T.ended, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ids_with_ours_between),
        TEST(test_ids_are_free_when_both_know),
        TEST(test_an_id_twice),
        TEST(test_the_compositors_objects),
        TEST(test_events_about_ours),
        TEST(test_descriptors),
        TEST(test_globals),
        TEST(test_what_is_swallowed),
        TEST(test_messages_in_pieces),
        TEST(test_what_ends_it),
        TEST(test_a_slow_compositor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
