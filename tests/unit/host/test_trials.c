/* SPDX-License-Identifier: MIT */
/* Asking a compositor whether it takes a dmabuf: the compositor is a raw end of a socket here, that
 * answers as the tests like. (A memfd stands for the dmabuf.) */
#include "tests/unit/wayland/relays.h"

#include <drm_fourcc.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "host-proxy/compositor.h"
#include "host-proxy/config.h"
#include "host-proxy/pixels/trials.h"

#define DMABUF "zwp_linux_dmabuf_v1"
#define PARAMS "zwp_linux_buffer_params_v1"
#define MODIFIER 0x0123456789abcdef

enum { DMABUF_MODIFIER = 1, PARAMS_CREATED = 0, PARAMS_FAILED = 1 };
/* Ids in the order in which the client makes them. */
enum { REGISTRY = 2, FIRST_SYNC, BOUND, SECOND_SYNC = FIRST_SYNC, FIRST_PARAMS = REGISTRY };

static struct {
    char folder[32], path[64];
    int listener;
    struct vm_config vm;
    struct compositor_context context;
    struct trials *trials;
    int fd; /* the dmabuf */
    int yes, no;
} T;

static const struct export_buffer picture = {.width = 640,
                                             .height = 480,
                                             .fourcc = DRM_FORMAT_ABGR8888,
                                             .modifier = MODIFIER,
                                             .n_planes = 1,
                                             .offset = {64},
                                             .stride = {4096}};

static void answer(void *user, bool takes)
{
    assert_ptr_equal(user, &T);
    T.yes += takes;
    T.no += !takes;
}

static bool answered(void *user)
{
    (void)user;
    return T.yes + T.no > 0;
}

static int connect_trial(void *context, char *error, size_t error_size)
{
    return compositor_connect(context, error, error_size);
}

static int setup(void **state)
{
    (void)state;
    memset(&R, 0, sizeof(R));
    memset(&T, 0, sizeof(T));
    signal(SIGPIPE, SIG_IGN);
    log_init("test", getenv("TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    R.client.fd = R.compositor.fd = R.link.fd = -1;
    R.host_subject.name = "vm";
    R.before = count_fds();
    R.loop = loop_create();
    strcpy(T.folder, "/tmp/wayvsock-XXXXXX");
    assert_non_null(mkdtemp(T.folder));
    snprintf(T.path, sizeof(T.path), "%s/display", T.folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", T.path);
    T.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(T.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(T.listener, 4), 0);
    T.vm.name = (char *)"vm";
    compositor_context_init(&T.context, T.path, &T.vm, &R.host_subject);
    T.trials = trials_create(R.loop, connect_trial, &T.context, &R.host_subject);
    T.fd = fd_memfd("picture", 4096 * 480);
    return 0;
}

static int teardown(void **state)
{
    trials_destroy(T.trials);
    compositor_context_finish(&T.context);
    fd_close(T.fd);
    fd_close(T.listener);
    unlink(T.path);
    rmdir(T.folder);
    return relays_stop(state);
}

static int ask(void)
{
    return trials_ask(T.trials, &picture, T.fd, answer, &T);
}

static void accept_client(void)
{
    R.compositor = (struct wire){.fd = accept4(T.listener, NULL, NULL, SOCK_CLOEXEC)};
    assert_true(R.compositor.fd >= 0);
    wire_expect(&R.compositor, 1, "wl_display", "get_registry");
    wire_expect(&R.compositor, 1, "wl_display", "sync");
}

static void finish_sync(uint32_t id)
{
    wire_send(&R.compositor, id, CALLBACK_DONE, "u", 1);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", id);
}

static void offer_dmabuf(uint32_t version)
{
    wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL, "usu", 1, "wl_shm", 1);
    wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL, "usu", 2, DMABUF, version);
    finish_sync(FIRST_SYNC);
}

static void tell(uint32_t fourcc, uint64_t modifier)
{
    wire_send(&R.compositor, BOUND, DMABUF_MODIFIER, "uuu", fourcc, (uint32_t)(modifier >> 32),
              (uint32_t)modifier);
}

static uint32_t second_sync;

/* Up to where the formats are to be told. */
static void bind_dmabuf(void)
{
    accept_client();
    offer_dmabuf(5);
    struct wl_message m = wire_expect(&R.compositor, REGISTRY, "wl_registry", "bind");
    assert_string_equal(m.args[1].n.interface, DMABUF);
    assert_int_equal(m.args[1].n.version, 3);
    assert_int_equal(m.args[1].n.id, BOUND);
    second_sync = wire_expect(&R.compositor, 1, "wl_display", "sync").args[0].u;
}

static void tell_formats(void)
{
    tell(DRM_FORMAT_ABGR8888, MODIFIER);
    tell(DRM_FORMAT_XBGR8888, MODIFIER);
    finish_sync(second_sync);
}

/* The params of the next trial, whose buffer is to be made. */
static uint32_t expect_trial(void)
{
    struct stat a, b;
    uint32_t params = wire_expect(&R.compositor, BOUND, DMABUF, "create_params").args[0].u;
    struct wl_message m = wire_expect(&R.compositor, params, PARAMS, "add");
    const uint32_t plane[5] = {0, 64, 4096, 0x01234567, 0x89abcdef};
    assert_memory_equal(m.bytes + WL_HEADER_SIZE, plane, sizeof(plane));
    int fd = wire_fd(&R.compositor);
    assert_true(fstat(fd, &a) == 0 && fstat(T.fd, &b) == 0 && a.st_ino == b.st_ino);
    fd_close(fd);
    m = wire_expect(&R.compositor, params, PARAMS, "create");
    const uint32_t buffer[4] = {640, 480, DRM_FORMAT_ABGR8888, 0};
    assert_memory_equal(m.bytes + WL_HEADER_SIZE, buffer, sizeof(buffer));
    return params;
}

static void test_taken(void **state)
{
    (void)state;
    assert_int_equal(ask(), 0);
    bind_dmabuf();
    tell_formats();
    uint32_t params = expect_trial();
    assert_false(answered(NULL));
    wire_send(&R.compositor, params, PARAMS_CREATED, "u", WL_SERVER_ID_BASE);
    turn_until(R.loop, answered, NULL);
    assert_true(T.yes == 1 && T.no == 0);
    wire_expect(&R.compositor, WL_SERVER_ID_BASE, "wl_buffer", "destroy");
    wire_expect(&R.compositor, params, PARAMS, "destroy");
    /* The same connection serves the next one. */
    assert_int_equal(ask(), 0);
    params = expect_trial();
    wire_send(&R.compositor, params, PARAMS_FAILED, "");
    T.yes = 0;
    turn_until(R.loop, answered, NULL);
    assert_true(T.yes == 0 && T.no == 1);
    wire_expect(&R.compositor, params, PARAMS, "destroy");
    assert_int_equal(accept(T.listener, NULL, NULL), -1);
}

static void test_answers_in_another_order(void **state)
{
    (void)state;
    int other;
    assert_int_equal(ask(), 0);
    assert_int_equal(ask(), 0);
    assert_int_equal(trials_ask(T.trials, &picture, T.fd, answer, &other), 0);
    bind_dmabuf();
    tell_formats();
    uint32_t first = expect_trial(), second = expect_trial(), third = expect_trial();
    trials_forget(T.trials, &other);
    wire_send(&R.compositor, third, PARAMS_CREATED, "u", WL_SERVER_ID_BASE);
    wire_send(&R.compositor, second, PARAMS_FAILED, "");
    turn_until(R.loop, answered, NULL);
    assert_true(T.yes == 0 && T.no == 1);
    wire_send(&R.compositor, first, PARAMS_CREATED, "u", WL_SERVER_ID_BASE);
    T.no = 0;
    turn_until(R.loop, answered, NULL);
    assert_true(T.yes == 1 && T.no == 0);
}

/* A format or modifier that it does not have would be an error there. */
static void test_a_format_that_it_does_not_have(void **state)
{
    (void)state;
    assert_int_equal(ask(), 0);
    bind_dmabuf();
    tell(DRM_FORMAT_ABGR8888, MODIFIER);
    tell(DRM_FORMAT_XBGR8888, MODIFIER + 1);
    finish_sync(second_sync);
    turn_until(R.loop, answered, NULL);
    assert_true(T.yes == 0 && T.no == 1);
    assert_true(ask() < 0); /* it is known now */
    wire_expect_nothing(&R.compositor);
}

static void test_a_layout_is_asked_about_once(void **state)
{
    (void)state;
    struct export_buffer other = picture;
    other.stride[0] = 8192;
    assert_false(trials_takes(T.trials, &picture, T.fd));
    assert_false(trials_takes(T.trials, &picture, T.fd));
    bind_dmabuf();
    tell_formats();
    uint32_t params = expect_trial();
    wire_send(&R.compositor, params, PARAMS_CREATED, "u", WL_SERVER_ID_BASE);
    wire_expect(&R.compositor, WL_SERVER_ID_BASE, "wl_buffer", "destroy");
    wire_expect(&R.compositor, params, PARAMS, "destroy");
    assert_true(trials_takes(T.trials, &picture, T.fd));
    wire_expect_nothing(&R.compositor);
    assert_false(trials_takes(T.trials, &other, T.fd)); /* is another */
    params = wire_expect(&R.compositor, BOUND, DMABUF, "create_params").args[0].u;
    wire_expect(&R.compositor, params, PARAMS, "add");
    wire_expect(&R.compositor, params, PARAMS, "create");
    wire_send(&R.compositor, params, PARAMS_FAILED, "");
    wire_expect(&R.compositor, params, PARAMS, "destroy");
    assert_false(trials_takes(T.trials, &other, T.fd));
    assert_true(trials_takes(T.trials, &picture, T.fd));
    wire_expect_nothing(&R.compositor);
    /* Another compositor may think otherwise. */
    R.compositor.fd = fd_close(R.compositor.fd);
    turn_times(R.loop, 10);
    assert_false(trials_takes(T.trials, &picture, T.fd));
}

static void test_more_layouts_than_are_remembered(void **state)
{
    (void)state;
    struct export_buffer layout = picture;
    assert_false(trials_takes(T.trials, &layout, T.fd));
    bind_dmabuf();
    tell_formats();
    for (unsigned i = 0; i < 200; i++) {
        uint32_t params = wire_expect(&R.compositor, BOUND, DMABUF, "create_params").args[0].u;
        wire_expect(&R.compositor, params, PARAMS, "add");
        wire_expect(&R.compositor, params, PARAMS, "create");
        wire_send(&R.compositor, params, PARAMS_CREATED, "u", WL_SERVER_ID_BASE);
        wire_expect(&R.compositor, WL_SERVER_ID_BASE, "wl_buffer", "destroy");
        wire_expect(&R.compositor, params, PARAMS, "destroy");
        assert_true(trials_takes(T.trials, &layout, T.fd));
        layout.stride[0] += 256;
        assert_false(trials_takes(T.trials, &layout, T.fd));
    }
}

static void test_a_compositor_without_dmabufs(void **state)
{
    (void)state;
    assert_int_equal(ask(), 0);
    accept_client();
    finish_sync(FIRST_SYNC);
    turn_until(R.loop, answered, NULL);
    assert_true(T.yes == 0 && T.no == 1);
    assert_true(ask() < 0);
}

static void test_a_compositor_without_modifiers(void **state)
{
    (void)state;
    assert_int_equal(ask(), 0);
    accept_client();
    offer_dmabuf(2);
    turn_until(R.loop, answered, NULL);
    assert_true(T.yes == 0 && T.no == 1);
}

/* Every trial ends with the connection, and the next has to wait. */
static void test_a_compositor_that_ends_the_connection(void **state)
{
    (void)state;
    assert_int_equal(ask(), 0);
    assert_int_equal(ask(), 0);
    bind_dmabuf();
    tell_formats();
    uint32_t params = expect_trial();
    wire_send(&R.compositor, 1, DISPLAY_ERROR, "uus", params, 4, "invalid format");
    turn_until(R.loop, wire_at_end, &R.compositor);
    assert_true(T.yes == 0 && T.no == 2);
    assert_true(ask() < 0);
}

static void test_a_compositor_that_is_started_anew(void **state)
{
    (void)state;
    assert_int_equal(ask(), 0);
    bind_dmabuf();
    tell_formats();
    wire_send(&R.compositor, expect_trial(), PARAMS_FAILED, "");
    turn_until(R.loop, answered, NULL);
    R.compositor.fd = fd_close(R.compositor.fd);
    turn_times(R.loop, 10);
    T.no = 0;
    assert_int_equal(ask(), 0);
    bind_dmabuf();
    tell_formats();
    wire_send(&R.compositor, expect_trial(), PARAMS_CREATED, "u", WL_SERVER_ID_BASE);
    turn_until(R.loop, answered, NULL);
    assert_true(T.yes == 1 && T.no == 0);
}

/* The library needs a descriptor more than we do. */
static void test_no_descriptors_left(void **state)
{
    (void)state;
    struct rlimit before, none;
    assert_int_equal(ask(), 0);
    bind_dmabuf();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    tell_formats();
    turn_until(R.loop, answered, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(T.yes == 0 && T.no == 1);
}

static void test_no_compositor(void **state)
{
    (void)state;
    T.listener = fd_close(T.listener);
    assert_true(ask() < 0);
    turn_times(R.loop, 5);
    assert_false(answered(NULL));
}

static void test_a_compositor_that_says_nothing(void **state)
{
    (void)state;
    assert_int_equal(ask(), 0);
    turn_until(R.loop, answered, NULL);
    assert_true(T.yes == 0 && T.no == 1);
}

static void test_too_many_at_once(void **state)
{
    (void)state;
    int asked = 0;
    while (ask() == 0)
        asked++;
    assert_int_equal(asked, 64);
    bind_dmabuf();
    tell_formats();
    uint32_t params[64];
    for (int i = 0; i < asked; i++)
        params[i] = expect_trial();
    for (int i = 0; i < asked; i++)
        wire_send(&R.compositor, params[i], PARAMS_FAILED, "");
    turn_until(R.loop, answered, NULL);
    turn_times(R.loop, 10);
    assert_true(T.yes == 0 && T.no == asked);
    assert_int_equal(ask(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_taken),
        TEST(test_answers_in_another_order),
        TEST(test_a_format_that_it_does_not_have),
        TEST(test_a_layout_is_asked_about_once),
        TEST(test_more_layouts_than_are_remembered),
        TEST(test_a_compositor_without_dmabufs),
        TEST(test_a_compositor_without_modifiers),
        TEST(test_a_compositor_that_ends_the_connection),
        TEST(test_a_compositor_that_is_started_anew),
        TEST(test_no_descriptors_left),
        TEST(test_no_compositor),
        TEST(test_a_compositor_that_says_nothing),
        TEST(test_too_many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
