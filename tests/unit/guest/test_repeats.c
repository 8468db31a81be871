/* SPDX-License-Identifier: MIT */
/* Repeats: what is sent of a picture that calls all of itself damaged, and that the host holds what
 * the client shows, whatever the client does meanwhile. */
#include "tests/unit/support.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/guard.h"
#include "common/base/memory.h"
#include "guest-proxy/pixels/repeats.h"

#define SIZE (1u << 20)
#define OFFSET 100u

static struct memory *memory;
static struct repeats *repeats;
static struct damage_rect rect;
static uint8_t *pixels, host[SIZE];
static uint64_t copied, straight, last;
static unsigned copies_left;

static void take_bytes(void *user, uint64_t offset, const uint8_t *bytes, uint32_t size)
{
    (void)user;
    assert_true(size > 0 && offset >= last && offset + size <= SIZE);
    memcpy(host + offset, bytes, size);
    last = offset + size;
    copied += size;
    copies_left -= copies_left > 0;
}

static void take_rows(void *user, const struct damage_rect *rows)
{
    (void)user;
    assert_true(rows->row > 0 && rows->rows > 0 && rows->stride >= rows->row);
    assert_true(rows->offset >= last);
    assert_true(rows->rows > 1 || rows->stride == rows->row);
    for (uint32_t y = 0; y < rows->rows; y++) {
        memcpy(host + rows->offset + (size_t)y * rows->stride,
               pixels + rows->offset + (size_t)y * rows->stride, rows->row);
        last = rows->offset + (uint64_t)y * rows->stride + rows->row;
    }
    straight += (uint64_t)rows->row * rows->rows;
}

static bool has_room(void *user)
{
    (void)user;
    return copies_left > 0;
}

static const struct repeats_ops ops = {take_bytes, take_rows, has_room};

static uint64_t all(void)
{
    return (uint64_t)rect.row * rect.rows;
}

static void draw(uint8_t seed)
{
    for (uint32_t i = 0; i < SIZE; i++)
        pixels[i] = (uint8_t)(i * 13 + (i >> 9) + seed);
}

/* Sends a frame. Bytes that went. */
static uint64_t show(void)
{
    copied = straight = last = 0;
    repeats_turn(repeats);
    assert_int_equal(repeats_send(repeats, memory, &rect, &ops, NULL), 0);
    return copied + straight;
}

static void assert_shown(void)
{
    for (uint32_t y = 0; y < rect.rows; y++)
        assert_memory_equal(host + rect.offset + (size_t)y * rect.stride,
                            pixels + rect.offset + (size_t)y * rect.stride, rect.row);
}

/* A picture that has been there for long enough. */
static void learn(void)
{
    unsigned turns = 0;
    while (show() > 0) {
        assert_shown();
        assert_true(++turns < 4);
    }
    assert_shown();
}

static int setup(void **state)
{
    int fd = fd_memfd("pool", SIZE);
    (void)state;
    memory = memory_import(fd, SIZE, true, 1, 1, NULL);
    repeats = repeats_create();
    if (!memory || !repeats)
        return -1;
    pixels = memory_map(memory);
    memset(host, 0xee, sizeof(host));
    rect = (struct damage_rect){.offset = OFFSET, .row = 600000, .rows = 1, .stride = 600000};
    copies_left = UINT32_MAX;
    draw(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    repeats_destroy(repeats);
    memory_unref(memory);
    return 0;
}

static void test_the_same_frame_is_not_sent(void **state)
{
    (void)state;
    assert_int_equal(show(), all());
    assert_int_equal(show(), all());
    for (int i = 0; i < 10; i++)
        assert_int_equal(show(), 0);
    assert_shown();
}

static void test_what_changed_is_sent(void **state)
{
    static const uint32_t places[] = {OFFSET, OFFSET + 4095, OFFSET + 4096, OFFSET + 300000,
                                      OFFSET + 599999};
    (void)state;
    learn();
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        pixels[places[i]] ^= 1;
        assert_in_range(show(), 1, 4096);
        assert_shown();
        assert_int_equal(show(), 0);
    }
    memset(pixels + OFFSET + 100000, 7, 200000);
    assert_in_range(show(), 200000, 200000 + 2 * 4096);
    assert_shown();
}

static void test_bytes_between_rows_are_nobodys(void **state)
{
    (void)state;
    rect = (struct damage_rect){.offset = OFFSET, .row = 5000, .rows = 150, .stride = 6000};
    learn();
    for (uint32_t y = 0; y < rect.rows; y++)
        memset(pixels + OFFSET + y * 6000 + 5000, (int)y, 1000);
    assert_int_equal(show(), 0);
    pixels[OFFSET + 149 * 6000 + 4999] ^= 0x80;
    assert_int_equal(show(), 5000 - 4096);
    pixels[OFFSET + 6000] ^= 0x80;
    assert_int_equal(show(), 4096);
    assert_shown();
}

static void test_short_rows_are_left_alone(void **state)
{
    (void)state;
    rect = (struct damage_rect){.offset = OFFSET, .row = 100, .rows = 300, .stride = 120};
    for (int i = 0; i < 5; i++)
        assert_int_equal(show(), all());
    assert_int_equal(copied, 0);
}

static void test_a_small_picture(void **state)
{
    (void)state;
    rect = (struct damage_rect){.offset = OFFSET, .row = 300, .rows = 1, .stride = 300};
    learn();
    pixels[OFFSET + 299]++;
    assert_int_equal(show(), 300);
    assert_shown();
}

/* No copy is made of a frame of which nothing repeats, and most of such frames are not looked at.
 */
static void test_what_always_changes_goes_straight(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        draw((uint8_t)(i + 1));
        assert_int_equal(show(), all());
        assert_int_equal(copied, 0);
        assert_shown();
    }
    learn();
}

/* Twice the same, then another: each try to save something was in vain. */
static void test_who_was_wrong_tries_less_often(void **state)
{
    unsigned tries = 0;
    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        draw((uint8_t)(i * 2 / 3));
        show();
        tries += copied > 0;
        assert_shown();
    }
    assert_in_range(tries, 1, 100);
}

/* What a full link takes no copies of is not known. */
static void test_no_room_for_copies(void **state)
{
    (void)state;
    show();
    for (unsigned left = 0; left < 4; left++) {
        copies_left = left;
        assert_true(show() + 3 * (64u << 10) >= all());
        assert_true(copied <= left * (64u << 10));
        assert_shown();
    }
    draw(1); /* all of it differs */
    copies_left = 1;
    show();
    assert_shown();
    copies_left = UINT32_MAX;
    learn();
}

/* What went straight has no sum, though it had one: it may be drawn as it was then. */
static void test_what_went_straight_is_not_known(void **state)
{
    (void)state;
    learn();
    memset(pixels + OFFSET + 300000, 7, 300000);
    copies_left = 1;
    show();
    assert_shown();
    copies_left = UINT32_MAX;
    draw(0);
    show();
    assert_shown();
}

/* Bytes that went another way have no sum. */
static void test_another_way_voids_what_was_known(void **state)
{
    (void)state;
    learn();
    repeats_turn(repeats);
    draw(3);
    memcpy(host, pixels, SIZE); /* the client writes as it is sent: */
    memset(host + OFFSET, 0, 5000);
    draw(0);
    assert_int_equal(show(), all());
    assert_shown();
}

static void test_a_file_that_shrinks(void **state)
{
    (void)state;
    guard_init(); /* here, since cmocka handles signals while a test runs */
    learn();
    assert_int_equal(ftruncate(memory->fd, 8192), 0);
    repeats_turn(repeats);
    assert_int_equal(repeats_send(repeats, memory, &rect, &ops, NULL), -EFAULT);
    rect.row = rect.stride = SIZE; /* beyond the mapping */
    repeats_turn(repeats);
    assert_int_equal(repeats_send(repeats, memory, &rect, &ops, NULL), -EFAULT);
}

/* --- the client writes while it is looked at --- */

static atomic_bool writing;

/* Every fourth chunk is of one of two kinds, and now of this, now of that. */
static void *write_always(void *user)
{
    (void)user;
    for (uint64_t value = 0; atomic_load_explicit(&writing, memory_order_relaxed); value = ~value)
        for (uint32_t at = OFFSET + 2000; at < OFFSET + 590000; at += 4 * 4096)
            __atomic_store_n((uint32_t *)(pixels + at), (uint32_t)value, __ATOMIC_RELAXED);
    return NULL;
}

static void test_a_client_that_writes_meanwhile(void **state)
{
    uint64_t left_out = 0;
    pthread_t thread;
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        atomic_store(&writing, true);
        assert_int_equal(pthread_create(&thread, NULL, write_always, NULL), 0);
        for (unsigned i = 0; i < 3; i++)
            left_out += all() - show();
        atomic_store(&writing, false);
        pthread_join(thread, NULL);
        show();
        assert_shown();
    }
    assert_true(left_out > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_same_frame_is_not_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_changed_is_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes_between_rows_are_nobodys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_short_rows_are_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_small_picture, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_always_changes_goes_straight, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_was_wrong_tries_less_often, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_room_for_copies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_went_straight_is_not_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_way_voids_what_was_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_shrinks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_client_that_writes_meanwhile, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
