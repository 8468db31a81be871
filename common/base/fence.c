/* SPDX-License-Identifier: MIT */
/* fence: owns a place in the loop, and a timer, as long as something is waited for. */
#include "common/base/fence.h"

#include <poll.h>
#include <stddef.h>

#include "common/base/loop.h"

void fence_forget(struct fence *f)
{
    loop_io_destroy(f->io);
    loop_timer_destroy(f->timer);
    f->io = NULL;
    f->timer = NULL;
}

static void fence_over(struct fence *f, bool signalled)
{
    fence_forget(f);
    f->over(f->user, signalled);
}

static void fence_signalled(void *user, unsigned events)
{
    (void)events;
    fence_over(user, true);
}

static void fence_late(void *user)
{
    fence_over(user, false);
}

bool fence_is_signalled(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) != 0;
}

bool fence_wait(struct fence *f, struct loop *loop, int fd, uint64_t ms,
                void (*over)(void *user, bool signalled), void *user)
{
    if (fence_is_signalled(fd))
        return false;
    *f = (struct fence){.over = over, .user = user};
    f->io = loop_io_create(loop, fd, LOOP_READ, fence_signalled, f);
    f->timer = loop_timer_create(loop, fence_late, f);
    if (!f->io || !f->timer) {
        fence_forget(f);
        return false;
    }
    loop_timer_arm(f->timer, ms);
    return true;
}
