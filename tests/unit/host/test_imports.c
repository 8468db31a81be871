/* SPDX-License-Identifier: MIT */
/* What a guest may say about its GPU's resources: a client for which every rule holds, and for each
 * rule one that breaks only it. */
#include "tests/unit/host/imports_client.h"

#include <drm_fourcc.h>

#define ROW 16u
#define ROWS 4u

static int setup(void **state)
{
    client_start(state);
    C.memory = memory_create(4 * SIZE, NULL);
    assert_non_null(C.memory);
    return 0;
}

static int teardown(void **state)
{
    imports_finish(&C.imports);
    assert_int_equal(C.memory->refs, 1);
    return client_stop(state);
}

static int copy_at(uint32_t import, uint64_t source)
{
    struct link_mem_copy copy = {
        .to = {.id = 1, .row = ROW, .rows = ROWS, .stride = 100, .offset = 1000},
        .import = import,
        .source_stride = 64,
        .source_offset = source};
    return imports_copy(&C.imports, C.memory, &copy, &C.why);
}

/* The client ended for this, once, with words that name the rule; nothing of the device was kept.
 */
static void assert_failed(enum import_rule rule)
{
    char name[32];
    settle();
    turn_times(F.loop, 20);
    if (C.why.rule != (int)rule)
        fail_msg("refused by \"%s\" (%s), not by \"%s\"", import_rule_name(C.why.rule), C.why.text,
                 import_rule_name(rule));
    assert_int_equal(C.failed, 1);
    assert_int_equal(C.idle, 0); /* its messages go no further */
    snprintf(name, sizeof(name), "rule: %s)", import_rule_name(rule));
    assert_non_null(strstr(C.why.text, name));
}

static void assert_refused(enum import_rule rule, enum import_rule got)
{
    char name[32];
    if (got != rule)
        fail_msg("refused by \"%s\", not by \"%s\"", import_rule_name(got), import_rule_name(rule));
    snprintf(name, sizeof(name), "rule: %s)", import_rule_name(rule));
    assert_non_null(strstr(C.why.text, name));
}

static void assert_pixels(bool there)
{
    for (uint32_t y = 0; y < ROWS; y++)
        for (uint32_t x = 0; x < ROW; x++)
            assert_int_equal(C.memory->map[1000 + y * 100 + x], there ? 0xc0 : 0);
    assert_int_equal(C.memory->map[1000 + ROW], 0);
    assert_int_equal(C.memory->map[999], 0);
}

/* --- where every rule holds --- */

static void test_a_copy(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_int_equal(copy_at(1, 128), IMPORT_OK);
    assert_false(imports_may_go_on(&C.imports, LINK_WAYLAND));
    assert_false(imports_may_go_on(&C.imports, LINK_MEM_WRITE));
    assert_true(imports_may_go_on(&C.imports, LINK_MEM_COPY));
    settle();
    assert_int_equal(C.failed, 0);
    assert_int_equal(C.idle, 1);
    assert_true(imports_may_go_on(&C.imports, LINK_WAYLAND));
    assert_pixels(true);
    assert_in_range(F.asked.timeout_ms, 1, EXPORT_TIMEOUT_MAX_MS);
    assert_true(F.copy.generation == 42 && F.copy.source == 128 && F.copy.source_stride == 64);
}

static void test_a_copy_asks_once_per_frame(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(copy_at(1, 0), IMPORT_OK);
        settle();
    }
    assert_int_equal(F.seen[EXPORT_EXPORT], 1);
    assert_int_equal(F.seen[EXPORT_MIRROR], 1);
    assert_int_equal(F.seen[EXPORT_COPY], 10);
}

static void test_memory_that_grew_is_mirrored_anew(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_int_equal(copy_at(1, 0), IMPORT_OK);
    settle();
    assert_int_equal(memory_grow(C.memory, 8 * SIZE), 0);
    assert_int_equal(copy_at(1, 0), IMPORT_OK);
    settle();
    assert_int_equal(F.seen[EXPORT_MIRROR], 2);
    assert_true(F.mirror_size == 8 * SIZE);
    assert_int_equal(C.failed, 0);
}

/* A picture that the device draws: where its rows are is not the guest's to say. */
static void test_the_devices_own_layout(void **state)
{
    (void)state;
    F.buffer.memory = EXPORT_MEMORY_HOST;
    F.buffer.fourcc = DRM_FORMAT_XRGB8888;
    F.buffer.width = 16; /* 64 bytes, as the guest has them, but wider there */
    F.buffer.height = 32;
    F.buffer.size = 8192;
    F.buffer.n_planes = 1;
    F.buffer.offset[0] = 4096;
    F.buffer.stride[0] = 256;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK); /* its size neither */
    assert_int_equal(copy_at(1, 128 + 8), IMPORT_OK);
    settle();
    assert_int_equal(C.failed, 0);
    assert_pixels(true);
    assert_int_equal(F.copy.source, 4096 + 2 * 256 + 8);
    assert_int_equal(F.copy.source_stride, 256);
    assert_int_equal(F.copy.target_stride, 100);
    /* Whole rows as one piece, of which the last is not whole. */
    struct link_mem_copy joined = {
        .to = {.id = 1, .row = 3 * 64 + 4, .rows = 1, .stride = 3 * 64 + 4, .offset = 1000},
        .import = 1,
        .source_stride = 3 * 64 + 4,
        .source_offset = 64};
    assert_int_equal(imports_copy(&C.imports, C.memory, &joined, &C.why), IMPORT_OK);
    settle();
    assert_int_equal(C.failed, 0);
    assert_true(F.copy.source == 4096 + 256 && F.copy.source_stride == 256);
    assert_true(F.copy.target == 1000 && F.copy.target_stride == 64);
    assert_int_equal(F.copy.n_rects, 2);
    assert_true(F.copy.rects[0].y == 0 && F.copy.rects[0].width == 64 &&
                F.copy.rects[0].height == 3);
    assert_true(F.copy.rects[1].y == 3 && F.copy.rects[1].width == 4 &&
                F.copy.rects[1].height == 1);
    /* A layout that cannot be. */
    F.buffer.stride[0] = 60;
    assert_int_equal(add(2, 7, SIZE), IMPORT_OK);
    settle();
    assert_int_equal(C.failed, 1);
    assert_int_equal(C.why.rule, IMPORT_MEMORY);
}

static void test_release(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    settle();
    assert_int_equal(imports_release(&C.imports, 1, &C.why), IMPORT_OK);
    assert_int_equal(C.released, 1);
    assert_int_equal(C.last_released, 1);
    turn_times(F.loop, 10);
    assert_int_equal(F.seen[EXPORT_RELEASE], 1);
    assert_int_equal(F.released[0], 1);
    assert_true(LIST_EMPTY(&C.imports.all));
}

static void test_the_end_releases_what_was_exported(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 20; i++)
        assert_int_equal(add(i, 7, SIZE), IMPORT_OK);
    settle();
    F.silent = true;
    assert_int_equal(add(21, 7, SIZE), IMPORT_OK);
    assert_int_equal(copy_at(21, 0), IMPORT_OK);
    turn_times(F.loop, 10);
    imports_finish(&C.imports);
    turn_times(F.loop, 10);
    assert_int_equal(F.seen[EXPORT_RELEASE], 20);
    fake_answer_all();
    turn_times(F.loop, 50);
    assert_int_equal(F.seen[EXPORT_RELEASE], 21);
    assert_int_equal(C.failed + C.idle - 1, 0);
}

static void test_the_largest_import_and_copy(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_int_equal(copy_at(1, SIZE - 3 * 64 - ROW), IMPORT_OK);
    settle();
    assert_int_equal(C.failed, 0);
}

static void test_too_many_at_once_wait(void **state)
{
    (void)state;
    F.silent = true;
    uint32_t n = 1;
    while (imports_may_go_on(&C.imports, LINK_IMPORT)) {
        assert_int_equal(add(n++, 7, SIZE), IMPORT_OK);
        assert_true(n < 1024);
    }
    assert_false(imports_may_go_on(&C.imports, LINK_MEM_COPY));
    turn_times(F.loop, 10);
    fake_answer_all();
    settle();
    assert_true(imports_may_go_on(&C.imports, LINK_IMPORT));
    assert_int_equal(C.failed, 0);
}

/* --- one rule broken --- */

static void test_rule_session(void **state)
{
    (void)state;
    unsigned next = S.answers + 1;
    fake_event_reset(2, false);
    turn_until(F.loop, session_answered, &next);
    assert_refused(IMPORT_SESSION, add(1, 7, SIZE));
    assert_int_equal(F.seen[EXPORT_EXPORT], 0);
}

static void test_rule_session_without_device(void **state)
{
    (void)state;
    struct imports none;
    struct link_import said = {1, 7, SIZE};
    imports_init(&none, NULL, NULL, &client_ops, &C);
    assert_refused(IMPORT_SESSION, imports_add(&none, &said, &C.why));
    imports_finish(&none);
}

static void test_rule_session_by_the_device(void **state)
{
    (void)state;
    F.export_status = EXPORT_UNBOUND;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_failed(IMPORT_SESSION);
}

static void test_rule_unique(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    settle();
    assert_refused(IMPORT_UNIQUE, add(1, 7, SIZE));
    assert_int_equal(F.seen[EXPORT_EXPORT], 1);
}

static void test_rule_quota(void **state)
{
    enum { QUOTA = 300 };
    (void)state;
    C.budget->limit[BUDGET_FDS] = QUOTA;
    for (uint32_t i = 1; i <= QUOTA; i++) {
        assert_int_equal(add(i, 7, SIZE), IMPORT_OK);
        if (!imports_may_go_on(&C.imports, LINK_IMPORT))
            settle();
    }
    settle();
    assert_refused(IMPORT_QUOTA, add(QUOTA + 1, 7, SIZE));
    assert_int_equal(F.seen[EXPORT_EXPORT], QUOTA);
    assert_int_equal(imports_release(&C.imports, 1, NULL), IMPORT_OK);
    assert_int_equal(add(QUOTA + 1, 7, SIZE), IMPORT_OK);
}

static void test_rule_lookup(void **state)
{
    (void)state;
    assert_int_equal(add(1, 8, SIZE), IMPORT_OK);
    assert_int_equal(copy_at(1, 0), IMPORT_OK);
    assert_failed(IMPORT_LOOKUP);
    assert_pixels(false);
    assert_int_equal(F.seen[EXPORT_COPY], 0);
}

static void test_rule_lookup_without_memory(void **state)
{
    (void)state;
    F.export_status = EXPORT_EMPTY;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_failed(IMPORT_LOOKUP);
}

static void test_rule_mark(void **state)
{
    (void)state;
    F.export_status = EXPORT_UNMARKED;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_failed(IMPORT_MARK);
}

static void test_rule_memory(void **state)
{
    (void)state;
    F.buffer.memory = EXPORT_MEMORY_HOST;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_int_equal(copy_at(1, 0), IMPORT_OK);
    assert_failed(IMPORT_MEMORY);
    assert_int_equal(F.seen[EXPORT_RELEASE], 1);
    assert_int_equal(F.seen[EXPORT_COPY], 0);
}

static void test_rule_size(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE + 1), IMPORT_OK);
    assert_int_equal(copy_at(1, 0), IMPORT_OK);
    assert_failed(IMPORT_SIZE);
    assert_int_equal(F.seen[EXPORT_RELEASE], 1);
    assert_pixels(false);
}

static void test_rule_known(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    settle();
    assert_refused(IMPORT_KNOWN, copy_at(2, 0));
    assert_refused(IMPORT_KNOWN, imports_release(&C.imports, 2, &C.why));
    assert_int_equal(imports_release(&C.imports, 1, &C.why), IMPORT_OK);
    assert_refused(IMPORT_KNOWN, copy_at(1, 0));
    assert_refused(IMPORT_KNOWN, imports_release(&C.imports, 1, &C.why));
    assert_int_equal(C.released, 1);
}

static void test_rule_geometry(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    settle();
    assert_refused(IMPORT_GEOMETRY, copy_at(1, SIZE - 3 * 64 - ROW + 1));
    assert_refused(IMPORT_GEOMETRY, copy_at(1, LINK_MEMORY_MAX));
    struct link_mem_copy wraps = {
        .to = {.id = 1, .row = 1, .rows = UINT32_MAX, .stride = 1, .offset = 0},
        .import = 1,
        .source_stride = UINT32_MAX,
        .source_offset = 0};
    assert_refused(IMPORT_GEOMETRY, imports_copy(&C.imports, C.memory, &wraps, &C.why));
    assert_int_equal(F.seen[EXPORT_COPY], 0);
}

static void test_rule_geometry_is_what_was_said(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, 1000), IMPORT_OK); /* less than there is */
    settle();
    assert_refused(IMPORT_GEOMETRY, copy_at(1, 1000 - 3 * 64 - ROW + 1));
    assert_int_equal(copy_at(1, 1000 - 3 * 64 - ROW), IMPORT_OK);
    settle();
}

static void test_rule_geometry_by_the_device(void **state)
{
    (void)state;
    F.copy_status = EXPORT_RANGE;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_int_equal(copy_at(1, 0), IMPORT_OK);
    assert_failed(IMPORT_GEOMETRY);
}

static bool released_one(void *user)
{
    (void)user;
    return F.seen[EXPORT_RELEASE] == 1;
}

static void test_rule_generation(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    settle();
    fake_event_gone(1);
    turn_until(F.loop, released_one, NULL); /* at once, so that the guest gets its pages back */
    assert_refused(IMPORT_GENERATION, copy_at(1, 0));
    assert_int_equal(F.seen[EXPORT_COPY], 0);
    assert_int_equal(imports_release(&C.imports, 1, &C.why), IMPORT_OK);
    turn_times(F.loop, 10);
    assert_int_equal(F.seen[EXPORT_RELEASE], 1);
}

static void test_rule_generation_of_others(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_int_equal(add(2, 7, SIZE), IMPORT_OK);
    settle();
    fake_event_gone(1);
    turn_until(F.loop, released_one, NULL);
    assert_int_equal(copy_at(2, 0), IMPORT_OK);
    settle();
    assert_int_equal(C.failed, 0);
    assert_pixels(true);
}

static void test_rule_generation_by_the_device(void **state)
{
    (void)state;
    F.copy_status = EXPORT_STALE;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_int_equal(copy_at(1, 0), IMPORT_OK);
    assert_failed(IMPORT_GENERATION);
    assert_pixels(false);
}

static void test_rule_epoch(void **state)
{
    (void)state;
    unsigned next = S.probes + 1;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    settle();
    fake_event_reset(2, true);
    turn_until(F.loop, session_probed, &next);
    session_bind(); /* the session goes on, with what it names from now on */
    assert_refused(IMPORT_EPOCH, copy_at(1, 0));
    assert_int_equal(add(2, 7, SIZE), IMPORT_OK);
    assert_int_equal(copy_at(2, 0), IMPORT_OK);
    settle();
    assert_int_equal(C.failed, 0);
    assert_pixels(true);
}

static void test_rule_epoch_while_waiting(void **state)
{
    (void)state;
    unsigned next = S.probes + 1;
    F.silent = true;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_int_equal(copy_at(1, 0), IMPORT_OK);
    turn_times(F.loop, 10);
    fake_event_reset(2, true);
    turn_until(F.loop, session_probed, &next);
    fake_answer_all(); /* from before: it does not count */
    assert_failed(IMPORT_EPOCH);
    assert_pixels(false);
    assert_int_equal(F.seen[EXPORT_RELEASE], 1);
}

static void test_rule_device(void **state)
{
    (void)state;
    F.mirror_status = EXPORT_MEMORY;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_int_equal(copy_at(1, 0), IMPORT_OK);
    assert_failed(IMPORT_DEVICE);
}

static void test_rule_device_full(void **state)
{
    (void)state;
    F.export_status = EXPORT_LIMIT;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_failed(IMPORT_DEVICE);
}

static void test_rule_device_hangs_up(void **state)
{
    (void)state;
    F.silent = true;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_int_equal(copy_at(1, 0), IMPORT_OK);
    turn_times(F.loop, 10);
    fake_hang_up();
    assert_failed(IMPORT_DEVICE);
    assert_refused(IMPORT_DEVICE, copy_at(1, 0));
}

static void test_rule_device_never_answers(void **state)
{
    (void)state;
    F.silent = true;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_failed(IMPORT_DEVICE);
    assert_non_null(strstr(C.why.text, "does not answer"));
}

static void test_clients_without_copies_outlive_the_device(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_int_equal(copy_at(1, 0), IMPORT_OK);
    settle();
    unsigned next = S.answers + 1;
    fake_hang_up();
    turn_until(F.loop, session_answered, &next);
    assert_int_equal(C.failed, 0);
    assert_int_equal(imports_release(&C.imports, 1, &C.why), IMPORT_OK);
    assert_int_equal(C.released, 1);
}

static void test_each_rule_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < _IMPORT_RULE_N; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(import_rule_name((enum import_rule)i),
                                    import_rule_name((enum import_rule)j));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_copy),
        TEST(test_a_copy_asks_once_per_frame),
        TEST(test_memory_that_grew_is_mirrored_anew),
        TEST(test_the_devices_own_layout),
        TEST(test_release),
        TEST(test_the_end_releases_what_was_exported),
        TEST(test_the_largest_import_and_copy),
        TEST(test_too_many_at_once_wait),
        TEST(test_rule_session),
        TEST(test_rule_session_without_device),
        TEST(test_rule_session_by_the_device),
        TEST(test_rule_unique),
        TEST(test_rule_quota),
        TEST(test_rule_lookup),
        TEST(test_rule_lookup_without_memory),
        TEST(test_rule_mark),
        TEST(test_rule_memory),
        TEST(test_rule_size),
        TEST(test_rule_known),
        TEST(test_rule_geometry),
        TEST(test_rule_geometry_is_what_was_said),
        TEST(test_rule_geometry_by_the_device),
        TEST(test_rule_generation),
        TEST(test_rule_generation_of_others),
        TEST(test_rule_generation_by_the_device),
        TEST(test_rule_epoch),
        TEST(test_rule_epoch_while_waiting),
        TEST(test_rule_device),
        TEST(test_rule_device_full),
        TEST(test_rule_device_hangs_up),
        TEST(test_rule_device_never_answers),
        TEST(test_clients_without_copies_outlive_the_device),
        TEST(test_each_rule_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
