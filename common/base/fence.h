/* SPDX-License-Identifier: MIT */
#pragma once
/* fence: waits until whoever draws into a buffer is done, as the kernel tells of a dmabuf or a sync
 * file by poll(). */
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_io;
struct loop_timer;

/* All zeros: nothing is waited for. */
struct fence {
    struct loop_io *io;
    struct loop_timer *timer;
    void (*over)(void *user, bool signalled);
    void *user;
};

/* Whether nothing (more) is to be waited for. */
bool fence_is_signalled(int fd);
/* True: @over is called from the loop, once: when @fd (borrowed until then) is signalled, or after
 * @ms. False: there is nothing to wait for, or no memory to do it with. */
bool fence_wait(struct fence *fence, struct loop *loop, int fd, uint64_t ms,
                void (*over)(void *user, bool signalled), void *user);
/* Nobody is told any more. */
void fence_forget(struct fence *fence);
