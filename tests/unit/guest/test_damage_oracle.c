/* SPDX-License-Identifier: MIT */
/* Damage against a brute-force oracle: clients that draw at random, but by the protocol's rules,
 * and for every byte of every file a record of who synchronised it last, through what, and when.
 * After each commit the host must hold what the client shows, and exactly the bytes that the record
 * calls for must have been sent, each once; of a program that calls everything damaged, those that
 * have not changed may be left out. */
#include "tests/unit/support.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/base/memory.h"
#include "guest-proxy/pixels/damage.h"
#include "guest-proxy/pixels/repeats.h"

#define WORLDS 60
#define STEPS 800
#define N_FILES 2
#define N_SURFACES 3
#define N_LAYOUTS 14
#define FILE_BYTES 8192
#define SIDE_MAX 12

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (uint32_t)((z ^ (z >> 31)) >> 16) % n;
}

static bool chance(uint32_t percent)
{
    return random_below(100) < percent;
}

static int32_t random_between(int32_t low, int32_t high)
{
    return low + (int32_t)random_below((uint32_t)(high - low + 1));
}

/* Who brought a byte to the host last. */
struct record {
    unsigned surface, chain; /* surface 0: nobody */
    int layout;
    unsigned when;
};

struct file {
    struct damage_file *damage;
    struct memory *memory;
    uint8_t *client; /* mapping of the memory */
    uint8_t host[FILE_BYTES];
    struct record record[FILE_BYTES];
};

struct layout {
    int file;
    struct damage_layout at;
    bool by_pixel; /* pixels map to bytes */
};

struct surface {
    struct damage_surface *damage;
    unsigned id, chain;
    int shown;  /* index of the layout, -1: none */
    int two[2]; /* what was shown last */
    bool continues;
    uint32_t width, height, format; /* of the chain */
    struct damage_mapping chain_mapping, mapping;
    bool careless; /* has two pictures, and calls all of it damaged whichever is next */
    uint64_t content[SIDE_MAX * SIDE_MAX];
    unsigned damaged[SIDE_MAX * SIDE_MAX]; /* when last */
};

struct rect {
    bool in_buffer;
    int32_t x, y, width, height;
};

static struct file files[N_FILES];
static struct layout layouts[N_LAYOUTS];
static struct surface surfaces[N_SURFACES];
static unsigned now, next_surface_id, next_chain;
static uint64_t seed;
static bool calm; /* this world's clients mostly keep to their own buffers and mapping */
/* What the last call sent. */
static struct file *sending;
static uint8_t sent[FILE_BYTES];
static bool sent_repeats;        /* what repeats was left out */
static unsigned long n_left_out; /* bytes, in all worlds */
static uint64_t sent_offset;
static bool sent_any;

#define check(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("seed %llu, step %u: ", (unsigned long long)seed, now);                    \
            print_error(__VA_ARGS__);                                                              \
            print_error("\n");                                                                     \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

/* ---- the world ---- */

static const struct {
    uint32_t format, cpp;
    bool planar;
} formats[] = {{10, 1, false}, {20, 2, false}, {30, 3, false}, {40, 4, false},
               {41, 4, false}, {80, 8, false}, {90, 0, false}, {91, 1, true}};

static void random_layout(int index)
{
    struct layout *l = &layouts[index];
    const struct layout *like = index > 0 ? &layouts[random_below((uint32_t)index)] : NULL;
    uint32_t f = random_below(sizeof(formats) / sizeof(formats[0])), row, pixel;

    l->file = (int)random_below(N_FILES);
    l->at.width = 1 + random_below(SIDE_MAX);
    l->at.height = 1 + random_below(SIDE_MAX);
    if (like && chance(calm ? 95 : 80)) { /* a buffer of the same kind: the chain can go on */
        l->file = chance(80) ? like->file : l->file;
        l->at.width = like->at.width;
        l->at.height = like->at.height;
        for (uint32_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
            if (formats[i].format == like->at.format && chance(90))
                f = i;
    }
    l->at.format = formats[f].format;
    l->at.cpp = formats[f].cpp;
    pixel = l->at.cpp ? l->at.cpp : 2;
    row = l->at.width * pixel;
    l->at.stride = row + (chance(50) ? 0 : random_below(9));
    if (chance(20))
        l->at.stride = 2 * row + random_below(3);
    if (like && chance(40) && like->at.stride >= row)
        l->at.stride = like->at.stride;
    l->at.extent = (uint64_t)l->at.stride * l->at.height;
    if (formats[f].planar)
        l->at.extent += l->at.extent / 2 + 1;
    else if (l->at.cpp && chance(30)) /* the padding after the last row is not the buffer's */
        l->at.extent -= l->at.stride - row;
    l->by_pixel = l->at.cpp && !formats[f].planar;

    l->at.offset = random_below((uint32_t)(FILE_BYTES - l->at.extent - l->at.stride));
    if (like) {
        uint64_t offset = like->at.offset;

        switch (random_below(calm ? 20 : 6)) {
        case 0: /* at the same place */
            break;
        case 1: /* side by side in one wide picture */
            offset += (uint64_t)like->at.width * (like->at.cpp ? like->at.cpp : 1);
            break;
        case 2: /* right after it */
            offset += like->at.extent;
            break;
        case 3: /* some rows further: they overlap */
            offset += (uint64_t)like->at.stride * random_below(like->at.height);
            break;
        case 4: /* any overlap */
            offset += random_below((uint32_t)like->at.extent);
            break;
        default:
            offset = l->at.offset;
        }
        if (offset + l->at.extent + l->at.stride <= FILE_BYTES)
            l->at.offset = offset;
    }
}

/* A layout that was described twice is one place: the lowest index stands for it. */
static int layout_identity(int index)
{
    for (int i = 0; i < index; i++)
        if (layouts[i].file == layouts[index].file &&
            layouts[i].at.offset == layouts[index].at.offset &&
            layouts[i].at.stride == layouts[index].at.stride &&
            layouts[i].at.width == layouts[index].at.width &&
            layouts[i].at.height == layouts[index].at.height &&
            layouts[i].at.format == layouts[index].at.format &&
            layouts[i].at.extent == layouts[index].at.extent)
            return i;
    return index;
}

static void surface_start(struct surface *s)
{
    damage_surface_destroy(s->damage);
    *s =
        (struct surface){.id = ++next_surface_id, .shown = -1, .two = {-1, -1}, .mapping.scale = 1};
    s->careless = chance(30);
    s->damage = damage_surface_create();
    assert_non_null(s->damage);
}

static void file_start(struct file *f)
{
    damage_file_destroy(f->damage);
    memory_unref(f->memory);
    int fd = fd_memfd("pool", FILE_BYTES);
    assert_true(fd >= 0);
    f->memory = memory_import(fd, FILE_BYTES, true, 1, 1, NULL);
    assert_non_null(f->memory);
    f->client = memory_map(f->memory);
    f->damage = damage_file_create();
    assert_non_null(f->damage);
    memset(f->record, 0, sizeof(f->record));
    for (int i = 0; i < FILE_BYTES; i++)
        f->host[i] = (uint8_t)random_below(256);
}

static void world_start(uint64_t world_seed)
{
    seed = random_state = world_seed;
    now = next_surface_id = next_chain = 0;
    calm = world_seed % 3 != 0;
    for (int i = 0; i < N_LAYOUTS; i++)
        random_layout(i);
    for (int i = 0; i < N_FILES; i++)
        file_start(&files[i]);
    for (int i = 0; i < N_SURFACES; i++)
        surface_start(&surfaces[i]);
}

static void world_end(void)
{
    for (int i = 0; i < N_FILES; i++) {
        damage_file_destroy(files[i].damage);
        files[i].damage = NULL;
        memory_unref(files[i].memory);
        files[i].memory = NULL;
    }
    for (int i = 0; i < N_SURFACES; i++) {
        damage_surface_destroy(surfaces[i].damage);
        surfaces[i].damage = NULL;
    }
}

/* The pixel that byte @i (from the layout's offset) shows, -1: none. */
static int byte_pixel(const struct layout *l, uint64_t i)
{
    uint64_t x, y = i / l->at.stride;

    if (!l->by_pixel)
        return -1;
    x = i % l->at.stride / l->at.cpp;
    return x < l->at.width && y < l->at.height ? (int)(y * l->at.width + x) : -1;
}

static bool byte_counts(const struct layout *l, uint64_t i)
{
    return !l->by_pixel || byte_pixel(l, i) >= 0;
}

/* Bytes that belong to the layout lie below this. */
static uint64_t layout_end(const struct layout *l)
{
    return l->by_pixel ? (uint64_t)l->at.stride * l->at.height : l->at.extent;
}

static void collect_rows(void *user, const struct damage_rect *rect)
{
    (void)user;
    check(rect->row > 0 && rect->rows > 0 && rect->stride >= rect->row, "an empty rectangle");
    check(rect->rows > 1 || rect->stride == rect->row, "one row with a stride");
    check(!sent_any || rect->offset > sent_offset, "rectangles out of order");
    sent_any = true;
    sent_offset = rect->offset;
    for (uint32_t y = 0; y < rect->rows; y++)
        for (uint32_t x = 0; x < rect->row; x++) {
            uint64_t at = rect->offset + (uint64_t)y * rect->stride + x;

            check(at < FILE_BYTES, "byte %llu sent, beyond the file", (unsigned long long)at);
            check(!sent[at], "byte %llu sent twice", (unsigned long long)at);
            sent[at] = 1;
            sending->host[at] = sending->client[at];
        }
}

static void collect_bytes(void *user, uint64_t offset, const uint8_t *bytes, uint32_t size)
{
    struct damage_rect rect = {.offset = offset, .row = size, .rows = 1, .stride = size};

    collect_rows(user, &rect);
    memcpy(sending->host + offset, bytes, size);
}

static bool has_room(void *user)
{
    (void)user;
    return !chance(5);
}

static void collect(void *user, const struct damage_rect *rect)
{
    static const struct repeats_ops ops = {collect_bytes, collect_rows, has_room};

    /* Now and then the pixels have another way to the host. */
    sent_repeats = rect->repeats && !chance(5);
    if (sent_repeats)
        assert_int_equal(repeats_send(rect->repeats, sending->memory, rect, &ops, user), 0);
    else
        collect_rows(user, rect);
}

static void collect_begin(struct file *f)
{
    sending = f;
    sent_any = sent_repeats = false;
    memset(sent, 0, sizeof(sent));
}

/* ---- the oracle's idea of damage: pixel by pixel, from the buffer to the surface ---- */

/* Along one axis of the turned buffer: does pixel @at, seen on the surface, overlap [from, to)? */
static bool axis_touched(int64_t at, int64_t from, int64_t to, int64_t length, int64_t scale,
                         bool has_source, int64_t source, int64_t source_length,
                         bool has_destination, int64_t destination)
{
    /* In 1/256 pixels of the turned buffer. */
    int64_t start = has_source ? source * scale : 0;
    int64_t span = has_source ? source_length * scale : length * 256;
    int64_t low = at * 256 - start, high = low + 256;

    if (low >= span || high <= 0 || to <= 0)
        return false;
    if (has_destination)
        return from < destination && low * destination < to * span &&
               high * destination > from * span;
    return from * 256 * scale < span && low < to * 256 * scale && high > from * 256 * scale;
}

static bool mapping_valid(const struct damage_mapping *m)
{
    return m->scale > 0 && m->transform >= 0 && m->transform <= 7 &&
           (!m->has_destination || (m->width > 0 && m->height > 0)) &&
           (!m->has_source ||
            (m->source_x >= 0 && m->source_y >= 0 && m->source_width > 0 && m->source_height > 0));
}

/* Marks the buffer's pixels that @rect touches. */
static void mark_rect(const struct rect *rect, const struct damage_mapping *m, int width,
                      int height, uint8_t *marks)
{
    int64_t x2 = (int64_t)rect->x + rect->width, y2 = (int64_t)rect->y + rect->height;
    int turned_width = m->transform & 1 ? height : width;
    int turned_height = m->transform & 1 ? width : height;

    if (rect->width <= 0 || rect->height <= 0)
        return;
    if (rect->in_buffer) {
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                if (x >= rect->x && x < x2 && y >= rect->y && y < y2)
                    marks[y * width + x] = 1;
        return;
    }
    if (!mapping_valid(m)) {
        if (x2 > 0 && y2 > 0 && rect->x < INT32_MAX && rect->y < INT32_MAX)
            memset(marks, 1, (size_t)(width * height));
        return;
    }
    for (int v = 0; v < turned_height; v++)
        for (int u = 0; u < turned_width; u++) {
            int x = u, y = v, w = turned_width, h = turned_height;

            if (!axis_touched(u, rect->x, x2, turned_width, m->scale, m->has_source, m->source_x,
                              m->source_width, m->has_destination, m->width) ||
                !axis_touched(v, rect->y, y2, turned_height, m->scale, m->has_source, m->source_y,
                              m->source_height, m->has_destination, m->height))
                continue;
            /* What the client did to its picture: mirror it, then quarter turns to the left. */
            if (m->transform & 4)
                x = w - 1 - x;
            for (int turn = 0; turn < (m->transform & 3); turn++) {
                int old_x = x, old_w = w;

                x = y;
                y = old_w - 1 - old_x;
                w = h;
                h = old_w;
            }
            marks[y * width + x] = 1;
        }
}

/* ---- one step ---- */

static int32_t random_coordinate(void)
{
    static const int32_t absurd[] = {INT32_MIN, INT32_MIN + 1, -70000,
                                     70000,     INT32_MAX - 1, INT32_MAX};

    return chance(93) ? random_between(-2, 12) : absurd[random_below(6)];
}

static struct rect random_rect(void)
{
    struct rect r = {.in_buffer = chance(50), .x = random_coordinate(), .y = random_coordinate()};

    r.width = chance(85) ? random_between(1, 5) : random_coordinate();
    r.height = chance(85) ? random_between(1, 5) : random_coordinate();
    return r;
}

static void random_mapping(struct damage_mapping *m, int width, int height)
{
    int turned_width, turned_height;

    *m = (struct damage_mapping){.scale = random_between(1, 3), .transform = random_between(0, 7)};
    if (chance(4))
        m->scale = -1;
    if (chance(4))
        m->transform = 8;
    turned_width = m->transform & 1 ? height : width;
    turned_height = m->transform & 1 ? width : height;
    m->has_destination = chance(40);
    m->width = random_between(m->has_destination && chance(4) ? 0 : 1, 20);
    m->height = random_between(1, 20);
    m->has_source = chance(40);
    m->source_x = random_between(chance(3) ? -1 : 0, turned_width * 128);
    m->source_y = random_between(0, turned_height * 128);
    m->source_width = random_between(1, turned_width * 128);
    m->source_height = random_between(1, turned_height * 128);
    if (!m->has_destination) { /* then the source's size is in whole pixels */
        m->source_width = (m->source_width + 255) & ~255;
        m->source_height = (m->source_height + 255) & ~255;
    }
}

static bool mapping_same(const struct damage_mapping *a, const struct damage_mapping *b)
{
    return a->scale == b->scale && a->transform == b->transform && a->has_source == b->has_source &&
           a->has_destination == b->has_destination &&
           (!a->has_source ||
            (a->source_x == b->source_x && a->source_y == b->source_y &&
             a->source_width == b->source_width && a->source_height == b->source_height)) &&
           (!a->has_destination || (a->width == b->width && a->height == b->height));
}

/* The client makes the buffer show the surface's content, whatever was in it. */
static void draw(const struct surface *s, const struct layout *l)
{
    uint8_t *bytes = files[l->file].client + l->at.offset;

    for (uint64_t i = 0; i < layout_end(l); i++) {
        int pixel = byte_pixel(l, i);
        uint64_t mixed = 0;

        if (pixel >= 0) {
            bytes[i] = (uint8_t)(s->content[pixel] >> 8 * (i % l->at.stride % l->at.cpp));
        } else if (!l->by_pixel) { /* any byte may depend on any pixel */
            for (uint32_t p = 0; p < s->width * s->height; p++)
                mixed = (mixed ^ s->content[p]) * 0x100000001b3;
            bytes[i] = (uint8_t)((mixed ^ i) * 0x9e3779b97f4a7c15 >> 56);
        }
    }
}

static void expect(const struct surface *s, int index, bool shows, uint8_t *ret_expected)
{
    const struct layout *l = &layouts[index];
    const struct record *records = files[l->file].record + l->at.offset;
    bool whole = false, any = false;

    memset(ret_expected, 0, FILE_BYTES);
    if (!shows)
        return;
    for (uint64_t i = 0; i < layout_end(l); i++)
        if (byte_counts(l, i) && (records[i].surface != s->id || records[i].chain != s->chain ||
                                  records[i].layout != layout_identity(index)))
            whole = true;
    if (!l->by_pixel) {
        for (uint32_t p = 0; p < s->width * s->height; p++)
            any |= s->damaged[p] > records[0].when;
        whole |= any;
    }
    for (uint64_t i = 0; i < layout_end(l); i++)
        if (byte_counts(l, i) &&
            (whole || (l->by_pixel && s->damaged[byte_pixel(l, i)] > records[i].when)))
            ret_expected[l->at.offset + i] = 1;
}

static int random_buffer(const struct surface *s)
{
    uint32_t own = (uint32_t)(s - surfaces);
    int index = 0;

    /* Mostly one that lets the chain go on, as clients do. */
    for (int tries = 0; tries < 50; tries++) {
        index = (int)random_below(N_LAYOUTS);
        if (calm && (uint32_t)index % N_SURFACES != own && chance(98))
            continue;
        if (!s->continues || chance(calm ? 1 : 10) ||
            (layouts[index].at.width == s->width && layouts[index].at.height == s->height &&
             layouts[index].at.format == s->format))
            break;
    }
    return index;
}

static void step_commit(struct surface *s)
{
    static uint8_t expected[FILE_BYTES];
    uint8_t marks[SIDE_MAX * SIDE_MAX] = {0};
    struct rect rects[8];
    int n_rects = chance(20) ? 0 : chance(60) ? 1 : random_between(2, 8);
    bool attached = chance(75), moved = attached && chance(2), damaged = false, shows;
    bool same = chance(80);
    uint64_t picture = random_below(2);
    const struct layout *l;
    struct file *f;

    if (s->careless && s->shown >= 0 && chance(95))
        moved = false; /* and mostly keeps its two buffers */
    if (attached && s->careless && s->continues && chance(98))
        s->shown = s->two[s->two[0] == s->shown];
    else if (attached)
        s->shown = chance(2) ? -1 : random_buffer(s);
    if (s->shown != s->two[0] && s->shown != s->two[1]) {
        s->two[0] = s->two[1];
        s->two[1] = s->shown;
    }
    l = s->shown >= 0 ? &layouts[s->shown] : NULL;
    if (s->careless && chance(97))
        n_rects = 1;
    for (int i = 0; i < n_rects; i++) {
        rects[i] = random_rect();
        if (s->careless && chance(99))
            rects[i] = (struct rect){true, 0, 0, INT32_MAX, INT32_MAX};
        (rects[i].in_buffer ? damage_surface_add_buffer : damage_surface_add)(
            s->damage, rects[i].x, rects[i].y, rects[i].width, rects[i].height);
    }
    if (!l) {
        collect_begin(NULL);
        assert_int_equal(
            0, damage_commit(s->damage, NULL, NULL, &s->mapping, attached, moved, collect, NULL));
        check(!sent_any, "sent without a buffer");
        s->continues = false;
        return;
    }
    /* After the damage was named: what counts is the state that the commit applies. */
    if (chance(calm ? 2 : 6) && !(s->careless && chance(90)))
        random_mapping(&s->mapping, (int)l->at.width, (int)l->at.height);

    f = &files[l->file];
    for (int i = 0; i < n_rects; i++)
        mark_rect(&rects[i], &s->mapping, (int)l->at.width, (int)l->at.height, marks);
    for (uint32_t p = 0; p < l->at.width * l->at.height; p++)
        damaged |= marks[p];
    shows = attached || damaged;
    if (moved || !s->continues || s->width != l->at.width || s->height != l->at.height ||
        s->format != l->at.format || !mapping_same(&s->chain_mapping, &s->mapping)) {
        s->continues = true;
        s->chain = ++next_chain;
        s->width = l->at.width;
        s->height = l->at.height;
        s->format = l->at.format;
        s->chain_mapping = s->mapping;
        memset(s->damaged, 0, sizeof(s->damaged));
        if (shows)
            memset(marks, 1, sizeof(marks));
    }
    for (uint32_t p = 0; p < s->width * s->height; p++)
        if (marks[p]) {
            s->damaged[p] = now;
            if (s->careless && same)
                continue;
            s->content[p] = (uint64_t)random_below(UINT32_MAX) << 32 | random_below(UINT32_MAX);
            if (s->careless) /* as it was before, too */
                s->content[p] = p * UINT64_C(0x0101010101010101) + picture;
        }
    if (shows)
        draw(s, l);

    expect(s, s->shown, shows, expected);
    collect_begin(f);
    assert_int_equal(0, damage_commit(s->damage, f->damage, &l->at, &s->mapping, attached, moved,
                                      collect, NULL));
    for (int i = 0; i < FILE_BYTES; i++) {
        bool left_out = sent_repeats && expected[i] && !sent[i] && f->host[i] == f->client[i];

        n_left_out += left_out;
        check(sent[i] || !expected[i] || left_out, "byte %d not sent (layout %d at %llu)", i,
              s->shown, (unsigned long long)l->at.offset);
        check(!sent[i] || expected[i], "byte %d sent needlessly (layout %d at %llu)", i, s->shown,
              (unsigned long long)l->at.offset);
        if (expected[i])
            f->record[i] = (struct record){s->id, s->chain, layout_identity(s->shown), now};
    }
    for (uint64_t i = 0; shows && i < layout_end(l); i++)
        check(!byte_counts(l, i) || f->host[l->at.offset + i] == f->client[l->at.offset + i],
              "the host holds something else in byte %llu", (unsigned long long)(l->at.offset + i));
}

static void step_whole(void)
{
    const struct layout *l = &layouts[random_below(N_LAYOUTS)];
    struct file *f = &files[l->file];

    collect_begin(f);
    assert_int_equal(0, damage_whole(f->damage, &l->at, collect, NULL));
    for (uint64_t i = 0; i < FILE_BYTES; i++) {
        bool in = i >= l->at.offset && i < l->at.offset + layout_end(l) &&
                  byte_counts(l, i - l->at.offset);

        check(sent[i] == in, "byte %llu of a whole buffer", (unsigned long long)i);
        if (in)
            f->record[i].surface = 0;
    }
}

static void step_forget(void)
{
    struct file *f = &files[random_below(N_FILES)];
    uint32_t from = random_below(FILE_BYTES);
    uint32_t length = random_below(chance(70) ? 40 : FILE_BYTES);

    damage_forget(f->damage, from, length);
    for (uint32_t i = from; i < from + length && i < FILE_BYTES; i++) {
        f->record[i].surface = 0;
        f->host[i] = (uint8_t)random_below(256);
    }
}

/* A client may draw where it likes until it shows the result. */
static void step_scribble(void)
{
    struct file *f = &files[random_below(N_FILES)];
    uint32_t from = random_below(FILE_BYTES), length = random_below(1000);

    for (uint32_t i = from; i < from + length && i < FILE_BYTES; i++)
        f->client[i] = (uint8_t)random_below(256);
}

static void test_random_clients(void **state)
{
    (void)state;
    for (uint64_t world = 1; world <= WORLDS; world++) {
        world_start(world);
        for (now = 1; now <= STEPS; now++) {
            struct surface *s = &surfaces[random_below(N_SURFACES)];

            if (chance(30))
                step_scribble();
            if (chance(2))
                step_whole();
            if (chance(2))
                step_forget();
            if (now % 150 == 0)
                surface_start(s);
            if (now % 300 == 0)
                file_start(&files[random_below(N_FILES)]);
            step_commit(s);
        }
        world_end();
    }
    print_message("%lu bytes were left out\n", n_left_out);
    assert_true(n_left_out > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
