/* SPDX-License-Identifier: MIT */
#pragma once
/* damage_world: a file, two surfaces, and what the last commit sent. */
#include "tests/unit/support.h"

#include <stdbool.h>
#include <string.h>

#include "guest-proxy/pixels/damage.h"

#define SENT_MAX 8192

/* What the last call sent. */
extern struct damage_rect sent[SENT_MAX];
extern size_t n_sent;

void collect(void *user, const struct damage_rect *rect);

extern struct damage_file *file;
extern struct damage_surface *surface, *other;
extern struct damage_mapping plain;

int damage_setup(void **state);
int damage_teardown(void **state);

/* 4 bytes per pixel, no padding. */
struct damage_layout layout_at(uint64_t offset, uint32_t width, uint32_t height);
void commit_as(struct damage_surface *s, const struct damage_layout *layout,
               const struct damage_mapping *mapping, bool attached, bool moved);
void attach(const struct damage_layout *layout);
void assert_sent(size_t i, uint64_t offset, uint32_t row, uint32_t rows, uint32_t stride);
void assert_nothing_sent(void);

/* A layout without padding went as one run. */
void assert_all_sent(const struct damage_layout *layout);

#define DAMAGE_TEST(test) cmocka_unit_test_setup_teardown(test, damage_setup, damage_teardown)
