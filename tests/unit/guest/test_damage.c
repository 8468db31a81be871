/* SPDX-License-Identifier: MIT */
/* Damage, rule by rule: what a commit sends after which history. */
#include "tests/unit/guest/damage_world.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        DAMAGE_TEST(test_first_use_is_whole),
        DAMAGE_TEST(test_only_damage_is_sent),
        DAMAGE_TEST(test_buffers_in_turn_get_what_they_missed),
        DAMAGE_TEST(test_damage_reaches_buffers_of_any_stride),
        DAMAGE_TEST(test_commit_without_attach),
        DAMAGE_TEST(test_same_place_is_same_buffer),
        DAMAGE_TEST(test_each_break_of_the_chain),
        DAMAGE_TEST(test_mapping_alone_sends_nothing),
        DAMAGE_TEST(test_another_surface_takes_the_buffer),
        DAMAGE_TEST(test_overwritten_through_another_buffer),
        DAMAGE_TEST(test_side_by_side),
        DAMAGE_TEST(test_rows_in_anothers_padding),
        DAMAGE_TEST(test_forget),
        DAMAGE_TEST(test_whole),
        DAMAGE_TEST(test_damage_waits_for_the_commit),
        DAMAGE_TEST(test_many_rectangles),
        DAMAGE_TEST(test_limits_of_the_record),
        DAMAGE_TEST(test_ends_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
