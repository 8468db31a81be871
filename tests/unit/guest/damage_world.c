/* SPDX-License-Identifier: MIT */
/* The world is made for each test; sent is what the last commit sent, and nothing older. */
#include "tests/unit/guest/damage_world.h"

struct damage_rect sent[SENT_MAX];
size_t n_sent;
struct damage_file *file;
struct damage_surface *surface, *other;
struct damage_mapping plain;

void collect(void *user, const struct damage_rect *rect)
{
    (void)user;
    assert_true(n_sent < SENT_MAX);
    sent[n_sent++] = *rect;
}

int damage_setup(void **state)
{
    (void)state;
    file = damage_file_create();
    surface = damage_surface_create();
    other = damage_surface_create();
    plain = (struct damage_mapping){.scale = 1};
    return file && surface && other ? 0 : -1;
}

int damage_teardown(void **state)
{
    (void)state;
    damage_surface_destroy(surface);
    damage_file_destroy(file);
    damage_surface_destroy(other);
    return 0;
}

struct damage_layout layout_at(uint64_t offset, uint32_t width, uint32_t height)
{
    return (struct damage_layout){.offset = offset,
                                  .stride = width * 4,
                                  .width = width,
                                  .height = height,
                                  .cpp = 4,
                                  .format = 1,
                                  .extent = (uint64_t)width * 4 * height};
}

void commit_as(struct damage_surface *s, const struct damage_layout *layout,
               const struct damage_mapping *mapping, bool attached, bool moved)
{
    n_sent = 0;
    assert_int_equal(
        0, damage_commit(s, layout ? file : NULL, layout, mapping, attached, moved, collect, NULL));
}

void attach(const struct damage_layout *layout)
{
    commit_as(surface, layout, &plain, true, false);
}

void assert_sent(size_t i, uint64_t offset, uint32_t row, uint32_t rows, uint32_t stride)
{
    assert_true(i < n_sent);
    assert_int_equal(offset, sent[i].offset);
    assert_int_equal(row, sent[i].row);
    assert_int_equal(rows, sent[i].rows);
    assert_int_equal(stride, sent[i].stride);
}

void assert_nothing_sent(void)
{
    assert_int_equal(0, n_sent);
}

void assert_all_sent(const struct damage_layout *layout)
{
    assert_int_equal(1, n_sent);
    assert_sent(0, layout->offset, layout->stride * layout->height, 1,
                layout->stride * layout->height);
}
