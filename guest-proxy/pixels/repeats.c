/* SPDX-License-Identifier: MIT */
/* repeats: owns a sum of each chunk of a picture that the host holds. A program that never says
 * which part it has drawn (software Mesa) has whole frames sent, though mostly nothing differs.
 *
 * Never a wrong pixel: a chunk is copied first, and the sum is of the copy. If it is that of what
 * the host holds, the client had the same bytes there at that moment; if not, the copy itself is
 * sent, so that sum and host agree whatever the client writes meanwhile. Rows that are sent
 * straight from the client's memory have no sum.
 *
 * The sum is NH over 64-bit words (as in UMAC): Σ (m₀ + k₀)(m₁ + k₁) mod 2¹²⁸, with a secret key of
 * this process. Two chunks that differ have the same sum with a chance of 2⁻⁶⁴ at most, whatever
 * they are; that is the proven bound, and needs the full 128 bits of the sum.
 *
 * A frame that changes must hardly cost more than before, so a few chunks spread over the picture
 * are looked at first, and all the others only if half of these repeat. Who was wrong waits longer
 * before the next try. */
#include "guest-proxy/pixels/repeats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/guard.h"
#include "common/base/memory.h"

#define CHUNK 4096u  /* bytes; a row starts a new one. Its sum has 16 */
#define ROW_MIN 256u /* shorter rows are not worth a sum each */
#define SAMPLES 32u  /* chunks, of SAMPLED times as many; of a smaller picture fewer */
#define SAMPLED 32u
#define RUN (64u << 10) /* bytes that go in one frame */
#define WAIT_MAX 64u    /* turns */

struct sum {
    uint64_t low, high;
};

struct repeats {
    struct sum *sums; /* of the first @known chunks; NULL: nothing was found to repeat */
    uint64_t known;
    struct sum samples[SAMPLES]; /* of the last turn */
    unsigned samples_n;          /* 0: none */
    unsigned wait;               /* turns until the next look */
    unsigned penalty;            /* so long it is when the next try fails */
    bool kept;                   /* the last turn was repeats_send() */
};

/* The rows, cut into chunks. */
struct grid {
    const struct damage_rect *rect;
    uint64_t per_row, n;
};

#ifdef __SIZEOF_INT128__

__extension__ typedef unsigned __int128 wide;

static uint64_t key[CHUNK / sizeof(uint64_t)];

static bool have_key(void)
{
    static bool have;
    for (size_t done = 0; !have && done < sizeof(key);) {
        ssize_t n = getrandom((uint8_t *)key + done, sizeof(key) - done, 0);
        if (n < 0 && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    have = true;
    return true;
}

/* A word that is loaded once, whoever writes to it meanwhile: what is copied is what is counted. */
static uint64_t word_at(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof(word));
    __asm__("" : "+r"(word));
    return word;
}

static void word_put(uint8_t *to, uint64_t word)
{
    memcpy(to, &word, sizeof(word));
}

/* Copies @size bytes, and sums up the copy. As fast as either alone: both wait for the memory. */
static struct sum copy_and_sum(uint8_t *restrict to, const uint8_t *restrict from, uint32_t size)
{
    wide even = 0, odd = 0;
    uint8_t last[4 * sizeof(uint64_t)] = {0};
    const uint64_t *k = key;
    for (; size >= sizeof(last); size -= (uint32_t)sizeof(last)) {
        uint64_t a = word_at(from), b = word_at(from + 8), c = word_at(from + 16),
                 d = word_at(from + 24);
        word_put(to, a);
        word_put(to + 8, b);
        word_put(to + 16, c);
        word_put(to + 24, d);
        even += (wide)(a + k[0]) * (b + k[1]);
        odd += (wide)(c + k[2]) * (d + k[3]);
        to += sizeof(last);
        from += sizeof(last);
        k += 4;
    }
    if (size) {
        memcpy(to, from, size);
        memcpy(last, to, size);
        even += (wide)(word_at(last) + k[0]) * (word_at(last + 8) + k[1]);
        odd += (wide)(word_at(last + 16) + k[2]) * (word_at(last + 24) + k[3]);
    }
    even += odd;
    return (struct sum){(uint64_t)even, (uint64_t)(even >> 64)};
}

#else

static bool have_key(void)
{
    return false;
}

static struct sum copy_and_sum(uint8_t *to, const uint8_t *from, uint32_t size)
{
    memcpy(to, from, size);
    return (struct sum){0, 0};
}

#endif

static bool sum_equal(struct sum a, struct sum b)
{
    return a.low == b.low && a.high == b.high;
}

struct repeats *repeats_create(void)
{
    return have_key() ? calloc(1, sizeof(struct repeats)) : NULL;
}

static void forget_sums(struct repeats *r)
{
    free(r->sums);
    r->sums = NULL;
    r->known = 0;
}

void repeats_destroy(struct repeats *r)
{
    if (!r)
        return;
    forget_sums(r);
    free(r);
}

void repeats_turn(struct repeats *r)
{
    if (!r->kept) {
        forget_sums(r);
        r->samples_n = 0;
    }
    r->kept = false;
}

/* The try did not pay. */
static void give_up(struct repeats *r)
{
    forget_sums(r);
    r->samples_n = 0;
    r->penalty = r->penalty ? 2 * r->penalty : 1;
    if (r->penalty > WAIT_MAX)
        r->penalty = WAIT_MAX;
    r->wait = r->penalty;
}

static struct grid grid_of(const struct damage_rect *rect)
{
    uint64_t per_row = ((uint64_t)rect->row + CHUNK - 1) / CHUNK;
    return (struct grid){rect, per_row, per_row * rect->rows};
}

static uint64_t chunk_start(const struct grid *g, uint64_t i)
{
    return g->rect->offset + i / g->per_row * g->rect->stride + i % g->per_row * CHUNK;
}

static uint32_t chunk_size(const struct grid *g, uint64_t i)
{
    uint64_t left = g->rect->row - i % g->per_row * CHUNK;
    return left < CHUNK ? (uint32_t)left : CHUNK;
}

struct chunk {
    const uint8_t *from;
    uint32_t size;
    uint8_t *to;
    struct sum sum;
};

static void chunk_read(void *user)
{
    struct chunk *chunk = user;
    chunk->sum = copy_and_sum(chunk->to, chunk->from, chunk->size);
}

/* Copies chunk @i to @to, which has room for it. 0, or as guard_read(). */
static int chunk_take(const struct grid *g, const struct memory *m, uint64_t i, uint8_t *to,
                      struct sum *ret)
{
    const struct memory *file = m->file ? m->file : m;
    struct chunk chunk = {memory_map(m) + chunk_start(g, i), chunk_size(g, i), to, {0, 0}};
    int e = guard_read(chunk_read, &chunk, file->map, file->size);
    if (e == 0)
        *ret = chunk.sum;
    return e;
}

/* Spread evenly, but not all in one column. */
static uint64_t sample_place(const struct grid *g, unsigned i, unsigned n)
{
    uint64_t part = g->n / n;
    return i * part + (uint64_t)i * 7 % part;
}

/* How many in a hundred of the samples are as they were; 0 as well where there were none. */
static int samples_repeat(struct repeats *r, const struct grid *g, const struct memory *m,
                          unsigned *ret_percent)
{
    uint8_t copy[CHUNK];
    unsigned n = g->n / SAMPLED >= SAMPLES ? SAMPLES : (unsigned)(g->n / SAMPLED) + 1, same = 0;
    for (unsigned i = 0; i < n; i++) {
        struct sum sum;
        int e = chunk_take(g, m, sample_place(g, i, n), copy, &sum);
        if (e < 0)
            return e;
        same += i < r->samples_n && sum_equal(sum, r->samples[i]);
        r->samples[i] = sum;
    }
    r->samples_n = n;
    *ret_percent = same * 100 / n;
    return 0;
}

/* From chunk @i to the picture's end. */
static void rest_straight(const struct grid *g, uint64_t i, const struct repeats_ops *ops,
                          void *user)
{
    const struct damage_rect *all = g->rect;
    uint32_t row = (uint32_t)(i / g->per_row), column = (uint32_t)(i % g->per_row * CHUNK);
    if (column) {
        struct damage_rect part = {.offset = chunk_start(g, i),
                                   .row = all->row - column,
                                   .rows = 1,
                                   .stride = all->row - column};
        ops->rows(user, &part);
        row++;
    }
    if (row < all->rows) {
        struct damage_rect part = *all;
        part.offset += (uint64_t)row * all->stride;
        part.rows -= row;
        if (part.rows == 1)
            part.stride = part.row;
        ops->rows(user, &part);
    }
}

/* Bytes that follow each other and that the host lacks. */
struct run {
    uint8_t bytes[RUN];
    uint64_t start;
    uint32_t size;
};

static void run_end(struct run *run, const struct repeats_ops *ops, void *user)
{
    if (run->size)
        ops->bytes(user, run->start, run->bytes, run->size);
    run->size = 0;
}

static int send_changed(struct repeats *r, const struct grid *g, const struct memory *m,
                        const struct repeats_ops *ops, void *user)
{
    static struct run run;
    uint64_t known = r->known, same = 0, i;
    run.size = 0;
    for (i = 0; i < g->n; i++) {
        uint64_t start = chunk_start(g, i);
        if (run.size && (run.start + run.size != start || run.size > RUN - CHUNK))
            run_end(&run, ops, user);
        if (!run.size && !ops->has_room(user))
            break;
        struct sum sum;
        int e = chunk_take(g, m, i, run.bytes + run.size, &sum);
        if (e < 0)
            return e;
        if (i < known && sum_equal(sum, r->sums[i])) {
            same++;
            run_end(&run, ops, user);
            continue;
        }
        if (!run.size)
            run.start = start;
        run.size += chunk_size(g, i);
        r->sums[i] = sum;
    }
    run_end(&run, ops, user);
    r->known = i;
    if (i < g->n)
        rest_straight(g, i, ops, user);
    if (same < known / 4)
        give_up(r);
    else if (known && same >= known / 2)
        r->penalty = 0;
    return 0;
}

/* Whether all of the picture is to be looked at. */
static int look(struct repeats *r, const struct grid *g, const struct memory *m, bool *ret)
{
    unsigned percent;
    *ret = false;
    if (r->wait) {
        r->wait--;
        return 0;
    }
    bool first = !r->samples_n;
    int e = samples_repeat(r, g, m, &percent);
    if (e < 0)
        return e;
    if (r->sums && percent < 25) {
        give_up(r);
        return 0;
    }
    if (!r->sums && !first && percent >= 50)
        r->sums = malloc(g->n * sizeof(*r->sums));
    *ret = r->sums;
    return 0;
}

int repeats_send(struct repeats *r, const struct memory *m, const struct damage_rect *rect,
                 const struct repeats_ops *ops, void *user)
{
    const struct memory *file = m->file ? m->file : m;
    uint64_t end = m->base + rect->offset + (uint64_t)(rect->rows - 1) * rect->stride + rect->row;
    struct grid g = grid_of(rect);
    bool changed_only = false;
    if (end > file->size)
        return -EFAULT;
    int e = rect->row >= ROW_MIN ? look(r, &g, m, &changed_only) : 0;
    if (e < 0)
        return e;
    if (changed_only)
        e = send_changed(r, &g, m, ops, user);
    else
        ops->rows(user, rect);
    r->kept = e == 0;
    return e;
}
