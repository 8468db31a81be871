/* SPDX-License-Identifier: MIT */
/* The peer hears the reason if the socket takes it at once: nobody waits for one that leads
 * nowhere. */
#include "host-proxy/refuse.h"

#include "common/transport/link.h"
#include "common/base/log.h"
#include "common/wayland/relay.h"

void refuse(struct link *link, struct log_subject *subject, enum link_error code, const char *told,
            const char *why)
{
    log_warn(subject, "refused a connection: %s", why ? why : told);
    link_queue(link, link_error_encode, code, 0, WL_DISPLAY_IMPLEMENTATION, told);
    link_stop(link);
    link_flush(link);
    link_destroy_later(link);
}
