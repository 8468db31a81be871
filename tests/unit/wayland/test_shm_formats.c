/* SPDX-License-Identifier: MIT */
/* The formats of wl_shm: each that Linux has is known, or hidden for a reason. */
#include "tests/unit/support.h"

#include <stdbool.h>
#include <string.h>

#include <drm_fourcc.h>

#include "common/wayland/shm-formats.h"

/* Every format of the header that this was built with. */
static const struct {
    const char *name;
    uint32_t fourcc;
} all[] = {
#define FORMAT(name, code) {#name, code},
#include "drm-formats.def"
#undef FORMAT
};

/* Those without a layout in plain memory. */
static const char *const tiled_only[] = {"VUY101010", "YUV420_8BIT", "YUV420_10BIT"};

static void test_every_format_is_known_or_hidden_for_a_reason(void **state)
{
    (void)state;
    assert_true(sizeof(all) / sizeof(*all) >= 100);
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        bool hidden = false;
        for (size_t j = 0; j < sizeof(tiled_only) / sizeof(*tiled_only); j++)
            hidden |= strcmp(all[i].name, tiled_only[j]) == 0;
        if (hidden == (shm_format_find(all[i].fourcc) != NULL))
            fail_msg("DRM_FORMAT_%s is %s", all[i].name,
                     hidden ? "known, though it is only tiles" : "not in the table");
    }
}

static void test_no_format_of_our_own(void **state)
{
    (void)state;
    assert_null(shm_format_find(2));
    assert_null(shm_format_find(0xffffffffu));
    assert_null(shm_format_find(fourcc_code('N', 'V', '9', '9')));
}

static void test_bytes_per_pixel(void **state)
{
    (void)state;
    static const struct {
        uint32_t format, cpp;
    } formats[] = {
        {0, 4},
        {1, 4},
        {DRM_FORMAT_ABGR8888, 4},
        {DRM_FORMAT_XRGB2101010, 4},
        {DRM_FORMAT_BGR888, 3},
        {DRM_FORMAT_RGB565, 2},
        {DRM_FORMAT_R16, 2},
        {DRM_FORMAT_GR88, 2},
        {DRM_FORMAT_R8, 1},
        {DRM_FORMAT_XBGR16161616F, 8},
        {DRM_FORMAT_RGB565 | DRM_FORMAT_BIG_ENDIAN, 2},
        {DRM_FORMAT_NV12, 0},
        {DRM_FORMAT_YUV422, 0},
        {DRM_FORMAT_YUYV, 0}, /* a damaged pixel changes its neighbour's colour */
        {DRM_FORMAT_Y0L2, 0},
    };
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        const struct shm_format *f = shm_format_find(formats[i].format);
        assert_non_null(f);
        assert_int_equal(f->cpp, formats[i].cpp);
        if (f->cpp) {
            assert_int_equal(f->planes, 0);
            assert_int_equal(shm_format_size(f, 100, 10), 1000);
        }
    }
    assert_int_equal(shm_format_fourcc(0), DRM_FORMAT_ARGB8888);
    assert_int_equal(shm_format_fourcc(1), DRM_FORMAT_XRGB8888);
    assert_int_equal(shm_format_fourcc(DRM_FORMAT_NV12), DRM_FORMAT_NV12);
}

static void test_what_planes_take(void **state)
{
    (void)state;
    static const struct {
        uint32_t format, stride, height;
        uint64_t size;
    } sizes[] = {
        {DRM_FORMAT_NV12, 64, 10, 640 + 320},
        {DRM_FORMAT_NV12, 64, 11, 704 + 6 * 64}, /* the last row's colours, too */
        {DRM_FORMAT_P010, 128, 10, 1280 + 640},
        {DRM_FORMAT_P030, 88, 10, 880 + 440},
        {DRM_FORMAT_NV15, 80, 10, 800 + 400},
        {DRM_FORMAT_NV16, 64, 11, 704 + 704},
        {DRM_FORMAT_P210, 128, 11, 1408 + 1408},
        {fourcc_code('N', 'V', '2', '0'), 80, 10, 800 + 800},
        {DRM_FORMAT_NV24, 64, 10, 640 + 1280},
        {fourcc_code('N', 'V', '3', '0'), 80, 10, 800 + 1600},
        {DRM_FORMAT_YUV420, 64, 10, 640 + 2 * 160},
        {DRM_FORMAT_YUV420, 33, 3, 99 + 2 * 17 * 2},
        {DRM_FORMAT_YUV422, 64, 10, 640 + 2 * 320},
        {DRM_FORMAT_YUV444, 64, 10, 640 + 2 * 640},
        {DRM_FORMAT_YUV411, 64, 10, 640 + 2 * 160},
        {DRM_FORMAT_YVU410, 64, 10, 640 + 2 * 16 * 3},
        {DRM_FORMAT_Q401, 128, 10, 3 * 1280},
        {fourcc_code('S', '0', '1', '0'), 128, 10, 1280 + 2 * 320},
        {fourcc_code('S', '2', '1', '6'), 128, 10, 1280 + 2 * 640},
        {fourcc_code('S', '4', '1', '2'), 128, 10, 1280 + 2 * 1280},
        {DRM_FORMAT_XRGB8888_A8, 256, 10, 2560 + 640},
        {DRM_FORMAT_BGR888_A8, 193, 10, 1930 + 650},
        {DRM_FORMAT_RGB565_A8, 128, 10, 1280 + 640},
        {DRM_FORMAT_UYVY, 128, 10, 1280},
        {DRM_FORMAT_YUV444, INT32_MAX, INT32_MAX, 3 * (uint64_t)INT32_MAX * INT32_MAX},
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        const struct shm_format *f = shm_format_find(sizes[i].format);
        assert_non_null(f);
        if (shm_format_size(f, sizes[i].stride, sizes[i].height) != sizes[i].size)
            fail_msg("%.4s: %llu", (const char *)&sizes[i].format,
                     (unsigned long long)shm_format_size(f, sizes[i].stride, sizes[i].height));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_format_is_known_or_hidden_for_a_reason),
        cmocka_unit_test(test_no_format_of_our_own),
        cmocka_unit_test(test_bytes_per_pixel),
        cmocka_unit_test(test_what_planes_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
