/* SPDX-License-Identifier: MIT */
/* The way to a VM's GPU device: who is bound, and what voids it. */
#include "tests/unit/host/export_fake.h"

static int setup(void **state)
{
    (void)state;
    log_init("test", LOG_LEVEL_ERROR);
    fake_start();
    session_start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    session_stop();
    fake_stop();
    return 0;
}

static void test_the_right_resource_binds(void **state)
{
    (void)state;
    assert_int_equal(handles_features(S.handles), 0);
    session_bind();
    assert_int_equal(F.seen[EXPORT_BIND], 1);
    assert_int_equal(handles_features(S.handles), F.welcome.features);
}

static void test_each_probe_has_another_nonce(void **state)
{
    (void)state;
    uint8_t first[LINK_NONCE_SIZE], zero[LINK_NONCE_SIZE] = {0};
    unsigned two = 2;
    memcpy(first, S.nonce, sizeof(first));
    assert_memory_not_equal(first, zero, sizeof(zero));
    session_bind();
    fake_event_reset(2, true);
    turn_until(F.loop, session_probed, &two);
    assert_memory_not_equal(first, S.nonce, sizeof(first));
}

static void test_another_content_does_not_bind(void **state)
{
    (void)state;
    unsigned one = 1;
    assert_int_equal(handles_probed(S.handles, F.bind_resource), 0);
    turn_until(F.loop, session_answered, &one);
    assert_false(S.bound);
    assert_false(handles_bound(S.handles));
}

static void test_the_guest_may_try_its_devices(void **state)
{
    (void)state;
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(handles_probed(S.handles, 100 + i), 0);
        turn_until(F.loop, session_answered, &i);
        assert_false(S.bound);
    }
    session_bind();
}

static void test_but_not_for_ever(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= LINK_PROBES_MAX; i++) {
        assert_int_equal(handles_probed(S.handles, 100), 0);
        turn_until(F.loop, session_answered, &i);
    }
    assert_int_equal(handles_probed(S.handles, 100), -EPROTO);
}

static void test_a_guest_without_device(void **state)
{
    (void)state;
    assert_int_equal(handles_probed(S.handles, 0), 0);
    assert_int_equal(handles_probed(S.handles, 3), 0); /* too late, and harmless */
    turn_times(F.loop, 10);
    assert_int_equal(F.seen[EXPORT_BIND], 0);
    assert_false(handles_bound(S.handles));
}

static void test_an_answer_without_a_probe(void **state)
{
    (void)state;
    session_bind();
    assert_int_equal(handles_probed(S.handles, 3), -EPROTO);
}

static void test_a_reset_voids_the_binding(void **state)
{
    (void)state;
    unsigned two = 2;
    session_bind();
    fake_event_reset(2, false);
    turn_until(F.loop, session_answered, &two);
    assert_false(S.bound || handles_bound(S.handles));
    turn_times(F.loop, 10);
    assert_int_equal(S.probes, 1); /* nobody is there to answer */
    fake_event_reset(3, true);
    turn_until(F.loop, session_probed, &two);
    session_bind();
}

static void test_a_lost_device_comes_back(void **state)
{
    (void)state;
    unsigned two = 2;
    session_bind();
    fake_hang_up();
    turn_until(F.loop, session_answered, &two);
    assert_false(S.bound || handles_bound(S.handles));
    turn_until(F.loop, session_probed, &two);
    session_bind();
    assert_int_equal(F.seen[EXPORT_HELLO], 2);
}

static void test_the_end_of_the_session(void **state)
{
    (void)state;
    session_bind();
    handles_end(S.handles);
    assert_false(handles_bound(S.handles));
    turn_times(F.loop, 10);
    assert_int_equal(F.seen[0], 1);        /* the connection was closed */
    assert_int_equal(S.answers, 1);        /* and nobody told about it */
    assert_true(handles_begin(S.handles)); /* a new session binds anew */
    unsigned two = 2;
    turn_until(F.loop, session_probed, &two);
    assert_false(handles_bound(S.handles));
}

static void test_a_device_that_does_not_say_welcome(void **state)
{
    (void)state;
    unsigned one = 1, two = 2;
    handles_end(S.handles);
    F.deaf = true;
    assert_true(handles_begin(S.handles));
    turn_until(F.loop, session_answered, &one);
    assert_true(strstr(S.why, "does not answer") != NULL);
    assert_false(S.bound);
    F.deaf = false;
    turn_until(F.loop, session_probed, &two); /* on another connection */
    session_bind();
}

static void answer(void *user, uint32_t status, const struct export_buffer *buffer, int fd)
{
    (void)status;
    (void)buffer;
    (void)fd;
    ++*(unsigned *)user;
}

static void test_requests_need_a_binding(void **state)
{
    (void)state;
    unsigned answers = 0;
    struct export_copy copy = {.n_rects = 1};
    assert_int_equal(handles_export(S.handles, 7, answer, &answers), -ENOTCONN);
    assert_int_equal(handles_copy(S.handles, &copy, answer, &answers), -ENOTCONN);
    assert_int_equal(handles_mirror(S.handles, 1, -1, 1, answer, &answers), -ENOTCONN);
    turn_times(F.loop, 10);
    assert_int_equal(F.seen[EXPORT_EXPORT] + F.seen[EXPORT_COPY] + F.seen[EXPORT_MIRROR], 0);
}

static bool five(void *user)
{
    return *(unsigned *)user == 500;
}

static void test_many_exports_do_not_overrun_the_device(void **state)
{
    (void)state;
    unsigned answers = 0;
    session_bind();
    F.silent = true;
    for (unsigned i = 0; i < 500; i++)
        assert_int_equal(handles_export(S.handles, 7, answer, &answers), 0);
    turn_times(F.loop, 50);
    assert_in_range(F.seen[EXPORT_EXPORT], 1, EXPORT_PENDING_MAX / 2);
    fake_answer_all();
    turn_until(F.loop, five, &answers);
    assert_int_equal(F.seen[EXPORT_EXPORT], 500);
}

static bool one_release(void *user)
{
    (void)user;
    return F.seen[EXPORT_RELEASE] == 1;
}

static void test_what_nobody_waits_for_is_released(void **state)
{
    (void)state;
    unsigned answers = 0;
    session_bind();
    F.silent = true;
    assert_int_equal(handles_export(S.handles, 7, answer, &answers), 0);
    turn_times(F.loop, 10);
    handles_forget(S.handles, &answers);
    fake_answer_all();
    turn_until(F.loop, one_release, NULL);
    assert_int_equal(F.released[0], 1);
    assert_int_equal(answers, 0);
}

static void test_late_answers_after_a_reset(void **state)
{
    (void)state;
    unsigned answers = 0, two = 2;
    session_bind();
    F.silent = true;
    assert_int_equal(handles_export(S.handles, 7, answer, &answers), 0);
    turn_times(F.loop, 10);
    fake_event_reset(2, true);
    turn_until(F.loop, session_probed, &two);
    fake_answer_all();
    turn_until(F.loop, one_release, NULL);
    assert_int_equal(answers, 0);
    session_bind(); /* the connection did not suffer */
    assert_int_equal(F.seen[EXPORT_HELLO], 1);
}

static void bad_packet(const uint8_t *packet, size_t size)
{
    unsigned two = 2;
    session_bind();
    packets_send(F.packets, packet, size, -1);
    turn_until(F.loop, session_answered, &two);
    assert_false(S.bound);
    assert_true(strstr(S.why, "protocol") != NULL);
}

static void test_answers_to_nothing(void **state)
{
    (void)state;
    uint8_t packet[EXPORT_PACKET_MAX];
    bad_packet(packet, export_status_encode(packet, 999, EXPORT_OK));
}

static void test_a_second_welcome(void **state)
{
    (void)state;
    uint8_t packet[EXPORT_PACKET_MAX];
    bad_packet(packet, export_welcome_encode(packet, 1, &F.welcome));
}

static void test_garbage(void **state)
{
    (void)state;
    bad_packet((const uint8_t *)"what is this", 12);
}

static void test_check(void **state)
{
    (void)state;
    char error[256];
    struct export_welcome welcome;
    assert_true(handles_check("/nonexistent/export", &welcome, error, sizeof(error)) < 0);
    assert_true(strstr(error, "/nonexistent/export") != NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_right_resource_binds),
        TEST(test_each_probe_has_another_nonce),
        TEST(test_another_content_does_not_bind),
        TEST(test_the_guest_may_try_its_devices),
        TEST(test_but_not_for_ever),
        TEST(test_a_guest_without_device),
        TEST(test_an_answer_without_a_probe),
        TEST(test_a_reset_voids_the_binding),
        TEST(test_a_lost_device_comes_back),
        TEST(test_the_end_of_the_session),
        TEST(test_a_device_that_does_not_say_welcome),
        TEST(test_requests_need_a_binding),
        TEST(test_many_exports_do_not_overrun_the_device),
        TEST(test_what_nobody_waits_for_is_released),
        TEST(test_late_answers_after_a_reset),
        TEST(test_answers_to_nothing),
        TEST(test_a_second_welcome),
        TEST(test_garbage),
        TEST(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
