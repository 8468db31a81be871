/* SPDX-License-Identifier: MIT */
/* The peer hears the reason if the socket takes it at once: nobody waits for one that leads
 * nowhere. */
#include "host-proxy/refuse.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/base/refused.h"
#include "common/transport/link.h"
#include "common/base/log.h"
#include "common/wayland/relay.h"

#define UNREAD_MAX (64u << 10) /* bytes behind the HELLO that came already */

/* A socket that is closed with something unread in it may take what was said with it. */
static void refuse_drain(int fd)
{
    uint8_t bytes[4096];
    for (size_t done = 0; done < UNREAD_MAX; done += sizeof(bytes))
        if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) < (ssize_t)sizeof(bytes))
            return;
}

void refuse(struct link *link, struct log_subject *subject, enum link_error code, const char *told,
            const char *why)
{
    log_warn(subject, "refused a connection: %s", why ? why : told);
    refused_note(subject, link_error_name(code), why ? why : told);
    refuse_again(link, code, told);
}

void refuse_again(struct link *link, enum link_error code, const char *told)
{
    link_queue(link, link_error_encode, code, 0, WL_DISPLAY_IMPLEMENTATION, told);
    link_stop(link);
    link_flush(link);
    refuse_drain(link->fd);
    link_destroy_later(link);
}

void refuse_socket(int fd, struct log_subject *subject, enum link_error code, const char *told)
{
    uint8_t frame[LINK_FRAME_SMALL_MAX];
    size_t n = link_error_encode(frame, code, 0, WL_DISPLAY_IMPLEMENTATION, told);
    log_warn(subject, "refused a connection: %s", told);
    refused_note(subject, link_error_name(code), told);
    if (send(fd, frame, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_debug(subject, "could not say so: %s", strerror(errno));
    refuse_drain(fd);
    fd_close(fd);
}
