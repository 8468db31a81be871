/* SPDX-License-Identifier: MIT */
/* fences: owns the answers that wait, in the order in which their fences were asked for. Linux
 * takes the answer to a fence as the end of all fences before it, so none overtakes another.
 */
#include "host-proxy/gpu/fences.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-proxy/gpu/renderer.h"

int fences_init(struct fences *f)
{
    *f = (struct fences){.waiting = calloc(FENCES_MAX, sizeof(*f->waiting))};
    return f->waiting ? 0 : -ENOMEM;
}

void fences_finish(struct fences *f)
{
    free(f->waiting);
    *f = (struct fences){0};
}

bool fences_add(struct fences *f, struct renderer *renderer, const struct virtqueue_chain *chain,
                const struct virtio_gpu_ctrl_hdr *answer)
{
    if (f->n == FENCES_MAX || chain->n_out > FENCES_PIECES_MAX || chain->out_size < sizeof(*answer))
        return false;
    struct fence_answer *a = &f->waiting[(f->first + f->n) % FENCES_MAX];
    a->number = ++f->number;
    a->head = chain->head;
    a->n_out = chain->n_out;
    memcpy(a->out, chain->out, a->n_out * sizeof(*a->out));
    a->answer = *answer;
    f->n++;
    if (renderer->ops->fence(renderer, le32toh(answer->ctx_id), a->number) == 0)
        return true;
    f->n--;
    return false;
}

static void fences_give_back(struct fences *f, struct virtqueue *queue)
{
    struct fence_answer *a = &f->waiting[f->first];
    f->first = (f->first + 1) % FENCES_MAX;
    f->n--;
    if (!queue)
        return;
    size_t n = virtqueue_scatter(a->out, a->n_out, &a->answer, sizeof(a->answer));
    virtqueue_push(queue, a->head, (uint32_t)n);
}

unsigned fences_done(struct fences *f, uint32_t number, struct virtqueue *queue)
{
    unsigned n = 0;
    for (; f->n > 0 && (int32_t)(f->waiting[f->first].number - number) <= 0; n++)
        fences_give_back(f, queue);
    return n;
}

unsigned fences_done_all(struct fences *f, struct virtqueue *queue)
{
    unsigned n = f->n;
    while (f->n > 0)
        fences_give_back(f, queue);
    return n;
}
