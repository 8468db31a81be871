/* SPDX-License-Identifier: MIT */
/* Damage, rule by rule: what a commit sends after which history. */
#include "tests/unit/support.h"

#include <stdbool.h>
#include <string.h>

#include "guest-proxy/damage.h"

#define SENT_MAX 8192

/* What the last call sent. */
static struct damage_rect sent[SENT_MAX];
static size_t n_sent;

static void collect(void *user, const struct damage_rect *rect)
{
    (void)user;
    assert_true(n_sent < SENT_MAX);
    sent[n_sent++] = *rect;
}

static struct damage_file *file;
static struct damage_surface *surface, *other;
static struct damage_mapping plain;

static int setup(void **state)
{
    (void)state;
    file = damage_file_create();
    surface = damage_surface_create();
    other = damage_surface_create();
    plain = (struct damage_mapping){.scale = 1};
    return file && surface && other ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    damage_surface_destroy(surface);
    damage_file_destroy(file);
    damage_surface_destroy(other);
    return 0;
}

/* 4 bytes per pixel, no padding. */
static struct damage_layout layout_at(uint64_t offset, uint32_t width, uint32_t height)
{
    return (struct damage_layout){.offset = offset,
                                  .stride = width * 4,
                                  .width = width,
                                  .height = height,
                                  .cpp = 4,
                                  .format = 1,
                                  .extent = (uint64_t)width * 4 * height};
}

static void commit_as(struct damage_surface *s, const struct damage_layout *layout,
                      const struct damage_mapping *mapping, bool attached, bool moved)
{
    n_sent = 0;
    assert_int_equal(
        0, damage_commit(s, layout ? file : NULL, layout, mapping, attached, moved, collect, NULL));
}

static void attach(const struct damage_layout *layout)
{
    commit_as(surface, layout, &plain, true, false);
}

static void assert_sent(size_t i, uint64_t offset, uint32_t row, uint32_t rows, uint32_t stride)
{
    assert_true(i < n_sent);
    assert_int_equal(offset, sent[i].offset);
    assert_int_equal(row, sent[i].row);
    assert_int_equal(rows, sent[i].rows);
    assert_int_equal(stride, sent[i].stride);
}

static void assert_nothing_sent(void)
{
    assert_int_equal(0, n_sent);
}

/* A layout without padding went as one run. */
static void assert_all_sent(const struct damage_layout *layout)
{
    assert_int_equal(1, n_sent);
    assert_sent(0, layout->offset, layout->stride * layout->height, 1,
                layout->stride * layout->height);
}

static void test_first_use_is_whole(void **state)
{
    struct damage_layout a = layout_at(64, 10, 10);

    (void)state;
    damage_surface_add_buffer(surface, 1, 1, 1, 1);
    attach(&a);
    assert_all_sent(&a);
    assert_int_equal(1, damage_file_pieces(file));
    attach(&a);
    assert_nothing_sent();
}

static void test_only_damage_is_sent(void **state)
{
    struct damage_layout a = layout_at(64, 10, 10);

    (void)state;
    attach(&a);
    damage_surface_add_buffer(surface, 2, 3, 4, 2);
    attach(&a);
    assert_int_equal(1, n_sent);
    assert_sent(0, 64 + 3 * 40 + 2 * 4, 16, 2, 40);
    /* Several: disjoint, in file order, whatever the order and overlap they were named in. */
    damage_surface_add_buffer(surface, 0, 5, 3, 3);
    damage_surface_add_buffer(surface, 7, 0, 1, 1);
    damage_surface_add_buffer(surface, 1, 6, 1, 1);
    damage_surface_add(surface, 0, 5, 1, 1);
    attach(&a);
    assert_int_equal(2, n_sent);
    assert_sent(0, 64 + 28, 4, 1, 4);
    assert_sent(1, 64 + 5 * 40, 12, 3, 40);
}

static void test_buffers_in_turn_get_what_they_missed(void **state)
{
    struct damage_layout a = layout_at(0, 10, 10), b = layout_at(400, 10, 10);

    (void)state;
    attach(&a);
    damage_surface_add_buffer(surface, 0, 0, 1, 1);
    attach(&b);
    assert_all_sent(&b);
    damage_surface_add_buffer(surface, 5, 5, 1, 1);
    attach(&a); /* what b brought, and this */
    assert_int_equal(2, n_sent);
    assert_sent(0, 0, 4, 1, 4);
    assert_sent(1, 5 * 40 + 20, 4, 1, 4);
    attach(&b); /* what a brought, though this commit names nothing */
    assert_int_equal(1, n_sent);
    assert_sent(0, 400 + 5 * 40 + 20, 4, 1, 4);
    attach(&a);
    assert_nothing_sent();
}

static void test_damage_reaches_buffers_of_any_stride(void **state)
{
    struct damage_layout a = layout_at(0, 10, 10), b = layout_at(400, 10, 10);

    (void)state;
    b.stride = 64;
    b.extent = 640;
    attach(&b);
    attach(&a);
    damage_surface_add_buffer(surface, 0, 1, 10, 2);
    attach(&a);
    assert_sent(0, 40, 80, 1, 80);
    attach(&b);
    assert_int_equal(1, n_sent);
    assert_sent(0, 464, 40, 2, 64);
}

static void test_commit_without_attach(void **state)
{
    struct damage_layout a = layout_at(0, 10, 10);

    (void)state;
    attach(&a);
    damage_surface_add_buffer(surface, 9, 9, 1, 1);
    commit_as(surface, &a, &plain, false, false);
    assert_int_equal(1, n_sent);
    assert_sent(0, 396, 4, 1, 4);
    commit_as(surface, &a, &plain, false, false);
    assert_nothing_sent();
    /* Not held, but nothing was changed or attached. */
    damage_forget(file, 0, 1);
    commit_as(surface, &a, &plain, false, false);
    assert_nothing_sent();
    damage_surface_add_buffer(surface, 20, 20, 1, 1); /* outside: no damage */
    commit_as(surface, &a, &plain, false, false);
    assert_nothing_sent();
    damage_surface_add_buffer(surface, 0, 0, 1, 1);
    commit_as(surface, &a, &plain, false, false);
    assert_all_sent(&a);
}

static void test_same_place_is_same_buffer(void **state)
{
    struct damage_layout a = layout_at(0, 10, 10), again = a;

    (void)state;
    attach(&a); /* then that wl_buffer is destroyed and made anew */
    attach(&again);
    assert_nothing_sent();
    /* The same bytes in another format, and back. */
    again.format = 2;
    attach(&again);
    assert_all_sent(&again);
    attach(&a);
    assert_all_sent(&a);
    assert_int_equal(1, damage_file_pieces(file));
    /* And with other rows in the same bytes. */
    a.cpp = 0;
    attach(&a);
    assert_all_sent(&a);
    again = a;
    again.stride = 44;
    attach(&again);
    assert_int_equal(1, n_sent);
    assert_sent(0, 0, 400, 1, 400);
}

static void test_each_break_of_the_chain(void **state)
{
    static const char *const names[] = {"width",  "height", "format",      "scale", "transform",
                                        "source", "crop",   "destination", "moved", "no buffer"};
    struct damage_layout a = layout_at(0, 10, 10), b = layout_at(4000, 10, 10);

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct damage_layout changed = b;
        struct damage_mapping mapping = {.scale = 1}, source = {.scale = 1, .has_source = true};
        bool moved = false;

        source.source_width = source.source_height = 10 * 256;
        if (!strcmp(names[i], "crop"))
            mapping = source;
        commit_as(surface, &a, &mapping, true, true);
        assert_all_sent(&a);
        commit_as(surface, &a, &mapping, true, false);
        assert_nothing_sent();

        if (!strcmp(names[i], "width"))
            changed = layout_at(4000, 9, 10);
        else if (!strcmp(names[i], "height"))
            changed = layout_at(4000, 10, 9);
        else if (!strcmp(names[i], "format"))
            changed.format = 2;
        else if (!strcmp(names[i], "scale"))
            mapping.scale = 2;
        else if (!strcmp(names[i], "transform"))
            mapping.transform = 2;
        else if (!strcmp(names[i], "source"))
            mapping = source;
        else if (!strcmp(names[i], "crop"))
            mapping.source_width--;
        else if (!strcmp(names[i], "destination"))
            mapping = (struct damage_mapping){1, .has_destination = true, .width = 5, .height = 5};
        else if (!strcmp(names[i], "moved"))
            moved = true;
        if (!strcmp(names[i], "no buffer"))
            commit_as(surface, NULL, &mapping, true, false);
        else
            commit_as(surface, &changed, &mapping, true, moved);

        /* What was held before it is not continued, even if all is as it was. */
        if (!strcmp(names[i], "crop"))
            mapping.source_width++;
        else
            mapping = (struct damage_mapping){.scale = 1};
        commit_as(surface, &a, &mapping, true, false);
        if (n_sent == 0)
            print_error("a change of %s does not break the chain\n", names[i]);
        assert_all_sent(&a);
        commit_as(surface, &a, &mapping, true, false);
        assert_nothing_sent();
    }
}

/* Panning a viewport costs nothing by itself. */
static void test_mapping_alone_sends_nothing(void **state)
{
    struct damage_layout a = layout_at(0, 10, 10);
    struct damage_mapping mapping = {.scale = 1, .has_source = true};

    (void)state;
    mapping.source_width = mapping.source_height = 256;
    commit_as(surface, &a, &mapping, true, false);
    for (int i = 0; i < 5; i++) {
        mapping.source_x += 256;
        commit_as(surface, &a, &mapping, false, false);
        assert_nothing_sent();
    }
    damage_surface_add_buffer(surface, 0, 0, 1, 1);
    commit_as(surface, &a, &mapping, false, false);
    assert_all_sent(&a);
}

static void test_another_surface_takes_the_buffer(void **state)
{
    struct damage_layout a = layout_at(0, 10, 10);

    (void)state;
    attach(&a);
    commit_as(other, &a, &plain, true, false);
    assert_all_sent(&a);
    commit_as(other, &a, &plain, true, false);
    assert_nothing_sent();
    damage_surface_add_buffer(surface, 0, 0, 1, 1);
    attach(&a);
    assert_all_sent(&a);
    /* Damage is of one surface only. */
    damage_surface_add_buffer(other, 0, 0, 10, 10);
    attach(&a);
    assert_nothing_sent();
}

static void test_overwritten_through_another_buffer(void **state)
{
    struct damage_layout a = layout_at(0, 10, 10), b = layout_at(360, 10, 10);
    struct damage_layout c = layout_at(760, 10, 10);

    (void)state;
    attach(&a);
    attach(&c); /* touches neither a nor, yet, b */
    attach(&b); /* shares its first row with a's last */
    attach(&c);
    assert_nothing_sent();
    attach(&a);
    assert_all_sent(&a);
    attach(&b);
    assert_all_sent(&b);
    /* Through another file it is other bytes. */
    attach(&a);
    n_sent = 0;
    struct damage_file *second = damage_file_create();
    assert_int_equal(0, damage_commit(surface, second, &a, &plain, true, false, collect, NULL));
    assert_all_sent(&a);
    attach(&a);
    assert_nothing_sent();
    damage_file_destroy(second);
}

static void test_side_by_side(void **state)
{
    struct damage_layout a = layout_at(0, 10, 10), b, c;

    (void)state;
    a.stride = 100;
    a.extent = 940;
    b = a;
    b.offset = 40; /* right of a in the same rows */
    c = a;
    c.offset = 80; /* runs over the edge into a's columns, a row further down */
    attach(&a);
    assert_int_equal(1, n_sent);
    assert_sent(0, 0, 40, 10, 100);
    attach(&b);
    assert_sent(0, 40, 40, 10, 100);
    attach(&a);
    assert_nothing_sent();
    attach(&b);
    assert_nothing_sent();
    attach(&c);
    assert_int_equal(2, damage_file_pieces(file));
    attach(&b); /* which ends where c begins */
    assert_nothing_sent();
    attach(&a);
    assert_int_equal(1, n_sent);
}

static void test_rows_in_anothers_padding(void **state)
{
    struct damage_layout a = layout_at(0, 10, 10), b = layout_at(40, 10, 5), c = b;

    (void)state;
    a.stride = 100;
    a.extent = 1000;
    b.stride = 200; /* every second gap of a's */
    b.extent = 840;
    c.stride = 150; /* its second row is in a's */
    attach(&a);
    commit_as(other, &b, &plain, true, false);
    attach(&a);
    assert_nothing_sent();
    commit_as(other, &c, &plain, true, false);
    attach(&a);
    assert_int_equal(1, n_sent);
}

static void test_forget(void **state)
{
    struct damage_layout a = layout_at(100, 10, 10), b = layout_at(2000, 10, 10);

    (void)state;
    a.stride = 100;
    a.extent = 1000;
    attach(&a);
    attach(&b);
    damage_forget(file, 0, 100);    /* before */
    damage_forget(file, 140, 60);   /* between two rows */
    damage_forget(file, 1040, 900); /* after the last */
    damage_forget(file, 150, 0);
    damage_forget(file, 100, 0);
    damage_forget(file, UINT64_MAX, UINT64_MAX);
    attach(&a);
    assert_nothing_sent();
    damage_forget(file, 140, 61); /* reaches the second row */
    attach(&b);
    assert_nothing_sent();
    attach(&a);
    assert_int_equal(1, n_sent);
    assert_sent(0, 100, 40, 10, 100);
    damage_forget(file, 1039, 1); /* its last byte */
    assert_int_equal(1, damage_file_pieces(file));
    damage_forget(file, 1, UINT64_MAX);
    assert_int_equal(0, damage_file_pieces(file));
}

static void test_whole(void **state)
{
    struct damage_layout a = layout_at(0, 10, 10), b = layout_at(400, 10, 10);
    struct damage_layout icon = layout_at(200, 5, 5);

    (void)state;
    attach(&a);
    attach(&b);
    n_sent = 0;
    assert_int_equal(0, damage_whole(file, &icon, collect, NULL));
    assert_all_sent(&icon);
    attach(&b);
    assert_nothing_sent();
    attach(&a);
    assert_all_sent(&a);
    /* A reader of the very same buffer may have seen it half drawn. */
    assert_int_equal(0, damage_whole(file, &a, collect, NULL));
    attach(&a);
    assert_all_sent(&a);
}

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

static void test_damage_waits_for_the_commit(void **state)
{
    struct damage_layout a = layout_at(0, 10, 10);
    struct damage_mapping twice = {.scale = 2};

    (void)state;
    commit_as(surface, &a, &twice, true, false);
    damage_surface_add(surface, 1, 1, 1, 1);
    assert_int_equal(1, damage_file_pieces(file));
    commit_as(surface, &a, &twice, false, false);
    assert_int_equal(1, n_sent);
    assert_sent(0, 2 * 40 + 8, 8, 2, 40);
    /* Damage of a commit without a buffer is gone. */
    damage_surface_add(surface, 1, 1, 1, 1);
    damage_surface_add_buffer(surface, 1, 1, 1, 1);
    commit_as(surface, NULL, &twice, true, false);
    assert_nothing_sent();
    assert_int_equal(0, damage_file_pieces(file));
    commit_as(surface, &a, &twice, true, false);
    commit_as(surface, &a, &twice, false, false);
    assert_nothing_sent();
}

static void test_many_rectangles(void **state)
{
    struct damage_layout a = layout_at(0, 300, 300);
    uint64_t bytes = 0;

    (void)state;
    attach(&a);
    /* As many boxes as are kept apart: exactly these. */
    for (int i = 0; i < 4096; i++)
        damage_surface_add_buffer(surface, i % 64 * 2, i / 64 * 2, 1, 1);
    attach(&a);
    assert_int_equal(4096, n_sent);
    for (int i = 0; i < 4096; i++)
        assert_sent((size_t)i, (uint64_t)(i / 64 * 2 * 1200 + i % 64 * 8), 4, 1, 4);
    /* More become one box, and what comes later still counts. */
    for (int i = 0; i < 5000; i++)
        damage_surface_add_buffer(surface, i % 100 * 2, i / 100 * 2, 1, 1);
    damage_surface_add_buffer(surface, 299, 299, 1, 1);
    attach(&a);
    for (size_t i = 0; i < n_sent; i++)
        bytes += (uint64_t)sent[i].row * sent[i].rows;
    assert_true(bytes >= 5001 * 4 && bytes < 300 * 300 * 4);
    assert_int_equal(4 * (299 * 300 + 299), sent[n_sent - 1].offset);
    attach(&a);
    assert_nothing_sent();
    /* A grid whose crossings are more than anyone wants to hold. */
    for (int i = 0; i < 150; i++) {
        damage_surface_add_buffer(surface, i * 2, 0, 1, 300);
        damage_surface_add_buffer(surface, 0, i * 2, 300, 1);
    }
    attach(&a);
    assert_true(n_sent > 0);
}

static void test_limits_of_the_record(void **state)
{
    struct damage_surface *many[17];
    struct damage_layout a, b;

    (void)state;
    for (uint32_t i = 0; i < 65; i++) {
        a = layout_at(i * 400, 10, 10);
        attach(&a);
    }
    assert_int_equal(64, damage_file_pieces(file));
    a = layout_at(400, 10, 10);
    attach(&a);
    assert_nothing_sent();
    a = layout_at(0, 10, 10); /* the longest unused: pushes out the third, as the second was used */
    attach(&a);
    assert_all_sent(&a);
    a = layout_at(400, 10, 10);
    attach(&a);
    assert_nothing_sent();
    a = layout_at(800, 10, 10);
    attach(&a);
    assert_all_sent(&a);

    /* What is in use stays, however much comes and goes. */
    b = layout_at(50000, 10, 10);
    commit_as(other, &b, &plain, true, false);
    for (uint32_t i = 0; i < 17 * 64; i++) {
        if (i % 64 == 0) {
            many[i / 64] = damage_surface_create();
            assert_non_null(many[i / 64]);
        }
        a = layout_at(100000 + i * 400, 10, 10);
        commit_as(many[i / 64], &a, &plain, true, false);
        assert_all_sent(&a);
        commit_as(other, &b, &plain, true, false);
        assert_nothing_sent();
    }
    assert_int_equal(1024, damage_file_pieces(file));
    commit_as(many[16], &a, &plain, true, false);
    assert_nothing_sent();
    a = layout_at(100000, 10, 10);
    commit_as(many[0], &a, &plain, true, false);
    assert_all_sent(&a);
    for (int i = 0; i < 17; i++)
        damage_surface_destroy(many[i]);
    assert_int_equal(1, damage_file_pieces(file));
}

static void test_ends_in_any_order(void **state)
{
    struct damage_layout a = layout_at(0, 10, 10), b = layout_at(400, 10, 10);

    (void)state;
    attach(&a);
    commit_as(other, &b, &plain, true, false);
    damage_surface_destroy(surface);
    assert_int_equal(1, damage_file_pieces(file));
    surface = damage_surface_create();
    assert_non_null(surface);
    attach(&a);
    assert_all_sent(&a);
    damage_file_destroy(file);
    file = damage_file_create();
    assert_non_null(file);
    attach(&a);
    assert_all_sent(&a);
    damage_file_destroy(NULL);
    damage_surface_destroy(NULL);
}

#define rule(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        rule(test_first_use_is_whole),
        rule(test_only_damage_is_sent),
        rule(test_buffers_in_turn_get_what_they_missed),
        rule(test_damage_reaches_buffers_of_any_stride),
        rule(test_commit_without_attach),
        rule(test_same_place_is_same_buffer),
        rule(test_each_break_of_the_chain),
        rule(test_mapping_alone_sends_nothing),
        rule(test_another_surface_takes_the_buffer),
        rule(test_overwritten_through_another_buffer),
        rule(test_side_by_side),
        rule(test_rows_in_anothers_padding),
        rule(test_forget),
        rule(test_whole),
        rule(test_formats_that_only_go_whole),
        rule(test_absurd_rectangles),
        rule(test_huge_layouts),
        rule(test_transforms_and_scales_pixel_by_pixel),
        rule(test_known_corners),
        rule(test_viewport_rounding),
        rule(test_invalid_mappings_damage_everything),
        rule(test_damage_waits_for_the_commit),
        rule(test_many_rectangles),
        rule(test_limits_of_the_record),
        rule(test_ends_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
