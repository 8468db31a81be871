/* SPDX-License-Identifier: MIT */
/* Imports whose descriptor a service gets itself. (A memfd stands for the dmabuf.) */
#include "tests/unit/host/imports_client.h"

static int setup(void **state)
{
    int r = client_start(state);
    C.imports.direct = true;
    C.imports.holder = "the service has";
    return r;
}

static int ask(void)
{
    int rule = add(1, 7, SIZE);
    if (rule == IMPORT_OK)
        settle();
    return rule;
}

static int open_it(uint32_t id)
{
    uint64_t size = 0;
    int fd = imports_open(&C.imports, id, &size);
    assert_int_equal(size, fd >= 0 ? SIZE : 0);
    return fd;
}

static bool failed(void *user)
{
    (void)user;
    return C.failed > 0;
}

static void assert_ended(enum import_rule rule)
{
    turn_until(F.loop, failed, NULL);
    assert_int_equal(C.why.rule, rule);
    assert_non_null(strstr(C.why.text, "the service has import 1"));
}

static void test_pages(void **state)
{
    (void)state;
    F.pages = fd_memfd("pages", SIZE);
    assert_int_equal(open_it(1), -1); /* before it was asked for */
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    assert_int_equal(open_it(1), -1); /* before the device answered */
    settle();
    assert_int_equal(C.answered, 1);
    assert_int_equal(C.last_answered, 1);
    assert_int_equal(C.how, LINK_IMPORTED_SHARED);
    assert_int_equal(open_it(2), -1);
    int fd = open_it(1);
    assert_true(fd >= 0);
    assert_int_equal(open_it(1), -1); /* once */
    fd_close(fd);
    assert_int_equal(imports_release(&C.imports, 1, &C.why), IMPORT_OK);
    assert_int_equal(C.released, 1);
    turn_times(F.loop, 10);
    assert_int_equal(F.seen[EXPORT_RELEASE], 1);
    assert_int_equal(open_it(1), -1);
}

static void test_no_pages(void **state)
{
    (void)state;
    assert_int_equal(ask(), IMPORT_OK);
    assert_int_equal(C.how, LINK_IMPORTED_NOT);
    assert_int_equal(open_it(1), -1);
}

/* Shorter than the guest says. */
static void test_short_pages(void **state)
{
    (void)state;
    F.pages = fd_memfd("pages", SIZE / 2);
    assert_int_equal(ask(), IMPORT_OK);
    assert_int_equal(C.how, LINK_IMPORTED_NOT);
}

static void be_a_picture(uint32_t kind)
{
    F.buffer.kind = kind;
    F.buffer.memory = EXPORT_MEMORY_HOST;
    F.buffer.width = F.buffer.height = 64;
    F.buffer.fourcc = 0x34325258; /* XR24 */
    F.buffer.n_planes = 1;
    F.buffer.stride[0] = 1024;
}

static void test_picture(void **state)
{
    (void)state;
    F.pages = fd_memfd("picture", SIZE);
    be_a_picture(EXPORT_KIND_DMABUF);
    assert_int_equal(ask(), IMPORT_OK);
    assert_int_equal(C.how, LINK_IMPORTED_SHARED); /* and no compositor was asked */
    fd_close(open_it(1));
}

static void test_picture_without_a_dmabuf(void **state)
{
    (void)state;
    be_a_picture(EXPORT_KIND_NONE);
    assert_int_equal(ask(), IMPORT_OK);
    assert_int_equal(C.how, LINK_IMPORTED_DRAWN);
    assert_int_equal(open_it(1), -1);
}

/* What the guest says is not so. */
static void test_lies(void **state)
{
    (void)state;
    static const struct {
        uint32_t resource, status;
        uint64_t size;
        enum import_rule rule;
    } lies[] = {
        {8, EXPORT_OK, SIZE, IMPORT_LOOKUP},          {7, EXPORT_EMPTY, SIZE, IMPORT_LOOKUP},
        {7, EXPORT_UNMARKED, SIZE, IMPORT_MARK},      {7, EXPORT_OK, SIZE + 1, IMPORT_SIZE},
        {7, EXPORT_OK, LINK_MEMORY_MAX, IMPORT_SIZE},
    };
    F.pages = fd_memfd("pages", SIZE);
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        F.export_status = lies[i].status;
        C.imports.failed = false;
        C.failed = C.answered = 0;
        assert_int_equal(add((uint32_t)i + 1, lies[i].resource, lies[i].size), IMPORT_OK);
        settle();
        assert_int_equal(C.failed, 1);
        assert_int_equal(C.why.rule, lies[i].rule);
        assert_int_equal(C.answered, 0);
        assert_int_equal(open_it((uint32_t)i + 1), -1);
    }
}

static void begin(void)
{
    F.pages = fd_memfd("pages", SIZE);
    assert_int_equal(ask(), IMPORT_OK);
    fd_close(open_it(1));
}

static void test_resource_goes(void **state)
{
    (void)state;
    begin();
    fake_event_gone(F.next_id);
    assert_ended(IMPORT_GENERATION);
}

static void test_driver_goes(void **state)
{
    (void)state;
    begin();
    fake_event_reset(2, true);
    assert_ended(IMPORT_EPOCH);
}

static void test_device_goes(void **state)
{
    (void)state;
    begin();
    fake_hang_up();
    assert_ended(IMPORT_DEVICE);
}

/* More are asked for than may wait to be taken: the others are not shared, and nobody fails. */
static void test_nobody_takes_them(void **state)
{
    (void)state;
    F.pages = fd_memfd("pages", SIZE);
    int before = count_fds();
    for (uint32_t id = 1; id <= 100; id++) {
        assert_int_equal(add(id, 7, SIZE), IMPORT_OK);
        settle();
    }
    assert_int_equal(C.answered, 100);
    assert_int_equal(C.last_answered, 100);
    assert_int_equal(C.how, LINK_IMPORTED_NOT);
    assert_true(count_fds() <= before + 64);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, client_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_pages),
        TEST(test_no_pages),
        TEST(test_short_pages),
        TEST(test_picture),
        TEST(test_picture_without_a_dmabuf),
        TEST(test_lies),
        TEST(test_resource_goes),
        TEST(test_driver_goes),
        TEST(test_device_goes),
        TEST(test_nobody_takes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
