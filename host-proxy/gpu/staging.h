/* SPDX-License-Identifier: MIT */
#pragma once
/* staging: memory that the device and the renderer have in common, for pixels and commands on their
 * way. */
#include <stdint.h>

#include "host-proxy/gpu/renderer.h"

#define STAGING_SIZE (64u << 20)     /* bytes that are kept */
#define STAGING_ONE_MAX (1ull << 30) /* of one stage */

struct staging {
    uint8_t *bytes;
    uint32_t id, last_id; /* of memories; ids are never given twice */
    uint64_t first, end;  /* in use from here to there, around the end */
    unsigned n;           /* stages there */
    uint64_t held;        /* bytes of all stages */
};

/* Numbers go on after @last_id. Returns a memfd (owned) of STAGING_SIZE bytes, the memory of number
 * ->id, or -errno. */
int staging_init(struct staging *s, uint32_t last_id);
void staging_finish(struct staging *s);
/* A number for other memory that the renderer is given. */
uint32_t staging_next_id(struct staging *s);

/* @size bytes (their content is anything). Returns a memfd (owned) if the stage is a memory of its
 * own, or -1 and sets *ret_result: 0; -E2BIG; -ENOMEM. */
int staging_take(struct staging *s, uint64_t size, struct renderer_stage *ret, int *ret_result);
/* Gives back the oldest one there is. */
void staging_give(struct staging *s, const struct renderer_stage *stage);
/* Gives back the newest one instead. */
void staging_undo(struct staging *s, const struct renderer_stage *stage);
