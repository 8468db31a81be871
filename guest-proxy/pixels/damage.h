/* SPDX-License-Identifier: MIT */
#pragma once
/* damage: which bytes of a pool's file may differ from what the host holds. Bookkeeping: no fds, no
 * I/O. At most 64 layouts per surface and 1024 per file are remembered (the longest unused is
 * forgotten and goes whole next time), and regions of more than 4096 boxes become one. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-proxy/pixels/damage-layout.h"
#include "guest-proxy/pixels/damage-map.h"

/* One per pool file: what the host holds of it. */
struct damage_file;
/* One per wl_surface: the chain of contents that damage is relative to. */
struct damage_surface;

/* NULL: no memory. They may be destroyed in any order. */
struct damage_file *damage_file_create(void);
void damage_file_destroy(struct damage_file *file);
struct damage_surface *damage_surface_create(void);
void damage_surface_destroy(struct damage_surface *surface);

/* wl_surface.damage (surface coordinates) and damage_buffer (buffer coordinates): pending until the
 * commit. Any int32 values; what lies outside the surface or buffer, or is not positive in size,
 * counts for nothing. */
void damage_surface_add(struct damage_surface *surface, int32_t x, int32_t y, int32_t width,
                        int32_t height);
void damage_surface_add_buffer(struct damage_surface *surface, int32_t x, int32_t y, int32_t width,
                               int32_t height);

/* A commit of @surface that shows @layout of @file (both NULL: no buffer). @mapping is the
 * surface's state as committed; @moved: this commit attached with a non-zero x, y or offset;
 * @attached: this commit attached a buffer (again). Calls @send for each rectangle that may differ
 * from what the host holds, disjoint, by ascending offset, and from then on takes them as held.
 * Where surface and buffer never say which part is new, the rectangle that is all has @repeats.
 * Damage that this commit brings also makes stale what the host holds of this surface's other
 * buffers. Without @attached and without damage nothing is sent. 0, or -ENOMEM: nothing was sent,
 * and @layout counts as not held. */
int damage_commit(struct damage_surface *surface, struct damage_file *file,
                  const struct damage_layout *layout, const struct damage_mapping *mapping,
                  bool attached, bool moved,
                  void (*send)(void *user, const struct damage_rect *rect), void *user);
/* A reader without a surface (an icon, a capture that keeps pixels) sees @layout: sends all of it.
 * What surfaces had synchronised of those bytes counts as overwritten. Always 0. */
int damage_whole(struct damage_file *file, const struct damage_layout *layout,
                 void (*send)(void *user, const struct damage_rect *rect), void *user);
/* The host's bytes [offset, offset + length) are no longer what was sent last (punched out, or
 * written by the host). */
void damage_forget(struct damage_file *file, uint64_t offset, uint64_t length);
/* How many layouts the file's record holds; for tests and limits. */
size_t damage_file_pieces(const struct damage_file *file);
