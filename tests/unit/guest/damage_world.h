/* SPDX-License-Identifier: MIT */
#pragma once
/* damage_world: a file, two surfaces, and what the last commit sent. */
#include "tests/unit/support.h"

#include <stdbool.h>
#include <string.h>

#include "guest-proxy/pixels/damage.h"

#define SENT_MAX 8192

/* What the last call sent. */
static struct damage_rect sent[SENT_MAX];
static size_t n_sent;

static inline void collect(void *user, const struct damage_rect *rect)
{
    (void)user;
    assert_true(n_sent < SENT_MAX);
    sent[n_sent++] = *rect;
}

static struct damage_file *file;
static struct damage_surface *surface, *other;
static struct damage_mapping plain;

static inline int damage_setup(void **state)
{
    (void)state;
    file = damage_file_create();
    surface = damage_surface_create();
    other = damage_surface_create();
    plain = (struct damage_mapping){.scale = 1};
    return file && surface && other ? 0 : -1;
}

static inline int damage_teardown(void **state)
{
    (void)state;
    damage_surface_destroy(surface);
    damage_file_destroy(file);
    damage_surface_destroy(other);
    return 0;
}

/* 4 bytes per pixel, no padding. */
static inline struct damage_layout layout_at(uint64_t offset, uint32_t width, uint32_t height)
{
    return (struct damage_layout){.offset = offset,
                                  .stride = width * 4,
                                  .width = width,
                                  .height = height,
                                  .cpp = 4,
                                  .format = 1,
                                  .extent = (uint64_t)width * 4 * height};
}

static inline void commit_as(struct damage_surface *s, const struct damage_layout *layout,
                             const struct damage_mapping *mapping, bool attached, bool moved)
{
    n_sent = 0;
    assert_int_equal(
        0, damage_commit(s, layout ? file : NULL, layout, mapping, attached, moved, collect, NULL));
}

static inline void attach(const struct damage_layout *layout)
{
    commit_as(surface, layout, &plain, true, false);
}

static inline void assert_sent(size_t i, uint64_t offset, uint32_t row, uint32_t rows,
                               uint32_t stride)
{
    assert_true(i < n_sent);
    assert_int_equal(offset, sent[i].offset);
    assert_int_equal(row, sent[i].row);
    assert_int_equal(rows, sent[i].rows);
    assert_int_equal(stride, sent[i].stride);
}

static inline void assert_nothing_sent(void)
{
    assert_int_equal(0, n_sent);
}

/* A layout without padding went as one run. */
static inline void assert_all_sent(const struct damage_layout *layout)
{
    assert_int_equal(1, n_sent);
    assert_sent(0, layout->offset, layout->stride * layout->height, 1,
                layout->stride * layout->height);
}

#define DAMAGE_TEST(test) cmocka_unit_test_setup_teardown(test, damage_setup, damage_teardown)
