/* SPDX-License-Identifier: MIT */
/* damage: which bytes of a pool's file may differ from what the host holds.
 *
 * A *piece* says: at this layout of this file the host holds what the client had there when it
 * last showed it on this surface, and since then the surface's content changed only within the
 * piece's stale region (in buffer pixels, so it is right for every buffer of the surface whatever
 * its stride and place). The next commit that shows the layout needs to bring only that region.
 *
 * Invariants between calls:
 * - A surface's pieces all belong to its current chain: one size, format and mapping, nothing
 *   moved. When the chain breaks they are dropped, and the next showing of each sends it whole.
 * - No two pieces of a file share a byte. A piece begins by sending its whole layout, and that
 *   drops every other piece it touches: their bytes were overwritten through another buffer.
 *
 * Clients are hostile: regions and lists are capped, and what exceeds a cap costs precision (more
 * is sent), never correctness. pixman fails only for want of memory; a region is then replaced by
 * a single box that contains it, which needs none. */
#include "guest-proxy/pixels/damage.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "guest-proxy/pixels/damage-layout.h"
#include "guest-proxy/pixels/damage-map.h"
#include "guest-proxy/pixels/repeats.h"

#define SURFACE_PIECES_MAX 64
#define FILE_PIECES_MAX 1024
#define REGION_BOXES_MAX 4096 /* a region of more becomes the box around it */
#define BATCH_BOXES 32
#define WHOLE_COMMITS                                                                              \
    3 /* in a row, with all of it damaged: the program does not know what is new */

struct piece {
    struct damage_file *file;
    struct damage_surface *surface;
    struct damage_layout layout;
    pixman_region32_t stale;
    struct repeats *repeats;       /* NULL: not made yet */
    TAILQ_ENTRY(piece) in_file;    /* damage_file::pieces */
    TAILQ_ENTRY(piece) in_surface; /* damage_surface::pieces */
};

TAILQ_HEAD(piece_list, piece);

struct damage_file {
    struct piece_list pieces; /* latest shown first */
    size_t n_pieces;
};

/* Boxes are gathered before they are united: one by one that would be quadratic. */
struct box_set {
    pixman_region32_t region;
    pixman_box32_t batch[BATCH_BOXES];
    int n_batch;
};

struct damage_surface {
    struct piece_list pieces; /* latest shown first */
    size_t n_pieces;
    struct box_set pending_surface, pending_buffer;
    /* Meaningful while there are pieces: what the chain has in common. */
    uint32_t width, height, format;
    struct damage_mapping mapping;
    unsigned whole_commits; /* how many of the last ones had all of it damaged */
};

/* @region becomes the union of both. Never fails, but may cover more. */
static void region_unite(pixman_region32_t *region, const pixman_region32_t *other)
{
    pixman_box32_t around = *pixman_region32_extents(region);
    const pixman_box32_t *more = pixman_region32_extents(other);

    if (!pixman_region32_not_empty(other))
        return;
    if (!pixman_region32_not_empty(region))
        around = *more;
    if (pixman_region32_union(region, region, other) &&
        pixman_region32_n_rects(region) <= REGION_BOXES_MAX)
        return;
    if (more->x1 < around.x1)
        around.x1 = more->x1;
    if (more->y1 < around.y1)
        around.y1 = more->y1;
    if (more->x2 > around.x2)
        around.x2 = more->x2;
    if (more->y2 > around.y2)
        around.y2 = more->y2;
    pixman_region32_reset(region, &around);
}

static void box_set_init(struct box_set *set)
{
    pixman_region32_init(&set->region);
    set->n_batch = 0;
}

static void box_set_finish(struct box_set *set)
{
    pixman_region32_fini(&set->region);
}

static void box_set_flush(struct box_set *set)
{
    pixman_region32_t batch;

    if (set->n_batch > 1 && pixman_region32_init_rects(&batch, set->batch, set->n_batch)) {
        region_unite(&set->region, &batch);
        pixman_region32_fini(&batch);
    } else {
        for (int i = 0; i < set->n_batch; i++) {
            pixman_region32_init_with_extents(&batch, &set->batch[i]);
            region_unite(&set->region, &batch);
        }
    }
    set->n_batch = 0;
}

static void box_set_add(struct box_set *set, const pixman_box32_t *box)
{
    if (set->n_batch == BATCH_BOXES)
        box_set_flush(set);
    set->batch[set->n_batch++] = *box;
}

static void box_set_clear(struct box_set *set)
{
    pixman_region32_clear(&set->region);
    set->n_batch = 0;
}

/* Only what has non-negative coordinates can be part of a surface or buffer. */
static void box_set_add_clipped(struct box_set *set, int32_t x, int32_t y, int32_t width,
                                int32_t height)
{
    int64_t x2 = (int64_t)x + width, y2 = (int64_t)y + height;
    pixman_box32_t box = {
        .x1 = x > 0 ? x : 0,
        .y1 = y > 0 ? y : 0,
        .x2 = (int32_t)(x2 < INT32_MAX ? x2 : INT32_MAX),
        .y2 = (int32_t)(y2 < INT32_MAX ? y2 : INT32_MAX),
    };

    if (width > 0 && height > 0 && box.x1 < box.x2 && box.y1 < box.y2)
        box_set_add(set, &box);
}

static void piece_drop(struct piece *piece)
{
    TAILQ_REMOVE(&piece->file->pieces, piece, in_file);
    piece->file->n_pieces--;
    TAILQ_REMOVE(&piece->surface->pieces, piece, in_surface);
    piece->surface->n_pieces--;
    pixman_region32_fini(&piece->stale);
    repeats_destroy(piece->repeats);
    free(piece);
}

/* NULL: no memory. */
static struct piece *piece_create(struct damage_file *file, struct damage_surface *surface,
                                  const struct damage_layout *layout)
{
    struct piece *piece = malloc(sizeof(*piece));

    if (!piece)
        return NULL;
    if (file->n_pieces == FILE_PIECES_MAX)
        piece_drop(TAILQ_LAST(&file->pieces, piece_list));
    if (surface->n_pieces == SURFACE_PIECES_MAX)
        piece_drop(TAILQ_LAST(&surface->pieces, piece_list));
    piece->file = file;
    piece->surface = surface;
    piece->layout = *layout;
    piece->repeats = NULL;
    pixman_region32_init(&piece->stale);
    TAILQ_INSERT_HEAD(&file->pieces, piece, in_file);
    file->n_pieces++;
    TAILQ_INSERT_HEAD(&surface->pieces, piece, in_surface);
    surface->n_pieces++;
    return piece;
}

static void piece_shown(struct piece *piece)
{
    pixman_region32_clear(&piece->stale);
    TAILQ_REMOVE(&piece->file->pieces, piece, in_file);
    TAILQ_INSERT_HEAD(&piece->file->pieces, piece, in_file);
    TAILQ_REMOVE(&piece->surface->pieces, piece, in_surface);
    TAILQ_INSERT_HEAD(&piece->surface->pieces, piece, in_surface);
}

struct damage_file *damage_file_create(void)
{
    struct damage_file *file = calloc(1, sizeof(*file));

    if (file)
        TAILQ_INIT(&file->pieces);
    return file;
}

void damage_file_destroy(struct damage_file *file)
{
    if (!file)
        return;
    while (!TAILQ_EMPTY(&file->pieces))
        piece_drop(TAILQ_FIRST(&file->pieces));
    free(file);
}

size_t damage_file_pieces(const struct damage_file *file)
{
    return file->n_pieces;
}

void damage_forget(struct damage_file *file, uint64_t offset, uint64_t length)
{
    struct piece *piece = TAILQ_FIRST(&file->pieces);

    while (piece) {
        struct piece *next = TAILQ_NEXT(piece, in_file);

        if (damage_layout_overlaps_range(&piece->layout, offset, length))
            piece_drop(piece);
        piece = next;
    }
}

static void file_overwrite(struct damage_file *file, const struct damage_layout *layout)
{
    struct piece *piece = TAILQ_FIRST(&file->pieces);

    while (piece) {
        struct piece *next = TAILQ_NEXT(piece, in_file);

        if (damage_layouts_overlap(&piece->layout, layout))
            piece_drop(piece);
        piece = next;
    }
}

int damage_whole(struct damage_file *file, const struct damage_layout *layout,
                 void (*send)(void *user, const struct damage_rect *rect), void *user)
{
    file_overwrite(file, layout);
    damage_layout_send(layout, send, user);
    return 0;
}

struct damage_surface *damage_surface_create(void)
{
    struct damage_surface *surface = calloc(1, sizeof(*surface));

    if (!surface)
        return NULL;
    TAILQ_INIT(&surface->pieces);
    box_set_init(&surface->pending_surface);
    box_set_init(&surface->pending_buffer);
    return surface;
}

static void surface_break_chain(struct damage_surface *surface)
{
    while (!TAILQ_EMPTY(&surface->pieces))
        piece_drop(TAILQ_FIRST(&surface->pieces));
    surface->whole_commits = 0;
}

void damage_surface_destroy(struct damage_surface *surface)
{
    if (!surface)
        return;
    surface_break_chain(surface);
    box_set_finish(&surface->pending_surface);
    box_set_finish(&surface->pending_buffer);
    free(surface);
}

void damage_surface_add(struct damage_surface *surface, int32_t x, int32_t y, int32_t width,
                        int32_t height)
{
    box_set_add_clipped(&surface->pending_surface, x, y, width, height);
}

void damage_surface_add_buffer(struct damage_surface *surface, int32_t x, int32_t y, int32_t width,
                               int32_t height)
{
    box_set_add_clipped(&surface->pending_buffer, x, y, width, height);
}

/* Moves the pending damage to @ret_damage, in pixels of a buffer of that size. */
static void surface_take_damage(struct damage_surface *surface, int32_t width, int32_t height,
                                const struct damage_mapping *mapping, pixman_region32_t *ret_damage)
{
    struct box_set *pending = &surface->pending_buffer;
    int n;
    const pixman_box32_t *boxes;

    box_set_flush(&surface->pending_surface);
    boxes = pixman_region32_rectangles(&surface->pending_surface.region, &n);
    if (n > 0) {
        struct damage_map map;
        pixman_box32_t box;

        damage_map_init(&map, mapping, width, height);
        for (int i = 0; i < n; i++)
            if (damage_map_box(&map, &boxes[i], &box))
                box_set_add(pending, &box);
        box_set_clear(&surface->pending_surface);
    }
    box_set_flush(pending);
    if (!pixman_region32_intersect_rect(ret_damage, &pending->region, 0, 0, (unsigned int)width,
                                        (unsigned int)height)) {
        pixman_box32_t all = {0, 0, width, height};

        pixman_region32_reset(ret_damage, &all);
    }
    box_set_clear(pending);
}

static struct piece *surface_find(struct damage_surface *surface, const struct damage_file *file,
                                  const struct damage_layout *layout)
{
    struct piece *piece;

    TAILQ_FOREACH (piece, &surface->pieces, in_surface)
        if (piece->file == file && damage_layout_equal(&piece->layout, layout))
            return piece;
    return NULL;
}

static bool surface_continues(const struct damage_surface *surface,
                              const struct damage_layout *layout,
                              const struct damage_mapping *mapping)
{
    return surface->width == layout->width && surface->height == layout->height &&
           surface->format == layout->format && damage_mapping_equal(&surface->mapping, mapping);
}

static bool is_whole(const struct damage_layout *layout, const pixman_region32_t *region)
{
    const pixman_box32_t *box = pixman_region32_extents(region);

    return pixman_region32_n_rects(region) == 1 && box->x1 == 0 && box->y1 == 0 &&
           (uint32_t)box->x2 == layout->width && (uint32_t)box->y2 == layout->height;
}

struct repeating {
    struct repeats *repeats;
    damage_send_func *send;
    void *user;
};

static void send_repeating(void *user, const struct damage_rect *rect)
{
    const struct repeating *to = user;
    struct damage_rect all = *rect;

    all.repeats = to->repeats;
    to->send(to->user, &all);
}

static void send_stale(struct piece *piece, damage_send_func *send, void *user)
{
    bool exact = damage_layout_exact(&piece->layout);

    if (!pixman_region32_not_empty(&piece->stale))
        return;
    if (exact && piece->surface->whole_commits >= WHOLE_COMMITS &&
        is_whole(&piece->layout, &piece->stale)) {
        if (!piece->repeats)
            piece->repeats = repeats_create();
        struct repeating to = {piece->repeats, send, user};
        if (piece->repeats)
            repeats_turn(piece->repeats);
        damage_layout_send(&piece->layout, send_repeating, &to);
        return;
    }
    repeats_destroy(piece->repeats);
    piece->repeats = NULL;
    if (exact)
        damage_layout_send_region(&piece->layout, &piece->stale, send, user);
    else
        damage_layout_send(&piece->layout, send, user);
}

static int32_t clamp_length(uint32_t length)
{
    return length <= INT32_MAX ? (int32_t)length : INT32_MAX;
}

int damage_commit(struct damage_surface *surface, struct damage_file *file,
                  const struct damage_layout *layout, const struct damage_mapping *mapping,
                  bool attached, bool moved,
                  void (*send)(void *user, const struct damage_rect *rect), void *user)
{
    pixman_region32_t damage;
    struct piece *piece;
    bool damaged;

    if (!layout) {
        /* What is shown next is not relative to anything. */
        surface_break_chain(surface);
        box_set_clear(&surface->pending_surface);
        box_set_clear(&surface->pending_buffer);
        return 0;
    }
    if (moved || !surface_continues(surface, layout, mapping)) {
        surface_break_chain(surface);
        surface->width = layout->width;
        surface->height = layout->height;
        surface->format = layout->format;
        surface->mapping = *mapping;
    }

    pixman_region32_init(&damage);
    surface_take_damage(surface, clamp_length(layout->width), clamp_length(layout->height), mapping,
                        &damage);
    damaged = pixman_region32_not_empty(&damage);
    if (damaged && !is_whole(layout, &damage))
        surface->whole_commits = 0;
    else if (damaged && surface->whole_commits < WHOLE_COMMITS)
        surface->whole_commits++;
    if (damaged)
        TAILQ_FOREACH (piece, &surface->pieces, in_surface)
            region_unite(&piece->stale, &damage);
    pixman_region32_fini(&damage);
    if (!attached && !damaged)
        return 0;

    piece = surface_find(surface, file, layout);
    if (piece) {
        send_stale(piece, send, user);
        piece_shown(piece);
        return 0;
    }
    file_overwrite(file, layout);
    if (!piece_create(file, surface, layout))
        return -ENOMEM;
    damage_layout_send(layout, send, user);
    return 0;
}
