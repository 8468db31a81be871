/* SPDX-License-Identifier: MIT */
/* carrier: joins the parts of a connection, and takes them apart in the order in which they refer
 * to each other. carrier-state knows how it ends, carrier-local and carrier-link what comes in. */
#include "common/carrier/carrier.h"

#include "common/base/budget.h"
#include "common/base/fd.h"
#include "common/carrier/carrier-link.h"
#include "common/carrier/carrier-local.h"
#include "common/carrier/vfd-kinds.h"

static bool carrier_ends_writable(struct ends *ends, const struct memory *memory, uint64_t offset,
                                  uint64_t end)
{
    const struct carrier *c = carrier_of(ends);
    return c->ops->writable && c->ops->writable(c->user, memory, offset, end);
}

static void carrier_ends_settle(struct ends *ends)
{
    struct carrier *c = carrier_of(ends);
    if (!ends_has_local(ends))
        carrier_settle_later(c);
}

static void carrier_ends_resumed(struct ends *ends)
{
    carrier_resume_local(carrier_of(ends));
}

static void carrier_turn(void *user)
{
    struct carrier *c = user;
    ends_resume(&c->ends, CARRIER_HOLD_TURN);
}

static const struct ends_ops ends_ops = {.fail = carrier_ends_fail,
                                         .writable = carrier_ends_writable,
                                         .resumed = carrier_ends_resumed,
                                         .settle = carrier_ends_settle};

static void carrier_unpay(struct budget *budget)
{
    budget_give(budget, BUDGET_FDS, CARRIER_FDS);
    budget_give(budget, BUDGET_MEMORY, CARRIER_MEMORY);
}

static int carrier_pay(struct budget *budget)
{
    int e = budget_take(budget, BUDGET_FDS, CARRIER_FDS);
    if (e == 0 && (e = budget_take(budget, BUDGET_MEMORY, CARRIER_MEMORY)) < 0)
        budget_give(budget, BUDGET_FDS, CARRIER_FDS);
    return e;
}

int carrier_init(struct carrier *c, struct loop *loop, enum carrier_side side, int local_fd,
                 struct link *link, const struct carrier_party *party,
                 const struct carrier_ops *ops, void *user, struct log_subject *subject)
{
    c->ends = (struct ends){.side = side,
                            .loop = loop,
                            .link = link,
                            .ops = &ends_ops,
                            .codes = ops->codes,
                            .subject = subject,
                            .party = party};
    c->ops = ops;
    c->user = user;
    c->settle_job = (struct loop_job){.run = carrier_settle, .user = c};
    c->resume_job = (struct loop_job){.run = carrier_resume_crowded, .user = c};
    c->turn_job = (struct loop_job){.run = carrier_turn, .user = c};
    vfds_init(&c->vfds, &c->ends);
    c->gpu = (struct gpu_memory){.vfds = &c->vfds, .next = 1};
    int e = carrier_pay(party->budget);
    if (e < 0)
        fd_close(local_fd);
    else if ((e = local_socket_init(&c->ends.local, loop, local_fd, carrier_local_ready, c)) < 0)
        carrier_unpay(party->budget);
    if (e < 0) {
        link_stop(link); /* we may be in one of its callbacks */
        link_destroy_later(link);
        return e;
    }
    c->ends.local.out.budget = party->budget;
    link_set_budget(link, party->budget);
    link_adopt(link, &carrier_link_ops, c);
    return 0;
}

void carrier_start(struct carrier *c)
{
    carrier_local_ready(c, LOOP_READ);
    link_flush(c->ends.link);
}

void carrier_stop(struct carrier *c)
{
    loop_later_cancel(c->ends.loop, &c->settle_job);
    loop_later_cancel(c->ends.loop, &c->resume_job);
    loop_next_turn_cancel(c->ends.loop, &c->turn_job);
    loop_timer_destroy(c->timer);
    c->timer = NULL;
    if (c->state != CARRIER_FINISHED)
        carrier_move_to(c, CARRIER_FINISHED);
}

void carrier_finish(struct carrier *c)
{
    vfds_discard_unclaimed(&c->vfds);
    vfds_close(&c->vfds);
    local_socket_finish(&c->ends.local);
    link_destroy(c->ends.link);
    carrier_unpay(c->ends.party->budget);
}
