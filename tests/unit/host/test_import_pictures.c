/* SPDX-License-Identifier: MIT */
/* Pictures that the device draws and gives as dmabufs: the compositor gets them if it takes them,
 * which this file decides in place of trials.c, else a mirror. (A memfd stands for the dmabuf.) */
#include "tests/unit/host/imports_client.h"

#include <drm_fourcc.h>

#include "common/wayland/wl-shm.h"
#include "host-proxy/pixels/trials.h"

static struct trials {
    int refuses; /* what to ask gives */
    unsigned asked, forgotten;
    struct export_buffer picture;
    void (*answer)(void *user, bool takes);
    void *user;
} T;

int trials_ask(struct trials *t, const struct export_buffer *picture, int fd,
               void (*answer)(void *user, bool takes), void *user)
{
    assert_ptr_equal(t, &T);
    assert_true(fd >= 0);
    t->asked++;
    if (t->refuses)
        return t->refuses;
    t->picture = *picture;
    t->answer = answer;
    t->user = user;
    return 0;
}

void trials_forget(struct trials *t, const void *user)
{
    assert_ptr_equal(t, &T);
    assert_ptr_equal(t->user, user);
    t->forgotten++;
}

static int setup(void **state)
{
    client_start(state);
    memset(&T, 0, sizeof(T));
    C.imports.trials = &T;
    F.pages = fd_memfd("picture", SIZE);
    F.buffer.kind = EXPORT_KIND_DMABUF;
    F.buffer.memory = EXPORT_MEMORY_HOST;
    F.buffer.width = F.buffer.height = 64;
    F.buffer.fourcc = DRM_FORMAT_ABGR8888;
    F.buffer.modifier = 77;
    F.buffer.n_planes = 1;
    F.buffer.stride[0] = 1024;
    return 0;
}

static bool was_asked(void *user)
{
    (void)user;
    return T.asked > 0;
}

static void make(void)
{
    struct link_mem_import said = {.id = 1, .import = 1, .size = SIZE};
    settle();
    assert_int_equal(imports_memory(&C.imports, &said, &C.memory, &C.why), IMPORT_OK);
}

static void begin(bool takes)
{
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    turn_until(F.loop, was_asked, NULL);
    assert_false(imports_may_go_on(&C.imports, LINK_MEM_IMPORT)); /* before the compositor's word */
    T.answer(T.user, takes);
    assert_int_equal(C.idle, 1);
    make();
}

static int show(uint64_t offset, uint32_t width, uint32_t height, uint32_t format)
{
    struct memory_buffer b = {.id = 9,
                              .memory = C.memory,
                              .offset = offset,
                              .width = width,
                              .height = height,
                              .stride = 512,
                              .format = format};
    return imports_buffer(&b, 1, &C.why);
}

static int copy(void)
{
    struct link_mem_copy what = {
        .to = {.row = 16, .rows = 4, .stride = 256}, .import = 1, .source_stride = 256};
    return imports_copy(&C.imports, C.memory, &what, &C.why);
}

static void test_taken(void **state)
{
    (void)state;
    struct stat a, b;
    begin(true);
    assert_true(T.picture.modifier == 77 && T.picture.stride[0] == 1024);
    assert_true(memory_is_foreign(C.memory) && import_note(C.memory)->late);
    assert_true(fstat(C.memory->fd, &a) == 0 && fstat(F.pages, &b) == 0 && a.st_ino == b.st_ino);
    assert_true(import_note(C.memory)->picture->width == 64 &&
                import_note(C.memory)->picture->modifier == 77);
    for (int i = 0; i < 10; i++)
        assert_int_equal(copy(), IMPORT_OK);
    turn_times(F.loop, 10);
    assert_int_equal(F.seen[EXPORT_COPY] + F.seen[EXPORT_MIRROR], 0);
}

static void test_refused(void **state)
{
    (void)state;
    begin(false);
    assert_false(memory_is_foreign(C.memory));
    assert_true(!import_note(C.memory) || !import_note(C.memory)->picture);
    assert_int_equal(copy(), IMPORT_OK);
    settle();
    assert_int_equal(F.seen[EXPORT_COPY], 1);
}

static void test_not_to_be_asked(void **state)
{
    (void)state;
    T.refuses = -ENOTSUP;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    make();
    assert_int_equal(T.asked, 1);
    assert_true(!import_note(C.memory) || !import_note(C.memory)->picture);
}

static void test_a_compositor_that_is_given_none(void **state)
{
    (void)state;
    C.imports.trials = NULL;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    make();
    assert_true(!import_note(C.memory) || !import_note(C.memory)->picture);
}

/* A udmabuf of the guest's pages is a pool. */
static void test_pages_are_no_picture(void **state)
{
    (void)state;
    F.buffer.kind = EXPORT_KIND_UDMABUF;
    F.buffer.memory = EXPORT_MEMORY_GUEST;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    make();
    assert_int_equal(T.asked, 0);
    assert_true(memory_is_foreign(C.memory) && !import_note(C.memory)->picture &&
                !import_note(C.memory)->late);
}

/* Where that is wanted, it may become one, depending on the buffer. */
static void test_pages_that_may_be_given_as_they_are(void **state)
{
    (void)state;
    C.imports.linear = true;
    F.buffer.kind = EXPORT_KIND_UDMABUF;
    F.buffer.memory = EXPORT_MEMORY_GUEST;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    make();
    assert_int_equal(T.asked, 0);
    assert_true(memory_is_foreign(C.memory) && !import_note(C.memory)->picture &&
                import_note(C.memory)->late);
}

static void test_rules_of_a_buffer(void **state)
{
    (void)state;
    begin(true);
    assert_int_equal(show(0, 64, 64, 0), IMPORT_OK);
    assert_int_equal(show(0, 63, 1, DRM_FORMAT_XBGR8888), IMPORT_OK);
    assert_int_equal(show(256, 64, 63, 0), IMPORT_GEOMETRY);
    assert_int_equal(show(0, 65, 64, 1), IMPORT_GEOMETRY);
    assert_int_equal(show(0, 64, 65, 0), IMPORT_GEOMETRY);
    assert_int_equal(show(0, 64, 64, DRM_FORMAT_RGB565), IMPORT_FORMAT);
    assert_int_equal(show(0, 64, 64, DRM_FORMAT_ARGB2101010), IMPORT_FORMAT);
}

static void test_the_client_ends_while_it_is_tried(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    turn_until(F.loop, was_asked, NULL);
    imports_finish(&C.imports);
    assert_int_equal(T.forgotten, 1);
}

static void test_the_device_dies_while_it_is_tried(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    turn_until(F.loop, was_asked, NULL);
    fake_hang_up();
    settle();
    assert_int_equal(C.failed, 1);
    assert_int_equal(C.why.rule, IMPORT_DEVICE);
    assert_int_equal(T.forgotten, 1);
}

static void test_the_resource_goes_while_it_is_tried(void **state)
{
    (void)state;
    struct link_mem_import said = {.id = 1, .import = 1, .size = SIZE};
    assert_int_equal(add(1, 7, SIZE), IMPORT_OK);
    turn_until(F.loop, was_asked, NULL);
    fake_event_gone(1);
    turn_times(F.loop, 10);
    T.answer(T.user, true);
    assert_int_equal(C.idle, 1);
    assert_int_equal(imports_memory(&C.imports, &said, &C.memory, &C.why), IMPORT_GENERATION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, client_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_taken),
        TEST(test_refused),
        TEST(test_not_to_be_asked),
        TEST(test_a_compositor_that_is_given_none),
        TEST(test_pages_are_no_picture),
        TEST(test_pages_that_may_be_given_as_they_are),
        TEST(test_rules_of_a_buffer),
        TEST(test_the_client_ends_while_it_is_tried),
        TEST(test_the_device_dies_while_it_is_tried),
        TEST(test_the_resource_goes_while_it_is_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
