/* SPDX-License-Identifier: MIT */
/* Memory that is a resource of the guest's GPU: the guest's pages where the device can give them (a
 * memfd stands for a udmabuf here, since the machine that builds may make none), else a mirror. */
#include "tests/unit/host/imports_client.h"

#include "common/wayland/wl-shm.h"

static int setup_with_pages(void **state)
{
    int r = client_start(state);
    F.pages = fd_memfd("pages", SIZE);
    return r;
}

static int make(uint64_t size)
{
    struct link_mem_import said = {.id = 1, .import = 1, .size = size};
    return imports_memory(&C.imports, &said, &C.memory, &C.why);
}

/* Import 1, of the whole resource, and memory that is it. */
static void begin(void)
{
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_false(imports_may_go_on(&C.imports, LINK_MEM_IMPORT)); /* before the device answered */
    settle();
    assert_true(imports_may_go_on(&C.imports, LINK_MEM_IMPORT));
    assert_int_equal(make(SIZE), IMPORT_OK);
}

static int copy(uint64_t from, uint64_t to, uint32_t from_stride, uint32_t to_stride)
{
    struct link_mem_copy what = {.to = {.row = 16, .rows = 4, .stride = to_stride, .offset = to},
                                 .import = 1,
                                 .source_stride = from_stride,
                                 .source_offset = from};
    return imports_copy(&C.imports, C.memory, &what, &C.why);
}

static void release(void)
{
    assert_int_equal(imports_release(&C.imports, 1, &C.why), IMPORT_OK);
}

static enum imports_back bring_back(void)
{
    struct link_mem_write rows = {.row = 16, .rows = 4, .stride = 64, .offset = 128};
    return imports_copy_back(&C.imports, 1, C.memory, &rows);
}

static bool failed(void *user)
{
    (void)user;
    return C.failed > 0;
}

static void assert_ended(enum import_rule rule)
{
    char name[32];
    turn_until(F.loop, failed, NULL);
    assert_int_equal(C.why.rule, rule);
    assert_int_equal(C.failed, 1);
    snprintf(name, sizeof(name), "rule: %s)", import_rule_name(rule));
    assert_non_null(strstr(C.why.text, name));
}

/* --- pages --- */

static void test_pages_need_no_copy(void **state)
{
    (void)state;
    struct stat a, b;
    begin();
    assert_true(memory_is_foreign(C.memory));
    assert_true(fstat(C.memory->fd, &a) == 0 && fstat(F.pages, &b) == 0 && a.st_ino == b.st_ino);
    assert_null(C.memory->map);
    for (int i = 0; i < 10; i++)
        assert_int_equal(copy(128, 128, 64, 64), IMPORT_OK);
    assert_true(imports_may_go_on(&C.imports, LINK_WAYLAND));
    turn_times(F.loop, 10);
    assert_int_equal(F.seen[EXPORT_COPY] + F.seen[EXPORT_MIRROR], 0);
    assert_int_equal(bring_back(), IMPORTS_BACK);
    assert_int_equal(F.seen[EXPORT_COPY], 0);
}

static void test_pages_do_not_move(void **state)
{
    (void)state;
    begin();
    assert_int_equal(copy(128, 64, 64, 64), IMPORT_GEOMETRY);
    assert_int_equal(copy(128, 128, 64, 128), IMPORT_GEOMETRY);
    assert_int_equal(memory_grow(C.memory, 2 * SIZE), -EINVAL);
    assert_int_equal(copy(SIZE, SIZE, 64, 64), IMPORT_GEOMETRY);
}

static void test_pages_of_another_import(void **state)
{
    (void)state;
    begin();
    assert_int_equal(add(2, 7, SIZE), IMPORT_OK);
    settle();
    struct link_mem_copy what = {
        .to = {.row = 16, .rows = 1, .stride = 16}, .import = 2, .source_stride = 16};
    assert_int_equal(imports_copy(&C.imports, C.memory, &what, &C.why), IMPORT_GEOMETRY);
}

/* The device may let the guest reuse the pages only after the compositor has let go of them. */
static void test_released_after_the_memory(void **state)
{
    (void)state;
    begin();
    release();
    turn_times(F.loop, 10);
    assert_int_equal(C.released + F.seen[EXPORT_RELEASE], 0);
    assert_int_equal(copy(128, 128, 64, 64), IMPORT_KNOWN);
    memory_unref(C.memory);
    C.memory = NULL;
    turn_times(F.loop, 10);
    assert_int_equal(C.released, 1);
    assert_int_equal(C.last_released, 1);
    assert_int_equal(F.seen[EXPORT_RELEASE], 1);
}

static void test_memory_that_went_first(void **state)
{
    (void)state;
    begin();
    memory_unref(C.memory);
    C.memory = NULL;
    turn_times(F.loop, 10);
    assert_int_equal(C.released + F.seen[EXPORT_RELEASE], 0);
    release();
    assert_int_equal(C.released, 1);
}

static void test_a_second_memory_is_a_mirror(void **state)
{
    (void)state;
    begin();
    struct memory *first = C.memory;
    assert_int_equal(make(SIZE), IMPORT_OK);
    assert_false(memory_is_foreign(C.memory));
    memory_unref(first);
}

static void test_pages_that_nobody_takes(void **state)
{
    (void)state;
    int before = count_fds();
    for (uint32_t id = 1; id <= 200; id++) {
        assert_int_equal(add(id, 7, SIZE), IMPORT_OK);
        settle();
    }
    assert_in_range(count_fds() - before, 1, 64);
    struct link_mem_import said = {.id = 1, .import = 200, .size = SIZE};
    assert_int_equal(imports_memory(&C.imports, &said, &C.memory, &C.why), IMPORT_OK);
    assert_false(memory_is_foreign(C.memory));
}

static void test_pages_that_are_too_few(void **state)
{
    (void)state;
    assert_int_equal(ftruncate(F.pages, SIZE / 2), 0);
    begin();
    assert_false(memory_is_foreign(C.memory));
}

static void test_the_resource_goes(void **state)
{
    (void)state;
    begin();
    fake_event_gone(1);
    assert_ended(IMPORT_GENERATION);
    assert_int_equal(bring_back(), IMPORTS_BACK_LOST);
}

static void test_the_driver_starts_anew(void **state)
{
    (void)state;
    begin();
    fake_event_reset(2, true);
    assert_ended(IMPORT_EPOCH);
}

static void test_the_device_dies(void **state)
{
    (void)state;
    begin();
    fake_hang_up();
    assert_ended(IMPORT_DEVICE);
}

static void test_who_has_let_go_outlives_the_device(void **state)
{
    (void)state;
    begin();
    memory_unref(C.memory);
    C.memory = NULL;
    unsigned next = S.answers + 1;
    fake_hang_up();
    turn_until(F.loop, session_answered, &next);
    assert_int_equal(C.failed, 0);
}

/* --- a mirror --- */

static void test_a_mirror_is_copied_to(void **state)
{
    (void)state;
    begin();
    assert_false(memory_is_foreign(C.memory));
    assert_int_equal(copy(128, 128, 64, 64), IMPORT_OK);
    settle();
    assert_int_equal(C.memory->map[128], 0xc0);
    assert_int_equal(C.memory->map[128 + 16], 0);
    unsigned next = S.answers + 1;
    fake_hang_up();
    turn_until(F.loop, session_answered, &next);
    assert_int_equal(C.failed, 0); /* what the compositor has is ours */
    assert_int_equal(bring_back(), IMPORTS_BACK_NOT);
}

static bool came_back(void *user)
{
    (void)user;
    return C.back > 0;
}

static void test_a_mirror_is_copied_back(void **state)
{
    (void)state;
    begin();
    assert_int_equal(bring_back(), IMPORTS_BACK_SOON);
    assert_int_equal(bring_back(), IMPORTS_BACK_SOON);
    turn_until(F.loop, came_back, NULL);
    assert_int_equal(F.seen[EXPORT_COPY], 1);
    assert_true(F.copy.flags == EXPORT_TO_GUEST && F.copy.generation == 42);
    assert_true(F.copy.source == 128 && F.copy.target == 128 && F.copy.rects[0].height == 4);
    assert_int_equal(bring_back(), IMPORTS_BACK);
    assert_int_equal(bring_back(), IMPORTS_BACK_SOON); /* the next one */
}

static void test_back_when_the_import_is_given_up(void **state)
{
    (void)state;
    begin();
    assert_int_equal(bring_back(), IMPORTS_BACK_SOON);
    release();
    assert_int_equal(C.released, 0);
    turn_until(F.loop, came_back, NULL);
    assert_int_equal(C.released, 1);
    assert_int_equal(bring_back(), IMPORTS_BACK_NOT);
}

static void test_back_when_the_device_dies(void **state)
{
    (void)state;
    begin();
    assert_int_equal(bring_back(), IMPORTS_BACK_SOON);
    turn_until(F.loop, came_back, NULL);
    assert_int_equal(bring_back(), IMPORTS_BACK);
    C.back = 0;
    F.silent = true;
    assert_int_equal(bring_back(), IMPORTS_BACK_SOON);
    turn_times(F.loop, 10);
    fake_hang_up();
    turn_until(F.loop, came_back, NULL);
    assert_int_equal(bring_back(), IMPORTS_BACK_NOT);
    assert_int_equal(C.failed, 0);
}

static void test_back_that_the_device_refuses(void **state)
{
    (void)state;
    begin();
    F.copy_status = EXPORT_RANGE;
    assert_int_equal(bring_back(), IMPORTS_BACK_SOON);
    assert_ended(IMPORT_DEVICE);
}

/* --- either --- */

static void test_memory_within_the_import(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE - 4096), IMPORT_OK);
    settle();
    assert_int_equal(make(SIZE - 4096 + 1), IMPORT_GEOMETRY);
    assert_int_equal(make(SIZE - 4096), IMPORT_OK);
}

static void test_memory_of_no_import(void **state)
{
    (void)state;
    assert_int_equal(make(SIZE), IMPORT_KNOWN);
    begin();
    release();
    struct memory *first = C.memory;
    assert_int_equal(make(SIZE), IMPORT_KNOWN);
    C.memory = first;
}

static void test_memory_of_a_lost_import(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    settle();
    unsigned next = S.answers + 1;
    fake_hang_up();
    turn_until(F.loop, session_answered, &next);
    assert_int_equal(make(SIZE), IMPORT_DEVICE);
    assert_int_equal(C.failed, 0);
}

static void test_buffers(void **state)
{
    (void)state;
    struct memory memory = {0};
    struct memory_buffer b = {
        .id = 9, .memory = &memory, .width = 64, .height = 64, .stride = 256, .format = 1};
    assert_int_equal(imports_buffer(&b, 1, &C.why), IMPORT_OK);
    b.stride = 255;
    assert_int_equal(imports_buffer(&b, 1, &C.why), IMPORT_GEOMETRY);
    b.format = 0x3231564e; /* NV12: a byte per pixel in the first plane */
    b.stride = 64;
    assert_int_equal(imports_buffer(&b, 1, &C.why), IMPORT_OK);
    b.format = 0x30303030;
    assert_int_equal(imports_buffer(&b, 1, &C.why), IMPORT_FORMAT);
    assert_non_null(strstr(C.why.text, "rule: format)"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, client_start, client_stop)
#define PAGES_TEST(name) cmocka_unit_test_setup_teardown(name, setup_with_pages, client_stop)
    const struct CMUnitTest tests[] = {
        PAGES_TEST(test_pages_need_no_copy),
        PAGES_TEST(test_pages_do_not_move),
        PAGES_TEST(test_pages_of_another_import),
        PAGES_TEST(test_released_after_the_memory),
        PAGES_TEST(test_memory_that_went_first),
        PAGES_TEST(test_a_second_memory_is_a_mirror),
        PAGES_TEST(test_pages_that_nobody_takes),
        PAGES_TEST(test_pages_that_are_too_few),
        PAGES_TEST(test_the_resource_goes),
        PAGES_TEST(test_the_driver_starts_anew),
        PAGES_TEST(test_the_device_dies),
        PAGES_TEST(test_who_has_let_go_outlives_the_device),
        TEST(test_a_mirror_is_copied_to),
        TEST(test_a_mirror_is_copied_back),
        TEST(test_back_when_the_import_is_given_up),
        TEST(test_back_when_the_device_dies),
        TEST(test_back_that_the_device_refuses),
        PAGES_TEST(test_memory_within_the_import),
        PAGES_TEST(test_memory_of_no_import),
        PAGES_TEST(test_memory_of_a_lost_import),
        TEST(test_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
