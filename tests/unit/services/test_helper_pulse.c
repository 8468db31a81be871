/* SPDX-License-Identifier: MIT */
/* PulseAudio's protocol through its helper: who the client is to the host, what it may ask, and
 * that it goes on after what it may not. */
#include "tests/unit/support.h"

#include <string.h>

#include "common/services/helper-pulse.h"
#include "tests/support/helper_feed.h"
#include "tests/unit/services/pulse_build.h"

#define SHARED 0xc0000000u /* memory of both kinds is known */
#define OURS 0xaa          /* the host's cookie */
#define THEIRS 0x11

static uint8_t cookie[256];
static struct service_settings settings = {.prefix = "[work] ", .cookie = cookie};
static struct feed feed;
static struct built b;

static void start(void)
{
    memset(cookie, OURS, sizeof(cookie));
    feed_init(&feed, &helper_pulse, &settings);
}

static int begin(void **state)
{
    (void)state;
    settings.record = false;
    start();
    return 0;
}

static int end(void **state)
{
    (void)state;
    feed_finish(&feed);
    return 0;
}

static void again(void)
{
    feed_finish(&feed);
    start();
}

static void client(void)
{
    feed_say(&feed, SERVICE_FROM_CLIENT, b.bytes, b.n, 0);
}

static void server(void)
{
    feed_say(&feed, SERVICE_FROM_SERVER, b.bytes, b.n, 0);
}

/* The value of the tag of the frame that was passed on last, at the beginning. */
static uint32_t passed_tag(enum service_way way)
{
    assert_true(feed.said[way].n >= 30);
    return pulse_get_be32(feed.said[way].bytes + 26);
}

static void greet(uint32_t version)
{
    build_auth(&b, 0, version, THEIRS);
    client();
    uint32_t tag = passed_tag(SERVICE_FROM_CLIENT);
    build_command(&b, PULSE_REPLY, tag);
    build_u32(&b, 35 | SHARED);
    server();
    feed_clear(&feed);
}

/* The server's answer to what was passed on to it just now. */
static void answer(uint32_t command)
{
    build_command(&b, command, passed_tag(SERVICE_FROM_CLIENT));
}

static void assert_refused(uint32_t tag, uint32_t wrong)
{
    struct built expected;
    build_command(&expected, PULSE_ERROR, tag);
    build_u32(&expected, wrong);
    assert_false(feed.failed);
    assert_int_equal(feed.said[SERVICE_FROM_CLIENT].n, 0);
    assert_int_equal(feed.said[SERVICE_FROM_SERVER].n, expected.n);
    assert_memory_equal(feed.said[SERVICE_FROM_SERVER].bytes, expected.bytes, expected.n);
    feed_clear(&feed);
}

static void assert_passed(enum service_way way)
{
    assert_false(feed.failed);
    assert_int_equal(feed.said[way].n, b.n);
    feed_clear(&feed);
}

static void assert_ended(const char *text)
{
    assert_true(feed.failed);
    assert_string_equal(feed.text, text);
    again();
}

static void test_auth(void **state)
{
    (void)state;
    uint8_t expected[256];
    memset(expected, OURS, sizeof(expected));
    build_auth(&b, 7, 35 | SHARED, THEIRS);
    client();
    assert_int_equal(feed.said[0].n, b.n);
    assert_int_equal(pulse_get_be32(feed.said[0].bytes + 31), 35);
    assert_memory_equal(feed.said[0].bytes + 40, expected, 256);
    /* The answer: the tag is the client's again, and nobody has shared memory. */
    answer(PULSE_REPLY);
    build_u32(&b, 35 | SHARED);
    feed_clear(&feed);
    server();
    assert_int_equal(passed_tag(SERVICE_FROM_SERVER), 7);
    assert_int_equal(pulse_get_be32(feed.said[1].bytes + 31), 35);
    assert_passed(SERVICE_FROM_SERVER);
}

static void test_no_cookie(void **state)
{
    (void)state;
    static const uint8_t zeros[256];
    settings.cookie = NULL;
    build_auth(&b, 7, 35, THEIRS);
    client();
    settings.cookie = cookie;
    assert_memory_equal(feed.said[0].bytes + 40, zeros, 256);
}

static void test_bad_auth(void **state)
{
    (void)state;
    build_auth(&b, 3, 12, THEIRS); /* names would be elsewhere */
    client();
    assert_refused(3, 17);
    build_command(&b, PULSE_GET_SINK_INFO_LIST, 4); /* and it is no greeting */
    client();
    assert_refused(4, 1);
    build_command(&b, PULSE_AUTH, 1);
    build_u32(&b, 35);
    build_bytes(&b, cookie, 255);
    client();
    assert_ended("pulse: a malformed command");
    build_auth(&b, 3, 35, THEIRS);
    build_u32(&b, 0);
    client();
    assert_ended("pulse: a malformed command");
    build_auth(&b, 3, 35, THEIRS);
    client();
    answer(PULSE_REPLY);
    build_u32(&b, 12);
    server();
    assert_ended("pulse: an answer of a form that is not known");
    build_auth(&b, 3, 35, THEIRS);
    client();
    answer(PULSE_REPLY);
    build_string(&b, "35");
    server();
    assert_ended("pulse: an answer of a form that is not known");
}

static void test_before_auth(void **state)
{
    (void)state;
    for (uint32_t command = 0; command < _PULSE_COMMAND_N; command++) {
        if (command == PULSE_AUTH)
            continue;
        build_command(&b, command, command + 100);
        build_u32(&b, 1);
        client();
        assert_refused(command + 100, 1);
    }
}

/* What is refused whatever the configuration says. The table decides; here is what it must not let
 * through, by name. */
static const uint8_t never[] = {
    PULSE_ERROR,
    PULSE_TIMEOUT,
    PULSE_REPLY,
    PULSE_EXIT,
    PULSE_STAT,
    PULSE_CREATE_UPLOAD_STREAM,
    PULSE_DELETE_UPLOAD_STREAM,
    PULSE_FINISH_UPLOAD_STREAM,
    PULSE_PLAY_SAMPLE,
    PULSE_REMOVE_SAMPLE,
    PULSE_GET_MODULE_INFO,
    PULSE_GET_MODULE_INFO_LIST,
    PULSE_GET_CLIENT_INFO_LIST,
    PULSE_GET_SINK_INPUT_INFO_LIST,
    PULSE_GET_SOURCE_OUTPUT_INFO_LIST,
    PULSE_GET_SAMPLE_INFO,
    PULSE_GET_SAMPLE_INFO_LIST,
    PULSE_SET_SINK_VOLUME,
    PULSE_SET_SOURCE_VOLUME,
    PULSE_SET_SINK_MUTE,
    PULSE_SET_SOURCE_MUTE,
    PULSE_SET_DEFAULT_SINK,
    PULSE_SET_DEFAULT_SOURCE,
    PULSE_KILL_CLIENT,
    PULSE_KILL_SINK_INPUT,
    PULSE_KILL_SOURCE_OUTPUT,
    PULSE_LOAD_MODULE,
    PULSE_UNLOAD_MODULE,
    PULSE_ADD_AUTOLOAD,
    PULSE_REMOVE_AUTOLOAD,
    PULSE_GET_AUTOLOAD_INFO,
    PULSE_GET_AUTOLOAD_INFO_LIST,
    PULSE_REQUEST,
    PULSE_OVERFLOW,
    PULSE_UNDERFLOW,
    PULSE_PLAYBACK_STREAM_KILLED,
    PULSE_RECORD_STREAM_KILLED,
    PULSE_SUBSCRIBE_EVENT,
    PULSE_SUSPEND_SINK,
    PULSE_SUSPEND_SOURCE,
    PULSE_PLAYBACK_STREAM_SUSPENDED,
    PULSE_RECORD_STREAM_SUSPENDED,
    PULSE_PLAYBACK_STREAM_MOVED,
    PULSE_RECORD_STREAM_MOVED,
    PULSE_REMOVE_RECORD_STREAM_PROPLIST,
    PULSE_REMOVE_PLAYBACK_STREAM_PROPLIST,
    PULSE_REMOVE_CLIENT_PROPLIST,
    PULSE_STARTED,
    PULSE_EXTENSION,
    PULSE_GET_CARD_INFO,
    PULSE_GET_CARD_INFO_LIST,
    PULSE_SET_CARD_PROFILE,
    PULSE_CLIENT_EVENT,
    PULSE_PLAYBACK_STREAM_EVENT,
    PULSE_RECORD_STREAM_EVENT,
    PULSE_PLAYBACK_BUFFER_ATTR_CHANGED,
    PULSE_RECORD_BUFFER_ATTR_CHANGED,
    PULSE_SET_SINK_PORT,
    PULSE_SET_SOURCE_PORT,
    PULSE_SET_PORT_LATENCY_OFFSET,
    PULSE_ENABLE_SRBCHANNEL,
    PULSE_DISABLE_SRBCHANNEL,
    PULSE_REGISTER_MEMFD_SHMID,
    PULSE_SEND_OBJECT_MESSAGE,
    _PULSE_COMMAND_N, /* those that nobody knows */
    200,
};

/* Passes where recording is allowed (those of an own object: where there is one). */
static const uint8_t recording[] = {
    PULSE_DELETE_RECORD_STREAM,
    PULSE_GET_RECORD_LATENCY,
    PULSE_CORK_RECORD_STREAM,
    PULSE_FLUSH_RECORD_STREAM,
    PULSE_SET_RECORD_STREAM_BUFFER_ATTR,
    PULSE_UPDATE_RECORD_STREAM_SAMPLE_RATE,
    PULSE_CREATE_RECORD_STREAM,
    PULSE_SET_RECORD_STREAM_NAME,
    PULSE_UPDATE_RECORD_STREAM_PROPLIST,
    PULSE_GET_SOURCE_OUTPUT_INFO,
    PULSE_MOVE_SOURCE_OUTPUT,
    PULSE_SET_SOURCE_OUTPUT_VOLUME,
    PULSE_SET_SOURCE_OUTPUT_MUTE,
};
#define RECORDING_PASS 9 /* so many of them need no object */

static const uint8_t owning[] = {
    PULSE_GET_SINK_INPUT_INFO, PULSE_SET_SINK_INPUT_VOLUME, PULSE_MOVE_SINK_INPUT,
    PULSE_SET_SINK_INPUT_MUTE, PULSE_GET_CLIENT_INFO,
};

static const uint8_t passing[] = {
    PULSE_CREATE_PLAYBACK_STREAM,
    PULSE_DELETE_PLAYBACK_STREAM,
    PULSE_SET_CLIENT_NAME,
    PULSE_LOOKUP_SINK,
    PULSE_LOOKUP_SOURCE,
    PULSE_DRAIN_PLAYBACK_STREAM,
    PULSE_GET_PLAYBACK_LATENCY,
    PULSE_GET_SERVER_INFO,
    PULSE_GET_SINK_INFO,
    PULSE_GET_SINK_INFO_LIST,
    PULSE_GET_SOURCE_INFO,
    PULSE_GET_SOURCE_INFO_LIST,
    PULSE_SUBSCRIBE,
    PULSE_CORK_PLAYBACK_STREAM,
    PULSE_FLUSH_PLAYBACK_STREAM,
    PULSE_TRIGGER_PLAYBACK_STREAM,
    PULSE_SET_PLAYBACK_STREAM_NAME,
    PULSE_PREBUF_PLAYBACK_STREAM,
    PULSE_SET_PLAYBACK_STREAM_BUFFER_ATTR,
    PULSE_UPDATE_PLAYBACK_STREAM_SAMPLE_RATE,
    PULSE_UPDATE_PLAYBACK_STREAM_PROPLIST,
    PULSE_UPDATE_CLIENT_PROPLIST,
};

static void say_command(uint32_t command, uint32_t tag)
{
    build_command(&b, command, tag);
    build_u32(&b, 1);
    client();
}

static void test_each_command(void **state)
{
    (void)state;
    /* Each stands in one list (AUTH in none). */
    assert_int_equal(sizeof(never) - 2 + sizeof(recording) + sizeof(owning) + sizeof(passing) + 1,
                     _PULSE_COMMAND_N);
    for (int record = 0; record < 2; record++) {
        settings.record = record;
        again();
        greet(35);
        for (size_t i = 0; i < sizeof(never); i++) {
            say_command(never[i], 1000 + never[i]);
            assert_refused(1000 + never[i], 1);
        }
        for (size_t i = 0; i < sizeof(owning); i++) {
            say_command(owning[i], 9);
            assert_refused(9, 5);
        }
        for (size_t i = 0; i < sizeof(recording); i++) {
            say_command(recording[i], 9);
            if (!record)
                assert_refused(9, 1);
            else if (i >= RECORDING_PASS)
                assert_refused(9, 5);
            else
                assert_passed(SERVICE_FROM_CLIENT);
        }
        for (size_t i = 0; i < sizeof(passing); i++) {
            say_command(passing[i], 9);
            assert_passed(SERVICE_FROM_CLIENT);
        }
    }
}

/* All at once and a byte at a time: the same, refusals in between. */
static void test_split(void **state)
{
    (void)state;
    uint8_t all[8192], whole[8192];
    size_t n = 0, n_whole = 0, answers = 0;
    struct built parts[5];
    build_auth(&parts[0], 0, 35 | SHARED, THEIRS);
    build_command(&parts[1], PULSE_LOAD_MODULE, 1);
    build_string(&parts[1], "module-pipe-sink");
    build_create_playback(&parts[2], 2, (const char *[]){"media.name", "song", NULL});
    build_sound(&parts[3], 0, 0, 1000);
    build_command(&parts[4], PULSE_EXIT, 3);
    for (int i = 0; i < 5; i++) {
        memcpy(all + n, parts[i].bytes, parts[i].n);
        n += parts[i].n;
    }
    for (size_t step = 0; step < n; step = step < 64 ? step + 1 : step + 97) {
        again();
        feed_say(&feed, SERVICE_FROM_CLIENT, all, n, step);
        assert_false(feed.failed);
        if (!step) {
            n_whole = feed.said[0].n;
            memcpy(whole, feed.said[0].bytes, n_whole);
            answers = feed.said[1].n;
        }
        assert_int_equal(feed.said[0].n, n_whole);
        assert_memory_equal(feed.said[0].bytes, whole, n_whole);
        assert_int_equal(feed.answered, 2);
        assert_int_equal(feed.said[1].n, answers);
    }
    for (size_t cut = 1; cut < n; cut++) { /* in two at each byte */
        again();
        feed_say(&feed, SERVICE_FROM_CLIENT, all, cut, 0);
        feed_say(&feed, SERVICE_FROM_CLIENT, all + cut, n - cut, 0);
        assert_int_equal(feed.said[0].n, n_whole);
        assert_memory_equal(feed.said[0].bytes, whole, n_whole);
    }
}

static void test_frames(void **state)
{
    (void)state;
    for (int way = 0; way < _SERVICE_WAY_N; way++) {
        /* Each bit that is about shared memory. */
        for (int bit = 24; bit < 32; bit++) {
            build_sound(&b, 0, 1u << bit, 16);
            feed_say(&feed, way, b.bytes, b.n, 0);
            assert_ended("pulse: shared memory, which was not agreed on");
            build_sound(&b, UINT32_MAX, 1u << bit, 16);
            feed_say(&feed, way, b.bytes, b.n, 0);
            assert_ended("pulse: shared memory, which was not agreed on");
        }
        build_sound(&b, 0, 0, 0);
        feed_say(&feed, way, b.bytes, b.n, 0);
        assert_ended("pulse: a frame of a size that there is not");
        build_sound(&b, 0, 0, 16);
        pulse_put_be32(b.bytes, (16u << 20) + 1);
        feed_say(&feed, way, b.bytes, b.n, 0);
        assert_ended("pulse: a frame of a size that there is not");
        pulse_put_be32(b.bytes, UINT32_MAX);
        feed_say(&feed, way, b.bytes, b.n, 0);
        assert_ended("pulse: a frame of a size that there is not");
        build_sound(&b, UINT32_MAX, 0, 9);
        feed_say(&feed, way, b.bytes, b.n, 0);
        assert_ended("pulse: a malformed command");
        build_sound(&b, UINT32_MAX, 0, 10);
        feed_say(&feed, way, b.bytes, b.n, 0);
        assert_ended("pulse: a malformed command");
        /* The longest one passes as it comes: what is here of it is gone already. */
        build_sound(&b, 3, 0, 60000);
        pulse_put_be32(b.bytes, 16u << 20);
        feed_say(&feed, way, b.bytes, b.n, 0);
        assert_passed(way);
        again();
    }
    build_sound(&b, UINT32_MAX, 0, (64u << 10) - 19);
    client();
    assert_ended("pulse: a command that is too long");
}

static void test_own_streams(void **state)
{
    (void)state;
    greet(35);
    build_create_playback(&b, 5, (const char *[]){NULL});
    client();
    answer(PULSE_REPLY);
    build_u32(&b, 2);  /* the channel */
    build_u32(&b, 77); /* what the server calls it */
    build_u32(&b, 4096);
    feed_clear(&feed);
    server();
    assert_int_equal(passed_tag(SERVICE_FROM_SERVER), 5);
    assert_passed(SERVICE_FROM_SERVER);
    build_command(&b, PULSE_SET_SINK_INPUT_MUTE, 6);
    build_u32(&b, 77);
    build_raw(&b, "1", 1);
    client();
    assert_passed(SERVICE_FROM_CLIENT);
    build_command(&b, PULSE_SET_SINK_INPUT_MUTE, 7);
    build_u32(&b, 78);
    build_raw(&b, "1", 1);
    client();
    assert_refused(7, 5);
    build_command(&b, PULSE_SET_SINK_INPUT_MUTE, 7);
    build_string(&b, "77");
    client();
    assert_ended("pulse: a malformed command");
}

static void create(uint32_t command, uint32_t tag, uint32_t channel, uint32_t index)
{
    feed_clear(&feed);
    build_command(&b, command, tag);
    client();
    answer(PULSE_REPLY);
    if (command != PULSE_SET_CLIENT_NAME)
        build_u32(&b, channel);
    build_u32(&b, index);
    feed_clear(&feed);
    server();
    assert_passed(SERVICE_FROM_SERVER);
}

static bool hears(uint32_t event, uint32_t index)
{
    build_command(&b, PULSE_SUBSCRIBE_EVENT, UINT32_MAX);
    build_u32(&b, event);
    build_u32(&b, index);
    feed_clear(&feed);
    server();
    assert_false(feed.failed);
    assert_true(feed.said[1].n == 0 || feed.said[1].n == b.n);
    return feed.said[1].n > 0;
}

static void test_events(void **state)
{
    (void)state;
    settings.record = true;
    again();
    greet(35);
    create(PULSE_SET_CLIENT_NAME, 1, 0, 50);
    create(PULSE_CREATE_PLAYBACK_STREAM, 2, 0, 60);
    create(PULSE_CREATE_RECORD_STREAM, 3, 0, 70);
    for (uint32_t kind = 0; kind <= 0x20; kind += 0x10) { /* new, changed, gone */
        assert_true(hears(kind | 0, 3));
        assert_true(hears(kind | 1, 3));
        assert_true(hears(kind | 7, 3));
        assert_true(hears(kind | 2, 60) && !hears(kind | 2, 61) && !hears(kind | 2, 70));
        assert_true(hears(kind | 3, 70) && !hears(kind | 3, 60));
        assert_true(hears(kind | 5, 50) && !hears(kind | 5, 51));
        for (uint32_t other = 8; other < 16; other++)
            assert_false(hears(kind | other, 60));
        assert_false(hears(kind | 4, 60) || hears(kind | 6, 60));
    }
    /* Who ends a stream owns it no more, and the server may give its number to another. */
    build_command(&b, PULSE_DELETE_PLAYBACK_STREAM, 4);
    build_u32(&b, 0);
    client();
    assert_false(hears(2, 60));
    build_command(&b, PULSE_RECORD_STREAM_KILLED, UINT32_MAX);
    build_u32(&b, 0);
    server();
    assert_false(hears(3, 70));
}

static void test_server_info(void **state)
{
    (void)state;
    greet(35);
    build_command(&b, PULSE_GET_SERVER_INFO, 8);
    client();
    answer(PULSE_REPLY);
    const char *texts[] = {"pulseaudio", "16.1", "alice", "alices-laptop"};
    for (int i = 0; i < 4; i++)
        build_string(&b, texts[i]);
    build_string(&b, "sink0");
    feed_clear(&feed);
    server();
    struct built expected;
    build_command(&expected, PULSE_REPLY, 8);
    texts[2] = "user";
    texts[3] = "host";
    for (int i = 0; i < 4; i++)
        build_string(&expected, texts[i]);
    build_string(&expected, "sink0");
    assert_int_equal(feed.said[1].n, expected.n);
    assert_memory_equal(feed.said[1].bytes, expected.bytes, expected.n);
}

/* An answer is that to its own request, whatever numbers the client gives to its requests: what
 * looks like the answer to another teaches nothing. */
static void test_same_tags(void **state)
{
    (void)state;
    greet(35);
    build_command(&b, PULSE_SET_PLAYBACK_STREAM_BUFFER_ATTR, 5);
    build_u32(&b, 0);
    client();
    uint32_t first = passed_tag(SERVICE_FROM_CLIENT);
    feed_clear(&feed);
    build_create_playback(&b, 5, (const char *[]){NULL});
    client();
    uint32_t second = passed_tag(SERVICE_FROM_CLIENT);
    assert_int_not_equal(first, second);
    feed_clear(&feed);
    build_command(&b, PULSE_REPLY, first); /* lengths that the client had asked for */
    build_u32(&b, 0);
    build_u32(&b, 99);
    server();
    assert_int_equal(passed_tag(SERVICE_FROM_SERVER), 5);
    feed_clear(&feed);
    build_command(&b, PULSE_GET_SINK_INPUT_INFO, 6);
    build_u32(&b, 99);
    client();
    assert_refused(6, 5);
    /* What nobody asked for is not an answer. */
    build_command(&b, PULSE_REPLY, first);
    server();
    assert_int_equal(feed.said[1].n, 0);
    build_command(&b, PULSE_ERROR, 12345);
    server();
    assert_int_equal(feed.said[1].n, 0);
}

static void test_bounds(void **state)
{
    (void)state;
    greet(35);
    unsigned passed = 0;
    for (uint32_t i = 0; i < 300; i++) { /* unanswered, and streams */
        feed_clear(&feed);
        say_command(PULSE_CREATE_PLAYBACK_STREAM, i);
        assert_false(feed.failed);
        passed += feed.said[0].n > 0;
    }
    assert_int_equal(passed, 128);
    for (uint32_t i = 0; i < 1000; i++) { /* those that do not matter make room */
        feed_clear(&feed);
        say_command(PULSE_DRAIN_PLAYBACK_STREAM, i);
        assert_passed(SERVICE_FROM_CLIENT);
    }
    for (uint32_t i = 0; i < 200; i++) {
        feed_clear(&feed);
        say_command(PULSE_GET_SERVER_INFO, i);
        if (i < 128)
            assert_passed(SERVICE_FROM_CLIENT);
        else
            assert_refused(i, 18);
    }
}

static void test_server_says(void **state)
{
    (void)state;
    greet(35);
    unsigned passed = 0;
    for (uint32_t command = 0; command < _PULSE_COMMAND_N + 10; command++) {
        feed_clear(&feed);
        build_command(&b, command, UINT32_MAX);
        build_u32(&b, 0); /* of SUBSCRIBE_EVENT: a sink */
        build_u32(&b, 0);
        server();
        assert_false(feed.failed);
        passed += feed.said[1].n > 0;
        if (command == PULSE_ENABLE_SRBCHANNEL || command == PULSE_REGISTER_MEMFD_SHMID)
            assert_int_equal(feed.said[1].n, 0);
        if (command == PULSE_REQUEST || command == PULSE_UNDERFLOW)
            assert_int_equal(feed.said[1].n, b.n);
    }
    assert_int_equal(passed, 16);
    /* A list of many devices is longer than what is looked at. */
    build_command(&b, PULSE_GET_SINK_INFO_LIST, 4);
    feed_clear(&feed);
    client();
    answer(PULSE_REPLY);
    static uint8_t much[68000];
    build_bytes(&b, much, sizeof(much));
    feed_clear(&feed);
    server();
    assert_passed(SERVICE_FROM_SERVER);
    /* One of those that are changed is not. */
    build_command(&b, PULSE_GET_SERVER_INFO, 4);
    feed_clear(&feed);
    client();
    answer(PULSE_REPLY);
    build_bytes(&b, much, sizeof(much));
    server();
    assert_ended("pulse: an answer of a form that is not known");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_auth, begin, end),
        cmocka_unit_test_setup_teardown(test_no_cookie, begin, end),
        cmocka_unit_test_setup_teardown(test_bad_auth, begin, end),
        cmocka_unit_test_setup_teardown(test_before_auth, begin, end),
        cmocka_unit_test_setup_teardown(test_each_command, begin, end),
        cmocka_unit_test_setup_teardown(test_split, begin, end),
        cmocka_unit_test_setup_teardown(test_frames, begin, end),
        cmocka_unit_test_setup_teardown(test_own_streams, begin, end),
        cmocka_unit_test_setup_teardown(test_events, begin, end),
        cmocka_unit_test_setup_teardown(test_server_info, begin, end),
        cmocka_unit_test_setup_teardown(test_same_tags, begin, end),
        cmocka_unit_test_setup_teardown(test_bounds, begin, end),
        cmocka_unit_test_setup_teardown(test_server_says, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
