/* SPDX-License-Identifier: MIT */
/* How a connection through both relays ends: who leaves, who does not read, and what still flows.
 */
#include "tests/unit/wayland/session.h"

static void test_the_application_leaves(void **state)
{
    (void)state;
    bind_all();
    wire_send(&R.client, COMPOSITOR, COMPOSITOR_CREATE_SURFACE, "u",
              NEXT); /* its last words count */
    R.client.fd = fd_close(R.client.fd);
    wire_expect(&R.compositor, COMPOSITOR, "wl_compositor", "create_surface");
    turn_until(R.loop, wire_at_end, &R.compositor);
    turn_until(R.loop, relays_over, NULL);
}

static void test_the_compositor_leaves(void **state)
{
    (void)state;
    bind_all();
    wire_send(&R.compositor, SEAT, 0, "u", 3); /* capabilities */
    R.compositor.fd = fd_close(R.compositor.fd);
    wire_expect(&R.client, SEAT, "wl_seat", "capabilities");
    turn_until(R.loop, wire_at_end, &R.client);
    turn_until(R.loop, relays_over, NULL);
}

static void test_the_link_is_lost(void **state)
{
    (void)state;
    bind_all();
    shutdown(R.host->carrier.ends.link->fd, SHUT_RDWR);
    struct wl_message m = wire_expect(&R.client, 1, "wl_display", "error");
    assert_non_null(strstr(m.args[2].s.text, "the connection to the host was lost"));
    turn_until(R.loop, wire_at_end, &R.client);
    turn_until(R.loop, wire_at_end, &R.compositor);
    turn_until(R.loop, relays_over, NULL);
}

static void test_a_client_that_does_not_read(void **state)
{
    (void)state;
    static uint8_t bytes[64 << 10];
    R.guest_party.queue = 1 << 20;
    bind_all();
    size_t n = 0;
    while (n + 16 < sizeof(bytes))
        n += wl_build(bytes + n, SEAT, 0, "u", 3);
    for (int i = 0; i < 200 && R.guest && !carrier_is_over(&R.guest->carrier); i++) {
        wire_send_fds(&R.compositor, bytes, n, NULL, 0);
        turn_times(R.loop, 3);
    }
    /* It may never read, so the error may never reach it; nobody waits for that. */
    turn_until(R.loop, wire_at_end, &R.compositor);
    turn_until(R.loop, relays_over, NULL);
}

static bool both_paused(void *user)
{
    (void)user;
    static uint8_t bytes[64 << 10];
    static size_t n, at;
    if (!n)
        while (n + 24 < sizeof(bytes))
            n += wl_build(bytes + n, NEXT, SURFACE_ATTACH, "uuu", 0, 0, 0);
    ssize_t sent = send(R.client.fd, bytes + at, n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
        at = (at + (size_t)sent) % n; /* perhaps in the middle of a message */
        return false;
    }
    return R.host->carrier.ends.link->paused && R.guest->carrier.ends.local.paused;
}

static void test_a_compositor_that_does_not_read_and_leaves(void **state)
{
    (void)state;
    bind_all();
    wire_send(&R.client, COMPOSITOR, COMPOSITOR_CREATE_SURFACE, "u", NEXT);
    wire_expect(&R.compositor, COMPOSITOR, "wl_compositor", "create_surface");
    turn_until(R.loop, both_paused, NULL); /* the client waits, nothing else grows */
    assert_true(sendq_size(&R.host->carrier.ends.local.out) < 2 * LINK_HIGH_WATER);
    R.compositor.fd = fd_close(R.compositor.fd);
    turn_until(R.loop, wire_at_end, &R.client);
    turn_until(R.loop, relays_over, NULL);
}

/* --- what still flows --- */

struct flow {
    int write, read;
    size_t left, got;
    bool ended;
};

static bool flow_step(void *user)
{
    static uint8_t bytes[30000];
    struct flow *f = user;
    if (f->write >= 0) {
        ssize_t n = write(f->write, bytes, f->left < sizeof(bytes) ? f->left : sizeof(bytes));
        f->left -= n > 0 ? (size_t)n : 0;
        if (!f->left)
            f->write = fd_close(f->write);
    }
    ssize_t n = read(f->read, bytes, sizeof(bytes));
    f->got += n > 0 ? (size_t)n : 0;
    f->ended = n == 0;
    return f->ended;
}

static void test_paste_outlives_the_compositors_end(void **state)
{
    (void)state;
    int ends[2];
    uint32_t id = start_offer();
    make_pipe(ends);
    wire_send_fd(&R.client, ends[1], id, OFFER_RECEIVE, "s", "a/b");
    wire_expect(&R.compositor, id, "wl_data_offer", "receive");
    int theirs = wire_fd(&R.compositor);
    fd_set_nonblock(theirs);
    R.compositor.fd = fd_close(R.compositor.fd);
    turn_until(R.loop, wire_at_end, &R.client);
    assert_int_equal(R.ended, 0);
    struct flow f = {theirs, ends[0], 2000000, 0, false};
    turn_until(R.loop, flow_step, &f);
    assert_int_equal(f.got, 2000000);
    fd_close(ends[0]);
    turn_until(R.loop, relays_over, NULL);
}

static void test_copy_outlives_the_application(void **state)
{
    (void)state;
    int ends[2];
    bind_all();
    wire_send(&R.client, DATA, MANAGER_CREATE_SOURCE, "u", NEXT);
    wire_expect(&R.compositor, DATA, "wl_data_device_manager", "create_data_source");
    make_pipe(ends);
    wire_send_fd(&R.compositor, ends[1], NEXT, SOURCE_SEND, "s", "a/b");
    wire_expect(&R.client, NEXT, "wl_data_source", "send");
    int mine = wire_fd(&R.client); /* as a child of the application might keep it */
    fd_set_nonblock(mine);
    R.client.fd = fd_close(R.client.fd);
    turn_until(R.loop, wire_at_end, &R.compositor);
    assert_int_equal(R.ended, 0);
    struct flow f = {mine, ends[0], 2000000, 0, false};
    turn_until(R.loop, flow_step, &f);
    assert_int_equal(f.got, 2000000);
    fd_close(ends[0]);
    turn_until(R.loop, relays_over, NULL);
}

/* A paste is asked for when the compositor is gone already: nobody will ever write. */
static void test_a_descriptor_for_a_compositor_that_left(void **state)
{
    (void)state;
    int ends[2];
    uint32_t id = start_offer();
    make_pipe(ends);
    R.compositor.fd = fd_close(R.compositor.fd);
    wire_send_fd(&R.client, ends[1], id, OFFER_RECEIVE, "s",
                 "a/b"); /* read before the other end is noticed */
    struct flow f = {-1, ends[0], 0, 0, false};
    turn_until(R.loop, flow_step, &f);
    fd_close(ends[0]);
    turn_until(R.loop, relays_over, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(test_paste_outlives_the_compositors_end),
        SESSION_TEST(test_copy_outlives_the_application),
        SESSION_TEST(test_the_application_leaves),
        SESSION_TEST(test_the_compositor_leaves),
        SESSION_TEST(test_the_link_is_lost),
        SESSION_TEST(test_a_descriptor_for_a_compositor_that_left),
        SESSION_TEST(test_a_client_that_does_not_read),
        SESSION_TEST(test_a_compositor_that_does_not_read_and_leaves),
    };
    return cmocka_run_group_tests(tests, session_fill_cache, NULL);
}
