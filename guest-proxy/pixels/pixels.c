/* SPDX-License-Identifier: MIT */
/* pixels: owns what outlives the objects of a client: resources that the host may still look into,
 * and the table of formats. */
#include "guest-proxy/pixels/pixels.h"

#include "common/base/fd.h"

void pixels_init(struct pixels *p, struct gpu *gpu)
{
    *p = (struct pixels){.dmabuf.table = -1};
    shadows_init(&p->shadows, gpu);
}

void pixels_finish(struct pixels *p)
{
    p->dmabuf.table = fd_close(p->dmabuf.table);
    shadows_finish(&p->shadows);
}
