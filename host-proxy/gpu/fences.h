/* SPDX-License-Identifier: MIT */
#pragma once
/* fences: answers that wait until the renderer is done with what was asked before. */
#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_gpu.h>

#include "common/vhost-user/virtqueue.h"

struct renderer;

#define FENCES_MAX VIRTQUEUE_SIZE_MAX
#define FENCES_PIECES_MAX 4 /* of an answer's memory */

struct fence_answer {
    uint32_t number; /* the renderer's */
    uint16_t head;
    unsigned n_out;
    struct iovec out[FENCES_PIECES_MAX]; /* in the guest's memory: given back before that changes */
    struct virtio_gpu_ctrl_hdr answer;
};

struct fences {
    struct fence_answer *waiting; /* a ring, in the order of the numbers */
    unsigned first, n;
    uint32_t number; /* of the last one */
};

int fences_init(struct fences *fences); /* 0 or -ENOMEM */
void fences_finish(struct fences *fences);

/* Keeps the answer to a request back until the renderer is done. False: it cannot wait. */
bool fences_add(struct fences *fences, struct renderer *renderer,
                const struct virtqueue_chain *chain, const struct virtio_gpu_ctrl_hdr *answer);
/* Gives back what waits for fences up to @number, in their order; @queue NULL: to nobody. Returns
 * how many. */
unsigned fences_done(struct fences *fences, uint32_t number, struct virtqueue *queue);
/* The same for all of them. */
unsigned fences_done_all(struct fences *fences, struct virtqueue *queue);
