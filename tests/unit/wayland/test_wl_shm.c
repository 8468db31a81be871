/* SPDX-License-Identifier: MIT */
/* Buffers in pools: which layouts lie within, what planes take, and how long buffers live. */
#include "tests/unit/support.h"

#include <drm_fourcc.h>

#include "common/base/memory.h"
#include "common/carrier/ends.h"
#include "common/carrier/vfd-memory.h"
#include "common/wayland/wl-shm.h"

#define ARGB8888 0

static const struct layout_case {
    const char *name;
    uint64_t pool;
    int32_t offset, width, height, stride;
    uint32_t format;
    bool fits;
} cases[] = {
    {"exact", 400, 0, 10, 10, 40, ARGB8888, true},
    {"one byte short", 399, 0, 10, 10, 40, ARGB8888, false},
    {"offset to the end", 500, 100, 10, 10, 40, ARGB8888, true},
    {"offset one too far", 500, 101, 10, 10, 40, ARGB8888, false},
    {"odd offset", 500, 33, 10, 10, 40, ARGB8888, true},
    {"negative offset", 500, -1, 10, 10, 40, ARGB8888, false},
    {"lowest offset", 500, INT32_MIN, 10, 10, 40, ARGB8888, false},
    {"no width", 500, 0, 0, 10, 40, ARGB8888, false},
    {"no height", 500, 0, 10, 0, 40, ARGB8888, false},
    {"no stride", 500, 0, 10, 10, 0, ARGB8888, false},
    {"negative width", 500, 0, -10, 10, 40, ARGB8888, false},
    {"negative height", 500, 0, 10, -10, 40, ARGB8888, false},
    {"negative stride", 500, 0, 10, 10, -40, ARGB8888, false},
    {"stride below the width", 500, 0, 10, 10, 9, ARGB8888, false},
    {"stride below the width in bytes: libwayland takes it", 500, 0, 10, 10, 39, ARGB8888, true},
    {"stride above the width", 410, 0, 10, 10, 41, ARGB8888, true},
    {"one byte per pixel", 100, 0, 10, 10, 10, DRM_FORMAT_C8, true},
    {"unknown format, a byte per pixel", 100, 0, 10, 10, 10, 0x12345678, true},
    {"unknown format, less than a byte", 100, 0, 10, 10, 9, 0x12345678, false},
    {"two bytes per pixel", 200, 0, 10, 10, 20, DRM_FORMAT_RGB565, true},
    {"eight bytes per pixel", 800, 0, 10, 10, 79, DRM_FORMAT_ABGR16161616F, true},
    {"largest", (uint64_t)INT32_MAX, 0, 1, INT32_MAX, 1, DRM_FORMAT_C8, true},
    {"stride × height wraps 32 bits", 4096, 0, 1, 65536, 65536, ARGB8888, false},
    {"stride × height is near 2^62", INT32_MAX, 0, 1, INT32_MAX, INT32_MAX, ARGB8888, false},
    {"width × 4 wraps 32 bits", INT32_MAX, 0, 0x40000000, 1, 16, ARGB8888, false},
    {"offset + size is near 2^31", INT32_MAX, INT32_MAX, 1, 1, 4, ARGB8888, false},
};

static void test_layouts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct layout_case *c = &cases[i];
        struct memory_buffer b;
        bool fits = shm_layout(&b, c->pool, c->offset, c->width, c->height, c->stride, c->format);
        if (fits != c->fits)
            fail_msg("%s", c->name);
        if (fits && (b.offset != (uint64_t)c->offset || b.width != (uint32_t)c->width ||
                     b.height != (uint32_t)c->height || b.stride != (uint32_t)c->stride ||
                     b.format != c->format || b.offset + b.extent > c->pool ||
                     b.extent < (uint64_t)c->stride * (uint32_t)c->height))
            fail_msg("%s: extent %llu", c->name, (unsigned long long)b.extent);
    }
}

static void test_planes_follow_the_first(void **state)
{
    (void)state;
    static const struct {
        uint32_t format;
        uint64_t extent; /* of 10 × 10 with stride 10 */
    } planar[] = {
        {DRM_FORMAT_NV12, 150},   {DRM_FORMAT_YUV420, 150}, {DRM_FORMAT_NV16, 200},
        {DRM_FORMAT_YUV444, 300}, {DRM_FORMAT_C8, 100},
    };
    for (size_t i = 0; i < sizeof(planar) / sizeof(*planar); i++) {
        struct memory_buffer b;
        assert_true(shm_layout(&b, 1000, 0, 10, 10, 10, planar[i].format));
        assert_int_equal(b.extent, planar[i].extent);
        assert_true(shm_layout(&b, 100, 0, 10, 10, 10,
                               planar[i].format)); /* as the compositor's check goes */
        assert_int_equal(b.extent, 100);           /* never beyond the pool */
        assert_true(shm_layout(&b, 120, 10, 10, 10, 10, planar[i].format));
        assert_true(b.extent <= 110);
    }
}

static int released;

static void count_release(void *user, struct memory_buffer *b)
{
    assert_ptr_equal(user, &released);
    for (const struct memory_buffer *other = shm_first_buffer(b->memory); other;
         other = shm_next_buffer(other))
        assert_ptr_not_equal(other, b); /* out of the list already */
    released++;
}

static struct memory_buffer *add(struct memory *m, int32_t offset, uint32_t id)
{
    struct memory_buffer layout;
    assert_true(shm_layout(&layout, m->size, offset, 10, 10, 40, ARGB8888));
    struct memory_buffer *b = shm_buffer_create(m, &layout, id, count_release, &released);
    assert_non_null(b);
    return b;
}

static void test_buffers_live_as_long_as_someone_needs_them(void **state)
{
    (void)state;
    struct ends ends = {.side = CARRIER_HOST};
    struct vfds vfds;
    struct memory *m = memory_create(4096, NULL);
    vfds_init(&vfds, &ends);
    assert_int_equal(vfd_memory_add(&vfds, m, 1), 0);
    released = 0;
    struct memory_buffer *a = add(m, 0, 5), *b = add(m, 400, 6),
                         *c = add(m, 400, 7); /* two on the same bytes */
    assert_int_equal(m->reserved, 3 * 4096);
    assert_int_equal(b->id, 6);
    assert_ptr_equal(shm_buffer_ref(b), b);
    shm_buffer_unref(b);
    assert_int_equal(released, 0);
    shm_buffer_unref(b); /* the middle one */
    assert_int_equal(released, 1);
    assert_int_equal(m->reserved, 2 * 4096);
    shm_buffer_unref(c);
    shm_buffer_unref(a);
    assert_int_equal(released, 3);
    assert_int_equal(m->reserved, 0);
    assert_null(shm_first_buffer(m));
    shm_buffer_unref(NULL);
    vfd_memories_finish(&vfds);
    vfds_finish(&vfds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_planes_follow_the_first),
        cmocka_unit_test(test_buffers_live_as_long_as_someone_needs_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
