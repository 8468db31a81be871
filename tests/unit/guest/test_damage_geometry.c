/* SPDX-License-Identifier: MIT */
/* Where damage is, in bytes of the buffer: transforms, scales, viewports, and numbers out of range.
 */
#include "tests/unit/guest/damage_world.h"

static void test_formats_that_only_go_whole(void **state)
{
    struct damage_layout planar = layout_at(10, 10, 10), unknown = layout_at(3000, 10, 10);
    struct damage_layout narrow = layout_at(5000, 10, 10);

    (void)state;
    planar.cpp = 1;
    planar.stride = 10;
    planar.extent = 150;
    unknown.cpp = 0;
    narrow.stride = 39; /* rows overlap */
    narrow.extent = 390;
    const struct damage_layout *each[] = {&planar, &unknown, &narrow};
    for (size_t i = 0; i < 3; i++) {
        uint32_t all = (uint32_t)each[i]->extent;

        attach(each[i]);
        assert_int_equal(1, n_sent);
        assert_sent(0, each[i]->offset, all, 1, all);
        attach(each[i]);
        assert_nothing_sent();
        damage_surface_add(surface, 3, 3, 1, 1);
        attach(each[i]);
        assert_int_equal(1, n_sent);
        assert_sent(0, each[i]->offset, all, 1, all);
    }
    /* The chroma planes are the buffer's, too. */
    attach(&planar);
    damage_forget(file, 159, 1);
    attach(&planar);
    assert_int_equal(1, n_sent);
}

static void test_absurd_rectangles(void **state)
{
    static const int32_t absurd[] = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX};
    struct damage_layout a = layout_at(0, 10, 10);

    (void)state;
    attach(&a);
    /* Every combination, in both coordinate systems; each rectangle by its definition. */
    for (unsigned i = 0; i < 7 * 7 * 7 * 7 * 2; i++) {
        int64_t x = absurd[i % 7], y = absurd[i / 7 % 7];
        int64_t x2 = x + absurd[i / 49 % 7], y2 = y + absurd[i / 343 % 7];
        bool in_buffer = i >= 7 * 7 * 7 * 7;

        (in_buffer ? damage_surface_add_buffer : damage_surface_add)(
            surface, (int32_t)x, (int32_t)y, absurd[i / 49 % 7], absurd[i / 343 % 7]);
        attach(&a);
        x = x > 0 ? x : 0;
        y = y > 0 ? y : 0;
        x2 = x2 < 10 ? x2 : 10;
        y2 = y2 < 10 ? y2 : 10;
        if (x >= x2 || y >= y2) {
            assert_nothing_sent();
            continue;
        }
        assert_int_equal(1, n_sent);
        assert_int_equal(y * 40 + x * 4, sent[0].offset);
        assert_int_equal((x2 - x) * (y2 - y) * 4, (uint64_t)sent[0].row * sent[0].rows);
    }
}

static void test_huge_layouts(void **state)
{
    struct damage_layout a = {.offset = UINT64_MAX / 2,
                              .stride = UINT32_MAX,
                              .width = UINT32_MAX / 8,
                              .height = INT32_MAX,
                              .cpp = 8,
                              .extent = (uint64_t)UINT32_MAX * INT32_MAX};
    uint64_t at = 7, end = 7 + 3ull * UINT32_MAX - 5;
    struct damage_mapping far = {.scale = INT32_MAX, .transform = 3, .has_source = true};

    (void)state;
    far.source_x = far.source_y = far.source_width = far.source_height = INT32_MAX;
    far.has_destination = true;
    far.width = far.height = INT32_MAX;
    attach(&a);
    damage_surface_add(surface, 0, 0, INT32_MAX, INT32_MAX);
    commit_as(surface, &a, &far, true, false);
    assert_int_equal(1, n_sent);
    assert_sent(0, a.offset, UINT32_MAX / 8 * 8, INT32_MAX, UINT32_MAX);
    damage_surface_add(surface, 5, 5, 1, 1);
    commit_as(surface, &a, &far, true, false);
    assert_int_equal(1, n_sent);
    assert_sent(0, a.offset, UINT32_MAX / 8 * 8, INT32_MAX, UINT32_MAX);

    /* More than 4 GiB without a gap stays rows, or goes in parts. */
    a = layout_at(0, 1u << 29, 4);
    attach(&a);
    assert_int_equal(1, n_sent);
    assert_sent(0, 0, 1u << 31, 4, 1u << 31);
    a = (struct damage_layout){.offset = at, .width = UINT32_MAX, .height = 1, .extent = end - at};
    damage_surface_add(surface, 5, 5, 1, 1);
    attach(&a);
    for (size_t i = 0; i < n_sent; i++) {
        assert_sent(i, at, sent[i].row, 1, sent[i].row);
        at += sent[i].row;
    }
    assert_int_equal(end, at);

    /* Nothing is nothing. */
    a = (struct damage_layout){.cpp = 4};
    damage_surface_add(surface, 0, 0, INT32_MAX, INT32_MAX);
    attach(&a);
    assert_nothing_sent();
}

/* Where pixel (x, y) of a width × height picture goes when the client has applied the transform:
 * mirrored left to right, then turned counter-clockwise. From the definitions, one turn at a time.
 */
static void turn(int transform, int width, int height, int *x, int *y)
{
    if (transform & 4)
        *x = width - 1 - *x;
    for (int i = 0; i < (transform & 3); i++) {
        int old_x = *x, old_width = width;

        *x = *y;
        *y = old_width - 1 - old_x;
        width = height;
        height = old_width;
    }
}

static void test_transforms_and_scales_pixel_by_pixel(void **state)
{
    (void)state;
    for (int transform = 0; transform < 8; transform++)
        for (int scale = 1; scale <= 3; scale++) {
            int width = 5 * scale, height = 3 * scale; /* of the picture, in buffer pixels */
            bool turned = transform & 1;
            struct damage_layout a = layout_at(0, (uint32_t)(turned ? height : width),
                                               (uint32_t)(turned ? width : height));
            struct damage_mapping mapping = {.scale = scale, .transform = transform};

            commit_as(surface, &a, &mapping, true, false);
            for (int i = 0; i < 15; i++) {
                bool expected[135] = {false}, got[135] = {false};

                for (int j = 0; j < scale * scale; j++) {
                    int x = i % 5 * scale + j % scale, y = i / 5 * scale + j / scale;

                    turn(transform, width, height, &x, &y);
                    expected[y * (int)a.width + x] = true;
                }
                damage_surface_add(surface, i % 5, i / 5, 1, 1);
                commit_as(surface, &a, &mapping, false, false);
                for (size_t j = 0; j < n_sent; j++)
                    for (uint32_t k = 0; k < sent[j].rows; k++)
                        for (uint32_t l = 0; l < sent[j].row; l += 4)
                            got[(sent[j].offset + k * sent[j].stride + l) / 4] = true;
                assert_memory_equal(expected, got, sizeof(got));
            }
        }
}

/* The known corners: 90 turns the picture counter-clockwise, so its top right is the buffer's top
 * left; flipped mirrors left to right before that. */
static void test_known_corners(void **state)
{
    static const struct {
        int x, y;
    } top_right[] = {{9, 0}, {0, 0}, {0, 9}, {9, 9}, {0, 0}, {0, 9}, {9, 9}, {9, 0}};
    struct damage_layout a = layout_at(0, 10, 10);

    (void)state;
    for (int transform = 0; transform < 8; transform++) {
        struct damage_mapping mapping = {.scale = 1, .transform = transform};

        commit_as(surface, &a, &mapping, true, false);
        damage_surface_add(surface, 9, 0, 1, 1);
        commit_as(surface, &a, &mapping, false, false);
        assert_int_equal(1, n_sent);
        assert_sent(0, (uint64_t)(top_right[transform].y * 40 + top_right[transform].x * 4), 4, 1,
                    4);
    }
}

static void assert_box(int x1, int y1, int x2, int y2)
{
    uint32_t rows = (uint32_t)(y2 - y1), row = (uint32_t)(x2 - x1) * 4;

    assert_int_equal(1, n_sent);
    assert_sent(0, (uint64_t)(y1 * 400 + x1 * 4), row, rows, rows == 1 ? row : 400);
}

static void test_viewport_rounding(void **state)
{
    struct damage_layout a = layout_at(0, 100, 100);
    struct damage_mapping m = {.scale = 1, .has_destination = true, .width = 30, .height = 300};

    (void)state;
    /* Shrunk to 3/10 across, stretched to 3 down: 1 → 3.33…6.67 and 0.33…0.67. */
    commit_as(surface, &a, &m, true, false);
    damage_surface_add(surface, 1, 1, 1, 1);
    commit_as(surface, &a, &m, false, false);
    assert_box(3, 0, 7, 1);
    damage_surface_add(surface, 3, 3, 3, 3); /* 10…20 and 1…2: no more than that */
    commit_as(surface, &a, &m, false, false);
    assert_box(10, 1, 20, 2);
    damage_surface_add(surface, 29, 299, 70, 70);
    commit_as(surface, &a, &m, false, false);
    assert_box(96, 99, 100, 100);

    /* A crop at 10.5 of 20.25 pixels, shown at 81: a quarter pixel each. */
    m = (struct damage_mapping){.scale = 1, .has_source = true, .has_destination = true};
    m.source_x = m.source_y = 10 * 256 + 128;
    m.source_width = m.source_height = 20 * 256 + 64;
    m.width = m.height = 81;
    commit_as(surface, &a, &m, true, false);
    damage_surface_add(surface, 0, 1, 2, 2); /* 10.5…11 and 10.75…11.25 */
    commit_as(surface, &a, &m, false, false);
    assert_box(10, 10, 11, 12);
    /* Beyond the surface is nothing of the buffer. */
    damage_surface_add(surface, 80, 0, INT32_MAX, 2); /* 30.5…30.75 */
    commit_as(surface, &a, &m, false, false);
    assert_box(30, 10, 31, 11);
    damage_surface_add(surface, 81, 0, INT32_MAX, 2);
    commit_as(surface, &a, &m, false, false);
    assert_nothing_sent();
    /* Buffer coordinates do not pass the viewport. */
    damage_surface_add_buffer(surface, 90, 90, 2, 1);
    commit_as(surface, &a, &m, false, false);
    assert_box(90, 90, 92, 91);

    /* A source alone, at scale 2, in a picture turned upside down. */
    m = (struct damage_mapping){.scale = 2, .transform = 2, .has_source = true};
    m.source_x = 256 + 64;
    m.source_y = 256;
    m.source_width = m.source_height = 10 * 256;
    commit_as(surface, &a, &m, true, false);
    damage_surface_add(surface, 0, 0, 1, 1); /* 2.5…4.5 and 2…4 */
    commit_as(surface, &a, &m, false, false);
    assert_box(95, 96, 98, 98);
}

static void test_invalid_mappings_damage_everything(void **state)
{
    struct damage_layout a = layout_at(0, 10, 10);
    struct damage_mapping m[9];

    (void)state;
    for (int i = 0; i < 9; i++) {
        m[i] = (struct damage_mapping){.scale = 1, .has_source = true, .has_destination = true};
        m[i].source_width = m[i].source_height = 256;
        m[i].width = m[i].height = 10;
    }
    m[0].scale = 0;
    m[1].scale = INT32_MIN;
    m[2].transform = -1;
    m[3].transform = 8;
    m[4].source_x = -1;
    m[5].source_height = 0;
    m[6].width = 0;
    m[7].height = INT32_MIN;
    m[8].scale = m[8].source_x = m[8].width = INT32_MAX;
    for (int i = 0; i < 9; i++) {
        commit_as(surface, &a, &m[i], true, false);
        damage_surface_add(surface, 9, 9, 1, 1);
        commit_as(surface, &a, &m[i], false, false);
        assert_all_sent(&a);
        damage_surface_add_buffer(surface, 9, 9, 1, 1);
        commit_as(surface, &a, &m[i], false, false);
        assert_int_equal(4, sent[0].row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DAMAGE_TEST(test_formats_that_only_go_whole),
        DAMAGE_TEST(test_absurd_rectangles),
        DAMAGE_TEST(test_huge_layouts),
        DAMAGE_TEST(test_transforms_and_scales_pixel_by_pixel),
        DAMAGE_TEST(test_known_corners),
        DAMAGE_TEST(test_viewport_rounding),
        DAMAGE_TEST(test_invalid_mappings_damage_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
